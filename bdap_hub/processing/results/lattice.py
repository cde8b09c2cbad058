"""A grid without end, on which windows of whole pixels lie: those of a file, or those that a graph asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from affine import Affine
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from ..engine.grid import Grid, crs_of
from ..graphs.graph import GraphError

SLACK = 1e-6
"""Pixels by which a coordinate may be off before it counts as another one."""


class Frame(NamedTuple):
    """West, south, east, north in the units of some CRS."""

    west: float
    south: float
    east: float
    north: float

    def hull(self, other: Frame) -> Frame:
        """The smallest frame around both."""
        sides = zip(self, other, strict=True)
        return Frame(*(f(a, b) for f, (a, b) in zip((min, min, max, max), sides, strict=True)))

    def overlap(self, other: Frame) -> Frame:
        """What both cover (upside down where they do not meet)."""
        sides = zip(self, other, strict=True)
        return Frame(*(f(a, b) for f, (a, b) in zip((max, max, min, min), sides, strict=True)))

    def moved(self, source: str, target: str) -> Frame:
        """The smallest frame around it in another CRS; GraphError where it reaches beyond that CRS's world."""
        if source == target:
            return self
        try:
            made = Frame(*transform_bounds(crs_of(source), crs_of(target), *self))
        except RasterioError:
            made = Frame(math.inf, 0, 0, 0)
        if not all(map(math.isfinite, made)):
            raise GraphError("ProcessArgumentInvalid", f"the extent reaches beyond the world of {target[:30]}")
        return made


class Window(NamedTuple):
    """Columns [left, right) and rows [top, bottom) of a lattice."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.width <= 0 or self.height <= 0

    def overlap(self, other: Window) -> Window:
        """The pixels of both."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Window(left, top, min(self.right, other.right), min(self.bottom, other.bottom))

    def grown(self, pixels: int) -> Window:
        """With so many more on each side."""
        return Window(self.left - pixels, self.top - pixels, self.right + pixels, self.bottom + pixels)


@dataclass(frozen=True)
class Lattice:
    """Pixels of `xres` by `yres` units of `crs`; (x, y) is a corner of one of them, y counts upwards."""

    crs: str
    x: float
    y: float
    xres: float
    yres: float

    def frame(self, window: Window) -> Frame:
        """The window's edges."""
        left, top = self.x + window.left * self.xres, self.y - window.top * self.yres
        return Frame(left, top - window.height * self.yres, left + window.width * self.xres, top)

    def centres_in(self, frame: Frame) -> Window:
        """The pixels whose centre lies in a frame of this CRS."""
        return Window(
            math.ceil((frame.west - self.x) / self.xres - 0.5 - SLACK),
            math.ceil((self.y - frame.north) / self.yres - 0.5 - SLACK),
            math.floor((frame.east - self.x) / self.xres - 0.5 + SLACK) + 1,
            math.floor((self.y - frame.south) / self.yres - 0.5 + SLACK) + 1,
        )

    def around(self, frame: Frame) -> Window:
        """The pixels that a frame of this CRS touches."""
        return Window(
            math.floor((frame.west - self.x) / self.xres + SLACK),
            math.floor((self.y - frame.north) / self.yres + SLACK),
            math.ceil((frame.east - self.x) / self.xres - SLACK),
            math.ceil((self.y - frame.south) / self.yres - SLACK),
        )

    def coarser(self, window: Window, times: int) -> Lattice:
        """Pixels that are so many times larger, from the window's upper left corner on."""
        frame = self.frame(window)
        return Lattice(self.crs, frame.west, frame.north, self.xres * times, self.yres * times)

    def grid(self, window: Window) -> Grid:
        """The window as a grid to evaluate on."""
        left, top = self.x + window.left * self.xres, self.y - window.top * self.yres
        return Grid(self.crs, left, top, self.xres, self.yres, window.width, window.height)

    @property
    def unit(self) -> str:
        """The unit of its coordinates."""
        return "degree" if crs_of(self.crs).is_geographic else "metre"


def transform_of(grid: Grid) -> Affine:
    """The grid's geotransform, as GDAL and rasterio write it."""
    return Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
