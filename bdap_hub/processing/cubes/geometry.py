"""Geometries as GeoJSON (RFC 7946: degrees, EPSG:4326). PURE."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..graphs.graph import GraphError
from .extent import Bounds, box

DEPTHS = {"Point": 1, "MultiPoint": 2, "LineString": 2, "MultiLineString": 3, "Polygon": 3, "MultiPolygon": 4}
MAX_DEPTH = 8
"""Features and collections inside one another; the standard has two."""
MOST_EAST = 540
"""Degrees of longitude: what crosses the antimeridian goes on beyond 180."""
LEAST = {"LineString": 2, "MultiLineString": 2, "Polygon": 4, "MultiPolygon": 4}


def extent_of(extent: Mapping[str, Any]) -> Bounds:
    """The box in degrees around a spatial extent: a bounding box, or geometries."""
    return around(extent) if "type" in extent else box(extent).degrees()


def parts(geojson: Any, depth: int = 0) -> list[Mapping[str, Any]]:
    """The geometries: one of a geometry or feature, one a feature of a collection; GraphError for anything else."""
    kind = geojson.get("type") if isinstance(geojson, Mapping) else None
    if kind == "FeatureCollection" and isinstance(geojson.get("features"), list) and depth < MAX_DEPTH:
        return [part for feature in geojson["features"] for part in parts(feature, depth + 1)]
    if kind == "Feature" and depth < MAX_DEPTH:
        return parts(geojson.get("geometry"), depth + 1)
    if (
        isinstance(kind, str)
        and kind in DEPTHS
        and _nested(geojson.get("coordinates"), DEPTHS[kind], LEAST.get(kind, 1))
    ):
        return [geojson]
    raise GraphError(
        "ProcessArgumentInvalid", f"{str(geojson)!r:.60} is not a GeoJSON geometry", f"one of {', '.join(DEPTHS)}"
    )


def around(geojson: Any) -> Bounds:
    """The smallest box around all geometries; upside down where there are none."""
    positions = [p for part in parts(geojson) for p in _positions(part["coordinates"], DEPTHS[part["type"]])]
    lons, lats = [p[0] for p in positions], [p[1] for p in positions]
    return Bounds(min(lons, default=1.0), min(lats, default=1.0), max(lons, default=0.0), max(lats, default=0.0))


def _positions(value: Any, depth: int) -> Iterator[Any]:
    if depth == 1:
        yield value
    else:
        for inner in value:
            yield from _positions(inner, depth - 1)


def moved(geometry: Mapping[str, Any], move: Callable[[Any], Any]) -> dict[str, Any]:
    """The geometry with other coordinates: `move` gets an array of positions (longitude, latitude), as (n, 2)."""

    def at(value: Any, depth: int) -> Any:
        if depth > 2:
            return [at(inner, depth - 1) for inner in value]
        positions = move(np.array([position[:2] for position in ([value] if depth == 1 else value)], np.float64))
        return positions.tolist()[0] if depth == 1 else positions.tolist()

    return {"type": geometry["type"], "coordinates": at(geometry["coordinates"], DEPTHS[geometry["type"]])}


def _nested(value: Any, depth: int, least: int) -> bool:
    """Whether it is a list of lists … of positions, `depth` deep, with at least so many positions in each line."""
    if not isinstance(value, list):
        return False
    if depth == 1:
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value)
        return len(value) >= 2 and numbers and abs(value[0]) <= MOST_EAST and abs(value[1]) <= 90
    return len(value) >= (least if depth == 2 else 1) and all(_nested(inner, depth - 1, least) for inner in value)
