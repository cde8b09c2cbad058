"""From the bytes of a file of geometries to GeoJSON features in degrees. No I/O; anything wrong is FormatUnsuitable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import shapely

from ..cubes.extent import epsg
from ..cubes.vectors import Feature, collection, feature, features_of
from ..graphs.graph import GraphError
from . import apart, csvs
from .degrees import in_degrees

MOST_POSITIONS = 500_000
"""Positions in all that one load reads: they stand in the plan, and are looked at for each tile."""
MOST_TEXT = 64 << 20
"""Characters of these geometries and their properties as JSON: a graph may name hundreds of files."""
Reading = Callable[[bytes, Mapping[str, Any]], list[Feature]]


def geometries(content: bytes, form: str, options: Mapping[str, Any], path: str) -> list[Feature]:
    """The features of a file in one of the formats of READERS; GraphError with its path where they cannot be read."""
    try:
        found = READERS[form](content, options)
        json.dumps(found, allow_nan=False)  # a number beyond doubles in a property
    except GraphError as error:
        raise GraphError("FormatUnsuitable", f"{path}: {error.message}"[:300], error.remedy) from None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, shapely.GEOSException):
        raise GraphError("FormatUnsuitable", f"{path} cannot be read as {form}", "look into the file") from None
    if not collection(found)["features"]:
        raise GraphError("FormatUnsuitable", f"{path} holds no geometry", "give features with geometries")
    return found


def positions_in(features: Sequence[Feature]) -> int:
    """How many positions they have in all."""
    return sum(_count(one["geometry"]["coordinates"]) for one in features if one["geometry"] is not None)


def text_in(features: Sequence[Feature]) -> int:
    """How many characters they are as JSON."""
    return len(json.dumps(features))


def _count(value: Any) -> int:
    return sum(map(_count, value)) if value and isinstance(value[0], list) else 1


def _geojson(content: bytes, options: Mapping[str, Any]) -> list[Feature]:
    found = json.loads(content, parse_constant=_no_number)
    named = found.get("crs") if isinstance(found, Mapping) else None
    if named is not None and not str(named).rstrip("}'\" ").endswith(("CRS84", "4326")):
        raise GraphError("FormatUnsuitable", "its coordinates are not in degrees", "GeoJSON is in EPSG:4326")
    return features_of(found)


def _csv(content: bytes, options: Mapping[str, Any]) -> list[Feature]:
    crs = epsg(options.get("crs", 4326))
    rows = csvs.rows(content)
    shapes = csvs.shapes(rows, options)
    return [feature(in_degrees(shape, crs), row) for shape, row in zip(shapes, rows, strict=True)]


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _parquet(content: bytes, options: Mapping[str, Any]) -> list[Feature]:
    return apart.features_in(content)


READERS: Mapping[str, Reading] = {"GeoJSON": _geojson, "CSV": _csv, "Parquet": _parquet}
