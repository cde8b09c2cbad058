"""The engine falls silent, a release's container dies or is held, the database goes, the gateway is killed: while
somebody publishes, while a version is made live, while somebody looks. See also test_faults.py and test_killed.py."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.gateway.serving import create_gateway
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.releases.tryout import NotebookFailed
from bdap_hub.dashboards.running import runtime_docker, silence
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin
from tests import postgres
from tests.serving import Services

from .conftest import SLIDER, Platform, notebook
from .cuttable import Cuttable
from .talking import answered, comm, heard, kernel_in, said, states, to_gateway

HOST, WISH = "agriculture--outage", Wish("agriculture", "outage", "Outage", "", "public")
GATEWAY = """
import uvicorn
from bdap_hub import proxy, settings
from bdap_hub.dashboards.gateway.serving import create_gateway
tree = settings.load()
uvicorn.run(create_gateway(tree), host="127.0.0.1", port=tree.dashboards.gateway_port, log_level="warning",
            timeout_keep_alive=proxy.IDLE_SECONDS)
"""


class Shown:
    """A dashboard with its publisher and its gateway."""

    def __init__(self, settings: Settings) -> None:
        settings.dashboards.painter = ""
        self.settings, self.records = settings, Records(connect(settings.database))
        self.runtime = make_runtime(settings)
        self.publisher = Publisher(settings, self.records, self.runtime, HubLogin(settings, "dashboards"))
        self.platform = Platform(None, settings, None)  # type: ignore[arg-type]

    def publish(self, text: str, at: str = "", do: Callable[[], Any] = lambda: None, draft: bool = False) -> int:
        """The new version; at that step of it, that is done."""

        def tell(step: str) -> None:
            if step == at:
                do()

        content = read_bundle("index.ipynb", notebook(SLIDER, text=text), 2**20)
        before = self.records.find("agriculture", "outage")
        return self.publisher.publish(WISH, content, "ana", before, draft, tell).version

    @property
    def live(self) -> int:
        """The version that visitors get."""
        found = self.records.live("agriculture", "outage")
        return found.version if found else 0

    @property
    def versions(self) -> list[int]:
        """All that are kept."""
        found = self.records.find("agriculture", "outage")
        return [one.version for one in self.records.releases(found)] if found else []

    def path(self) -> str:
        """A new visitor's way to a kernel, from the page."""
        page = self.platform.eventual(HOST, 200)
        assert page.status_code == 200, page.text
        return f"/api/kernels/{kernel_in(page.text)}/channels?session_id=s"

    async def joined(self, path: str) -> Any:
        """A socket, once there is one: pages try again, too."""
        async with asyncio.timeout(60):
            while True:
                try:
                    socket = await to_gateway(self.platform, HOST, path)
                    await answered(socket)
                    return socket
                except (InvalidStatus, ConnectionClosed, AssertionError):
                    await asyncio.sleep(0.3)


