"""Base maps: our own, drawn here for everybody, and those that the operator named."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from ...errors import NotFound
from ...web import client_address
from ..drawing import basemap
from ..engine.cache import Cache
from ..engine.grid import MAX_ZOOM
from .room import Room

DAY = 86_400
KEPT = 16 * 2**20


def add_basemaps(app: FastAPI, prefix: str, room: Room) -> None:
    base, kept = f"{room.settings.hub.public_url}{prefix}", Cache[bytes](KEPT, len)
    outlines = room.settings.processing.outlines
    if outlines is not None:
        basemap.world(outlines)  # a file that cannot be read is said now

    @app.get(f"{prefix}/basemaps")
    async def basemaps() -> dict[str, Any]:
        own = {
            "name": "offline",
            "title": "Countries and coasts",
            "url": f"{base}/basemaps/offline/{{z}}/{{x}}/{{y}}.png",
            "attribution": "Natural Earth" if outlines is None else "",
            "max_zoom": MAX_ZOOM,
        }
        return {"basemaps": [own, *(each.model_dump() for each in room.settings.processing.basemaps)]}

    @app.get(f"{prefix}/basemaps/offline/{{z}}/{{x}}/{{y}}.png", response_class=Response)
    async def tile(request: Request, z: int, x: int, y: int) -> Response:
        if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise NotFound(f"there is no tile {z}/{x}/{y}", f"z is 0 to {MAX_ZOOM}, x and y are below 2^z")
        person = f"basemap {client_address(request)}"  # nobody is known here, but each address has its turn
        content = await room.gate.run(
            kept.get,
            f"{z}/{x}/{y}",
            lambda: basemap.tile(z, x, y, outlines),
            person=person,
        )
        return Response(content, media_type="image/png", headers={"Cache-Control": f"public, max-age={DAY}"})
