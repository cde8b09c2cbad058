"""From a file's pixels to a grid's: which overview, which window, which pixels with which weights.

Classes are taken by nearest neighbour, all else bilinearly. Zoomed out, from the overview that is at least as fine
as the grid, smoothed so far that a value stands for its pixel's whole footprint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..kernels import mixed, smoothed
from .grid import Grid
from .positions import Raster, positions

WEIGHT = 0.2
"""The most that one pass of smoothing may give a neighbour: with more it would show as a pattern."""

__all__ = ["Raster", "Sampler", "positions", "sampler"]


@dataclass(frozen=True)
class Sampler:
    """How to get a grid's values from the window [top:bottom, left:right] of overview `level` (0: full resolution).

    `columns` and `rows` are the positions in the window; `outside` says which of them have no source (None: all have).
    `decimate` > 1: the window is read that many times coarser, because there is no fitting overview. `blur` is the
    variance of the smoothing, in pixels; `rounded`: grid and file have one CRS, so positions may fall on whole pixels.
    """

    level: int
    decimate: int
    top: int
    left: int
    bottom: int
    right: int
    columns: Any
    rows: Any
    outside: Any
    smooth: bool
    blur: float = 0.0
    rounded: bool = False

    @property
    def nbytes(self) -> int:
        """What it will hold in memory at most."""
        return 33 * int(self.columns.size)

    @cached_property
    def nearest(self) -> Any:
        """Flat indices in the window."""
        span, depth = self.right - self.left, self.bottom - self.top
        return _flat(_whole(self.rows, depth - 1), _whole(self.columns, span - 1), (depth, span))

    @cached_property
    def corner(self) -> tuple[Any, Any, Any]:
        """Flat indices of the upper left of four neighbours, and the weights of the right and the lower ones."""
        span, depth = self.right - self.left, self.bottom - self.top
        west, across = self._neighbours(self.columns, span)
        north, down = self._neighbours(self.rows, depth)
        return _flat(north, west, (depth, span)), across, down

    def take(self, window: Any, nodata: float | None, classes: bool, hidden: Any = None, into: Any = None) -> Any:
        """The grid's values as floats, NaN where there is no data; `hidden`: where the file's mask hides pixels.

        They may be written `into` an array of 32 bit floats.
        """
        kind = np.float64 if window.dtype.itemsize > 4 or window.dtype in (np.int32, np.uint32) else np.float32
        if classes or not self.smooth:
            found = _at(window.reshape(-1), self.nearest)
            masked = None if hidden is None else _at(hidden.reshape(-1), self.nearest)
            out, holes = found.astype(kind), _missing(found, nodata, masked)
        else:
            into = into if kind is np.float32 else None
            out, holes = self._bilinear(window, _missing(window, nodata, hidden), kind, into)
        if self.outside is not None:
            holes = self.outside if holes is None else holes | self.outside
        if holes is not None:
            out[holes] = np.nan
        return out

    def _bilinear(self, window: Any, missing: Any, kind: Any, into: Any) -> tuple[Any, Any]:
        if missing is None:
            return self._mix(self._blurred(window.astype(kind)), into), None
        valid = (~missing).astype(kind)
        holes = self._mix(valid) <= 1e-6
        values = np.where(missing, 0, window).astype(kind, copy=False)
        with np.errstate(all="ignore"):
            return np.divide(self._mix(self._blurred(values)), self._mix(self._blurred(valid)), out=into), holes

    def _mix(self, window: Any, into: Any = None) -> Any:
        corner, across, down = self.corner
        into = np.empty(corner.shape, window.dtype) if into is None else into
        mixed(window, corner, across, down, into)
        return into

    def _blurred(self, window: Any) -> Any:
        """Each pixel mixed with those beside it, along both axes; the window itself is changed."""
        times = passes(self.blur)
        for _ in range(times):
            smoothed(window, self.blur / 2 / times)
        return window

    def _neighbours(self, positions: Any, size: int) -> tuple[Any, Any]:
        """The nearer of the two neighbours along an axis, as `_whole`, and the weight of the farther one.

        This is rounded to 0.0001 where on a file's own grid values come out as they are stored.
        """
        share = positions - np.float32(0.5)
        low = np.clip(share, 0, size - 2)
        found = low.astype(np.int32)
        share -= np.trunc(low, out=low)
        if self.rounded:
            np.round(share, 4, out=share)
        return found, np.clip(share, 0, 1, out=share) if size > 1 else share


def sampler(grid: Grid, raster: Raster) -> Sampler | None:
    """How to sample `raster` on `grid`; None where they do not meet."""
    columns, rows, scale = positions(grid, raster)
    level, decimate = _level(grid, raster, scale)
    full, size = raster.sizes[0], tuple(side // decimate for side in raster.sizes[level])
    # an overview's size is rounded, so its pixels are stretched over the whole raster
    x, y = (own / whole / decimate for own, whole in zip(raster.sizes[level], full, strict=True))
    if (x, y) != (1, 1):
        columns, rows = columns * x, rows * y
    holes = None
    if not (_all_inside(columns, size[0]) and _all_inside(rows, size[1])):
        inside = _inside(columns, size[0]) & _inside(rows, size[1])
        if not inside.any():
            return None
        # pixels without a source take any valid position: their values are thrown away
        columns, rows = np.where(inside, columns, columns[inside][0]), np.where(inside, rows, rows[inside][0])
        holes = ~inside
    smooth = not grid.exact and min(size) > 1
    blur = _variance(scale * max(x, y)) if smooth else 0.0
    columns, left, right = _windowed(columns, size[0], smooth, passes(blur))
    rows, top, bottom = _windowed(rows, size[1], smooth, passes(blur))
    return Sampler(
        level, decimate, top, left, bottom, right, columns, rows, holes, smooth, blur, grid.crs == raster.crs
    )


def passes(variance: float) -> int:
    """How often pixels are mixed with their neighbours for a smoothing of that variance."""
    return math.ceil(variance / 2 / WEIGHT)


def _all_inside(positions: Any, size: int) -> bool:
    return bool(positions.min() >= 0 and positions.max() < size)  # neither of NaN


def _inside(positions: Any, size: int) -> Any:
    with np.errstate(invalid="ignore"):
        return (positions >= 0) & (positions < size)


def _windowed(positions: Any, size: int, smooth: bool, around: int) -> tuple[Any, int, int]:
    """Positions in the part of an axis that is needed, and where this part begins and ends."""
    half = 0.5 if smooth else 0.0
    first, last = math.floor(positions.min() - half), math.floor(positions.max() - half)
    start = max(0, min(first - around, size - 1 - smooth))
    end = min(size, max(last + 1 + smooth + around, start + 1 + smooth))
    within = np.empty(positions.shape, np.float32)
    return np.subtract(positions, start, out=within, casting="same_kind"), start, end


def _level(grid: Grid, raster: Raster, scale: float) -> tuple[int, int]:
    """The coarsest level that is at least as fine as the grid, and decimation where the levels end too early."""
    if grid.exact:
        return 0, 1
    factors = [raster.width / width for width, _ in raster.sizes]
    level = max(number for number, factor in enumerate(factors) if number == 0 or factor <= scale * 1.01)
    return level, max(1, int(scale / factors[level] / 2))


def _variance(scale: float) -> float:
    """What smoothing has to add to bilinear interpolation for values to be means over `scale` pixels, as to variance.

    A mean over `scale` pixels has scale²/12, over a pixel that is itself a mean 1/12 more; interpolation has 1/6.
    """
    return (scale**2 - 1) / 12 if scale > 1.05 else 0.0


def _at(flat: Any, indices: Any) -> Any:
    """The values at indices that are known to be inside, which numpy need not check: "wrap" is its fastest mode."""
    return flat.take(indices, mode="wrap")


def _whole(values: Any, most: int) -> Any:
    """In 32 bits: processors turn several at once into these, 64 bits one by one."""
    return np.clip(values, 0, most).astype(np.int32)


def _flat(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """Indices of these rows, which may be changed, and columns in an array of that shape."""
    if shape[0] * shape[1] > 2**31:
        rows = rows.astype(np.intp)
    rows *= shape[1]
    rows += columns
    return rows.astype(np.intp, copy=False)


def _may_be(nodata: float, kind: Any) -> bool:
    """Whether a number of that kind can be equal to it."""
    if kind.kind == "f" or kind.itemsize > 4:
        return not np.isnan(nodata)
    return bool(np.isfinite(nodata) and nodata == int(nodata) and np.iinfo(kind).min <= nodata <= np.iinfo(kind).max)


def _missing(values: Any, nodata: float | None, hidden: Any) -> Any:
    """Where there is no data, or what there is is hidden; None if nowhere."""
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    if nodata is not None and _may_be(nodata, values.dtype):
        own = nodata if values.dtype.itemsize > 4 else values.dtype.type(nodata)
        equal = values == own  # in the numbers' own width, or they would be converted, all of them
        missing = equal if missing is None else missing | equal
    if hidden is not None:
        missing = hidden if missing is None else missing | hidden
    return missing if missing is not None and missing.any() else None
