"""Where a map looks: from boxes to centre and zoom and back. PURE."""

from __future__ import annotations

import math

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""
SIZE = (900, 480)
"""Width and height in pixels that a first view is chosen for, before the browser has told the true ones."""
NARROW = 600
"""Pixels of width below which a popup and a chart have no room side by side."""
LIMIT = 85.0511


def fitting(box: Box, size: tuple[int, int] = SIZE) -> tuple[tuple[float, float], int]:
    """Centre (lat, lon) and zoom at which a box fills a map of that size."""
    west, south, east, north = box
    tall = mercator(north) - mercator(south)
    across = math.log2(size[0] / 256 * 360 / max(east - west, 1e-6))
    along = math.log2(size[1] / 256 * 360 / max(tall, 1e-6))
    return ((south + north) / 2, (west + east) / 2), max(1, min(18, math.floor(min(across, along))))


def pixels_down(zoom: float, top: float, lat: float) -> float:
    """How many pixels a latitude lies below another."""
    return (mercator(top) - mercator(lat)) * 256 * 2**zoom / 360


def further_down(zoom: float, lat: float, pixels: float) -> float:
    """The latitude so many pixels below another."""
    square = math.radians(mercator(lat) - pixels * 360 / 256 / 2**zoom)
    return math.degrees(2 * math.atan(math.exp(square)) - math.pi / 2)


def seen(bounds: tuple[tuple[float, float], ...]) -> Box | None:
    """The box of Leaflet's ((south, west), (north, east)); None before the map was shown."""
    if not bounds or bounds[0] == bounds[1]:
        return None
    (south, west), (north, east) = bounds
    return max(west, -180), max(south, -90), min(east, 180), min(north, 90)


def overlap(one: Box | None, two: Box | None) -> Box | None:
    """What two boxes share; the one that is there where the other is not, or where they do not meet the second."""
    if one is None or two is None:
        return one or two
    box = max(one[0], two[0]), max(one[1], two[1]), min(one[2], two[2]), min(one[3], two[3])
    return box if box[0] < box[2] and box[1] < box[3] else two


def around(points: list[tuple[float, float]]) -> Box:
    """The box of some (lon, lat)."""
    lons, lats = zip(*points, strict=True)
    return min(lons), min(lats), max(lons), max(lats)


def mercator(lat: float) -> float:
    """Latitude as degrees of the Web Mercator's square."""
    return math.degrees(math.log(math.tan(math.pi / 4 + math.radians(max(-LIMIT, min(LIMIT, lat))) / 2)))
