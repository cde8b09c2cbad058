"""Processes on vector data cubes: geometries from GeoJSON, their buffers, samples, filters and reference systems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from pyproj import CRS
from shapely.geometry import mapping, shape

from ...errors import TooMuch
from ..cancel import check
from ..cubes.cube import Cube
from ..cubes.extent import DEGREES, epsg
from ..cubes.vectors import (
    GEOMETRY,
    Feature,
    changed,
    collection,
    feature,
    features_of,
    geometries_of,
    projected,
    vector_cube,
)
from ..graphs.graph import GraphError
from ..graphs.spec import process

MOST_POINTS = 100_000
FEW_POINTS = 1000
PREDICATES: Mapping[str, Callable[[Any, Any], Any]] = {
    name: getattr(shapely, name)
    for name in ("intersects", "disjoint", "equals", "touches", "crosses", "overlaps", "contains", "within")
}


@process(limits="Properties of numbers; other values count as no data.")
def load_geojson(data: Any, properties: Any = ()) -> Any:
    """A vector cube of the geometries, with a dimension of properties where some are named."""
    made = vector_cube(features_of(data))
    if not properties:
        return made
    rows = [_properties(one, properties) for one in made.features.values()]
    several = len(properties) > 1 or not any(isinstance(one["properties"].get(properties[0]), list)
                                             for one in made.features.values())  # fmt: skip
    longest = max(map(len, rows), default=0)
    labels = tuple(properties) if several else tuple(range(longest))
    filled = [row + [np.nan] * (len(labels) - len(row)) for row in rows]
    values = np.array(filled, np.float64).reshape(len(rows), len(labels))
    return made.added("properties", values.T, labels, "other")


@process
def vector_reproject(data: Any, projection: Any, dimension: Any = None) -> Any:
    """The cube in another reference system."""
    if dimension is not None and data.kind(dimension) != GEOMETRY:
        data.axis(dimension)
        raise GraphError("DimensionNotAvailable", f"{dimension!r} has no geometries")
    crs = epsg(projection)
    geometries_of(data)
    for one in data.features.values():
        if one["geometry"] is not None:
            projected(one["geometry"], crs)  # refuses what lies outside of it
    return replace(data, crs=crs)


@process
def vector_buffer(geometries: Any, distance: Any) -> Any:
    """The geometries, wider (or narrower) by some metres; those of which nothing is left are empty."""
    crs = _in_metres(geometries)
    if distance == 0:
        raise GraphError("ProcessArgumentInvalid", "the distance is 0", "give metres above or below 0")

    def buffered(one: Feature) -> Feature:
        if one["geometry"] is None:
            return one
        return {**one, "geometry": _back(_shape(projected(one["geometry"], crs)).buffer(distance), crs)}

    return replace(geometries, features=changed(geometries, buffered))


@process
def filter_vector(data: Any, geometries: Any, relation: Any = "intersects") -> Any:
    """Only the geometries that stand in a relation to the union of others."""
    name = geometries_of(data)
    base = shapely.union_all([_shape(one["geometry"]) for one in collection(features_of(geometries))["features"]])
    bases = [shapely.union_all(alike) for alike in _by_dimension(base)]  # GEOS compares no mixed collections
    shapely.prepare(bases)
    combined = all if relation in ("disjoint", "contains") else any

    def kept(one: Feature) -> bool:
        check()
        return one["geometry"] is not None and combined(PREDICATES[relation](_shape(one["geometry"]), b) for b in bases)

    return data.select(name, [i for i, one in enumerate(features_of(data)) if kept(one)])


@process(limits=f"At most {MOST_POINTS} points.")
def vector_to_regular_points(data: Any, distance: Any, group: Any = True) -> Any:
    """Points at regular distances (metres) in polygons and along lines; points stay."""
    crs = _in_metres(data)
    if not distance > 0:
        raise GraphError("ProcessArgumentInvalid", f"the distance is {distance}", "give metres above 0")
    sampled: list[list[Any]] = []
    for one in features_of(data):
        left = MOST_POINTS - sum(map(len, sampled))
        sampled.append(_regular(projected(one["geometry"], crs), distance, left) if one["geometry"] else [])
    return _sampled(data, sampled, crs, group)


@process(
    limits=f"At most {FEW_POINTS} points for each geometry and {MOST_POINTS} in all; the same ones without a seed."
)
def vector_to_random_points(
    data: Any, geometry_count: Any = None, total_count: Any = None, group: Any = True, seed: Any = None
) -> Any:
    """Points at random in polygons and along lines, the same again with the same seed."""
    features = features_of(data)
    filled = [one for one in features if one["geometry"] is not None]
    if total_count is not None and total_count < len(filled):
        raise GraphError("CountMismatch", f"{total_count} points are fewer than {len(filled)} geometries")
    each = 1 if geometry_count is None and total_count is None else geometry_count
    each = total_count // max(1, len(filled)) if each is None else each
    if total_count is not None:
        each = min(each, total_count // max(1, len(filled)))
    if each > FEW_POINTS or each * len(filled) > MOST_POINTS:
        raise TooMuch(f"{each} points for each of {len(filled)} geometries are asked for", "ask for fewer")
    random = np.random.default_rng(seed or 0)
    sampled = [_random(_shape(one["geometry"]), int(each), random) if one["geometry"] else [] for one in features]
    return _sampled(data, sampled, DEGREES, group)


def _by_dimension(geometry: Any) -> list[list[Any]]:
    """The parts that are points, lines and polygons."""
    found = list(shapely.get_parts(geometry))
    alike = [[one for one in found if shapely.get_dimensions(one) == dimension] for dimension in range(3)]
    return [some for some in alike if some]


def _properties(one: Feature, names: Iterable[str]) -> list[float]:
    values = [one["properties"].get(name) for name in names]
    values = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return [float(v) if isinstance(v, (int, float)) else np.nan for v in values]


def _in_metres(data: Cube) -> str:
    """The reference system of the cube; UnitMismatch where it is not in metres."""
    geometries_of(data)
    if any(axis.unit_name not in ("metre", "meter") for axis in CRS.from_user_input(data.crs).axis_info):
        raise GraphError("UnitMismatch", f"{data.crs} is not in metres", "use vector_reproject before")
    return data.crs


def _shape(geometry: Mapping[str, Any]) -> Any:
    """A geometry for GEOS; rings that cross themselves are mended."""
    made = shape(geometry)
    return made if made.is_valid else shapely.make_valid(made, method="structure")  # the other takes n³ for n strokes


def _back(made: Any, crs: str) -> Mapping[str, Any] | None:
    return None if made.is_empty else projected(_lists(mapping(made)), crs, back=True)


def _lists(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """The geometry with lists where shapely has tuples."""

    def listed(value: Any) -> Any:
        return [listed(inner) for inner in value] if isinstance(value, (list, tuple)) else value

    return {"type": geometry["type"], "coordinates": listed(geometry["coordinates"])}


def _regular(geometry: Mapping[str, Any], distance: float, left: int) -> list[Any]:
    made = _shape(geometry)
    if geometry["type"].endswith("Point"):
        return list(shapely.get_parts(made))
    if geometry["type"].endswith("LineString"):
        _few(made.length / distance, left)
        lines = shapely.get_parts(made)
        return [line.interpolate(at) for line in lines for at in np.arange(0, line.length + 1e-9, distance)]
    west, south, east, north = made.bounds
    _few(max(1, (east - west) / distance) * max(1, (north - south) / distance), left)
    xs = np.arange(west + distance / 2, max(east, west + distance), distance)
    ys = np.arange(north - distance / 2, min(south, north - distance), -distance)
    points = shapely.points(*(part.ravel() for part in np.meshgrid(xs, ys)))
    return list(points[shapely.contains(made, points)])


def _random(geometry: Any, count: int, random: Any) -> list[Any]:
    if geometry.geom_type.endswith("Point"):
        points = shapely.get_parts(geometry)
        return list(random.choice(points, min(count, len(points)), replace=False))
    if geometry.geom_type.endswith("LineString"):
        return [shapely.line_interpolate_point(shapely.line_merge(geometry), at, normalized=True)
                for at in random.random(count)]  # fmt: skip
    found: list[Any] = []
    triangles = [t for t in shapely.get_parts(shapely.constrained_delaunay_triangles(geometry)) if t.area > 0]
    shares = np.array([t.area for t in triangles])
    for place in random.choice(len(triangles), count, p=shares / shares.sum()) if triangles else ():
        a, b, c = np.array(triangles[place].exterior.coords)[:3]
        u, v = sorted(random.random(2))
        found.append(shapely.Point(a * u + b * (v - u) + c * (1 - v)))
    return found


def _few(points: float, left: int = MOST_POINTS) -> None:
    if points > left:
        raise TooMuch(f"{points:.0f} points are asked for; {left} of {MOST_POINTS} are left", "use a larger distance")


def _sampled(data: Cube, sampled: list[list[Any]], crs: str, group: bool) -> Cube:
    """A cube of the points of each geometry, as one MultiPoint or one by one."""
    _few(sum(map(len, sampled)))
    made = []
    for one, points in zip(features_of(data), sampled, strict=True):
        if group:
            several = _back(shapely.MultiPoint(points), crs) if points else None
            made.append(feature(several, one["properties"], one.get("id")))
        else:
            made += [feature(_back(point, crs), one["properties"]) for point in points]
    return vector_cube(made, data.crs)
