"""The route of tiles: by signed address, because map widgets send no headers, or with the caller's login."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...errors import BadRequest, BdapError
from ..engine.dates import alone
from ..engine.evaluate import Compiled
from ..workers.image import image
from ..workers.order import Order, region
from .room import Room
from .tile_address import Address, read_address
from .views import View

ENGINE = "4"
"""Part of every ETag: raise it when the same plan on the same files gives other pixels."""
SECONDS = 300


def add_tiles(app: FastAPI, prefix: str, room: Room) -> None:
    path = f"{prefix}/tiles/{{identifier}}/{{z%s}}/{{x%s}}/{{last}}"
    whole = Route(path % (":int", ":int"), Tiles(room), methods=["GET"], include_in_schema=False)
    app.router.routes.insert(0, whole)  # each request tries the routes in their order, and most are for tiles

    @app.get(path % ("", ""), response_class=Response)  # describes them, and says what is wrong with other addresses
    async def tile(
        request: Request, identifier: str, z: int, x: int, last: str, sig: str = "", format: str = "", time: str = ""
    ) -> Response:
        return await _tile(request, room, identifier, (z, x, last), (sig, format, time))


class Tiles:
    """The route as plain ASGI: the framework takes as long to look at a request as a worker to draw a simple tile."""

    def __init__(self, room: Room) -> None:
        self.room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        at, query = request.path_params, request.query_params
        wanted = tuple(query.get(name, "") for name in ("sig", "format", "time"))
        response = await _tile(request, self.room, at["identifier"], (at["z"], at["x"], at["last"]), wanted)
        await response(scope, receive, send)


async def _tile(
    request: Request, room: Room, identifier: str, place: tuple[int, int, str], wanted: tuple[str, ...]
) -> Response:
    signature, form, time = wanted
    view, everybody = await room.viewed(request, identifier, signature)
    own, accept = view.configuration, request.headers.get("accept", "")
    address = read_address(*place, own.tile_size, own.form, form, accept)
    return await answer(request, room, view, address, time, everybody)


class _Gone:
    """Whether a caller has gone, asked without a wait: the framework's own way makes a scope to cancel each time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __call__(self) -> bool:
        waiting: Any = self._receive()
        try:
            waiting.send(None)
        except StopIteration as end:
            return bool(end.value["type"] == "http.disconnect")
        waiting.close()
        return False


async def answer(request: Request, room: Room, view: View, address: Address, time: str, everybody: bool) -> Response:
    """A tile, or 304 where the caller has it. Why it cannot be drawn goes into the service's log."""
    date = read_date(view.compiled, time)
    known = request.headers.get("if-none-match", "")
    try:
        etag, image = await room.gate.run(
            _draw, room, view, address, date, known, gone=_Gone(request.receive), person=view.row.owner
        )
    except BdapError as error:
        if error.status != 429:
            await asyncio.to_thread(room.logs.failed, view.row.id, view.row.owner, error)
        raise
    shared = "public" if everybody else "private"
    cache = f"{shared}, max-age={SECONDS}, must-revalidate"
    headers = {"Cache-Control": cache, "Vary": "Accept", "ETag": etag}
    if image is None:
        return Response(status_code=304, headers=headers)
    return Response(image, media_type=address.form.media, headers=headers)


def _draw(room: Room, view: View, address: Address, date: str, known: str) -> tuple[str, bytes | None]:
    """The tile's ETag, and its image unless the client knows it. The ETag names all that the pixels depend on."""
    grid, compiled = address.grid, alone(view.compiled, date)
    meets = compiled.plan.bounds.meets(grid.bounds())
    touched = room.engine.touched(compiled.plan, grid) + room.engine.models.versions(compiled.graph) if meets else []
    place = (address.z, address.x, address.y) if meets else ()
    content = [ENGINE, view.compiled.plan.id, view.digest, place, address.size, address.form.name, date, touched]
    etag = f'"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]}"'
    if etag in known:
        return etag, None
    return etag, room.drawn.get(etag, lambda: _made(room, view, compiled, address, date))


def _made(room: Room, view: View, compiled: Compiled, address: Address, date: str) -> bytes:
    """The image of a tile, or its values. Code of people is called from here: workers have no sandboxes."""
    plan = view.compiled.plan
    if room.team is None or plan.person:
        return image(room.engine, compiled, view.drawable, address.grid, address.form, date)
    order = Order(plan.id, view.row.style, address.z, address.x, address.y, address.size, address.form.name, date)
    where = region(tuple(one.id for one in plan.collections), order)
    return room.team.image(order, where, lambda: room.stored(plan.id))


def read_date(compiled: Compiled, wanted: str) -> str:
    """The label of the date that is wanted, of which its beginning is enough; the last one where none is named."""
    labels = compiled.dates
    if not wanted or wanted in ("default", "current"):
        return labels[-1] if labels else ""
    found = [label for label in labels if label == wanted] or [label for label in labels if label.startswith(wanted)]
    if len(found) != 1:
        shown = ", ".join(labels if len(labels) < 6 else (*labels[:2], "…", *labels[-2:]))
        have = f"it has {shown}" if labels else "leave the time out"
        what = "has several dates" if found else "has no date" if labels else "has no dates, so not"
        raise BadRequest(f"the service {what} {wanted!r:.40}", have)
    return found[0]
