"""Carries a visitor's requests to a release, and nothing of the platform's own: no cookies, no tokens."""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncIterator

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..snapshots.reading import Answer, read_async

FETCH_SECONDS = 120.0
_KERNEL = r"api/kernels/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
_STAGE = r"_stage/(?:page|static/[0-9a-f]{16}/.+)"
_PATHS = re.compile(rf"/(?:|{_KERNEL}|{_STAGE}|voila/(?:static|templates|labextensions|api/themes|files)/.+)")
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
    plain = posixpath.normpath(path) == path and "\\" not in path and path.isprintable()
    return plain and bool(_PATHS.fullmatch(path))


def app_path(path: str) -> bool:
    """A path that means one thing to everybody: whatever of it there is, an app of its own answers."""
    plain = posixpath.normpath(path) == (path.rstrip("/") or "/") and "\\" not in path and path.isprintable()
    return plain and path.startswith("/") and not path.startswith("//")


def kernel_of(path: str) -> str:
    """The kernel whose websocket the path is, '' for every other path."""
    found = _CHANNELS.fullmatch(path)
    return found[1] if found else ""


def kernel_asked(path: str) -> str:
    """The kernel that is asked about, '' for every other path."""
    return kernel_of(f"{path}/channels")


async def forward(
    client: httpx.AsyncClient, request: Request, address: str, more: dict[str, str], zipped: bool = False
) -> Response:
    """The release's answer, streamed as it comes; `more` headers of ours go along. `zipped`: it may compress it.

    httpx.HTTPError when the release does not answer.
    """
    raw_path = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.url.query else b"")
    headers = [(k, v) for k, v in request.headers.items() if k in _TO_RELEASE]
    url = httpx.URL(f"http://{address}").copy_with(raw_path=raw_path)
    outgoing = client.build_request(
        request.method, url, headers=[*headers, *more.items(), ("host", request.headers["host"])]
    )
    takes = zipped and "gzip" in request.headers.get("accept-encoding", "")
    outgoing.headers["accept-encoding"] = "gzip" if takes else "identity"
    answer = await client.send(outgoing, stream=True)
    response = StreamingResponse(_body(answer), answer.status_code, background=BackgroundTask(answer.aclose))
    for name, value in answer.headers.items():
        if name in _TO_VISITOR:
            response.headers[name] = value
    return response


async def fetch(client: httpx.AsyncClient, request: Request, address: str) -> Answer:
    """A whole file of the release, asked for plainly so that it can be kept."""
    url = httpx.URL(f"http://{address}").copy_with(raw_path=request.scope["raw_path"])
    return await read_async(client, url, request.headers["host"], FETCH_SECONDS)


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in answer.aiter_raw():
        yield chunk
