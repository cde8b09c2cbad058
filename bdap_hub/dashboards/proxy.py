"""Carries a visitor's requests and websocket to a release, and nothing of the platform's own: no cookies, no tokens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

import httpx
import websockets
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from ..errors import Unavailable
from .frames import MAX_BYTES, may_send, message_type

log = logging.getLogger("bdap.gateway")
_KERNEL = r"api/kernels/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_PATHS = re.compile(rf"/(?:|{_KERNEL}|voila/(?:static|templates|labextensions|api/themes|files)/.+)")
_CHANNELS = re.compile(rf"/{_KERNEL}/channels")
_TO_RELEASE = {
    "accept",
    "accept-language",
    "cache-control",
    "if-none-match",
    "if-modified-since",
    "range",
    "user-agent",
}
_TO_VISITOR = {
    "content-type", "content-length", "content-encoding", "content-range", "accept-ranges",
    "cache-control", "etag", "last-modified", "expires", "vary", "location",
}  # fmt: skip


def allowed_path(path: str) -> bool:
    """The page, its files and its kernel's model; not Voilà's shutdown, contents, tree or anything unknown."""
    return bool(_PATHS.fullmatch(path)) and ".." not in path and "\\" not in path


def is_channel(path: str) -> bool:
    """Whether the path is a kernel's websocket."""
    return bool(_CHANNELS.fullmatch(path))


async def forward(client: httpx.AsyncClient, request: Request, address: str) -> Response:
    """The release's answer, streamed as it comes. httpx.HTTPError when the release does not answer."""
    raw_path = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.url.query else b"")
    headers = [(k, v) for k, v in request.headers.items() if k in _TO_RELEASE]
    url = httpx.URL(f"http://{address}").copy_with(raw_path=raw_path)
    outgoing = client.build_request(request.method, url, headers=[*headers, ("host", request.headers["host"])])
    outgoing.headers["accept-encoding"] = "identity"
    answer = await client.send(outgoing, stream=True)
    response = StreamingResponse(_body(answer), answer.status_code, background=BackgroundTask(answer.aclose))
    for name, value in answer.headers.items():
        if name in _TO_VISITOR:
            response.headers[name] = value
    return response


async def fetch(client: httpx.AsyncClient, request: Request, address: str) -> httpx.Response:
    """A whole file of the release, asked for plainly so that it can be kept."""
    url = httpx.URL(f"http://{address}").copy_with(raw_path=request.scope["raw_path"])
    return await client.get(url, headers={"host": request.headers["host"], "accept-encoding": "identity"})


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in answer.aiter_raw():
        yield chunk


async def forward_websocket(
    socket: WebSocket, address: str, still_allowed: Callable[[], Awaitable[bool]], pace: float, patience: float
) -> None:
    """Join the visitor's socket to the kernel's; ends when either ends or the visitor's right does.

    The right is asked for every `pace` seconds; for `patience` seconds it may be that nobody can say.
    """
    query = socket.url.query
    url = f"ws://{address}{socket.scope['path']}" + (f"?{query}" if query else "")
    wanted = [Subprotocol(name) for name in socket.scope.get("subprotocols", [])]
    try:
        async with connect(
            url,
            subprotocols=wanted or None,
            max_size=None,
            compression=None,
            proxy=None,
            open_timeout=20,
        ) as kernel:
            await socket.accept(subprotocol=kernel.subprotocol)
            await _join(socket, kernel, _watch(still_allowed, pace, patience))
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        log.info("websocket to a release ended: %s", type(error).__name__)
    if socket.client_state != WebSocketState.DISCONNECTED and socket.application_state != WebSocketState.DISCONNECTED:
        with contextlib.suppress(RuntimeError):
            await socket.close(1001)


async def _join(
    socket: WebSocket, kernel: websockets.asyncio.client.ClientConnection, watch: Coroutine[None, None, None]
) -> None:
    jobs = [
        asyncio.create_task(_to_kernel(socket, kernel)),
        asyncio.create_task(_to_visitor(socket, kernel)),
        asyncio.create_task(watch),
    ]
    try:
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def _to_kernel(socket: WebSocket, kernel: websockets.asyncio.client.ClientConnection) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("text") if message.get("text") is not None else message.get("bytes")
            if frame is None:
                continue
            if len(frame) > MAX_BYTES or not may_send(frame):
                log.warning("refused a visitor's message: %r, %d bytes", message_type(frame), len(frame))
                continue
            await kernel.send(frame)


async def _to_visitor(socket: WebSocket, kernel: websockets.asyncio.client.ClientConnection) -> None:
    async for frame in kernel:
        if isinstance(frame, str):
            await socket.send_text(frame)
        else:
            await socket.send_bytes(frame)


async def _watch(still_allowed: Callable[[], Awaitable[bool]], pace: float, patience: float) -> None:
    """Returns when the visitor may no longer look, or nobody could say for too long (the hub is away)."""
    sure = time.monotonic()
    while True:
        await asyncio.sleep(pace)
        try:
            if not await still_allowed():
                return
            sure = time.monotonic()
        except Unavailable:
            if time.monotonic() - sure > patience:
                return
