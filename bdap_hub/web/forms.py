"""Forms that people send: small ones, unless a route has said how large its own may be. Longer ones are not read."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import FormData

from ..errors import BadRequest, TooMuch

MOST = 64 * 1024


def allow_form(request: Request, most: int) -> None:
    """Let the form of this request have so many bytes."""
    request.state.most_form = most


async def form_of(request: Request) -> FormData:
    """Its fields. Who sends it should be known by then: files in it are kept while it is read."""
    most, length = getattr(request.state, "most_form", MOST), request.headers.get("content-length", "")
    if not length.isdecimal():
        raise BadRequest("the form does not say how long it is", "send a Content-Length header")
    if int(length) > most:
        raise TooMuch(f"the form has {int(length)} bytes; the limit is {most}", "send less text, and no files")
    return await request.form()
