"""Evaluates a graph on its own pixels, window by window, with a reader that keeps what tiles need out of the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window as Pixels

from ...settings import StoreSettings
from ..cubes.cube import SPATIAL, Cube
from ..engine.cache import Cache
from ..engine.evaluate import Compiled, Engine, code_of
from ..engine.files import File
from ..engine.grid import Grid, crs_of
from ..engine.reader import Reader, in_scale
from ..engine.sampling import Raster
from ..engine.watch import Watch
from ..graphs.bands import Source
from ..graphs.graph import GraphError
from ..graphs.interpret import Context, run
from .lattice import Window, transform_of
from .places import Placed, place

METHODS = {
    "near": Resampling.nearest,
    "bilinear": Resampling.bilinear,
    "cubic": Resampling.cubic,
    "cubicspline": Resampling.cubic_spline,
    "lanczos": Resampling.lanczos,
    "average": Resampling.average,
    "mode": Resampling.mode,
    "max": Resampling.max,
    "min": Resampling.min,
    "med": Resampling.med,
    "q1": Resampling.q1,
    "q3": Resampling.q3,
    "sum": Resampling.sum,
    "rms": Resampling.rms,
}
STRIP, ROWS = 512, 1024
BLOCKS = 64 * 2**20


class NativeReader(Reader):
    """Takes a file's own pixels as they are; other grids piece by piece, so that memory stays bounded."""

    def __init__(self, store: StoreSettings, watch: Watch) -> None:
        super().__init__(store, BLOCKS, watch=watch)
        self._samplers = Cache(8)

    def read(self, source: Source, grid: Grid, into: Any = None) -> Any:
        """The source's values on the grid (NaN: no data); None where the two do not meet."""
        file = self.file(source.href)
        if (corner := aligned(grid, file.raster)) is None or not 1 <= source.index <= file.count:
            return self._pieces(source, grid)
        left, top = corner
        inside = Window(left, top, left + grid.width, top + grid.height).overlap(
            Window(0, 0, file.raster.width, file.raster.height)
        )
        if inside.empty:
            return None
        found = self._own(file, source, inside)
        if found.shape == (grid.height, grid.width):
            return found
        out = np.full((grid.height, grid.width), np.nan, found.dtype)
        rows, columns = inside.top - top, inside.left - left
        out[rows : rows + inside.height, columns : columns + inside.width] = found
        return out

    def _own(self, file: File, source: Source, inside: Window) -> Any:
        """The file's own pixels, some rows at a time: no single call that takes long, as a hanging store's would."""
        rows = []
        for top in range(inside.top, inside.bottom, ROWS):
            part = Pixels(inside.left, top, inside.width, min(ROWS, inside.bottom - top))
            values = self.guarded(source.href, partial(_numbers, file, source.index, part))
            found = as_floats(values, file.nodata if source.nodata is None else source.nodata)
            if file.masked:
                mask = self.guarded(source.href, partial(_mask, file, part))
                found[mask == 0] = np.nan
            rows.append(in_scale(found, source))
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _pieces(self, source: Source, grid: Grid) -> Any:
        if grid.width * grid.height <= STRIP * STRIP:
            return super().read(source, grid)
        out = None
        for rows, columns in pieces(grid.height, grid.width, STRIP):
            part = replace(
                grid,
                left=grid.left + columns.start * grid.xres,
                top=grid.top - rows.start * grid.yres,
                width=columns.stop - columns.start,
                height=rows.stop - rows.start,
            )
            found = super().read(source, part)
            if found is not None:
                out = np.full((grid.height, grid.width), np.nan, found.dtype) if out is None else out
                out[rows, columns] = found
        return out


