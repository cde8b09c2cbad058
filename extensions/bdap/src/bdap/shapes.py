"""Places that people hand in (boxes, GeoJSON, shapely, geopandas, drawings) as GeoJSON in degrees. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import BadCube

KINDS = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")
DEGREES = ("EPSG:4326", "OGC:CRS84", "CRS84", "URN:OGC:DEF:CRS:OGC:1.3:CRS84", "URN:OGC:DEF:CRS:EPSG::4326")
HOW = "give a box (west, south, east, north), GeoJSON, a shapely geometry or a GeoDataFrame, in degrees"
Geometry = Mapping[str, Any]


def features(shape: Any) -> list[dict[str, Any]]:
    """Any shape as GeoJSON features with their properties, checked."""
    found = [_feature(each) for each in _parts(in_degrees(shape))]
    if not found:
        raise BadCube("there is no geometry", HOW)
    return found


def geometry(shape: Any) -> dict[str, Any]:
    """Any shape as one GeoJSON object: a geometry, or a FeatureCollection where there are several."""
    found = features(shape)
    return dict(found[0]["geometry"]) if len(found) == 1 else {"type": "FeatureCollection", "features": found}


def polygons(shape: Any, what: str) -> dict[str, Any]:
    """The same, for what needs areas."""
    found = geometry(shape)
    kinds = {each["geometry"]["type"] for each in features(shape)}
    if other := sorted(kinds - {"Polygon", "MultiPolygon"}):
        raise BadCube(f"{what} wants areas, not a {other[0]}", "give polygons, or a box (west, south, east, north)")
    return found


def places(points: Any) -> list[list[float]]:
    """Points as [lon, lat]: a list of pairs, GeoJSON points, or points of shapely and geopandas."""
    points = _listed(points)
    if _is_pair(points):
        return [_checked(points)]
    if isinstance(points, Sequence) and not isinstance(points, str) and points and all(map(_is_pair, points)):
        return [_checked(point) for point in points]
    found: list[list[float]] = []
    for each in features(points):
        kind, coordinates = each["geometry"]["type"], each["geometry"]["coordinates"]
        if kind not in ("Point", "MultiPoint"):
            raise BadCube(f"a {kind} is no point", "give pairs of (longitude, latitude); areas go into .statistics()")
        found += [_checked(place) for place in ([coordinates] if kind == "Point" else coordinates)]
    return found


def box_around(shape: Any) -> tuple[float, float, float, float]:
    """West, south, east, north around a shape."""
    positions = [place for each in features(shape) for place in positions_of(each["geometry"]["coordinates"])]
    lons, lats = [place[0] for place in positions], [place[1] for place in positions]
    return min(lons), min(lats), max(lons), max(lats)


def as_box(shape: Any) -> tuple[float, ...] | None:
    """Four numbers of a shape that is a box; None for geometries, BadCube for what is neither."""
    shape = _listed(shape)
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        if len(shape) == 4 and all(map(_is_number, shape)):
            return tuple(map(float, shape))
        if shape and not any(isinstance(each, str) or _is_number(each) for each in shape):
            return None  # several geometries
    elif hasattr(shape, "__geo_interface__") or isinstance(shape, Mapping):
        return None
    raise BadCube(f"{str(shape)!r:.60} is no box", "write (west, south, east, north) in degrees")


def on_earth(bbox: Any) -> tuple[float, float, float, float]:
    """A box in degrees (EPSG:4326), checked; one across the antimeridian goes on beyond 180."""
    try:
        west, south, east, north = (float(value) for value in bbox)
    except (TypeError, ValueError):
        raise BadCube(f"{bbox!r} is no box", "write (west, south, east, north) in degrees") from None
    goes_on = 180 < east <= west + 360
    if not (-180 <= west <= 180 and (goes_on or -180 <= east <= 180) and west != east and -90 <= south < north <= 90):
        raise BadCube(
            f"the box ({west:g}, {south:g}, {east:g}, {north:g}) is empty or not on Earth",
            "write (west, south, east, north) in degrees, west < east and south < north",
        )
    if west > east and not (west > 0 > east):
        raise BadCube(
            f"the box ({west:g}, {south:g}, {east:g}, {north:g}) is empty: west is greater than east",
            f"write ({east:g}, {south:g}, {west:g}, {north:g}); (170, -20, -170, -10) would cross the antimeridian",
        )
    return west, south, east + 360 if east < west else east, north


def box_polygon(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box as a polygon; one whose west is greater than its east goes on beyond 180 degrees."""
    east = east + 360 if east < west else east
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def in_degrees(shape: Any) -> Any:
    """GeoJSON of a shape; what says that it is in another reference system is brought to degrees, or refused."""
    crs = getattr(shape, "crs", None)
    if crs is not None and hasattr(shape, "to_crs"):
        shape = shape.to_crs(4326)
    elif hasattr(shape, "to_crs") and hasattr(shape, "geometry"):
        raise BadCube("the table of geometries has no reference system", "set it: frame.set_crs(32632), for example")
    shape = _listed(getattr(shape, "__geo_interface__", shape))
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        if (box := as_box(shape)) is not None:
            return box_polygon(*on_earth(box))
        return {"type": "FeatureCollection", "features": [each for one in shape for each in features(one)]}
    if not isinstance(shape, Mapping):
        raise BadCube(f"{str(shape)!r:.60} is no geometry", HOW)
    _refuse_other_crs(shape)
    return shape


