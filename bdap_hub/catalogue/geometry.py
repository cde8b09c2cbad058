"""GeoJSON as shapes: read and checked, and whether two of them meet, in plain longitude and latitude. PURE."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from ..errors import BadRequest

Box = tuple[float, float, float, float]
RELATIONS = {
    "s_intersects": shapely.intersects,
    "s_disjoint": shapely.disjoint,
    "s_equals": shapely.equals,
    "s_touches": shapely.touches,
    "s_within": shapely.within,
    "s_contains": shapely.contains,
    "s_overlaps": shapely.overlaps,
    "s_crosses": shapely.crosses,
}


def shape_of(geometry: Any) -> BaseGeometry:
    """The shape of a GeoJSON geometry or feature; BadRequest if it is none."""
    if isinstance(geometry, dict) and geometry.get("type") == "Feature":
        return shape_of(geometry.get("geometry"))
    try:
        found: BaseGeometry = shapely.force_2d(shapely.from_geojson(json.dumps(geometry, allow_nan=False)))
        if found is None or found.is_empty:
            raise ValueError("empty")
        return found
    except (shapely.GEOSException, ValueError, TypeError, AttributeError, RecursionError):
        raise BadRequest(
            "the geometry is not GeoJSON", 'send for example {"type": "Point", "coordinates": [8.6, 45.8]}'
        ) from None


def bbox_of(geometry: dict[str, Any]) -> Box:
    """West, south, east, north."""
    west, south, east, north = shape_of(geometry).bounds
    return west, south, east, north


def points_in(geometry: Any) -> int:
    """How many points it has."""
    return int(shapely.get_num_coordinates(shape_of(geometry)))


def meet(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether the two share a point."""
    return bool(shapely.intersects(shape_of(a), shape_of(b)))


def flat(bbox: Any) -> Box:
    """West, south, east, north of a bbox with or without heights."""
    numbers = [float(v) for v in bbox]
    west, south, east, north = numbers if len(numbers) == 4 else [numbers[i] for i in (0, 1, 3, 4)]
    return west, south, east, north


def read_bbox(value: Any) -> Box:
    """West, south, east, north as somebody sent it; west > east crosses the antimeridian."""
    try:
        box = flat(value)
        if len(value) not in (4, 6) or not all(abs(v) < 1e6 for v in box) or box[1] > box[3]:
            raise ValueError
    except (TypeError, ValueError, IndexError):
        raise BadRequest(f"bbox {value!r:.80} is no box", "send west,south,east,north in degrees") from None
    return box


def split(box: Box) -> list[Box]:
    """The one box, or the two east and west of the antimeridian where west > east."""
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def geojson_of(box: Box) -> dict[str, Any]:
    """A box as a GeoJSON geometry; two polygons where it crosses the antimeridian."""
    rings = [[[[w, s], [e, s], [e, n], [w, n], [w, s]]] for w, s, e, n in split(box)]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def related(relation: str, footprint: bytes, text: str) -> bool:
    """Whether a stored footprint (WKB) has that relation to a GeoJSON geometry."""
    return bool(RELATIONS[relation](shapely.from_wkb(footprint), _prepared(text)))


@lru_cache(maxsize=64)
def _prepared(text: str) -> BaseGeometry:
    found = shape_of(json.loads(text))
    shapely.prepare(found)
    return found
