"""From a file's pixels to a grid's: which overview, which window, which pixels with which weights.

Classes are taken by nearest neighbour, all else bilinearly. Zoomed out, from the overview that is at least as fine
as the grid. Positions are projected exactly on a coarse net and interpolated with an error below TOLERANCE pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.warp import transform

from .grid import Grid, crs_of

TOLERANCE = 0.05


@dataclass(frozen=True)
class Raster:
    """The geometry of a file: CRS, upper left corner, pixel size; width and height of each level, full size first."""

    crs: str
    left: float
    top: float
    xres: float
    yres: float
    sizes: tuple[tuple[int, int], ...]

    @property
    def width(self) -> int:
        """Columns at full resolution."""
        return self.sizes[0][0]

    @property
    def height(self) -> int:
        """Rows at full resolution."""
        return self.sizes[0][1]


@dataclass(frozen=True)
class Sampler:
    """How to get a grid's values from the window [top:bottom, left:right] of overview `level` (0: full resolution).

    `decimate` > 1: the window is read that many times coarser, because there is no fitting overview.
    """

    level: int
    decimate: int
    top: int
    left: int
    bottom: int
    right: int
    shape: tuple[int, int]
    nearest: Any
    inside: Any
    corner: Any
    fx: Any
    fy: Any

    def take(self, window: Any, nodata: float | None, classes: bool, hidden: Any = None) -> Any:
        """The grid's values as floats, NaN where there is no data; `hidden`: where the file's mask hides pixels."""
        kind = np.float64 if window.dtype.itemsize > 4 or window.dtype in (np.int32, np.uint32) else np.float32
        missing = _missing(window, nodata)
        if hidden is not None:
            missing = hidden if missing is None else missing | hidden
        if classes or self.corner is None:
            out = window.reshape(-1).take(self.nearest).astype(kind)
            holes = None if missing is None else missing.reshape(-1).take(self.nearest)
        else:
            out, holes = self._bilinear(window, missing, kind)
        if self.inside is not None:
            holes = ~self.inside if holes is None else holes | ~self.inside
        if holes is not None:
            out[holes] = np.nan
        return out.reshape(self.shape)

    def _bilinear(self, window: Any, missing: Any, kind: Any) -> tuple[Any, Any]:
        if missing is None:
            return self._mix(window.reshape(-1).astype(kind, copy=False), window.shape[1]), None
        valid = (~missing).astype(kind)
        values = np.where(missing, 0, window).astype(kind)
        weight = self._mix(valid.reshape(-1), window.shape[1])
        with np.errstate(all="ignore"):
            return self._mix(values.reshape(-1), window.shape[1]) / weight, weight <= 1e-6

    def _mix(self, flat: Any, width: int) -> Any:
        upper, right = flat.take(self.corner), flat[1:].take(self.corner)
        lower, other = flat[width:].take(self.corner), flat[width + 1 :].take(self.corner)
        upper += (right - upper) * self.fx
        lower += (other - lower) * self.fx
        upper += (lower - upper) * self.fy
        return upper


def sampler(grid: Grid, raster: Raster) -> Sampler | None:
    """How to sample `raster` on `grid`; None where they do not meet."""
    columns, rows, scale = positions(grid, raster)
    level, decimate = _level(grid, raster, scale)
    width, height = raster.sizes[level]  # rounded, so an overview's pixels are stretched over the whole raster
    columns, rows = columns * (width / raster.width), rows * (height / raster.height)
    return _indices(grid, columns, rows, width, height, level, decimate)


def positions(grid: Grid, raster: Raster) -> tuple[Any, Any, float]:
    """Column and row of each grid pixel's centre (pixel corners are whole numbers), and file pixels per grid pixel."""
    if grid.crs == raster.crs:
        xs, ys = grid.centres()
        columns, rows = np.meshgrid((xs - raster.left) / raster.xres, (raster.top - ys) / raster.yres)
        return columns, rows, max(grid.xres / raster.xres, grid.yres / raster.yres)
    for cells in (16, 64):
        if min(grid.width, grid.height) > cells:
            columns, rows, error, scale = _net(grid, raster, cells)
            if error < TOLERANCE * max(1.0, scale):
                return columns, rows, scale
    xs, ys = grid.centres()
    columns, rows = _project(grid, raster, *np.meshgrid(xs, ys))
    return columns, rows, _net(grid, raster, 1)[3]