class Evaluator:
    """A graph on its own pixels. Its methods block; several threads may not share it."""

    def __init__(self, settings: Any, compiled: Compiled, engine: Engine | None = None) -> None:
        self.engine = native_engine(settings) if engine is None else engine
        self.compiled = compiled
        self.placed: Placed = place(compiled.graph, compiled.plan, self.engine.reader, compiled.margin)

    def cube(self, window: Window, whole: bool = False, seen: dict[str, Any] | None = None) -> Cube:
        """The graph's result on a window of its lattice; `whole`: that is all there is."""
        grids = self.placed.grids(window)
        zone_of, plan = self.placed.zone_of, self.compiled.plan
        result: Cube = run(
            self.placed.graph,
            Context(
                grids[0],
                lambda node: self.engine.load(plan.load(self.placed.source[node]), grids[zone_of[node]]),
                whole=whole,
                grids={node: grids[zone] for node, zone in zone_of.items()},
                resampler=lambda node, data, method: self._resampled(node, data, method, grids),
                seen={} if seen is None else seen,
                keep=seen is not None,
                models=self.engine.models.get,
                udfs=code_of(plan, self.engine.udfs),
            ),
        )
        return result.cropped(self.placed.margin)

    def _resampled(self, node: str, data: Cube, method: str, grids: tuple[Grid, ...]) -> Cube:
        below = self.placed.graph.node(node).arguments["data"].node
        margin, source, target = self.placed.margin, grids[self.placed.zone_of[below]], grids[self.placed.zone_of[node]]
        if data.dims[-2:] != SPATIAL or source == target:
            return data
        if method not in METHODS:
            raise GraphError(
                "ProcessArgumentUnsupported", f"the method {method!r} is not done here", f"use {', '.join(METHODS)}"
            )
        inner = data.cropped(margin).data  # beyond it there is nothing that GDAL should take for missing pixels
        scale = self.placed.scale(self.placed.zone_of[below])
        return replace(data, data=warped(inner, source.grown(-margin), target, METHODS[method], scale))


def native_engine(settings: Any) -> Engine:
    """An engine whose reader takes files' own pixels."""
    engine = Engine(settings)
    engine.reader = NativeReader(settings.store, engine.watch)
    return engine


def warped(values: Any, source: Grid, target: Grid, method: Resampling, scale: tuple[float, float]) -> Any:
    """Layers of pixels on another grid, exactly as GDAL warps them (no approximation of positions).

    `scale`: new pixels for an old one along x and y; GDAL would take what it finds in each window, and show seams.
    """
    xscale, yscale = (str(part) for part in scale)
    flat = values.reshape(-1, source.height, source.width)
    out = np.full((len(flat), target.height, target.width), np.nan, values.dtype)
    for layer, into in zip(flat, out, strict=True):
        reproject(
            np.ascontiguousarray(layer),
            into,
            src_transform=transform_of(source),
            src_crs=crs_of(source.crs),
            src_nodata=np.nan,
            dst_transform=transform_of(target),
            dst_crs=crs_of(target.crs),
            dst_nodata=np.nan,
            resampling=method,
            tolerance=0,
            XSCALE=xscale,
            YSCALE=yscale,
        )
    return out.reshape(*values.shape[:-2], target.height, target.width)


def aligned(grid: Grid, raster: Raster) -> tuple[int, int] | None:
    """Column and row of the file's pixel where the grid begins, if its pixels are those of the file."""
    if raster.points is not None or grid.exact or grid.crs != raster.crs:
        return None
    if not (same(grid.xres, raster.xres) and same(grid.yres, raster.yres)):
        return None
    left, top = (grid.left - raster.left) / raster.xres, (raster.top - grid.top) / raster.yres
    on_pixels = abs(left - round(left)) < 1e-3 and abs(top - round(top)) < 1e-3
    return (round(left), round(top)) if on_pixels else None


def same(a: float, b: float) -> bool:
    """Whether two pixel sizes are one, also after a hundred thousand pixels."""
    return abs(a - b) < 1e-9 * abs(b)


def _numbers(file: File, index: int, window: Window) -> Any:
    return file.level().read(index, window=window)


def _mask(file: File, window: Window) -> Any:
    return file.level().read_masks(1, window=window)


def as_floats(values: Any, nodata: float | None) -> Any:
    """Pixels as they are evaluated: floats, NaN where there is no data."""
    kind = np.float64 if values.dtype.itemsize > 4 or values.dtype in (np.int32, np.uint32) else np.float32
    out = values.astype(kind)
    if nodata is not None and not np.isnan(nodata):
        out[values == nodata] = np.nan
    return out


def pieces(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of squares that together are the whole."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))
