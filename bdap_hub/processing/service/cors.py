"""Cross-origin requests as openEO wants them: from every page, with a token in a header, and never with a cookie.

A browser adds cookies by itself, so another site's page could act in somebody's name. Here a request of another origin
loses its cookies before anything looks at them, and no answer allows credentials.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, OpenEO-Identifier, OpenEO-Costs, Link, Retry-After, ETag",
}
PREFLIGHT = {
    **ALWAYS,
    "Access-Control-Allow-Methods": "OPTIONS, GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, If-None-Match, Range",
    "Access-Control-Max-Age": "3600",
    "Content-Type": "application/json",
}


class Cors:
    """Answers preflights, marks every answer as readable by all, and takes other origins' cookies away."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app, self.own = app, _origin(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS":
            await _preflight(send)
            return
        if "origin" in headers and headers["origin"] != self.own:
            kept = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
            scope = {**scope, "headers": kept}

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ALWAYS)
                headers.add_vary_header("Origin")  # what a cookie got is not for another origin, from no cache either
            await send(message)

        await self.app(scope, receive, marked)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _preflight(send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in PREFLIGHT.items()]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
