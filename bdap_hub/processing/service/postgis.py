"""Routes of the operator's PostGIS tables: features in a box, and vector tiles by signed address."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Query, Request, Response

from ...access import Person, ReadCollection
from ...errors import BadRequest, NotFound, NotLoggedIn, TooMuch
from ..cubes.extent import Bounds, box
from ..engine.grid import MAX_ZOOM
from ..tables.postgis import MOST, PostGis
from .room import Room

MOST_BYTES = 32 << 20
MVT = "application/vnd.mapbox-vector-tile"


def add_tables(app: FastAPI, prefix: str, room: Room) -> None:
    tables = {each.name: PostGis(each) for each in room.settings.processing.tables}
    base = f"{room.settings.hub.public_url}{prefix}"

    async def allowed(name: str, person: Person | None) -> PostGis:
        """A table that the person may read; what one may not read is not there."""
        found = tables.get(name)
        if found is None or not await _may(room, found, person):
            raise NotFound(f"there is no table {name!r:.60} for you", "GET /tables lists those that you may read")
        return found

    async def asked[T](request: Request, person: Person, question: Callable[..., T], *arguments: Any) -> T:
        """The table's answer, in the turn of who asks: a slow database holds up nothing else."""
        return await room.beside.run(question, *arguments, gone=request.is_disconnected, person=person.name)

    @app.get(f"{prefix}/tables")
    async def listed(request: Request) -> dict[str, Any]:
        principal = await room.login.require(request)
        seen = [each for each in tables.values() if await _may(room, each, principal.person)]
        return {"tables": [_described(each) for each in seen]}

    @app.get(f"{prefix}/tables/{{name}}")
    async def described(request: Request, name: str) -> dict[str, Any]:
        principal = await room.login.require(request)
        found = await allowed(name, principal.person)
        bounds, count = await asked(request, principal.person, found.extent)
        signature = room.rights.sign(f"table:{name}", principal)
        tiles = f"{base}/tables/{name}/{{z}}/{{x}}/{{y}}.mvt?sig={signature}"
        more = {"bounds": list(bounds) if bounds else None, "count": min(count, MOST), "more": count > MOST}
        return {**_described(found), **more, "tiles": tiles}

    @app.get(f"{prefix}/tables/{{name}}/features", response_class=Response)
    async def features(
        request: Request,
        name: str,
        bbox: str = "",
        tolerance: float = Query(0, ge=0, le=10, allow_inf_nan=False),
        limit: int = Query(MOST, ge=1, le=MOST),
    ) -> Response:
        principal = await room.login.require(request)
        found = await allowed(name, principal.person)
        content = await asked(request, principal.person, _features, found, _box(bbox), tolerance, limit)
        return Response(content, media_type="application/geo+json")

    @app.get(f"{prefix}/tables/{{name}}/{{z}}/{{x}}/{{y}}.mvt", response_class=Response)
    async def tile(request: Request, name: str, z: int, x: int, y: int, sig: str = "") -> Response:
        if not sig:
            raise NotLoggedIn("a tile needs its signed address", "take the address from GET /tables/{name}")
        person = await room.rights.signed_person(f"table:{name}", sig)
        found = await allowed(name, person)
        if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise NotFound(f"there is no tile {z}/{x}/{y}", f"z is 0 to {MAX_ZOOM}, x and y are below 2^z")
        content = await asked(request, person, found.tile, z, x, y)
        return Response(content, media_type=MVT, headers={"Cache-Control": "private, max-age=60"})


async def _may(room: Room, found: PostGis, person: Person | None) -> bool:
    """By the rule of collections: public, people or project."""
    given = found.given
    return await asyncio.to_thread(room.rights.may, ReadCollection(given.name, given.visibility, given.project), person)


def _features(found: PostGis, bounds: Bounds, tolerance: float, limit: int) -> bytes:
    """As GeoJSON, which many of them take long to become."""
    content = json.dumps(found.features(bounds, tolerance, limit)).encode()
    if len(content) > MOST_BYTES:
        raise TooMuch(
            f"these features take {len(content) >> 20} MB; the limit is {MOST_BYTES >> 20} MB",
            "ask for a smaller box, or for simpler shapes by tolerance=0.001 (degrees)",
        )
    return content


def _described(found: PostGis) -> dict[str, Any]:
    given = found.given
    return {"name": given.name, "title": given.title or given.name, "columns": list(given.columns)}


def _box(text: str) -> Bounds:
    if not text:
        return Bounds(-180, -90, 180, 90)
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) != 4 or not all(map(math.isfinite, sides)):
        raise BadRequest(f"{text!r:.60} is not a bbox", "write west,south,east,north in degrees")
    return box(dict(zip(("west", "south", "east", "north"), sides, strict=True))).degrees()
