"""Routes for values: points, histograms and the plan, by the caller's token. Tiles stand in tiles.py."""

from __future__ import annotations

import math
from typing import Any

from fastapi import FastAPI, Query, Request

from ...errors import BadRequest
from ..cubes.extent import Bounds, box
from ..engine.evaluate import Compiled
from .room import Room


def add_values(app: FastAPI, prefix: str, room: Room) -> None:
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


def _box(west: float, south: float, east: float, north: float) -> Bounds:
    if not all(math.isfinite(v) for v in (west, south, east, north)):
        raise BadRequest("the box holds a number that is not finite", "give west, south, east, north in degrees")
    return box({"west": west, "south": south, "east": east, "north": north}).degrees()