def _net(grid: Grid, raster: Raster, cells: int) -> tuple[Any, Any, float, float]:
    nodes = np.linspace(0, 1, 2 * cells + 1)
    x, y = np.meshgrid(grid.left + nodes * grid.width * grid.xres, grid.top - nodes * grid.height * grid.yres)
    columns, rows = _project(grid, raster, x, y)
    out, error, scale = [], 0.0, 0.0
    for exact in (columns, rows):
        corners = exact[::2, ::2]
        middle = (corners[1:, 1:] + corners[:-1, 1:] + corners[1:, :-1] + corners[:-1, :-1]) / 4
        deviation = float(np.abs(middle - exact[1::2, 1::2]).max())
        error = max(error, deviation) if np.isfinite(deviation) else np.inf
        out.append(_spread(_spread(corners, grid.height).T, grid.width).T)
    for axis, size in ((0, grid.height), (1, grid.width)):
        step = np.hypot(np.diff(columns, axis=axis), np.diff(rows, axis=axis)) * 2 * cells / size
        finite = step[np.isfinite(step)]
        scale = max(scale, float(np.median(finite))) if finite.size else scale
    return out[0], out[1], error, scale


def _spread(nodes: Any, size: int) -> Any:
    """Linear interpolation between the rows of `nodes` at the centres of `size` pixels (a matrix product would
    wake BLAS's threads, which costs several times more)."""
    cells = len(nodes) - 1
    at = (np.arange(size) + 0.5) * cells / size
    low = np.minimum(at.astype(int), cells - 1)
    share = (at - low)[:, np.newaxis]
    return nodes[low] * (1 - share) + nodes[low + 1] * share


def _project(grid: Grid, raster: Raster, x: Any, y: Any) -> tuple[Any, Any]:
    px, py = transform(crs_of(grid.crs), crs_of(raster.crs), x.ravel(), y.ravel())
    with np.errstate(invalid="ignore"):
        columns = (np.asarray(px) - raster.left) / raster.xres
        rows = (raster.top - np.asarray(py)) / raster.yres
    return columns.reshape(x.shape), rows.reshape(x.shape)


def _level(grid: Grid, raster: Raster, scale: float) -> tuple[int, int]:
    """The coarsest level that is at least as fine as the grid, and decimation where the levels end too early."""
    if grid.exact:
        return 0, 1
    factors = [raster.width / width for width, _ in raster.sizes]
    level = max(number for number, factor in enumerate(factors) if number == 0 or factor <= scale * 1.01)
    return level, max(1, int(scale / factors[level] / 2))


def _indices(grid: Grid, columns: Any, rows: Any, width: int, height: int, level: int, decimate: int) -> Sampler | None:
    with np.errstate(invalid="ignore"):
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    whole = inside.all()
    if not inside.any():
        return None
    if decimate > 1:
        columns, rows, width, height = columns / decimate, rows / decimate, width // decimate, height // decimate
    if not whole:  # pixels without a source take any valid position: their values are thrown away
        columns, rows = np.where(inside, columns, columns[inside][0]), np.where(inside, rows, rows[inside][0])
    column, row = _clipped(columns, width), _clipped(rows, height)
    smooth = not grid.exact and width > 1 and height > 1
    west, north = _clipped(columns - 0.5, width - 1), _clipped(rows - 0.5, height - 1)
    left, top = int(min(column.min(), west.min())), int(min(row.min(), north.min()))
    right, bottom = int(max(column.max(), west.max() + 1)) + 1, int(max(row.max(), north.max() + 1)) + 1
    if not smooth:
        left, top, right, bottom = int(column.min()), int(row.min()), int(column.max()) + 1, int(row.max()) + 1
    span = right - left
    return Sampler(
        level,
        decimate,
        top,
        left,
        bottom,
        right,
        (grid.height, grid.width),
        ((row - top) * span + (column - left)).ravel(),
        None if whole else inside.ravel(),
        ((north - top) * span + (west - left)).ravel() if smooth else None,
        _share(columns - 0.5 - west),
        _share(rows - 0.5 - north),
    )


def _clipped(values: Any, size: int) -> Any:
    return np.clip(np.floor(values), 0, max(size - 1, 0)).astype(np.int64)


def _share(values: Any) -> Any:
    """The weight of the farther pixel, to 0.0001: on a file's own grid values come out as they are stored."""
    return np.round(np.clip(values, 0, 1), 4).astype(np.float32).ravel()


def _missing(window: Any, nodata: float | None) -> Any:
    """Where the window has no data; None if nowhere."""
    missing = np.isnan(window) if window.dtype.kind == "f" else None
    if nodata is not None and not np.isnan(nodata):
        equal = window == nodata
        missing = equal if missing is None else missing | equal
    return missing if missing is not None and missing.any() else None
