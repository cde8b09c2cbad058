"""Processes that put pieces of a cube through a process of cubes: windows, and the surroundings of polygons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..cubes.cube import SPATIAL, Cube
from ..cubes.values import number
from ..cubes.vectors import collection, features_of
from ..graphs.graph import GraphError
from ..graphs.spec import Sees, process

MOST_WINDOWS, LEAST = 65536, 8
PIXELS = ("px", None)
CHANGED = "DataCubePropertiesImmutable"


@process(sees=Sees.EXTENT)
def apply_polygon(
    ctx: Any, data: Any, geometries: Any, process: Any, mask_value: Any = None, context: Any = None
) -> Any:
    """The pixels of each polygon put through a process of cubes; what no polygon covers becomes no data."""
    fill = np.asarray(number(mask_value), data.data.dtype)
    out, taken = np.full_like(data.pixels, np.nan), np.zeros(data.data.shape[-2:], bool)
    for feature in features_of(geometries):
        if not str((feature["geometry"] or {}).get("type", "Polygon")).endswith("Polygon"):
            raise GraphError("ProcessArgumentInvalid", "the geometries are not all polygons", "leave out the others")
        rows, columns, inside = ctx.grid.part(collection([feature]))
        if (taken[rows, columns] & inside).any():
            raise GraphError("GeometriesOverlap", "two polygons have a pixel in common", "give polygons that do not")
        if not inside.any():
            continue
        taken[rows, columns] |= inside
        part = replace(data, data=np.where(inside, data.data[..., rows, columns], fill))
        made = _same(ctx.call_on(rows, columns, process, {"data": part, "context": context}), part, part)
        out[..., rows, columns] = np.where(inside, made, out[..., rows, columns])
    return replace(data, data=out)


def _reach(arguments: Mapping[str, Any]) -> int:
    """A window that holds a pixel may begin or end so many pixels beside it, and looks beyond by the overlap."""
    size, more = _sides(arguments["size"], "size"), _sides(arguments.get("overlap") or [], "overlap")
    return max((size.get(d) or 1) - 1 + (more.get(d) or 0) for d in SPATIAL)


@process(
    reach=_reach,
    limits=f"Windows of at least {LEAST} pixels along x and y, in pixels of the view, counted from the origin of its "
    "reference system; all other dimensions whole (these the process may change). In maps window and overlaps may have "
    "129 pixels a side.",
)
def apply_neighborhood(ctx: Any, data: Any, process: Any, size: Any, overlap: Any = None, context: Any = None) -> Any:
    """Each window, with what lies around it, put through a process of cubes; what comes out around it is left."""
    sides, more = _sides(size, "size"), _sides(overlap or [], "overlap")
    tall, wide = (sides.get(d) or side for d, side in zip(SPATIAL, data.pixels.shape[-2:], strict=True))
    up, left = (more.get(d) or 0 for d in SPATIAL)
    first_row, first_column = _first(ctx)
    padded = np.pad(data.data, [(0, 0)] * (data.data.ndim - 2) + [(up, up), (left, left)], constant_values=np.nan)
    windows = [
        (rows, columns)
        for rows in _cuts(first_row if sides.get("y") else 0, tall, data.data.shape[-2])
        for columns in _cuts(first_column if sides.get("x") else 0, wide, data.data.shape[-1])
    ]
    if len(windows) > MOST_WINDOWS:
        raise TooMuch(f"there are {len(windows)} windows; the limit is {MOST_WINDOWS}", "use larger windows")
    like: Cube | None = None
    for rows, columns in windows:
        around = slice(rows.start, rows.stop + 2 * up), slice(columns.start, columns.stop + 2 * left)
        part = replace(data, data=padded[..., around[0], around[1]])
        there = slice(rows.start - up, rows.stop + up), slice(columns.start - left, columns.stop + left)
        made = ctx.call_on(*there, process, {"data": part, "context": context})
        like = like or _filled(made, data)
        made = _same(made, replace(like, data=like.data[..., : part.data.shape[-2], : part.data.shape[-1]]), part)
        height, width = made.shape[-2:]
        like.data[..., rows, columns] = made[..., up : height - up, left : width - left]
    return data if like is None else like


def _filled(first: Any, data: Cube) -> Cube:
    """The whole result, still without data, whose first window is known."""
    if not isinstance(first, Cube) or first.dims[-2:] != SPATIAL:
        raise GraphError(CHANGED, "the process gives no cube with y and x", "it may not reduce them")
    return replace(first, data=np.full((*first.data.shape[:-2], *data.data.shape[-2:]), np.nan, first.data.dtype))


def _sides(described: Any, what: str) -> dict[str, int | None]:
    """The pixels along x and y that a size or an overlap names; None for all (of a size) or none (of an overlap)."""
    if not isinstance(described, list) or not all(isinstance(one, Mapping) for one in described):
        raise GraphError("ProcessArgumentInvalid", f"the {what} must stand in the graph as an array of objects")
    sides: dict[str, int | None] = {}
    for one in described:
        name, value = str(one["dimension"]), one.get("value")
        whole = isinstance(value, (int, float)) and value == int(value) and value >= LEAST * (what == "size")
        if value is not None and not (name in SPATIAL and whole and one.get("unit") in PIXELS):
            raise GraphError(
                "ProcessArgumentUnsupported",
                f"a {what} of {value!r:.20} {one.get('unit') or ''} along {name!r} is not done",
                f"whole pixels (px) along x and y, a size of at least {LEAST}; null for all others",
            )  # fmt: skip
        sides[name] = None if value is None else int(value)
    return sides


def _first(ctx: Any) -> tuple[int, int]:
    """Row and column of the grid's first pixel, counted from the origin of its reference system."""
    xs, ys = ctx.grid.centres()
    xres, yres = ctx.grid.xres, ctx.grid.yres
    return round(-ys[0] / yres - 0.5), round(xs[0] / xres - 0.5)


def _cuts(first: int, size: int, length: int) -> Iterator[slice]:
    """Slices of an axis at the multiples of `size`, where its first element is number `first`."""
    start = 0
    while start < length:
        stop = min(length, start + size - (first + start) % size)
        yield slice(start, stop)
        start = stop


def _same(result: Any, like: Cube, part: Cube) -> Any:
    """The data of a result that has the dimensions of `like`, and the pixels of the part that it was made of."""
    shape = (*like.data.shape[:-2], *part.data.shape[-2:])
    if not isinstance(result, Cube) or result.dims != like.dims or result.data.shape != shape:
        raise GraphError(CHANGED, "the process gives a cube with other dimensions than it got", "it may change values")
    return result.data
