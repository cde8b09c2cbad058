"""Slope, aspect, hillshade and indices of terrain models, with the size of pixels in metres on the ellipsoid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..graphs.spec import process
from .windows import affordable, footprint, reach_of, shifts

VIEW = "On the pixels of the view: zoomed out, of a coarser terrain. Tiles look into their neighbours."
AROUND = np.ones((3, 3), bool)
UNITS: Mapping[str, Callable[[Any], Any]] = {
    "degree": lambda rise: np.degrees(np.arctan(rise)),
    "radian": np.arctan,
    "percent": lambda rise: 100 * rise,
}


def _one(arguments: Mapping[str, Any]) -> int:
    return 1


@process(reach=_one, limits=VIEW)
def slope(ctx: Any, data: Any, unit: Any = "degree") -> Any:
    """The steepest slope by Horn's method."""
    return _like(data, UNITS[unit](np.hypot(*_gradient(ctx, data))))


@process(reach=_one, limits=VIEW)
def aspect(ctx: Any, data: Any) -> Any:
    """The direction down the slope, clockwise from north; no data where it is flat."""
    east, north = _gradient(ctx, data)
    direction = np.degrees(np.arctan2(-east, -north)) % 360
    return _like(data, np.where((east == 0) & (north == 0), np.nan, direction))


@process(reach=_one, limits=VIEW)
def hillshade(ctx: Any, data: Any, azimuth: Any = 315, altitude: Any = 45, z_factor: Any = 1) -> Any:
    """How much light a surface gets, from 0 to 255: the cosine between its normal and the light."""
    east, north = (z_factor * part for part in _gradient(ctx, data))
    around, high = np.radians(azimuth), np.radians(altitude)
    towards = np.sin(high) - np.cos(high) * (np.sin(around) * east + np.cos(around) * north)
    return _like(data, 255 * np.clip(towards / np.sqrt(1 + east**2 + north**2), 0, 1))


@process(reach=reach_of("size", 3), limits=VIEW)
def terrain_index(ctx: Any, data: Any, index: Any, size: Any = 3) -> Any:
    """Topographic position, ruggedness, roughness or curvature."""
    where = footprint(int(size), "square")
    affordable(data.pixels, int(where.sum()))
    if index == "curvature":
        return _like(data, _curvature(ctx, data))
    layers, heights = shifts(data.data, where), data.data.astype(np.float64)
    if index == "tpi":
        return _like(data, heights - (sum(layers) - heights) / (where.sum() - 1))
    if index == "tri":
        return _like(data, np.sqrt(sum((layer - heights) ** 2 for layer in layers)))
    low = high = data.data
    for layer in layers:
        low, high = np.minimum(low, layer), np.maximum(high, layer)
    return _like(data, high - low)


def _gradient(ctx: Any, data: Any) -> tuple[Any, Any]:
    """By how much heights rise for each metre to the east and to the north, by Horn's method."""
    a, b, c, d, e, f, g, h, i = shifts(data.pixels.astype(np.float64), AROUND)
    wide, tall = _metres(ctx)
    east = ((c - a) + 2 * (f - d) + (i - g)) / (8 * wide)
    north = ((a - g) + 2 * (b - h) + (c - i)) / (8 * tall)
    missing = np.isnan(e)
    return np.where(missing, np.nan, east), np.where(missing, np.nan, north)


def _curvature(ctx: Any, data: Any) -> Any:
    b, d, e, f, h = shifts(data.data.astype(np.float64), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool))
    wide, tall = _metres(ctx)
    return -((d + f - 2 * e) / wide**2 + (b + h - 2 * e) / tall**2)


def _metres(ctx: Any) -> tuple[Any, Any]:
    """Width and height of the pixels of each row, as columns."""
    wide, tall = ctx.grid.ground()
    return wide[:, np.newaxis], tall[:, np.newaxis]


def _like(data: Any, values: Any) -> Any:
    return replace(data, data=values.astype(data.data.dtype, copy=False))
