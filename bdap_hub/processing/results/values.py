"""Values of areas and lines on the data's own pixels: statistics, time series, transects. Each states its scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..cubes.cube import SPATIAL, Cube
from ..cubes.extent import DEGREES, transformer
from ..cubes.geometry import around, parts
from ..graphs.graph import GraphError
from .export import blocks
from .lattice import Frame, Lattice, Window
from .pixels import Evaluator

MOST_READ, MOST_KEPT = 100_000_000, 20_000_000
"""Numbers that are read for one area, and kept of it; larger areas are read coarser."""
MOST_SAMPLES, PIECE, SIDE = 10_000, 256, 1024
STATISTICS = ("min", "max", "mean", "sd", "sum", "median", "p2", "p98")


@dataclass(frozen=True)
class Sample:
    """The values in an area: `data` as (…, pixel), where `cube` says what the other axes are."""

    data: Any
    cube: Cube
    pixels: int
    scale: Mapping[str, Any]


def statistics(evaluator: Evaluator, geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics of each date and band over the pixels whose centres lie in a polygon (points, lines: touched)."""
    found = sample(evaluator, geometry)
    stats = nested(found.cube, [summary(values) for values in _layers(found)])
    return {"statistics": stats, "pixels": found.pixels, "scale": found.scale}


def series(evaluator: Evaluator, geometry: Mapping[str, Any]) -> dict[str, Any]:
    """The same as lists over time; GraphError where the result has no dates."""
    times = evaluator.compiled.result.of_kind("temporal")
    if not times:
        raise GraphError("DimensionNotAvailable", "the result has no dates any more", "leave out the reducer over t")
    found = sample(evaluator, geometry)
    cube = found.cube.arranged((*(d for d in found.cube.dims if d != times[0]), times[0]))
    moved = np.moveaxis(found.data, found.cube.axis(times[0]), -2)
    count = moved.shape[-2]
    flat = moved.reshape(-1, count, moved.shape[-1])
    lists = [_columns([summary(values) for values in layer]) for layer in flat]
    shape = replace(cube, dims=cube.dims[:-1])
    dates = [str(label) for label in cube.labels[times[0]]]
    return {"dates": dates, "series": nested(shape, lists), "pixels": found.pixels, "scale": found.scale}


def sample(evaluator: Evaluator, geometry: Mapping[str, Any]) -> Sample:
    """The values in an area: of the result's own pixels, or a whole number of times coarser where they are too many."""
    placed = evaluator.placed
    frame = Frame(*around(geometry)).moved(DEGREES, placed.lattice.crs)
    area = placed.lattice.around(frame).overlap(placed.window)
    if area.empty:
        raise GraphError("NoDataAvailable", "the geometry does not meet the data", "look at the service's bounds")
    times = coarser(evaluator, area)
    collected, total, shape = list[Any](), 0, None
    for cube, mask in _evaluated(evaluator, area, times, geometry):
        _with_pixels(cube)
        collected.append(cube.data[..., mask])
        total += int(np.count_nonzero(mask))
        shape = cube
    assert shape is not None
    lattice = placed.lattice if times == 1 else placed.lattice.coarser(area, times)
    rest = replace(shape, dims=shape.dims[:-2], data=np.empty(shape.data.shape[:-2]))
    return Sample(np.concatenate(collected, axis=-1), rest, total, scale_of(lattice, times))


def coarser(evaluator: Evaluator, area: Window) -> int:
    """How many times larger the pixels have to be, for the numbers of an area to stay within limits."""
    result, plan = evaluator.compiled.result, evaluator.compiled.plan
    read = max(1, sum(len(load.steps) * len(load.bands) for load in plan.loads))
    kept = max(1, math.prod(len(result.labels[name]) for name in result.dims if name not in SPATIAL))
    pixels = area.width * area.height
    return max(1, math.ceil(math.sqrt(max(pixels * read / MOST_READ, pixels * kept / MOST_KEPT))))


def transect(evaluator: Evaluator, geometry: Mapping[str, Any]) -> dict[str, Any]:
    """The values along a line, a pixel apart: of the pixel that holds each place, nothing interpolated."""
    if geometry.get("type") != "LineString":
        raise GraphError("ProcessArgumentInvalid", "a transect goes along a LineString", "post one")
    (line,) = parts(geometry)
    lattice = evaluator.placed.lattice
    places, distance = along(line["coordinates"], lattice)
    shape, columns = None, list[Any]()
    for start in range(0, len(places), PIECE):
        cube, values = _picked(evaluator, places[start : start + PIECE])
        columns.append(values)
        shape = replace(cube, dims=cube.dims[:-2], data=np.empty(cube.data.shape[:-2]))
    assert shape is not None
    data = np.concatenate(columns, axis=-1)
    lon, lat = transformer(lattice.crs, DEGREES).transform(places[:, 0], places[:, 1])
    lists = [[_number(v) for v in row] for row in data.reshape(-1, data.shape[-1])]
    return {
        "distance": distance.tolist(),
        "lon": np.asarray(lon).tolist(),
        "lat": np.asarray(lat).tolist(),
        "values": nested(shape, lists),
        "scale": scale_of(lattice, 1),
    }


