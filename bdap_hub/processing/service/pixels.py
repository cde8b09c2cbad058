"""Routes for pixels: tiles by signed address; points, histograms and the plan by the caller's token."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from fastapi import FastAPI, Query, Request, Response

from ...errors import BadRequest, NotFound
from ..cubes.extent import Bounds, box
from ..drawing.png import empty
from ..engine.evaluate import Compiled
from ..engine.grid import MAX_ZOOM, Grid
from ..engine.reader import Cache
from .room import Room

ENGINE = "2"
"""Part of every ETag: raise it when the same plan on the same files gives other pixels."""
HEADERS = {"Cache-Control": "private, max-age=300, must-revalidate", "Vary": "Accept"}


def add_drawing(app: FastAPI, prefix: str, room: Room) -> None:
    """The routes that read pixels."""
    tiles: Cache[bytes] = Cache(room.settings.processing.tile_cache_mb * 2**20, len)

    @app.get(f"{prefix}/tiles/{{identifier}}/{{z}}/{{x}}/{{y}}.png", response_class=Response)
    async def tile(request: Request, identifier: str, z: int, x: int, y: int, sig: str = "") -> Response:
        person = await room.rights.signed_person(identifier, sig)
        compiled = await room.gate.run(room.compiled, identifier)
        room.rights.check(compiled.plan, person)
        _check_tile(z, x, y)
        known = request.headers.get("if-none-match", "")
        etag, image = await room.gate.run(_draw, room, tiles, compiled, (z, x, y), known, gone=request.is_disconnected)
        headers = {**HEADERS, "ETag": etag}
        if image is None:
            return Response(status_code=304, headers=headers)
        return Response(image, media_type="image/png", headers=headers)

    @app.get(f"{prefix}/services/{{identifier}}/point")
    async def point(
        request: Request,
        identifier: str,
        lon: float = Query(ge=-180, le=180, allow_inf_nan=False),
        lat: float = Query(ge=-90, le=90, allow_inf_nan=False),
    ) -> dict[str, Any]:
        _, _, compiled = await room.mine(request, identifier)
        return await room.gate.run(room.engine.point, compiled, lon, lat, gone=request.is_disconnected)

    @app.get(f"{prefix}/services/{{identifier}}/histogram")
    async def histogram(
        request: Request,
        identifier: str,
        west: float,
        south: float,
        east: float,
        north: float,
        bins: int = Query(50, ge=1, le=1000),
    ) -> dict[str, Any]:
        _, _, compiled = await room.mine(request, identifier)
        bounds = _box(west, south, east, north)
        return await room.gate.run(room.engine.histogram, compiled, bounds, bins, gone=request.is_disconnected)

    @app.get(f"{prefix}/explain/{{identifier}}")
    async def explain(request: Request, identifier: str) -> dict[str, Any]:
        _, _, compiled = await room.mine(request, identifier)
        return await room.gate.run(_explain, room, compiled)


def _draw(
    room: Room, tiles: Cache[bytes], compiled: Compiled, zxy: tuple[int, int, int], known: str
) -> tuple[str, bytes | None]:
    """The tile's ETag, and its image unless the client knows it. The ETag names all that the pixels depend on."""
    grid = Grid.tile(*zxy)
    if not compiled.plan.bounds.meets(grid.bounds()):
        etag = '"empty"'
        return etag, None if etag in known else empty()
    content = json.dumps([ENGINE, compiled.plan.id, zxy, room.engine.touched(compiled.plan, grid)])
    etag = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
    if etag in known:
        return etag, None
    return etag, tiles.get(etag, lambda: room.engine.tile(compiled, *zxy))


def _explain(room: Room, compiled: Compiled) -> dict[str, Any]:
    """The plan as people read it: order of evaluation, files, and an estimate of the bytes behind one tile."""
    plan = compiled.plan
    hrefs = sorted({source.href for source in plan.sources()})
    sizes = {href: room.engine.reader.version(href).size for href in hrefs}
    return {
        "id": plan.id,
        "bounds": list(plan.bounds),
        "collections": [{"id": o.id, "visibility": o.visibility, "project": o.project} for o in plan.collections],
        "nodes": [
            {"id": n.id, "name": n.name, "process": n.process, "needs": sorted(n.refs)} for n in compiled.graph.nodes
        ],
        "loads": [
            {
                "collection": load.collection,
                "bands": list(load.bands),
                "dates": [{"date": s.label, "items": [scene.item for scene in s.scenes]} for s in load.steps],
            }
            for load in plan.loads
        ],
        "files": [{"href": href, "bytes": size} for href, size in sizes.items()],
        "estimate": {
            "files": len(hrefs),
            "bytes_of_files": sum(sizes.values()),
            "pixels_per_tile": sum(len(load.steps) * len(load.bands) for load in plan.loads) * 256 * 256,
        },
    }


def _check_tile(z: int, x: int, y: int) -> None:
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFound(f"there is no tile {z}/{x}/{y}", f"z is 0 to {MAX_ZOOM}, x and y are below 2^z")


def _box(west: float, south: float, east: float, north: float) -> Bounds:
    if not all(math.isfinite(v) for v in (west, south, east, north)):
        raise BadRequest("the box holds a number that is not finite", "give west, south, east, north in degrees")
    return box({"west": west, "south": south, "east": east, "north": north}).degrees()