async def moved(socket: Any, value: int) -> bool:
    """Whether the visitor's slider is there once it is moved."""
    slider = next(one for one, state in (await states(socket)).items() if state.get("description") == "n")
    await answered(socket, comm(slider, method="update", state={"value": value}))
    return bool((await states(socket))[slider]["value"] == value)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuttable]:
    found = Cuttable(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{found.path}")
    monkeypatch.setattr(runtime_docker, "LOOK_SECONDS", 5.0)
    monkeypatch.setattr(silence, "SILENT_SECONDS", 1.0)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def contained(settings: Settings, engine: Cuttable) -> Iterator[Shown]:
    """In a container, version 1 live."""
    settings.dashboards.network = f"bdaptest-outages-{settings.install_id}"
    shown, services = Shown(settings), Services()
    try:
        shown.publish("# First")
        services.serve(create_gateway(settings), settings.dashboards.gateway_port)
        yield shown
    finally:
        services.end()
        time.sleep(0.1)
        shown.runtime.stop_all()
        for network in docker.from_env().networks.list(names=[settings.dashboards.network]):
            network.remove()


@pytest.mark.docker
async def test_the_engine_falls_silent(contained: Shown, engine: Cuttable):
    shown = contained
    assert await asyncio.to_thread(shown.publish, "# Second", draft=True) == 2
    socket = await shown.joined(await asyncio.to_thread(shown.path))
    try:
        assert await moved(socket, 4)
        for how, value in (("hang", 5), ("cut", 6)):
            with engine.silent(how):  # type: ignore[arg-type]
                assert await moved(socket, value), "who looks goes on"
                page = await asyncio.to_thread(shown.platform.open, HOST)
                assert page.status_code == 200 and "First" in page.text, "who comes sees the page"
                with pytest.raises((InvalidStatus, ConnectionClosed)):  # its script tries again
                    async with to_gateway(shown.platform, HOST, await asyncio.to_thread(shown.path)) as new:
                        await new.recv()
                with pytest.raises(Unavailable, match="engine does not answer"):
                    await asyncio.to_thread(shown.publish, "# Third")
                assert (shown.live, shown.versions) == (1, [2, 1])
            again = await shown.joined(await asyncio.to_thread(shown.path))
            assert await moved(again, value)
            await again.close()
        silent = engine.silent("cut")
        with pytest.raises(Unavailable, match="engine does not answer"):
            await asyncio.to_thread(shown.publish, "# Third", "running the notebook", silent.__enter__)
        made = shown.records.get("agriculture", "outage")
        shown.records.make_live(made, 2)  # whoever promotes a version needs no engine
        silent.__exit__(None, None, None)
        assert await moved(socket, 7), "who looks at the earlier version goes on"
        await asyncio.sleep(2.1)  # what the gateway knows of the live version is two seconds old at most
        assert "Second" in (await asyncio.to_thread(shown.platform.open, HOST)).text
        async with asyncio.timeout(30):
            while True:  # nobody asks the engine again for some seconds
                try:
                    assert await asyncio.to_thread(shown.publish, "# Third") == 3  # what was left of it is no obstacle
                    break
                except Unavailable:
                    await asyncio.sleep(0.5)
        assert (shown.live, shown.versions) == (3, [3, 2, 1])
    finally:
        await socket.close()


@pytest.mark.docker
async def test_its_container_is_killed_or_held(contained: Shown):
    shown, client = contained, docker.from_env()

    def container(version: int) -> Any:
        return client.containers.get(f"bdap-{shown.settings.install_id}-{HOST}--v{version}")

    with pytest.raises(NotebookFailed, match="ended while it was starting"):
        await asyncio.to_thread(shown.publish, "# Second", "running the notebook", lambda: container(2).kill())
    assert (shown.live, shown.versions, list(shown.runtime.running())) == (1, [1], [f"{HOST}--v1"])
    socket = await shown.joined(await asyncio.to_thread(shown.path))
    assert await moved(socket, 4)
    container(1).pause()
    await socket.send(said("kernel_info_request"))
    silent = await heard(socket, "kernel_info_reply", 1)
    assert "kernel_info_reply" not in {one["header"]["msg_type"] for one in silent}
    container(1).unpause()
    assert await heard(socket, "kernel_info_reply") and await moved(socket, 5)
    container(1).kill()
    with pytest.raises(ConnectionClosed):
        async with asyncio.timeout(30):
            while True:
                await socket.recv()
    again = await shown.joined(await asyncio.to_thread(shown.path))
    assert await moved(again, 6) and shown.live == 1
    await again.close()


@pytest.fixture
def shown(settings: Settings) -> Iterator[Shown]:
    """A local process, with a PostgreSQL of its own; nothing is published yet."""
    if postgres.programs() is None:
        pytest.skip("there is no PostgreSQL: `make test` installs it, or `apt-get install postgresql`")
    settings.spawning.engine = "process"
    folder = Path(tempfile.mkdtemp(prefix="bdap-pg-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        settings.var.mkdir(exist_ok=True)
        server = stack.enter_context(ExitStack())
        settings.database_url = server.enter_context(postgres.cluster(folder)).create("bdap")
        found = Shown(settings)
        stack.callback(found.runtime.stop_all)
        found.stop_database = server.close  # type: ignore[attr-defined]
        found.start_database = lambda: server.enter_context(postgres.cluster(folder))  # type: ignore[attr-defined]
        found.cut = lambda: _terminate(folder)  # type: ignore[attr-defined]
        yield found


def _terminate(folder: Path) -> None:
    with postgres._connected(folder, "5432") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bdap' AND pid <> pg_backend_pid()"
        )


def test_the_database_goes_while_somebody_publishes_and_while_a_version_is_made_live(shown: Any):
    assert shown.publish("# First") == 1
    with pytest.raises(OperationalError):
        shown.publish("# Second", "drawing its picture", shown.stop_database)
    assert list(shown.runtime.running()) == [f"{HOST}--v1"]
    shown.start_database()
    assert (shown.live, shown.versions) == (1, [1])
    assert shown.publish("# Second", draft=True) == 2
    event.listen(shown.records.sessions, "before_commit", lambda _session: shown.cut(), once=True)
    made = shown.records.get("agriculture", "outage")
    with pytest.raises(OperationalError):
        shown.records.make_live(made, 2)
    states = {one.version: one.status for one in shown.records.releases(made)}
    assert (shown.live, states) == (1, {1: "live", 2: "draft"})  # all of the step was undone
    shown.records.make_live(made, 2)
    assert shown.live == 2


async def test_the_gateway_is_killed_while_somebody_looks(settings: Settings, tmp_path: Path):
    settings.spawning.engine = "process"
    shown = Shown(settings)
    (tmp_path / "bdap.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    gateways = [await asyncio.to_thread(_gateway, settings, tmp_path / "bdap.yaml")]
    try:
        assert await asyncio.to_thread(shown.publish, "# First") == 1
        path = await asyncio.to_thread(shown.path)
        socket = await shown.joined(path)
        assert await moved(socket, 7)
        gateways[0].kill()
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()
        gateways.append(await asyncio.to_thread(_gateway, settings, tmp_path / "bdap.yaml"))
        again = await shown.joined(path)
        slider = next(state for state in (await states(again)).values() if state.get("description") == "n")
        assert slider["value"] == 7  # the same process, with what the visitor did
        await again.close()
        assert list(shown.runtime.running()) == [f"{HOST}--v1"]
    finally:
        for gateway in gateways:
            gateway.send_signal(signal.SIGKILL)
            gateway.wait(20)
        shown.runtime.stop_all()


def _gateway(settings: Settings, config: Path) -> subprocess.Popen[bytes]:
    """A process of its own, once it answers."""
    environment = {**os.environ, "BDAP_CONFIG": str(config)}
    started = subprocess.Popen([sys.executable, "-c", GATEWAY], env=environment)
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{settings.dashboards.gateway_port}/_bdap/health", trust_env=False)
            return started
        except httpx.HTTPError:
            assert started.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
