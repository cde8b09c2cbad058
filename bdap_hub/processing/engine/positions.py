"""Where the pixels of a grid lie in a file: projected exactly at a few places, by polynomials through them elsewhere.

There are as many places (Chebyshev's nodes) as it takes for positions to be right within TOLERANCE pixels of what is
read; where that does not do, as across the antimeridian, each pixel is projected.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cubes.extent import transformer
from .grid import Grid, crs_of
from .points import Points

TOLERANCE = 0.0005
NODES = (7, 15)
CHECKED, EVENLY = np.linspace(0.01, 0.99, 6), np.linspace(0, 1, 5)
FEW = 2**17


@dataclass(frozen=True)
class Raster:
    """The geometry of a file: CRS, upper left corner, pixel size; width and height of each level, full size first.

    Where it lies on no grid there are `points`; corner and pixel size are then those of a box around it.
    """

    crs: str
    left: float
    top: float
    xres: float
    yres: float
    sizes: tuple[tuple[int, int], ...]
    points: Points | None = None

    @classmethod
    def of_points(cls, crs: str, points: Points, sizes: tuple[tuple[int, int], ...]) -> Raster:
        """The geometry of a file that lies on no grid."""
        return cls(crs, points.box[0], points.box[3], *points.steps, sizes, points)

    @property
    def width(self) -> int:
        """Columns at full resolution."""
        return self.sizes[0][0]

    @property
    def height(self) -> int:
        """Rows at full resolution."""
        return self.sizes[0][1]

    @property
    def right(self) -> float:
        """Where its last column ends."""
        return self.points.box[2] if self.points else self.left + self.width * self.xres

    @property
    def bottom(self) -> float:
        """Where its last row ends."""
        return self.points.box[1] if self.points else self.top - self.height * self.yres

    @functools.cached_property
    def turn(self) -> float:
        """Columns around the Earth, of a file in degrees that goes on beyond 180; 0 for others."""
        beyond = self.left + self.width * self.xres > 180 and crs_of(self.crs).is_geographic
        return 360 / self.xres if beyond else 0.0


def positions(grid: Grid, raster: Raster) -> tuple[Any, Any, float]:
    """Column and row of each grid pixel's centre (pixel corners are whole numbers), and file pixels per grid pixel."""
    shape = (grid.height, grid.width)
    scale = _scale(*_in_file(grid, raster, EVENLY, EVENLY), shape)
    for nodes in (2,) if grid.crs == raster.crs and raster.points is None else NODES:
        if min(shape) < 4 * nodes:
            break
        net = _in_file(grid, raster, _net(nodes), _net(nodes))
        if _error(net, _in_file(grid, raster, CHECKED, CHECKED), nodes) < TOLERANCE * max(1.0, scale):
            return _spread(net[0], *shape), _spread(net[1], *shape), scale
    down, across = ((np.arange(size) + 0.5) / size for size in shape)
    return *_in_file(grid, raster, across, down), scale


def _in_file(grid: Grid, raster: Raster, across: Any, down: Any) -> tuple[Any, Any]:
    """Columns and rows in the file of these shares of the grid's width and height."""
    x, y = np.meshgrid(grid.left + across * grid.width * grid.xres, grid.top - down * grid.height * grid.yres)
    if grid.crs != raster.crs:
        x, y = transformer(grid.crs, raster.crs).transform(x, y)
    if raster.points is not None:
        return raster.points.locate(x, y)
    with np.errstate(invalid="ignore"):
        columns, rows = (x - raster.left) / raster.xres, (raster.top - y) / raster.yres
    return np.where(columns < 0, columns + raster.turn, columns) if raster.turn else columns, rows


def _scale(columns: Any, rows: Any, shape: tuple[int, int]) -> float:
    """The median step from pixel to pixel of a grid of that shape, along the axis where it is longer."""
    found = 0.0
    for axis, size in enumerate(shape):
        with np.errstate(invalid="ignore"):
            step = np.hypot(np.diff(columns, axis=axis), np.diff(rows, axis=axis)) * (len(EVENLY) - 1) / size
        finite = step[np.isfinite(step)]
        found = max(found, float(np.median(finite))) if finite.size else found
    return found


def _error(net: tuple[Any, Any], known: tuple[Any, Any], nodes: int) -> float:
    """By how much what the net says at the checked places is off."""
    if not all(np.isfinite(values).all() for values in (*net, *known)):
        return np.inf
    at = _weights(nodes, CHECKED)
    found = max(float(np.abs(at @ values @ at.T - exact).max()) for values, exact in zip(net, known, strict=True))
    return found


def _spread(net: Any, height: int, width: int) -> Any:
    """The net's values at each pixel's centre."""
    out, down = np.empty((height, width)), _centred(len(net), height) @ net
    across = _centred(len(net), width).T
    step = max(1, FEW // across.size)
    for start in range(0, height, step):  # so few at a time that BLAS wakes no threads, which would cost more
        np.dot(down[start : start + step], across, out=out[start : start + step])
    return out


@functools.lru_cache(maxsize=64)
def _centred(nodes: int, size: int) -> Any:
    return _weights(nodes, (np.arange(size) + 0.5) / size)


@functools.lru_cache(maxsize=8)
def _net(nodes: int) -> Any:
    return (1 - np.cos(np.pi * (2 * np.arange(nodes) + 1) / (2 * nodes))) / 2


def _weights(nodes: int, at: Any) -> Any:
    """What each node of the net adds at these places: Lagrange's polynomials, in their barycentric form."""
    distance = at[:, np.newaxis] - _net(nodes)
    distance[distance == 0] = 1e-12
    shares = (-1.0) ** np.arange(nodes) * np.sin(np.pi * (2 * np.arange(nodes) + 1) / (2 * nodes)) / distance
    return shares / shares.sum(axis=1, keepdims=True)
