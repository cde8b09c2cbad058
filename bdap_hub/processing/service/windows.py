"""Routes for pixels of a service as arrays: where they lie, and a window of them. What lazy arrays are read by."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from fastapi import FastAPI, Query, Request, Response

from ...errors import BadRequest, TooMuch
from ..cubes.cube import SPATIAL, Cube
from ..engine.evaluate import Compiled
from ..engine.grid import crs_of
from ..results.export import extent_of, precision
from ..results.lattice import Window, transform_of
from ..results.pixels import Evaluator
from ..results.values import MOST_KEPT, MOST_READ
from .room import Room


def add_windows(app: FastAPI, prefix: str, room: Room) -> None:
    service = f"{prefix}/services/{{identifier}}"

    @app.get(f"{service}/grid")
    async def grid(request: Request, identifier: str) -> dict[str, Any]:
        """The pixels of the result: those of the data, or those that the graph resamples to."""
        _, row, compiled = await room.mine(request, identifier)
        return await room.gate.run(_grid, room, compiled, gone=request.is_disconnected, person=row.owner)

    @app.get(f"{service}/window", response_class=Response)
    async def window(
        request: Request,
        identifier: str,
        left: int = Query(ge=0),
        top: int = Query(ge=0),
        width: int = Query(ge=1),
        height: int = Query(ge=1),
    ) -> Response:
        """A rectangle of these pixels as numpy writes it: all other dimensions, then y and x; NaN is no data."""
        _, row, compiled = await room.mine(request, identifier)
        area = Window(left, top, left + width, top + height)
        found = await room.gate.run(_window, room, compiled, area, gone=request.is_disconnected, person=row.owner)
        return Response(found, media_type="application/x-npy")


def _grid(room: Room, compiled: Compiled) -> dict[str, Any]:
    evaluator = Evaluator(room.settings, compiled, room.native)
    placed, result = evaluator.placed, compiled.result
    own = placed.lattice.grid(placed.window)
    dims = [name for name in result.dims if name not in SPATIAL]
    transform = transform_of(own)
    return {
        "crs": crs_of(own.crs).to_wkt(),
        "transform": [transform.c, transform.a, transform.b, transform.f, transform.d, transform.e],
        "width": own.width,
        "height": own.height,
        "dims": dims,
        "labels": {name: list(result.labels[name]) for name in dims},
        "read": extent_of(evaluator).layers_read,
        "dtype": np.result_type(np.float32, *precision(evaluator)).name,
    }


def _window(room: Room, compiled: Compiled, area: Window) -> bytes:
    evaluator = Evaluator(room.settings, compiled, room.native)
    whole = evaluator.placed.window
    if area.right > whole.width or area.bottom > whole.height:
        raise BadRequest(
            f"the window reaches to {area.right} x {area.bottom} pixels; the result has {whole.width} x {whole.height}",
            "GET …/grid says its size",
        )
    _affordable(evaluator, area)
    moved = Window(area.left + whole.left, area.top + whole.top, area.right + whole.left, area.bottom + whole.top)
    cube = evaluator.cube(moved)
    kind = np.result_type(cube.data.dtype, np.float32, *precision(evaluator))
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(_whole(cube, moved).astype(kind, copy=False)), allow_pickle=False)
    return file.getvalue()


def _whole(cube: Cube, area: Window) -> Any:
    """The cube's pixels, also where it has the same value everywhere."""
    if cube.dims[-2:] != SPATIAL:
        raise BadRequest("the result has no pixels: y and x were reduced", "ask for its value at a point")
    return np.broadcast_to(cube.data, (*cube.data.shape[:-2], area.height, area.width))


def _affordable(evaluator: Evaluator, area: Window) -> None:
    """TooMuch beyond what is read and kept for one answer, as for statistics."""
    result, pixels = evaluator.compiled.result, area.width * area.height
    read = math.ceil(pixels * max(1.0, extent_of(evaluator).layers_read))
    kept = pixels * max(1, math.prod(len(result.labels[name]) for name in result.dims if name not in SPATIAL))
    if read > MOST_READ or kept > MOST_KEPT:
        raise TooMuch(
            f"the window reads {read:,} numbers and gives {kept:,}; the limits are {MOST_READ:,} and {MOST_KEPT:,}",
            "ask for a smaller one",
        )
