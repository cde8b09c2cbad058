"""Features as a map draws them: read from files and objects, simplified where they are many."""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import shapes
from ..errors import BadCube
from . import wkb
from .view import Box

MOST = 200_000
"""Positions that a browser still draws while one pans; more are thinned out until they are no more."""
CELLS = tuple(1e-5 * 2**step for step in range(17))
"""Cells that positions are thinned to, in degrees."""
FORMATS = "GeoJSON (.geojson, .json), FlatGeobuf (.fgb) or GeoParquet (.parquet)"
Collection = dict[str, Any]


def read(data: Any) -> Collection:
    """A FeatureCollection of GeoJSON in degrees, from a path, GeoJSON, or what shapely and geopandas have."""
    if isinstance(data, str | Path):
        return _file(Path(data))
    return {"type": "FeatureCollection", "features": shapes.features(data)}


def positions(collection: Collection) -> int:
    """How many positions all features have."""
    return sum(1 for feature in collection["features"] for _ in places(feature["geometry"]["coordinates"]))


def places(coordinates: Any) -> Iterator[tuple[float, float]]:
    """All positions of a geometry."""
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
        return
    for inner in coordinates:
        yield from places(inner)


def box_of(collection: Collection) -> Box | None:
    """The box around all features."""
    found = [place for feature in collection["features"] for place in places(feature["geometry"]["coordinates"])]
    if not found:
        return None
    lons, lats = zip(*found, strict=True)
    return min(lons), min(lats), max(lons), max(lats)


def thinned(collection: Collection, most: int | None = None) -> tuple[Collection, float]:
    """The features with at most so many positions, and to how many degrees they were rounded for it (0: untouched).

    Positions that fall into the same cell of a grid become one, of points the first feature; the grid gets coarser
    until they are few enough: BadCube where they are not by a degree.
    """
    most = MOST if most is None else most
    if positions(collection) <= most:
        return collection, 0.0
    place = bisect.bisect_left(CELLS, True, key=lambda cell: positions(_coarser(collection, cell)) <= most)
    if place == len(CELLS):
        raise BadCube(
            f"the features have more than {most:,} positions even when they are thinned out to {CELLS[-1]:.1g} degrees",
            "give fewer of them, or those of a smaller area",
        )
    return _coarser(collection, CELLS[place]), CELLS[place]


def _coarser(collection: Collection, cell: float) -> Collection:
    seen: set[tuple[float, float]] = set()
    features = [made for feature in collection["features"] if (made := _rounded(feature, cell, seen))]
    return {"type": "FeatureCollection", "features": features}


def _rounded(feature: Mapping[str, Any], cell: float, seen: set[tuple[float, float]]) -> Mapping[str, Any] | None:
    kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
    if kind in ("Point", "MultiPoint"):
        fresh = _unseen([coordinates] if kind == "Point" else coordinates, cell, seen)
        made = fresh[0] if fresh and kind == "Point" else fresh
    else:
        depth = {"LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}[kind]
        made = _walk(coordinates, depth, cell, 2 if "Line" in kind else 4)
    return {**feature, "geometry": {"type": kind, "coordinates": made}} if made else None


def _unseen(points: Any, cell: float, seen: set[tuple[float, float]]) -> list[list[float]]:
    """The first point of each cell that none was in before."""
    kept = []
    for place in points:
        at = _snapped(place, cell)
        if tuple(at) not in seen:
            seen.add((at[0], at[1]))
            kept.append(at)
    return kept


def _walk(value: Any, depth: int, cell: float, least: int) -> Any:
    if depth == 1:
        line: list[Any] = []
        for place in value:
            at = _snapped(place, cell)
            if not line or at != line[-1]:
                line.append(at)
        return line if len(line) >= least else None
    inner = [made for each in value if (made := _walk(each, depth - 1, cell, least))]
    return inner or None


def _snapped(place: Any, cell: float) -> list[float]:
    return [round(place[0] / cell) * cell, round(place[1] / cell) * cell]


def _file(path: Path) -> Collection:
    if not path.exists():
        raise BadCube(f"there is no file {path}", "look at the path: it is one of this server, such as /eos/…")
    readers: dict[str, Callable[[Path], Collection]] = {
        ".geojson": _json,
        ".json": _json,
        ".fgb": _flatgeobuf,
        ".parquet": _parquet,
        ".geoparquet": _parquet,
    }
    if path.suffix.lower() not in readers:
        raise BadCube(f"{path.name} is of no known kind", f"give {FORMATS}")
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BadCube(f"{path.name} cannot be read: {error}", f"is it really {FORMATS}?") from None


def _json(path: Path) -> Collection:
    return read(json.loads(path.read_text()))


def _flatgeobuf(path: Path) -> Collection:
    try:
        from pyogrio.raw import read as read_raw
    except ImportError:
        raise _missing("FlatGeobuf", "pyogrio") from None
    meta, _, geometries, columns = read_raw(path, datetime_as_string=True)
    _only_degrees(str(meta.get("crs")), path)
    return _table(list(meta["fields"]), [list(column) for column in columns], list(geometries))


def _parquet(path: Path) -> Collection:
    try:
        from arro3.io import read_parquet
    except ImportError:
        raise _missing("GeoParquet", "arro3-io") from None
    reader = read_parquet(path)
    said = json.loads(reader.schema.metadata.get(b"geo", b"{}"))
    name = said.get("primary_column")
    if not name:
        raise BadCube(f"{path.name} is Parquet without geometries", "write it as GeoParquet")
    crs = (said["columns"][name].get("crs") or {}).get("id") or {}
    _only_degrees(f"{crs.get('authority', 'OGC')}:{crs.get('code', 'CRS84')}", path)
    columns: dict[str, list[Any]] = {each: [] for each in reader.schema.names}
    for batch in reader:
        for each, values in columns.items():
            values += batch[each].to_pylist()
    geometries = columns.pop(name)
    return _table(list(columns), list(columns.values()), geometries)


def _table(names: list[str], columns: list[Any], geometries: list[bytes | None]) -> Collection:
    rows = zip(*columns, strict=True) if columns else ([] for _ in geometries)
    features = [
        _feature(dict(zip(names, map(_plain, row), strict=True)), wkb.geojson(shape))
        for row, shape in zip(rows, geometries, strict=True)
        if shape
    ]
    return {"type": "FeatureCollection", "features": features}


def _feature(properties: dict[str, Any], geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _only_degrees(crs: str, path: Path) -> None:
    if crs not in ("EPSG:4326", "OGC:CRS84", "None", ""):
        raise BadCube(f"{path.name} is in {crs[:40]}", "write it in degrees (EPSG:4326)")


def _missing(kind: str, package: str) -> BadCube:
    return BadCube(
        f"{kind} needs the package {package}, which is not here", f"install it (pip install {package}), or give GeoJSON"
    )