def positions_of(coordinates: Any) -> Iterator[Sequence[float]]:
    """All positions in GeoJSON coordinates, however deep."""
    if _is_pair(coordinates) or (isinstance(coordinates, Sequence) and coordinates and _is_number(coordinates[0])):
        yield coordinates
    elif isinstance(coordinates, Sequence) and not isinstance(coordinates, str):
        for inner in coordinates:
            yield from positions_of(inner)


def _listed(shape: Any) -> Any:
    """Arrays of numpy as lists; all else as it is."""
    return shape.tolist() if hasattr(shape, "tolist") and not hasattr(shape, "__geo_interface__") else shape


def _refuse_other_crs(shape: Mapping[str, Any]) -> None:
    crs = shape.get("crs")
    if crs is None:
        return
    name = str((crs.get("properties") or {}).get("name", "") if isinstance(crs, Mapping) else crs)
    if name and name.upper() not in DEGREES:
        raise BadCube(
            f"the geometries are in {name}, not in degrees",
            "read them with geopandas.read_file(...), which is brought to degrees by itself, or use .to_crs(4326)",
        )


def _parts(shape: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    kind = shape.get("type")
    if kind == "FeatureCollection" and isinstance(shape.get("features"), Sequence):
        for each in shape["features"]:
            yield from _parts(each)
    elif kind == "GeometryCollection":
        for each in shape.get("geometries", ()):
            yield {"type": "Feature", "properties": {}, "geometry": each}
    elif kind == "Feature":
        yield shape
    else:
        yield {"type": "Feature", "properties": {}, "geometry": shape}


def _feature(raw: Mapping[str, Any]) -> dict[str, Any]:
    shape = raw.get("geometry")
    if not isinstance(shape, Mapping) or shape.get("type") not in KINDS or not shape.get("coordinates"):
        raise BadCube(f"{str(shape)!r:.60} is no geometry", HOW)
    for place in positions_of(shape["coordinates"]):
        _checked(place)
    plain = {"type": shape["type"], "coordinates": _lists(shape["coordinates"])}
    return {"type": "Feature", "properties": dict(raw.get("properties") or {}), "geometry": plain}


def _lists(value: Any) -> Any:
    return [_lists(inner) for inner in value] if isinstance(value, Sequence) else float(value)


def _checked(place: Any) -> list[float]:
    lon, lat = float(place[0]), float(place[1])
    if not (math.isfinite(lon) and math.isfinite(lat) and -540 <= lon <= 540 and -90 <= lat <= 90):
        raise BadCube(
            f"({lon:g}, {lat:g}) is not on Earth in degrees",
            "write (longitude, latitude); metres of another reference system have to be brought to degrees first, "
            "for example by frame.to_crs(4326)",
        )
    return [lon, lat]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) in (2, 3)
        and all(map(_is_number, value))
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str) and hasattr(value, "__float__")
