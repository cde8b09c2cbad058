"""Invented regions of the demo's ground, as Eurostat publishes NUTS: GeoJSON with NUTS_ID, LEVL_CODE and NAME_LATN."""

from __future__ import annotations

import json
import math
from typing import Any

from rasterio.warp import transform_geom

from .files import EPSG

STEPS = 24
NAMES = {"XX101": "Lakeside", "XX102": "Upper Hills", "XX103": "Lower Lake", "XX104": "River Plain"}
"""XX is no country: nobody shall take them for real ones."""
Point = tuple[float, float]


def regions(west: float, north: float, metres: float) -> str:
    """Four regions that fill a square of that edge; corner and edge are in metres of the demo's reference system."""
    across = [(x, _border(x)) for x in _steps(0, 1)]
    middle = _middle()
    down = [(_divide(y), y) for y in _steps(0, 1)]
    left, right = [p for p in across if p[0] < middle[0]], [p for p in across if p[0] > middle[0]]
    upper, lower = [p for p in down if p[1] < middle[1]], [p for p in down if p[1] > middle[1]]
    rings = (
        [*_edge((0, left[0][1]), (0, 0)), *_edge((0, 0), upper[0]), *upper, middle, *reversed(left)],
        [*upper, middle, *right, *_edge(right[-1], (1, 0)), *_edge((1, 0), upper[0])],
        [*left, middle, *lower, *_edge(lower[-1], (0, 1)), *_edge((0, 1), left[0])],
        [middle, *right, *_edge(right[-1], (1, 1)), *_edge((1, 1), lower[-1]), *reversed(lower)],
    )
    features = [
        _feature(code, [(west + x * metres, north - y * metres) for x, y in ring])
        for code, ring in zip(NAMES, rings, strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def _feature(code: str, ring: list[Point]) -> dict[str, Any]:
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return {
        "type": "Feature",
        "properties": {"NUTS_ID": code, "LEVL_CODE": 3, "NAME_LATN": NAMES[code], "note": "invented, for the demo"},
        "geometry": transform_geom(f"EPSG:{EPSG}", "EPSG:4326", shape, precision=6),
    }


def _steps(first: float, last: float) -> list[float]:
    return [first + (last - first) * i / STEPS for i in range(STEPS + 1)]


def _edge(start: Point, end: Point) -> list[Point]:
    """A straight side in steps, so that it follows the square's in degrees."""
    return [(x, y) for x, y in zip(_steps(start[0], end[0]), _steps(start[1], end[1]), strict=True)]


def _border(x: float) -> float:
    return 0.52 + 0.05 * math.sin(6 * x + 1)


def _divide(y: float) -> float:
    return 0.42 + 0.06 * math.sin(7 * y)


def _middle() -> Point:
    """Where the two borders cross."""
    y = 0.5
    for _ in range(50):
        y = _border(_divide(y))
    return _divide(y), y
