"""Routes for values: points, histograms and the plan, by the caller's token. Tiles stand in tiles.py."""

from __future__ import annotations

import math
from typing import Any

from fastapi import FastAPI, Query, Request

from ...errors import BadRequest
from ..cubes.extent import Bounds, box
from .explain import explained
from .room import Room


def add_values(app: FastAPI, prefix: str, room: Room) -> None:
    @app.get(f"{prefix}/services/{{identifier}}/point")
    async def point(
        request: Request,
        identifier: str,
        lon: float = Query(ge=-180, le=180, allow_inf_nan=False),
        lat: float = Query(ge=-90, le=90, allow_inf_nan=False),
    ) -> dict[str, Any]:
        _, row, compiled = await room.mine(request, identifier)
        return await room.gate.run(
            room.engine.point, compiled, lon, lat, gone=request.is_disconnected, person=row.owner
        )

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
        _, row, compiled = await room.mine(request, identifier)
        bounds = _box(west, south, east, north)
        return await room.gate.run(
            room.engine.histogram, compiled, bounds, bins, gone=request.is_disconnected, person=row.owner
        )

    @app.get(f"{prefix}/explain/{{identifier}}")
    async def explain(request: Request, identifier: str) -> dict[str, Any]:
        _, row, compiled = await room.mine(request, identifier)
        return await room.gate.run(explained, room.engine.reader, compiled, person=row.owner)


def _box(west: float, south: float, east: float, north: float) -> Bounds:
    if not all(math.isfinite(v) for v in (west, south, east, north)):
        raise BadRequest("the box holds a number that is not finite", "give west, south, east, north in degrees")
    return box({"west": west, "south": south, "east": east, "north": north}).degrees()
