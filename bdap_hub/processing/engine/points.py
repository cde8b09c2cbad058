"""Files without a grid, whose pixels lie as the sensor saw them: they tell where some of them are (ground control
points, GCPs), as products of Sentinel-1 do that were not projected.

Between its points a file follows a thin plate spline through all of them, as with `gdalwarp -tps`, but not by GDAL,
which would hold Python's lock meanwhile. The points' heights are not looked at: nothing is corrected for the terrain.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...rasters.held import Unsuitable
from ..cancel import check

FEWEST, MOST = 4, 500
"""Points of a file: with fewer nothing is known of how it bends; each position costs as much as there are points."""
BEYOND = 0.5
"""So far beyond the points, as a share of their extent, the spline goes on, outside the file."""
CHUNK = 1 << 20
"""Distances that are looked at together."""
FINEST, FARTHEST = 1e-9, 1e9
"""The smallest step from pixel to pixel, and the largest coordinate, in units of the CRS."""


@dataclass(frozen=True)
class Points:
    """(column, row, x, y) of some places, x and y in the file's CRS; `around`: x are longitudes, which turn round."""

    known: tuple[tuple[float, float, float, float], ...]
    around: bool

    @classmethod
    def of(cls, gcps: Any, geographic: bool) -> Points:
        """Of GCPs as rasterio gives them; Unsuitable where they say too little, or too much."""
        if not FEWEST <= len(gcps) <= MOST:
            raise Unsuitable(f"lies on no grid and tells {len(gcps)} of its places, not {FEWEST} to {MOST}: warp it")
        found = np.array([(point.col, point.row, point.x, point.y) for point in gcps], float)
        if not np.isfinite(found).all() or np.abs(found).max() > FARTHEST:
            raise Unsuitable("tells places that are nowhere: warp it")
        if geographic and np.ptp(found[:, 2]) > 180:  # on both sides of the antimeridian
            found[:, 2] %= 360
        if geographic and (np.ptp(found[:, 2]) > 180 or np.abs(found[:, 3]).max() > 90):
            raise Unsuitable("tells places on more than half of the Earth, or beyond its poles: warp it")
        for pair in (found[:, :2], found[:, 2:]):
            if len(np.unique(pair, axis=0)) < len(pair) or np.linalg.matrix_rank(pair - pair.mean(axis=0)) < 2:
                raise Unsuitable("tells places twice, or on one line: warp it")
        made = cls(tuple(map(tuple, found.tolist())), geographic)
        if not min(made.steps) > FINEST or not np.isfinite(made._weights).all():
            raise Unsuitable("tells places from which nothing follows for the others: warp it")
        return made

    @functools.cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of all points; right may be beyond 180 degrees."""
        (left, bottom), (right, top) = self._places.min(axis=0), self._places.max(axis=0)
        return float(left), float(bottom), float(right), float(top)

    @functools.cached_property
    def steps(self) -> tuple[float, float]:
        """How far apart pixels are along x and y, on the whole, in units of the CRS."""
        pixels = self._pixels - self._pixels.mean(axis=0)
        fit = np.linalg.lstsq(pixels, self._places - self._places.mean(axis=0), rcond=None)[0]
        x, y = np.hypot(*fit)
        return float(x), float(y)

    def locate(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Columns and rows of places; NaN far beyond the points."""
        left, bottom, right, top = self.box
        wide, high = BEYOND * (right - left), BEYOND * (top - bottom)
        with np.errstate(invalid="ignore"):
            if self.around:
                middle = (left + right) / 2
                x = middle + (x - middle + 180) % 360 - 180
            near = (x > left - wide) & (x < right + wide) & (y > bottom - high) & (y < top + high)
        out = np.full((2, *near.shape), np.nan)
        out[:, near] = self._spline(np.stack((x[near], y[near]), axis=1)).T
        return out[0], out[1]

    def _spline(self, places: Any) -> Any:
        """Column and row of each place, some of them at a time: nobody else waits for it, and it ends when nobody
        waits for it."""
        found, places, step = np.empty(places.shape), self._scaled(places), max(1, CHUNK // len(self.known))
        for start in range(0, len(places), step):
            check()
            part = places[start : start + step]
            terms = np.hstack((_bent(part, self._nodes), np.ones((len(part), 1)), part))
            np.matmul(terms, self._weights, out=found[start : start + step])
        return found

    @functools.cached_property
    def _weights(self) -> Any:
        """What each point adds to a spline of columns and of rows; then a plane's constant, and its slopes."""
        count = len(self.known)
        plane = np.hstack((np.ones((count, 1)), self._nodes))
        system = np.zeros((count + 3, count + 3))
        system[:count, :count], system[:count, count:], system[count:, :count] = (
            _bent(self._nodes, self._nodes), plane, plane.T
        )  # fmt: skip
        try:
            return np.linalg.solve(system, np.vstack((self._pixels, np.zeros((3, 2)))))
        except np.linalg.LinAlgError:
            return np.full((count + 3, 2), np.nan)

    @functools.cached_property
    def _nodes(self) -> Any:
        return self._scaled(self._places)

    def _scaled(self, places: Any) -> Any:
        left, bottom, right, top = self.box
        return (places - ((left + right) / 2, (bottom + top) / 2)) / max(right - left, top - bottom)

    @property
    def _pixels(self) -> Any:
        return np.array(self.known)[:, :2]

    @functools.cached_property
    def _places(self) -> Any:
        return np.array(self.known)[:, 2:]


def _bent(places: Any, nodes: Any) -> Any:
    """r² log r² of each place and each node."""
    square = (places[:, :1] - nodes[:, 0]) ** 2 + (places[:, 1:] - nodes[:, 1]) ** 2
    return square * np.log(np.maximum(square, np.finfo(float).tiny))
