"""One visitor's process, a copy of the zygote: runs what is left of the notebook, then answers comm messages."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from . import wire
from .execution import described

if TYPE_CHECKING:
    from .zygote import Zygote

REMEMBERED = 1000  # ids of messages, which a page sends again that cannot know whether they came


def visit(zygote: Zygote, request: dict[str, Any], link: socket.socket) -> None:
    """Until the server closes the socket."""
    os.environ.update(request.get("environment", {}))
    if request.get("visitor"):
        os.environ["BDAP_VISITOR"] = json.dumps(request["visitor"])
    loop = zygote.loop = zygote.runner.loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    lock = threading.Lock()  # a callback's own threads may speak too

    def out(message: wire.Message) -> None:
        with lock:
            wire.send(link, message)

    if request["run"]:
        _rest(zygote, out)
    zygote.board.out = out
    done = loop.create_future()
    loop.add_reader(link, _Reader(zygote, link, out, done))
    loop.run_until_complete(done)


def _rest(zygote: Zygote, out: Any) -> None:
    """The cells that each visitor runs; the page is then made from them."""
    run = zygote.runner.run(zygote.cells, zygote.start, len(zygote.cells))
    out({"run": described(run, zygote.board, zygote.task["modules"])})


class _Reader:
    """Called by the loop when the server has said something."""

    def __init__(self, zygote: Zygote, link: socket.socket, out: Any, done: asyncio.Future[None]) -> None:
        self._board, self._link, self._out, self._done = zygote.board, link, out, done
        self._unpacker = wire.Unpacker()
        self._seen: dict[str, None] = {}

    def __call__(self) -> None:
        try:
            data = self._link.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            if not self._done.done():
                self._done.set_result(None)
            return
        for message in self._unpacker.feed(data):
            if self._new(message):
                self._handle(message)
            self._out(wire.message("status", {"execution_state": "idle"}, message))

    def _handle(self, message: wire.Message) -> None:
        if message["header"].get("msg_type") == "comm_info_request":
            self._out(wire.message("comm_info_reply", self._comms(), message, channel="shell"))
        self._board.handle(message)

    def _new(self, message: wire.Message) -> bool:
        found = str(message["header"].get("msg_id") or "")
        if found in self._seen:
            return False
        if found:
            self._seen[found] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _comms(self) -> wire.Message:
        comms = self._board.manager.comms.items()
        return {"status": "ok", "comms": {key: {"target_name": one.target_name} for key, one in comms}}
