"""Whether two GeoJSON geometries meet, in plain longitude and latitude. PURE.

Exact for points, lines and polygons as STAC footprints are: edges that cross, or one inside the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequest

Ring = NDArray[np.float64]
POLYGONS = ("Polygon", "MultiPolygon")


def bbox_of(geometry: dict[str, Any]) -> tuple[float, float, float, float]:
    """West, south, east, north."""
    points = np.concatenate(parts(geometry))
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    return float(west), float(south), float(east), float(north)


def parts(geometry: dict[str, Any]) -> list[Ring]:
    """The rings, lines or points of a geometry, as (n, 2) arrays; BadRequest if it is not GeoJSON."""
    try:
        kind = geometry["type"]
        if kind == "GeometryCollection":
            return [ring for each in geometry["geometries"] for ring in parts(each)]
        if kind == "Feature":
            return parts(geometry["geometry"])
        depth = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}[
            kind
        ]
        rings = _rings(geometry["coordinates"], depth)
        if not rings or any(not np.isfinite(ring).all() for ring in rings):
            raise ValueError("empty")
        return rings
    except (KeyError, TypeError, ValueError, IndexError):
        raise BadRequest(
            "the geometry is not GeoJSON", 'send for example {"type": "Point", "coordinates": [8.6, 45.8]}'
        ) from None


def _rings(coordinates: Any, depth: int) -> list[Ring]:
    if depth == 3:
        return [ring for each in coordinates for ring in _rings(each, 2)]
    if depth == 2:
        return [ring for each in coordinates for ring in _rings(each, 1)]
    points = coordinates if depth else [coordinates]
    return [np.array([[float(p[0]), float(p[1])] for p in points])]


def meet(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether the two share a point."""
    left, right = parts(a), parts(b)
    if any(_cross(p, q) for p in left for q in right):
        return True
    return _inside(left, right, _has_area(b)) or _inside(right, left, _has_area(a))


def _has_area(geometry: dict[str, Any]) -> bool:
    kind = geometry["type"]
    if kind == "Feature":
        return _has_area(geometry["geometry"])
    return kind in POLYGONS or any(_has_area(each) for each in geometry.get("geometries", ()))


def _inside(some: list[Ring], rings: list[Ring], area: bool) -> bool:
    """Whether the first point of any of `some` lies within the rings (even-odd, so holes are holes)."""
    if not area:
        return False
    return any(sum(_winds(ring, part[0]) for ring in rings) % 2 == 1 for part in some)


def _winds(ring: Ring, point: NDArray[np.float64]) -> int:
    """1 if the point lies in the ring, else 0 (ray casting)."""
    x, y = point
    x0, y0 = ring[:, 0], ring[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    straddles = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return int(np.count_nonzero(straddles & (x < at)) % 2)


def _cross(p: Ring, q: Ring) -> bool:
    """Whether any segment of p touches any of q; single points count as segments of length 0."""
    a, b = _segments(p)
    c, d = _segments(q)
    a, b, c, d = a[:, None], b[:, None], c[None], d[None]
    o1, o2, o3, o4 = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    proper = (o1 * o2 < 0) & (o3 * o4 < 0)
    touching = (
        ((o1 == 0) & _between(a, b, c))
        | ((o2 == 0) & _between(a, b, d))
        | ((o3 == 0) & _between(c, d, a))
        | ((o4 == 0) & _between(c, d, b))
    )
    return bool((proper | touching).any())


def _segments(ring: Ring) -> tuple[Ring, Ring]:
    return (ring[:-1], ring[1:]) if len(ring) > 1 else (ring, ring)


def _turn(a: Any, b: Any, c: Any) -> Any:
    """Sign of the turn a-b-c: 1 left, -1 right, 0 straight."""
    return np.sign(
        (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
    )


def _between(a: Any, b: Any, c: Any) -> Any:
    low, high = np.minimum(a, b), np.maximum(a, b)
    return ((c >= low) & (c <= high)).all(axis=-1)
