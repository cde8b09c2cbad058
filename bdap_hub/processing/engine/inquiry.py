"""What people ask of a graph besides pictures: the values at a point and along the chain, statistics of a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from rasterio.warp import transform_bounds

from ..cubes.cube import Cube
from ..cubes.extent import Bounds, overlap
from ..drawing.layers import layer_names, layers
from ..graphs.graph import GraphError
from .compiled import Compiled
from .grid import Grid, crs_of
from .reader import Reader

MAX_SIDE = 1024


class Inquiry:
    """Answers from cubes that `cube` gives of a graph on a grid, leaving each node's result in the dictionary."""

    def __init__(self, compiled: Compiled, reader: Reader, cube: Callable[..., Cube]) -> None:
        self.compiled, self.reader, self._cube = compiled, reader, cube

    def point(self, lon: float, lat: float) -> dict[str, Any]:
        """The values at a point, from the pixels that hold it at full resolution, and those of each step before."""
        seen: dict[str, Any] = {}
        grid, margin = Grid.point(lon, lat), self.compiled.margin
        if margin:
            grid = replace(self._native(Bounds(lon, lat, lon, lat)), width=1, height=1, exact=True)
        result = self._cube(self.compiled, grid, seen)
        chain = [
            {"node": node.name, "process": node.process, "values": _values(seen[node.id].cropped(margin))}
            for node in self.compiled.graph.nodes
            if isinstance(seen.get(node.id), Cube)
        ]
        return {"lon": lon, "lat": lat, "values": _values(result), "chain": chain}

    def histogram(self, bounds: Bounds, bins: int) -> dict[str, Any]:
        """Counts and statistics of the pixels whose centres lie in `bounds`, at native resolution where it is small."""
        area = overlap(bounds, self.compiled.plan.bounds)
        if not area.meets(area):
            raise GraphError("NoDataAvailable", "the box does not meet the data")
        grid = self._native(area)
        cube = self._cube(self.compiled, grid)
        inside = np.broadcast_to(grid.inside(bounds), cube.data.shape[-2:])
        found = {name: binned(layer[inside], bins) for name, layer in zip(layer_names(cube), layers(cube), strict=True)}
        unit = "degree" if crs_of(grid.crs).is_geographic else "metre"
        scale = {"crs": grid.crs if len(grid.crs) < 32 else "custom", "resolution": grid.xres, "unit": unit}
        return {**next(iter(found.values())), "bands": found, "scale": scale}

    def _native(self, area: Bounds) -> Grid:
        """A grid over `area` on the pixels of its first file; a whole number of times coarser where that is large."""
        scenes = (s for load in self.compiled.plan.loads for step in load.steps for s in step.scenes)
        scene = next((s for s in scenes if s.bounds.meets(area) and any(s.sources)), None)
        if scene is None:
            raise GraphError("NoDataAvailable", "the box does not meet the data")
        rasters = [self.reader.file(source.href).raster for source in scene.sources if source]
        raster = min(rasters, key=lambda r: r.xres)
        west, south, east, north = transform_bounds(crs_of("EPSG:4326"), crs_of(raster.crs), *area)
        left, right = (int(f((x - raster.left) / raster.xres)) for f, x in ((np.floor, west), (np.ceil, east)))
        top, bottom = (int(f((raster.top - y) / raster.yres)) for f, y in ((np.floor, north), (np.ceil, south)))
        k = max(1, -(-max(right - left, bottom - top) // MAX_SIDE))
        return Grid(
            raster.crs,
            raster.left + left * raster.xres,
            raster.top - top * raster.yres,
            raster.xres * k,
            raster.yres * k,
            max(1, -(-(right - left) // k)),
            max(1, -(-(bottom - top) // k)),
        )


def _values(cube: Any) -> Any:
    """The only pixel's values, by date and band; {"value": v} without either."""

    def nested(data: Any, dims: tuple[str, ...]) -> Any:
        if not dims:
            return _plain(data)
        if dims[0] == "y":
            return _plain(data[0, 0])
        return {label: nested(part, dims[1:]) for label, part in zip(cube.labels[dims[0]], data, strict=True)}

    found = nested(cube.data, cube.dims)
    return found if isinstance(found, Mapping) else {"value": found}


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def binned(values: Any, bins: int) -> dict[str, Any]:
    """Counts in bins, and statistics, of some pixels."""
    valid = values[np.isfinite(values)]
    if not valid.size:
        return {"bins": [], "counts": [], "statistics": {"valid": 0, "nodata": int(values.size)}}
    counts, edges = _histogram(valid.astype(np.float64), bins)
    with np.errstate(over="ignore", invalid="ignore"):  # of huge numbers some are beyond doubles: None
        p2, median, p98 = np.percentile(valid, (2, 50, 98))
        statistics = {
            "valid": int(valid.size),
            "nodata": int(values.size - valid.size),
            "min": float(valid.min()),
            "max": float(valid.max()),
            "mean": _plain(valid.mean(dtype=np.float64)),
            "sd": _plain(valid.std(dtype=np.float64)),
            "p2": _plain(p2),
            "median": _plain(median),
            "p98": _plain(p98),
        }
    return {"bins": edges.tolist(), "counts": counts.tolist(), "statistics": statistics}


def _histogram(values: Any, bins: int) -> tuple[Any, Any]:
    """Counts and edges; one bin where the values lie too near to one another for so many."""
    try:
        counts, edges = np.histogram(values / 2, bins=bins)  # halves, whose range is no more than a double can be
    except ValueError:
        return np.array([values.size]), np.array([values.min(), values.max()])
    return counts, edges * 2
