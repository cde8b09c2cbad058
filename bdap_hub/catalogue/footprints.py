"""A map of footprints as the paths of an SVG drawing: no scripts, no tiles of others. PURE but for a bundled file.

Longitude and latitude, as wide as they are in the middle of the map. Countries: Natural Earth 1:110m, public domain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from ..errors import BadRequest
from ..outlines import countries
from .geometry import Box, shape_of

WIDTH, HEIGHT = 800, 400
AROUND = 1.6  # of the footprints' own size, so that one sees where they lie
LEAST = 6.0  # degrees of latitude
RING = 12


@dataclass(frozen=True)
class View:
    """The part of the world that is drawn."""

    west: float
    south: float
    east: float
    north: float

    def path(self, shape: BaseGeometry) -> str:
        """The outline of a shape within the view as an SVG path; empty where it does not meet it."""
        part = shapely.clip_by_rect(shape, self.west, self.south, self.east, self.north)
        lines = shapely.get_parts(shapely.boundary(part)) if part.area else shapely.get_parts(part)
        return "".join(self._line(shapely.get_coordinates(line).tolist()) for line in lines if not line.is_empty)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the drawing."""
        across, down = WIDTH / (self.east - self.west), HEIGHT / (self.north - self.south)
        return (x - self.west) * across, (self.north - y) * down

    def _line(self, points: list[list[float]]) -> str:
        placed = ["{:.1f} {:.1f}".format(*self.place(x, y)) for x, y in points]
        return f"M{'L'.join(placed)}Z" if len(placed) > 2 else f"M{'L'.join([*placed, placed[-1]])}"


def drawing(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the template draws: the land, lines of longitude and latitude, and the footprints that can be read."""
    shapes = [(item, shape) for item in items if (shape := _shape(item)) is not None]
    if not shapes:
        return {}
    view = view_of([shape.bounds for _, shape in shapes])
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "land": [path for each in _countries() if (path := view.path(each))],
        "grid": _grid(view),
        "shapes": [_footprint(view, item, shape) for item, shape in shapes],
    }


def _footprint(view: View, item: dict[str, Any], shape: BaseGeometry) -> dict[str, Any]:
    """With a ring around it where it is too small to be seen or hit."""
    west, south, east, north = shape.bounds
    (left, low), (right, high) = view.place(west, south), view.place(east, north)
    small = right - left < RING and low - high < RING
    return {
        "id": item["id"],
        "date": str(item["properties"].get("datetime") or item["properties"].get("start_datetime") or "")[:10],
        "path": view.path(shape),
        "ring": {"x": round((left + right) / 2, 1), "y": round((low + high) / 2, 1), "r": RING} if small else None,
    }


def view_of(boxes: Sequence[Box]) -> View:
    """Around all of the boxes, in the shape of the drawing, never beyond the world."""
    west, south = min(b[0] for b in boxes), min(b[1] for b in boxes)
    east, north = max(b[2] for b in boxes), max(b[3] for b in boxes)
    middle = ((west + east) / 2, (south + north) / 2)
    flat = max(0.2, math.cos(math.radians(middle[1])))
    tall = max(LEAST, AROUND * (north - south), AROUND * (east - west) * flat * HEIGHT / WIDTH)
    tall, wide = min(tall, 180.0), min(tall * WIDTH / HEIGHT / flat, 360.0)
    left = min(max(middle[0] - wide / 2, -180.0), 180.0 - wide)
    low = min(max(middle[1] - tall / 2, -90.0), 90.0 - tall)
    return View(left, low, left + wide, low + tall)


def _shape(item: dict[str, Any]) -> BaseGeometry | None:
    try:
        return shape_of(item.get("geometry"))
    except BadRequest:
        return None


def _grid(view: View) -> list[dict[str, Any]]:
    """A few lines of longitude and of latitude; names where they do not meet in a corner."""
    lines = []
    for x in _steps(view.west, view.east):
        at, _ = view.place(x, view.north)
        name = _degrees(x, "E", "W") if 70 < at < WIDTH - 50 else ""
        lines.append({"path": f"M{at:.1f} 0V{HEIGHT}", "x": at + 4, "y": HEIGHT - 8, "name": name})
    for y in _steps(view.south, view.north):
        _, at = view.place(view.west, y)
        name = _degrees(y, "N", "S") if 30 < at < HEIGHT - 30 else ""
        lines.append({"path": f"M0 {at:.1f}H{WIDTH}", "x": 6, "y": at - 5, "name": name})
    return lines


def _steps(low: float, high: float) -> range:
    step = next(s for s in (1, 2, 5, 10, 20, 30, 60) if (high - low) / s <= 6)
    return range(math.ceil(low / step) * step, math.floor(high) + 1, step)


def _degrees(value: int, positive: str, negative: str) -> str:
    return f"{abs(value)}°{positive if value > 0 else negative if value < 0 else ''}"


@cache
def _countries() -> tuple[BaseGeometry, ...]:
    return tuple(part for country in countries() for part in shapely.get_parts(country.shape))
