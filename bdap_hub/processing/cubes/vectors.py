"""Vector data cubes: a dimension of geometries, each label with its GeoJSON feature. PURE.

Features are kept in degrees (RFC 7946), whatever the reference system of the cube: in that distances are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..graphs.graph import GraphError
from .cube import Cube
from .extent import DEGREES, Box, transformer
from .geometry import moved, parts

GEOMETRY = "geometry"
Feature = Mapping[str, Any]


def features_of(geojson: Any) -> list[Feature]:
    """The features of GeoJSON or of a vector cube, in degrees; a bare geometry becomes one. GraphError otherwise."""
    if isinstance(geojson, Cube):
        return [geojson.features[label] for label in geojson.labels[geometries_of(geojson)]]
    kind = geojson.get("type") if isinstance(geojson, Mapping) else None
    if kind == "FeatureCollection" and isinstance(geojson.get("features"), list):
        return [feature for part in geojson["features"] for feature in features_of(part)]
    if kind != "Feature":
        return [feature(parts(geojson)[0])]
    properties = geojson.get("properties") or {}
    if not isinstance(properties, Mapping):
        raise GraphError("ProcessArgumentInvalid", "the properties of a feature are not an object")
    found = None if geojson.get("geometry") is None else parts(geojson)[0]
    return [feature(found, properties, geojson.get("id"))]


def feature(
    geometry: Mapping[str, Any] | None, properties: Mapping[str, Any] | None = None, name: Any = None
) -> Feature:
    """A GeoJSON feature; without geometry it is empty."""
    made = {"type": "Feature", "geometry": geometry, "properties": dict(properties or {})}
    return made if name is None else {"id": name, **made}


def collection(features: Sequence[Feature]) -> Mapping[str, Any]:
    """A FeatureCollection of those that are not empty: what masks and filters are made of."""
    return {"type": "FeatureCollection", "features": [one for one in features if one["geometry"] is not None]}


def as_geojson(geometries: Any) -> Mapping[str, Any]:
    """GeoJSON in degrees of GeoJSON or a vector cube."""
    return collection(features_of(geometries))


def vector_cube(features: Sequence[Feature], crs: str = DEGREES) -> Cube:
    """A cube of these geometries without values."""
    labels = tuple(range(len(features)))
    kinds = {GEOMETRY: GEOMETRY}
    data = np.full(len(features), np.nan)
    return Cube(data, (GEOMETRY,), {GEOMETRY: labels}, kinds=kinds, features=dict(enumerate(features)), crs=crs)


def geometries_of(cube: Cube) -> str:
    """The dimension of geometries; GraphError where the cube has none."""
    name = cube.only(GEOMETRY, "DimensionNotAvailable")
    if any(label not in cube.features for label in cube.labels[name]):
        raise GraphError("DimensionNotAvailable", f"the labels of {name!r} are no geometries any more")
    return name


def projected(geometry: Mapping[str, Any], crs: str, back: bool = False) -> dict[str, Any]:
    """A geometry in degrees in another reference system, or (`back`) the way back."""
    change = transformer(crs, DEGREES) if back else transformer(DEGREES, crs)

    def move(positions: Any) -> Any:
        out = np.stack(change.transform(*positions.T), axis=1)
        if not np.isfinite(out).all():
            raise GraphError("ProcessArgumentInvalid", f"a geometry reaches beyond the world of {crs}")
        return out

    return dict(geometry) if crs == DEGREES else moved(geometry, move)


def within(cube: Cube, area: Box) -> Cube:
    """The cube with only the geometries that lie in a box as a whole."""
    name = geometries_of(cube)
    kept = [i for i, one in enumerate(features_of(cube)) if one["geometry"] and _inside(one["geometry"], area)]
    return cube.select(name, kept)


def _inside(geometry: Mapping[str, Any], area: Box) -> bool:
    found: list[Any] = []

    def seen(positions: Any) -> Any:
        found.append(positions)
        return positions

    moved(projected(geometry, area.crs), seen)
    x, y = np.concatenate(found).T
    return bool(x.min() >= area.west and x.max() <= area.east and y.min() >= area.south and y.max() <= area.north)


def changed(cube: Cube, change: Callable[[Feature], Feature]) -> dict[Any, Feature]:
    """The cube's features after a change of each."""
    return {label: change(one) for label, one in cube.features.items()}
