"""Where a graph is evaluated: a web map tile, one point, or a box at a stated resolution."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform, transform_bounds

from .extent import EARTH, WORLD, Bounds

TILE = 256
MERCATOR = "EPSG:3857"
DEGREES = "EPSG:4326"
MAX_ZOOM = 22


@functools.lru_cache(maxsize=256)
def crs_of(text: str) -> CRS:
    """The CRS of a text, parsed once."""
    return CRS.from_user_input(text)


@dataclass(frozen=True)
class Grid:
    """`height` x `width` pixels of `xres` by `yres` units of `crs`, from the upper left corner down.

    `exact`: sources are taken at full resolution, the pixel that holds the centre, nothing interpolated.
    """

    crs: str
    left: float
    top: float
    xres: float
    yres: float
    width: int
    height: int
    exact: bool = False

    @classmethod
    def tile(cls, z: int, x: int, y: int) -> Grid:
        """The 256 px tile of the web Mercator scheme (XYZ: y counts from the north)."""
        resolution = 2 * math.pi * EARTH / (TILE << z)
        left, top = -math.pi * EARTH + x * TILE * resolution, math.pi * EARTH - y * TILE * resolution
        return cls(MERCATOR, left, top, resolution, resolution, TILE, TILE)

    @classmethod
    def point(cls, lon: float, lat: float) -> Grid:
        """One pixel around a point, so small that its centre is the point."""
        size = 1e-9
        return cls(DEGREES, lon - size / 2, lat + size / 2, size, size, 1, 1, exact=True)

    def centres(self) -> tuple[Any, Any]:
        """x of the columns' and y of the rows' centres."""
        return (
            self.left + (np.arange(self.width) + 0.5) * self.xres,
            self.top - (np.arange(self.height) + 0.5) * self.yres,
        )

    def bounds(self) -> Bounds:
        """The grid's box in degrees."""
        right, bottom = self.left + self.width * self.xres, self.top - self.height * self.yres
        if self.crs == DEGREES:
            return Bounds(self.left, bottom, right, self.top)
        west, south, east, north = transform_bounds(
            crs_of(self.crs), crs_of(DEGREES), self.left, bottom, right, self.top
        )
        return Bounds(west, south, east, north) if west <= east else WORLD

    def inside(self, bounds: Bounds) -> Any:
        """For each pixel whether its centre lies in `bounds`; broadcasts to (y, x)."""
        xs, ys = self.centres()
        if self.crs == MERCATOR:
            west, east = math.radians(bounds.west) * EARTH, math.radians(bounds.east) * EARTH
            south, north = _mercator(bounds.south), _mercator(bounds.north)
        elif self.crs == DEGREES:
            west, south, east, north = bounds
        else:
            return self._inside_projected(bounds, xs, ys)
        columns, rows = (xs >= west) & (xs <= east), (ys >= south) & (ys <= north)
        return rows[:, np.newaxis] & columns[np.newaxis, :]

    def _inside_projected(self, bounds: Bounds, xs: Any, ys: Any) -> Any:
        x, y = (a.ravel() for a in np.meshgrid(xs, ys))
        lon, lat = (
            np.asarray(a).reshape(self.height, self.width) for a in transform(crs_of(self.crs), crs_of(DEGREES), x, y)
        )
        return (lon >= bounds.west) & (lon <= bounds.east) & (lat >= bounds.south) & (lat <= bounds.north)


def _mercator(latitude: float) -> float:
    latitude = max(-89.99, min(89.99, latitude))
    return EARTH * math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
