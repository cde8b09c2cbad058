"""Uploads in pieces: POST, GET, PATCH and DELETE under /services/dashboards/api/uploads."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from ...errors import BadRequest, TooMuch
from ...web import MOST_BYTES
from .uploads import State, Uploads

router = APIRouter(prefix="/api/uploads", tags=["uploads"])
PIECE = 4 * 2**20
"""Bytes of a piece, at most: a lost connection costs no more than that."""


class Announced(BaseModel):
    """An upload that is to come: where it is to be published, the SHA-256 and the size of the file."""

    model_config = ConfigDict(extra="forbid")

    project: str
    sha256: str
    size: int


@router.post("", max_body_size=MOST_BYTES)
async def announce(request: Request, upload: Announced) -> JSONResponse:
    """Announce an upload, or ask how far it is: the answer says `offset`, from which it goes on, `complete` where
    the server has it already, and `piece`, the most bytes of one PATCH."""
    person, uploads = await _mine(request, upload.project)
    state = await run_in_threadpool(uploads.begin, person, upload.sha256, upload.size)
    return _answer(state, 200 if state.offset else 201)


@router.get("/{sha256}")
async def how_far(request: Request, sha256: str) -> JSONResponse:
    """How far it is."""
    person, uploads = await _mine(request)
    return _answer(await run_in_threadpool(uploads.state, person, sha256))


@router.patch("/{sha256}")
async def piece(request: Request, sha256: str) -> JSONResponse:
    """The next piece, as the body; the header Upload-Offset says where it begins. 409 where that is not the end of
    what is here: ask how far it is, and go on from there."""
    person, uploads = await _mine(request)
    offset, content = _offset(request), await _body(request)
    return _answer(await run_in_threadpool(uploads.append, person, sha256, offset, content))


@router.delete("/{sha256}", status_code=204)
async def forget(request: Request, sha256: str) -> Response:
    """Forget an upload. Without it, one goes by itself after a day."""
    person, uploads = await _mine(request)
    await run_in_threadpool(uploads.drop, person, sha256)
    return Response(status_code=204)


def uploads_of(settings: Any) -> Uploads:
    """The uploads of this install."""
    return Uploads(settings.var / "dashboards" / "uploads", settings.dashboards.max_bundle_mb * 2**20)


async def _mine(request: Request, project: str = "") -> tuple[str, Uploads]:
    """The caller's name. Who announces an upload must be allowed to publish in the project that it is for."""
    doors = request.app.state.doors
    principal = await doors.author(request)
    if project or request.method == "POST":
        await doors.allow_publish(request, principal, project, "project", None)
    return principal.person.name, uploads_of(doors.settings)


def _offset(request: Request) -> int:
    text = request.headers.get("upload-offset", "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadRequest(f"Upload-Offset: {text[:40]!r} is no number", "say where the piece begins: 0 for the first")
    return int(text)


async def _body(request: Request) -> bytes:
    """Never more than one piece, whatever the headers say."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > PIECE:
            raise TooMuch(f"the piece has more than {PIECE} bytes", "send smaller ones")
    return bytes(content)


def _answer(state: State, status: int = 200) -> JSONResponse:
    return JSONResponse({**state.model(), "piece": PIECE}, status)
