"""The server's side of visitors' processes: asked of the zygote, spoken with, kept a while, always ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import wire

KEEP_SECONDS = 60.0
LIFE_SECONDS = 12 * 3600.0
BACKLOG_BYTES = 4 * 2**20
MOST_UNREAD = 16 * 2**20  # bytes that wait for a busy process; then its visitor waits
Frame = str | bytes  # a message as a browser's websocket gets it
Listener = Callable[[int, Frame], None]


class Full(Exception):
    """As many visitors as may be, or as the operating system lets be, have a process."""


class Child:
    """One visitor's process. What it says is numbered and kept for a while, for a visitor whose connection broke."""

    def __init__(self, uuid: str, link: socket.socket, on_end: Callable[[Child], None], runs: bool = False) -> None:
        self.uuid, self.pid, self.born, self.runs = uuid, 0, time.monotonic(), runs
        self.listeners: list[Listener] = []  # the visitor's page; two where they opened it twice
        self.left_at = time.monotonic()
        self.run: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._said: deque[tuple[int, Frame]] = deque()
        self._bytes, self._count = 0, 0
        self._on_end = on_end
        self._ready: asyncio.Task[None] = asyncio.create_task(self._read(link))
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: list[bytes] = []
        self.ended = False

    async def _read(self, link: socket.socket) -> None:
        unpacker = wire.Unpacker()
        try:
            reader, self._writer = await asyncio.open_connection(sock=link)
            self._writer.transport.set_write_buffer_limits(MOST_UNREAD)
            for data in self._waiting:
                self._writer.write(data)
            self._waiting.clear()
            while data := await reader.read(1 << 18):
                for message in unpacker.feed(data):
                    self._heard(message)
        except (OSError, ValueError):
            pass
        finally:
            self._on_end(self)

    def _heard(self, message: wire.Message) -> None:
        if "run" in message:
            self.runs, self.left_at = False, time.monotonic()  # from now on its visitor is waited for
            if not self.run.done():
                self.run.set_result(message["run"])
            return
        self._count += 1
        frame = wire.to_browser({**message, "metadata": {**message.get("metadata", {}), "number": self._count}})
        self._said.append((self._count, frame))
        self._bytes += len(frame)
        while self._bytes > BACKLOG_BYTES:  # who comes back then takes the whole state anew
            self._bytes -= len(self._said.popleft()[1])
        for listener in list(self.listeners):
            listener(self._count, frame)

    async def say(self, message: wire.Message) -> None:
        """To the process; returns when there is room for more."""
        data = wire.pack(message)
        if self._writer is None:
            self._waiting.append(data)
            return
        with contextlib.suppress(OSError):  # it has ended, which is told elsewhere
            self._writer.write(data)
            await self._writer.drain()

    def missed(self, found: list[Frame], after: int) -> bool:
        """Add what it said after that number. False when some of that is not kept any more."""
        first = self._said[0][0] if self._said else self._count + 1
        found += [frame for number, frame in self._said if number > after]
        return after >= first - 1

    def attach(self, listener: Listener) -> None:
        """From now on what it says goes there, too."""
        if listener not in self.listeners:
            self.listeners.append(listener)

    def detach(self, listener: Listener) -> None:
        """The connection is gone; another may be there."""
        if listener in self.listeners:
            self.listeners.remove(listener)
            self.left_at = time.monotonic()

    @property
    def last(self) -> int:
        """The number of what it said last."""
        return self._count

    def end(self) -> None:
        """Kill it with all that it started."""
        if self.ended:
            return
        self.ended = True
        if not self.run.done():
            self.run.cancel()
        if self.pid:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self.pid, signal.SIGKILL)
        if self._writer is not None:
            self._writer.close()


class Children:
    """All of them, by the kernel id that their visitor's browser chose."""

    def __init__(self, fork: Callable[[dict[str, Any], socket.socket], Any], most: int, keep: float) -> None:
        self._fork, self.most, self.keep = fork, most, keep
        self.alive: dict[str, Child] = {}

    async def make(self, uuid: str, request: dict[str, Any], fork: Any = None) -> Child:
        """A new process; Full when there are as many as may be."""
        if len(self.alive) >= self.most and not self._make_room():
            raise Full
        try:
            return await self._forked(uuid, request, fork or self._fork)
        except Full:  # the operating system gives none before there are as many as may be
            if not self._make_room():
                raise
            return await self._forked(uuid, request, fork or self._fork)

    async def _forked(self, uuid: str, request: dict[str, Any], fork: Any) -> Child:
        here, there = socket.socketpair()
        here.setblocking(False)
        child = self.alive[uuid] = Child(uuid, here, self._ended, bool(request.get("run")))
        try:
            child.pid = await fork({"id": uuid, **request}, there)
        except BaseException:
            self._ended(child)
            raise
        finally:
            there.close()
        if child.ended:  # while it was being made
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child.pid, signal.SIGKILL)
            raise RuntimeError("the visitor's process ended while it was being made")
        return child

    def sweep(self) -> None:
        """End those whose visitor is gone, and those that have lived long enough."""
        now = time.monotonic()
        for child in list(self.alive.values()):
            gone = not child.listeners and not child.runs and now - child.left_at > self.keep
            if gone or now - child.born > LIFE_SECONDS:
                self._ended(child)

    def end_all(self) -> None:
        """At shutdown."""
        for child in list(self.alive.values()):
            self._ended(child)

    def drop(self, child: Child) -> None:
        """End that one."""
        self._ended(child)

    def _make_room(self) -> bool:
        """End the one that has been without a visitor for longest."""
        left = [child for child in self.alive.values() if not child.listeners and not child.runs]
        if not left:
            return False
        self._ended(min(left, key=lambda child: child.left_at))
        return True

    def _ended(self, child: Child) -> None:
        child.end()
        if self.alive.get(child.uuid) is child:
            del self.alive[child.uuid]
        listeners, child.listeners = child.listeners, []
        for listener in listeners:
            listener(-1, "")
