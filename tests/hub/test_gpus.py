"""GPUs on a real Docker engine, through the real hub: who gets which, who waits, what a killed hub leaves behind.

The engine is our own, with a stand-in for NVIDIA's hook: see tests/own_engine.py.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import update

from bdap_hub import database
from bdap_hub.cli import main
from bdap_hub.spawning.gpu.tables import GpuAllocation, GpuUse, allocate, allocations
from bdap_hub.spawning.plan import container_name
from tests.own_engine import UUIDS, network_of, own_engine, settings_on

from .conftest import Platform, launch

pytestmark = pytest.mark.docker

GPU = {"project": "agriculture", "image": "gpu"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a dockerd of our own that knows of NVIDIA's hook."""
    with own_engine(tmp_path_factory.mktemp("node")) as (_, client):
        yield client


@pytest.fixture(scope="module")
def platform(node: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A hub with two GPUs; ana, ben and olga may use them."""
    folder = tmp_path_factory.mktemp("gpus")
    gpus = [{"id": one, "model": "NVIDIA Test", "memory": "1G"} for one in UUIDS]
    with network_of(node) as (network, gateway), pytest.MonkeyPatch.context() as patch:
        settings = settings_on(folder, network, gateway, gpus=gpus, gpu_hours=2)
        patch.setenv("DOCKER_HOST", node.socket)
        found = launch(folder, settings)
        try:
            found.api("POST", "/groups/project-agriculture/users", json={"users": ["ben"]}).raise_for_status()
            yield found
        finally:
            found.close()


def gpu_of(node: Any, platform: Platform, name: str) -> str:
    """The GPU that Docker's path to the driver was asked to give this container."""
    container = node.containers.get(container_name(platform.settings, name))
    code, output = container.exec_run(["cat", "/proc/1/environ"])
    assert code == 0, output
    variables = dict(line.split("=", 1) for line in output.decode().split("\0") if "=" in line)
    assert container.labels["bdap.gpus"] == variables["NVIDIA_VISIBLE_DEVICES"]
    assert variables["BDAP_GPU_UNTIL"].endswith("Z")
    return variables["NVIDIA_VISIBLE_DEVICES"]


def held(platform: Platform) -> dict[str, str]:
    return {row.person: row.device for row in allocations(database.connect(platform.settings.database))}


class Page(threading.Thread):
    """Somebody's page of a start, which reads its progress until the start is over or it is closed."""

    def __init__(self, platform: Platform, name: str) -> None:
        super().__init__(daemon=True)
        self.url = f"{platform.url}/hub/api/users/{name}/server/progress"
        self.token, self.messages, self.closed = platform.token_of(name), [], False
        self.start()

    def run(self) -> None:
        headers = {"Authorization": f"token {self.token}"}
        with httpx.stream("GET", self.url, headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.messages.append(json.loads(line[5:]).get("message", ""))
                if self.closed:
                    return


def test_each_gets_their_own_and_the_third_waits_in_line(platform: Platform, node: Any) -> None:
    for name in ("ana", "olga"):
        platform.start(name, GPU)
    first, second = (gpu_of(node, platform, name) for name in ("ana", "olga"))
    assert {first, second} == set(UUIDS) and held(platform) == {"ana": first, "olga": second}
    assert "It has a GPU (NVIDIA Test), until " in _home(platform, "ana")
    assert platform.api("POST", "/users/ben/server", json=GPU).status_code in (201, 202)
    page = Page(platform, "ben")
    platform.wait(lambda: any("number 1 in line" in one for one in page.messages), 20, "ben's position")
    assert any("the next is due back by" in one for one in page.messages)
    platform.stop("ana")
    platform.wait(lambda: platform.api("GET", "/users/ben").json()["servers"][""]["ready"], 30, "ben's server")
    assert gpu_of(node, platform, "ben") == first and held(platform) == {"olga": second, "ben": first}


def _home(platform: Platform, name: str) -> str:
    with platform.browser(name) as browser:
        return browser.get(f"{platform.url}/hub/home").text


def test_what_happened_while_the_hub_was_away(platform: Platform, node: Any) -> None:
    before = held(platform)
    assert set(before) == {"olga", "ben"}, "follows the test before"
    platform.kill_hub()
    node.containers.get(container_name(platform.settings, "olga")).remove(force=True)
    store = database.connect(platform.settings.database)
    # as of a start that the hub was killed in, before its container came
    lost = GpuAllocation(node="local", device="GPU-lost", slot=0, holder="lost", person="lost", since=0.0, until=None)
    lost.project, lost.image = "forest", "gpu"
    assert allocate(store, [lost])
    platform.start_hub()
    platform.wait(lambda: held(platform) == {"ben": before["ben"]}, 20, "what is gone to be free")
    assert gpu_of(node, platform, "ben") == before["ben"]
    with store() as session:
        assert {use.person for use in session.query(GpuUse)} == {"ana", "olga", "lost"}
    # and its time is up
    platform.kill_hub()
    with store() as session:
        session.execute(update(GpuAllocation).values(until=time.time() - 1))
        session.commit()
    platform.start_hub()
    platform.wait(lambda: held(platform) == {}, 40, "ben's server to end")
    assert not node.containers.list(all=True, filters={"label": "bdap.kind=server"}, ignore_removed=True)
    platform.wait(lambda: not platform.api("GET", "/users/ben").json()["servers"], 20, "the hub to know")


@pytest.mark.parametrize("moment", [0.3, 0.8])
def test_the_hub_is_killed_while_a_server_starts(platform: Platform, node: Any, moment: float) -> None:
    asking = threading.Thread(target=_ask, args=(platform, "ana"))
    asking.start()
    time.sleep(moment)
    platform.kill_hub()
    asking.join(10)
    platform.start_hub()

    def agree() -> bool:
        """The engine, the database and the hub say the same."""
        servers = node.containers.list(all=True, filters={"label": "bdap.kind=server"}, ignore_removed=True)
        running = {one.labels["bdap.person"]: one.labels["bdap.gpus"] for one in servers}
        known = {name for name in ("ana", "ben") if platform.api("GET", f"/users/{name}").json()["servers"]}
        return running == held(platform) and set(running) == known

    platform.wait(agree, 30, "no orphan")
    platform.stop("ana")
    for name in ("ana", "ben"):
        platform.start(name, GPU)
    assert {gpu_of(node, platform, name) for name in ("ana", "ben")} == set(UUIDS) and agree()
    for name in ("ana", "ben"):
        platform.stop(name)
    assert held(platform) == {}


def _ask(platform: Platform, name: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        platform.api("POST", f"/users/{name}/server", json=GPU)


def test_the_command_line_knows_all_this(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDAP_CONFIG", str(platform.folder / "bdap.yaml"))
    listed = CliRunner().invoke(main, ["gpus", "list"])
    assert [line.split("  ")[-1] for line in listed.output.splitlines()] == ["1 of 1 free", "1 of 1 free"]
    used = CliRunner().invoke(main, ["gpus", "usage"])
    assert {line.split()[0] for line in used.output.splitlines()} == {"agriculture", "forest"}
