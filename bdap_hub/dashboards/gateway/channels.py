"""Joins a visitor's websocket to their kernel, and keeps both to the terms: what may be said, how fast, how long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import websockets
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from ...errors import Busy, Unavailable
from ...settings import Settings
from ..running.told import visitor_headers, visitor_key
from .frames import V1
from .limits import KEPT_COPY_SECONDS, KEPT_SECONDS, Bucket, Seats
from .sieve import Sieve, Unsifted
from .widgets import Declared

log = logging.getLogger("bdap.gateway")
Filter = Sieve | Unsifted
MOST_SAID_BY_APP = 16 * 2**20
MOST_SAID = 64 * 2**20  # a kernel's message: all that a page's widgets hold may come in one
MOST_WAITING = 2  # messages that wait for a visitor who reads slowly
MOST_KERNELS = 5000  # whose declarations are remembered


@dataclass(frozen=True)
class Visit:
    """Who talks to which kernel of which release."""

    release: str
    kernel: str
    address: str
    person: str
    app: bool = False  # no kernel's, but of an app that speaks a language of its own


@dataclass(frozen=True)
class Asked:
    """What is asked while a visitor is connected, and told of them."""

    still_allowed: Callable[[], Awaitable[bool]]
    pace: float  # seconds between two questions
    patience: float  # seconds for which it may be that nobody can say
    refused: Callable[[str], Awaitable[None]]
    states: Mapping[str, Mapping[str, Any]]  # of the page's widgets that declare something


class Channels:
    """All visitors' sockets of this gateway."""

    def __init__(self, settings: Settings) -> None:
        self.limits, self._secret = settings.dashboards, settings.secret("signing")
        self.seats = Seats(self.limits.kernels_per_address, self.limits.kernels_per_person)
        self._declared: OrderedDict[tuple[str, str], Declared] = OrderedDict()

    @contextlib.contextmanager
    def seat(self, visit: Visit, shared: bool) -> Iterator[None]:
        """A place for the visitor's kernel while it lasts; Busy when there is none.

        `shared`: the page is the same for all visitors, who have a process only once they have said something.
        """
        why = self.seats.joined(visit.release, visit.address, visit.person, visit.kernel, time.monotonic())
        if why:
            raise Busy(why, "close pages of dashboards that you no longer need", retry_after=10)
        try:
            yield
        finally:
            self.seats.left(visit.release, visit.kernel, time.monotonic(), self._kept(visit, shared))

    def _kept(self, visit: Visit, shared: bool) -> float:
        if visit.app:
            return 0.0  # the app ends what belonged to the socket
        if not shared:
            return KEPT_SECONDS
        return KEPT_COPY_SECONDS if self.declared(visit, {}).spoken_to else 0.0

    def declared(self, visit: Visit, states: Mapping[str, Mapping[str, Any]]) -> Declared:
        """What that kernel's widgets declared: in the page, or since; a page that connects again asks for no states."""
        key = (visit.release, visit.kernel)
        found = self._declared.setdefault(key, Declared())
        found.learn_states(states)
        self._declared.move_to_end(key)
        while len(self._declared) > MOST_KERNELS:
            self._declared.popitem(last=False)
        return found

    async def waiting(self, socket: WebSocket, start: Awaitable[str | None]) -> str | None:
        """Let the page connect while its release starts: it is told so, and what it says meanwhile waits."""
        await socket.accept()
        header = {"msg_id": uuid4().hex, "msg_type": "status", "session": "", "username": "", "version": "5.3"}
        told = {"channel": "iopub", "header": header, "parent_header": {}, "metadata": {}}
        await socket.send_text(json.dumps({**told, "content": {"execution_state": "starting"}}))
        return await start

    async def join(self, socket: WebSocket, address: str, visit: Visit, asked: Asked) -> None:
        """Until either end closes, the visitor's right ends, or the time of a connection is over."""
        query = socket.url.query
        url = f"ws://{address}{quote(socket.scope['path'])}" + (f"?{query}" if query else "")
        wanted = [Subprotocol(name) for name in socket.scope.get("subprotocols", [])] or None
        most = MOST_SAID_BY_APP if visit.app else MOST_SAID
        options = {"max_size": most, "max_queue": MOST_WAITING, "compression": None, "proxy": None, "open_timeout": 20}
        headers = visitor_headers(visitor_key(self._secret, visit.release), visit.person, time.time())
        try:
            async with connect(url, subprotocols=wanted, additional_headers=headers, **options) as kernel:  # type: ignore[arg-type]
                if socket.application_state == WebSocketState.CONNECTING:
                    await socket.accept(subprotocol=kernel.subprotocol)
                await self._talk(socket, kernel, visit, asked)
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            log.info("websocket to a release ended: %s", type(error).__name__)
        if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
            with contextlib.suppress(RuntimeError):
                await socket.close(1001)

    async def _talk(self, socket: WebSocket, kernel: ClientConnection, visit: Visit, asked: Asked) -> None:
        most = int(self.limits.message_mb * 2**20)
        sieve: Filter = Unsifted(most)
        if not visit.app:
            sieve = Sieve(self.declared(visit, asked.states), kernel.subprotocol == V1, most)
        jobs = [
            asyncio.create_task(self._to_kernel(socket, kernel, sieve, asked)),
            asyncio.create_task(_to_visitor(socket, kernel, sieve, visit.release)),
            asyncio.create_task(_watch(asked)),
        ]
        try:
            hours = self.limits.socket_hours
            await asyncio.wait(jobs, timeout=hours * 3600, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _to_kernel(self, socket: WebSocket, kernel: ClientConnection, sieve: Filter, asked: Asked) -> None:
        now = time.monotonic()
        messages = Bucket(self.limits.messages_per_second, now)
        uploads = Bucket(self.limits.upload_mb_per_second * 2**20, now)
        with contextlib.suppress(WebSocketDisconnect):
            while (message := await socket.receive())["type"] != "websocket.disconnect":
                frame = message.get("text") if message.get("text") is not None else message.get("bytes")
                if frame is None:
                    continue
                if why := sieve.refusal(frame):
                    await asked.refused(why)
                else:
                    await kernel.send(frame)
                now = time.monotonic()
                await asyncio.sleep(max(messages.take(1, now), uploads.take(len(frame), now)))


async def _to_visitor(socket: WebSocket, kernel: ClientConnection, sieve: Filter, release: str) -> None:
    async for frame in _said(kernel, release):
        passed = sieve.to_visitor(frame)
        if isinstance(passed, str):
            await socket.send_text(passed)
        elif passed is not None:
            await socket.send_bytes(passed)


async def _said(kernel: ClientConnection, release: str) -> AsyncIterator[str | bytes]:
    """What it says, until it ends or says too much at once."""
    try:
        async for frame in kernel:
            yield frame
    except ConnectionClosedError as error:
        if error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
            log.warning("a visitor of %s was cut off: a message to them was too large (%s)", release, error.sent.reason)


async def _watch(asked: Asked) -> None:
    """Returns when the visitor may no longer look, or nobody could say for too long (hub or database are away)."""
    sure = time.monotonic()
    while True:
        await asyncio.sleep(asked.pace)
        try:
            if not await asked.still_allowed():
                return
            sure = time.monotonic()
        except (Unavailable, SQLAlchemyError):
            if time.monotonic() - sure > asked.patience:
                return