def along(coordinates: Sequence[Any], lattice: Lattice) -> tuple[Any, Any]:
    """Places a pixel apart along a line (straight in the data's CRS), with the distance from its beginning."""
    corners = np.array([position[:2] for position in coordinates], np.float64)
    x, y = transformer(DEGREES, lattice.crs).transform(corners[:, 0], corners[:, 1])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GraphError("ProcessArgumentInvalid", f"the line reaches beyond the world of {lattice.crs[:30]}")
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    step = min(lattice.xres, lattice.yres)
    count = int(lengths[-1] / step) + 1
    if count > MOST_SAMPLES:
        raise TooMuch(f"the line is {count} pixels long; the limit is {MOST_SAMPLES}", "draw a shorter one")
    at = (
        np.append(np.arange(count) * step, lengths[-1]) if lengths[-1] > (count - 1) * step else np.arange(count) * step
    )
    return np.stack([np.interp(at, lengths, x), np.interp(at, lengths, y)], axis=1), at


def scale_of(lattice: Lattice, times: int) -> dict[str, Any]:
    """On which pixels values are: the CRS, their size and its unit, and how many times larger than the data's."""
    crs = lattice.crs if len(lattice.crs) < 32 else "custom"
    return {"crs": crs, "resolution": lattice.xres, "unit": lattice.unit, "coarser": times}


def summary(values: Any) -> dict[str, Any]:
    """Counts and statistics of some pixels; None where there is no valid one."""
    valid = values[np.isfinite(values)].astype(np.float64)
    counts = {"valid": int(valid.size), "nodata": int(values.size - valid.size)}
    if not valid.size:
        return {**counts, **dict.fromkeys(STATISTICS)}
    with np.errstate(over="ignore", invalid="ignore"):  # of huge numbers some are beyond doubles: None
        p2, median, p98 = np.percentile(valid, (2, 50, 98))
        found = (valid.min(), valid.max(), valid.mean(), valid.std(), valid.sum(), median, p2, p98)
    return {**counts, **{name: _number(value) for name, value in zip(STATISTICS, found, strict=True)}}


def nested(cube: Cube, values: Sequence[Any]) -> Any:
    """{label: {label: value}} for the dimensions of a cube without pixels; {"value": …} where it has none."""

    def inner(flat: Sequence[Any], dims: tuple[str, ...]) -> Any:
        if not dims:
            return flat[0]
        labels = cube.labels[dims[0]]
        size = len(flat) // max(1, len(labels))
        return {str(label): inner(flat[n * size : (n + 1) * size], dims[1:]) for n, label in enumerate(labels)}

    return inner(values, cube.dims) if cube.dims else {"value": values[0]}


def _evaluated(
    evaluator: Evaluator, area: Window, times: int, geometry: Mapping[str, Any]
) -> Iterator[tuple[Cube, Any]]:
    """The pieces of an area, with where the geometry lies in each."""
    placed = evaluator.placed
    if times > 1:
        small = Window(0, 0, math.ceil(area.width / times), math.ceil(area.height / times))
        grid = placed.lattice.coarser(area, times).grid(small)
        yield evaluator.engine.cube(evaluator.compiled, grid), grid.covered(geometry)
        return
    for part in blocks(area, SIDE):
        mask = placed.lattice.grid(part).covered(geometry)
        if mask.any() or (part.left, part.top) == area[:2]:
            yield evaluator.cube(part), mask


def _picked(evaluator: Evaluator, places: Any) -> tuple[Cube, Any]:
    """The values of the pixels that hold these places, as (…, place)."""
    lattice, window = evaluator.placed.lattice, evaluator.placed.window
    columns = np.floor((places[:, 0] - lattice.x) / lattice.xres).astype(int)
    rows = np.floor((lattice.y - places[:, 1]) / lattice.yres).astype(int)
    area = Window(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    cube = evaluator.cube(area)
    _with_pixels(cube)
    values = cube.data[..., rows - area.top, columns - area.left].astype(np.float64)
    outside = (columns < window.left) | (columns >= window.right) | (rows < window.top) | (rows >= window.bottom)
    values[..., outside] = np.nan
    return cube, values


def _with_pixels(cube: Cube) -> None:
    if cube.dims[-2:] != SPATIAL:
        raise GraphError("ProcessGraphInvalid", "the result has no pixels: y and x were reduced")


def _layers(found: Sample) -> Any:
    return found.data.reshape(-1, found.data.shape[-1])


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


Reading = Callable[[Evaluator, Mapping[str, Any]], dict[str, Any]]
