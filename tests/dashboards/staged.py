"""A stage as a process of a test's own, and its visitors' websockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from bdap_hub.dashboards.running.runtime import (
    STAGE,
    TEMPLATES,
    base_environment,
    stage_command,
    stage_environment,
    voila_command,
    widgets_folder,
)

from ..conftest import free_port
from .conftest import notebook

PATIENCE = 60.0


@dataclass
class Staged:
    """A running stage."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str = "/", **kwargs: Any) -> httpx.Response:
        """Ask it."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=120, trust_env=False, **kwargs)

    def state(self) -> dict[str, Any]:
        """What it says of itself, once it knows."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.get("/_stage/state?memory=1").json())["status"] == "running":
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return found

    def processes(self) -> list[int]:
        """All that it has started and that are alive."""
        return _below(self.process.pid)

    def widget(self, **state: Any) -> str:
        """The id of the page's widget with that state."""
        page = self.get().text
        text = page.partition('type="application/vnd.jupyter.widget-state+json">')[2].partition("</script>")[0]
        models = json.loads(text)["state"]
        return next(k for k, m in models.items() if all(m["state"].get(name) == v for name, v in state.items()))


@dataclass
class Visitor:
    """A browser's side of the websocket."""

    stage: Staged
    kernel: str = field(default_factory=lambda: str(uuid.uuid4()))
    query: str = "after=0"
    last: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Visitor:
        url = f"ws://127.0.0.1:{self.stage.port}/api/kernels/{self.kernel}/channels?{self.query}"
        self._opening = connect(url, proxy=None, max_size=None, additional_headers=self.headers)
        self.socket: ClientConnection = self._opening.__enter__()
        self.hello = self.receive()["content"]["stage"]
        return self

    def __exit__(self, *_: object) -> None:
        self._opening.__exit__(None, None, None)

    def receive(self) -> dict[str, Any]:
        """The next message."""
        message = json.loads(self.socket.recv(timeout=PATIENCE))
        self.last = max(self.last, message.get("metadata", {}).get("number", 0))
        return message

    def say(self, kind: str, msg_id: str = "", **content: Any) -> str:
        """Send; the message's id."""
        header = {
            "msg_id": msg_id or uuid.uuid4().hex,
            "msg_type": kind,
            "session": "s",
            "username": "",
            "version": "5.3",
        }
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message))
        return header["msg_id"]

    def set(self, widget: str, msg_id: str = "", **state: Any) -> dict[str, dict[str, Any]]:
        """Set a widget's state; what other widgets then became."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        asked = self.say("comm_msg", msg_id, comm_id=widget, data=data)
        return self.until_idle(asked)

    def until_idle(self, asked: str) -> dict[str, dict[str, Any]]:
        """The states that were sent until that message was dealt with."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            message = self.receive()
            content = message["content"]
            if message["header"]["msg_type"] == "comm_msg" and content["data"].get("method") == "update":
                found.setdefault(content["comm_id"], {}).update(content["data"]["state"])
            if message["header"]["msg_type"] == "status" and message["parent_header"].get("msg_id") == asked:
                return found


@contextlib.contextmanager
def staged(
    folder: Path, *cells: str, content: bytes = b"", keep: float = 60, children: int = 20, again: float = 60
) -> Iterator[Staged]:
    """A stage on a notebook of those cells; at the end nothing of it is alive."""
    folder.mkdir(parents=True, exist_ok=True)
    path, port = folder / "index.ipynb", free_port()
    path.write_bytes(content or notebook(*cells))
    home = folder / "home"
    home.mkdir(exist_ok=True)
    voila = [sys.executable, "-m", *voila_command("index.ipynb", str(folder), str(home), "127.0.0.1", "{port}")]
    command = stage_command(voila, str(path), "127.0.0.1", port, children)
    place = command.index("--children")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        **base_environment(str(TEMPLATES)),
        **stage_environment(str(STAGE), str(widgets_folder())),
        "BDAP_VISITOR_KEY": "k" * 32,
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command[:place], "--keep", str(keep), "--again", str(again), *command[place:]],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    stage = Staged(port, process, folder / "log")
    try:
        _listens(stage)
        yield stage
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()


def gone(pids: list[int], seconds: float = 20) -> bool:
    """Whether all of them end, and none stays as a zombie, within the time."""
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            print({pid: Path(f"/proc/{pid}/stat").read_text() for pid in alive})
            return False
        time.sleep(0.1)
    return True


def _listens(stage: Staged) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            stage.get("/_ready")
            return
        except httpx.HTTPError:
            assert stage.process.poll() is None and time.monotonic() < deadline, stage.log.read_text()
            time.sleep(0.1)


def _below(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):  # of one that has just ended
            for child in (task / "children").read_text().split():
                found += [int(child), *_below(int(child))]
    return found
