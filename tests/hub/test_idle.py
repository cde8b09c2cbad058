"""Idle servers on the real Docker engine with the real JupyterLab: what counts as use, and who is stopped."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from websockets.sync.client import ClientConnection, connect

from bdap_hub import audit, database
from bdap_hub.spawning.lifecycle import ends, reasons
from bdap_hub.spawning.plan import container_name
from tests.own_engine import all_control_groups

from .conftest import Platform, with_docker

pytestmark = pytest.mark.docker

LAB = {"project": "agriculture", "image": "lab"}
LIMIT = 5  # seconds
COMPUTE = "while [ -e /tmp/computes ]; do :; done"
SILENT = "import time\nprint('begun')\ntime.sleep(600)"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A hub that stops servers after seconds."""
    folder = tmp_path_factory.mktemp("idle")
    with all_control_groups(), with_docker(folder, idle_timeout=LIMIT, warm={"most": 0}) as found:
        yield found


@pytest.fixture(autouse=True)
def nobody_is_left(platform: Platform) -> Iterator[None]:
    yield
    platform.stop("ana")


class Kernel:
    """A kernel of somebody's server that was given SILENT, and whose person then closed their laptop."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.platform, self.name, self.token = platform, name, platform.token_of(name)
        self.id = self.ask("POST", "api/kernels").json()["id"]
        url = f"{platform.url.replace('http', 'ws', 1)}/user/{name}/api/kernels/{self.id}/channels"
        with connect(url, additional_headers={"Authorization": f"token {self.token}"}, proxy=None) as socket:
            self._run(socket)

    def _run(self, socket: ClientConnection) -> None:
        header = {"msg_id": "1", "username": "", "session": "s", "msg_type": "execute_request", "version": "5.3"}
        content = {"code": SILENT, "silent": False, "store_history": False, "user_expressions": {}}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        socket.send(json.dumps(message))
        while "begun" not in str(socket.recv(timeout=30)):
            pass

    def ask(self, method: str, path: str) -> Any:
        return self.platform.at_server(self.name, method, path)

    def interrupt(self) -> None:
        assert self.ask("POST", f"api/kernels/{self.id}/interrupt").status_code == 204


def test_who_computes_is_not_idle_and_who_does_not_is_stopped_and_told(platform: Platform) -> None:
    platform.start("ana", LAB)
    container = docker.from_env().containers.get(container_name(platform.settings, "ana"))
    kernel = Kernel(platform, "ana")
    still_there(platform, "ana", 2.5 * LIMIT)  # a busy kernel, silent, with no browser

    assert container.exec_run(["touch", "/tmp/computes"]).exit_code == 0
    container.exec_run(["sh", "-c", COMPUTE], detach=True)
    kernel.interrupt()
    still_there(platform, "ana", 2.5 * LIMIT)  # a script that computes, as in a terminal
    assert container.exec_run(["rm", "/tmp/computes"]).exit_code == 0

    platform.wait(lambda: not platform.api("GET", "/users/ana").json()["servers"], 60, "ana's server to stop")
    store = database.connect(platform.settings.database)
    assert ends.last(store, "ana")[""].words == reasons.idle(LIMIT)
    assert audit.query(store, audit.Filter(action="stop-server"), limit=1)[0].reason == reasons.idle(LIMIT)


def still_there(platform: Platform, name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert platform.api("GET", f"/users/{name}").json()["servers"][""]["ready"], platform.log[-3000:]
        time.sleep(1)


def test_a_server_ends_at_its_greatest_age_whatever_it_does(tmp_path: Path) -> None:
    """`spawning.server_hours`. That one which computes goes on without it, says the test above."""
    hours = 15 / 3600
    with with_docker(tmp_path, idle_timeout=0, server_hours=hours, warm={"most": 0}) as platform:
        for _ in range(2):  # a new start has the whole time again
            begun = time.monotonic()
            platform.start("ana", LAB)
            Kernel(platform, "ana")
            still_there(platform, "ana", max(0.0, begun + 10 - time.monotonic()))
            platform.wait(lambda: not platform.api("GET", "/users/ana").json()["servers"], 60, "the end of its time")
            store = database.connect(platform.settings.database)
            assert ends.last(store, "ana")[""].words == reasons.too_old(15)
        actions = [event.reason for event in audit.query(store, audit.Filter(action="stop-server"))]
        assert actions == [reasons.too_old(15)] * 2


def test_a_home_without_room_for_a_byte_does_not_keep_its_server_from_starting(platform: Platform) -> None:
    """The server is what one frees it with."""
    platform.start("ana", LAB)  # makes the home
    platform.stop("ana")
    home = platform.settings.var / "homes" / "ana"
    owner = home.stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(home)], check=True)
    try:
        (home / "full").write_bytes(bytes(64 * 1024))
        for path in (home, home / "full"):
            subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", str(path)], check=True)
        with pytest.raises(OSError):
            (home / "more").write_bytes(b"x")
        platform.start("ana", LAB)
        container = docker.from_env().containers.get(container_name(platform.settings, "ana"))
        assert container.exec_run(["sh", "-c", "rm ~/full && echo x > ~/again"]).exit_code == 0
    finally:
        platform.stop("ana")
        subprocess.run(["umount", "-l", str(home)], check=True)
