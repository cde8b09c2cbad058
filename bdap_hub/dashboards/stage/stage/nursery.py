"""Starts zygotes and speaks with them: what came of the notebook, and forks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from . import wire
from .children import Full


class Zygote:
    """The process that executes the notebook, as the server sees it."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost, self._serves = on_lost, False
        self.process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._lock = asyncio.Lock()
        self._replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Task[None] | None = None

    async def start(self, task: dict[str, Any]) -> dict[str, Any]:
        """Execute; what came of it. {"failure": …} also when the process itself ended."""
        here, there = socket.socketpair()
        self._spawn(there)
        there.close()
        here.setblocking(False)
        self._link = here
        await asyncio.get_running_loop().sock_sendall(here, wire.pack(task))
        self._reading = asyncio.create_task(self._read())
        return await self._result

    def _spawn(self, link: socket.socket) -> None:
        number, parent = str(link.fileno()), str(os.getpid())
        command = [sys.executable, "-P", "-m", "stage.zygote", "--link", number, "--parent", parent]
        self.process = subprocess.Popen(command, pass_fds=[link.fileno()], stdin=subprocess.DEVNULL)

    async def fork(self, request: dict[str, Any], visitor: socket.socket) -> int:
        """A copy that speaks over `visitor`; its process id. RuntimeError when the zygote is gone, Full when the
        operating system gives it no further process."""
        async with self._lock:
            if self._link is None or not self.alive:
                raise RuntimeError("the dashboard's process is gone")
            self._link.setblocking(True)
            data = wire.pack(request)
            self._link.sendall(data[socket.send_fds(self._link, [data], [visitor.fileno()]) :])
            self._link.setblocking(False)
            reply: dict[str, Any] = {}
            while reply.get("id") != request["id"]:  # an answer that came too late is nobody's
                reply = await asyncio.wait_for(self._replies.get(), 30)
        if not reply["forked"]:
            raise Full
        return int(reply["forked"])

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self.process is not None and self.process.poll() is None

    def end(self) -> None:
        """Kill it; its visitors' processes die with it."""
        self._serves = False
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._reading is not None:
            self._reading.cancel()
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _read(self) -> None:
        loop, unpacker = asyncio.get_running_loop(), wire.Unpacker()
        with contextlib.suppress(OSError, ValueError):
            while self._link is not None and (data := await loop.sock_recv(self._link, 1 << 20)):
                for message in unpacker.feed(data):
                    self._heard(message)
        if not self._result.done():
            error = "the process that executes the notebook ended"
            self._result.set_result({"failure": {"cell": 0, "error": error, "traceback": error, "needs_kernel": True}})
        elif self._serves:
            self._on_lost()

    def _heard(self, message: dict[str, Any]) -> None:
        if "failure" in message:
            self._serves = not message["failure"] and not message["obstacle"]
            if not self._result.done():
                self._result.set_result(message)
        elif "forked" in message:
            self._replies.put_nowait(message)
