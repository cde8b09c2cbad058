"""Where a graph is evaluated: a web map tile, one point, or a box at a stated resolution."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.features import bounds, geometry_mask
from rasterio.warp import transform_bounds

from ..cubes.extent import DEGREES, EARTH, MERCATOR, WORLD, Bounds, Box, lonlat, transformer
from ..cubes.geometry import moved, parts
from ..graphs.graph import GraphError

TILE = 256
HALF = math.pi * EARTH + 1e-6
MAX_ZOOM = 22
GEOD = Geod(ellps="WGS84")


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
    def tile(cls, z: int, x: int, y: int, size: int = TILE) -> Grid:
        """A tile of the web Mercator scheme (XYZ: y counts from the north), `size` pixels wide and high."""
        resolution = 2 * math.pi * EARTH / (size << z)
        left, top = -math.pi * EARTH + x * size * resolution, math.pi * EARTH - y * size * resolution
        return cls(MERCATOR, left, top, resolution, resolution, size, size)

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

    def ground(self) -> tuple[Any, Any]:
        """Width and height of the pixels of each row on the ellipsoid, measured through the grid's middle column."""
        middle, rows = self.left + self.width * self.xres / 2, self.centres()[1]

        def lonlat(x: float, ys: Any) -> tuple[Any, Any]:
            at = np.full(len(rows), x), np.broadcast_to(ys, len(rows))
            return transformer(self.crs, DEGREES).transform(*at) if self.crs != DEGREES else at

        ends = ((self.xres / 2, 0.0), (0.0, self.yres / 2))
        wide, tall = (GEOD.inv(*lonlat(middle - dx, rows - dy), *lonlat(middle + dx, rows + dy))[2] for dx, dy in ends)
        return wide, tall

    def bounds(self) -> Bounds:
        """The grid's box in degrees."""
        right, bottom = self.left + self.width * self.xres, self.top - self.height * self.yres
        if self.crs == DEGREES:
            return Bounds(self.left, bottom, right, self.top)
        if self.crs == MERCATOR and self.left >= -HALF and right <= HALF:
            return Bounds(*lonlat(self.left, bottom), *lonlat(right, self.top))
        return _bounds(self.crs, self.left, bottom, right, self.top)

    def covered(self, geojson: Any) -> Any:
        """For each pixel whether its centre lies in one of the polygons, or a point or line goes through it."""
        out = np.zeros((self.height, self.width), bool)
        rows, columns, inside = self.part(geojson)
        out[rows, columns] = inside
        return out

    def part(self, geojson: Any) -> tuple[slice, slice, Any]:
        """The rows and columns around some geometries, and which of their pixels these cover."""
        shapes = [moved(part, self._projected) for part in parts(geojson)]
        if not shapes:
            return slice(0, 0), slice(0, 0), np.zeros((0, 0), bool)
        boxes = np.array([bounds(shape) for shape in shapes])
        (west, south), (east, north) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        columns = _span((west - self.left) / self.xres, (east - self.left) / self.xres, self.width)
        rows = _span((self.top - north) / self.yres, (self.top - south) / self.yres, self.height)
        there = self.cut(rows, columns)
        if not there.width * there.height:
            return rows, columns, np.zeros((there.height, there.width), bool)
        transform = Affine(self.xres, 0, there.left, 0, -self.yres, there.top)
        return rows, columns, geometry_mask(shapes, (there.height, there.width), transform, invert=True)

    def cut(self, rows: slice, columns: slice) -> Grid:
        """A part of the grid."""
        left, top = self.left + columns.start * self.xres, self.top - rows.start * self.yres
        size = {"width": columns.stop - columns.start, "height": rows.stop - rows.start}
        return replace(self, left=left, top=top, **size)

    def _projected(self, positions: Any) -> Any:
        """Positions in degrees, as (n, 2), in the grid's CRS."""
        lon, lat = positions.T
        if self.crs == DEGREES:
            return positions
        if self.crs == MERCATOR:
            return np.stack([np.radians(lon) * EARTH, _mercator(lat)], axis=1)
        out = np.stack(transformer(DEGREES, self.crs).transform(lon, lat), axis=1)
        if not np.isfinite(out).all():
            raise GraphError("ProcessArgumentInvalid", f"the geometry reaches beyond the world of {self.crs[:30]}")
        return out

    def grown(self, margin: int) -> Grid:
        """The grid with so many pixels more on each side."""
        if not margin:
            return self
        left, top = self.left - margin * self.xres, self.top + margin * self.yres
        return replace(self, left=left, top=top, width=self.width + 2 * margin, height=self.height + 2 * margin)

    def metres(self) -> tuple[float, float]:
        """How wide and high a pixel in the middle of the grid is on the ground, about."""
        if not crs_of(self.crs).is_geographic:
            factor = math.cos(math.radians((b := self.bounds()).south / 2 + b.north / 2)) if self.crs == MERCATOR else 1
            return self.xres * factor, self.yres * factor
        degree = math.radians(1) * EARTH
        return self.xres * degree * math.cos(math.radians(self.top - self.height * self.yres / 2)), self.yres * degree

    def inside(self, area: Bounds | Box) -> Any:
        """For each pixel whether its centre lies in a box; broadcasts to (y, x)."""
        box = area if isinstance(area, Box) else Box(*area)
        xs, ys = self.centres()
        west, south, east, north = box[:4]
        if self.crs == MERCATOR and box.crs == DEGREES:
            west, east = math.radians(west) * EARTH, math.radians(east) * EARTH
            south, north = _mercator(south), _mercator(north)
        elif self.crs != box.crs:
            x, y = (a.ravel() for a in np.meshgrid(xs, ys))
            px, py = (a.reshape(self.height, self.width) for a in transformer(self.crs, box.crs).transform(x, y))
            return (px >= west) & (px <= east) & (py >= south) & (py <= north)
        columns, rows = (xs >= west) & (xs <= east), (ys >= south) & (ys <= north)
        return rows[:, np.newaxis] & columns[np.newaxis, :]


def _span(first: float, last: float, size: int) -> slice:
    """The pixels between two positions, and one more on each side, as far as there are any."""
    start = int(np.clip(np.floor(first) - 1, 0, size))
    return slice(start, int(np.clip(np.ceil(last) + 1, start, size)))


@functools.lru_cache(maxsize=256)
def _bounds(crs: str, left: float, bottom: float, right: float, top: float) -> Bounds:
    west, south, east, north = transform_bounds(crs_of(crs), crs_of(DEGREES), left, bottom, right, top)
    return Bounds(west, south, east, north) if west <= east else WORLD


def _mercator(latitude: Any) -> Any:
    latitude = np.clip(latitude, -89.99, 89.99)
    return EARTH * np.log(np.tan(np.pi / 4 + np.radians(latitude) / 2))
