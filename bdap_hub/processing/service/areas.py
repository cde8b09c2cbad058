"""Routes for values of many points, of areas and of lines, by the caller's token."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI, Query, Request

from ...errors import BadRequest, TooMuch
from ..cubes.extent import box
from ..cubes.geometry import parts
from ..engine.evaluate import Compiled
from ..graphs.graph import GraphError
from ..results import samples, values
from ..results.pixels import Evaluator
from .bodies import body_of
from .room import Room

Places = Callable[[], list[Any]]
MOST_POINTS, MOST_FEATURES = 500, 1000
SHAPES = 'post a GeoJSON geometry, or {"bbox": [west, south, east, north]}'


def add_areas(app: FastAPI, prefix: str, room: Room) -> None:
    service = f"{prefix}/services/{{identifier}}"

    async def read(request: Request, identifier: str, reading: values.Reading, given: Any) -> dict[str, Any]:
        """What `reading` gives of the caller's service; `given`: a geometry, or how to find one in the body."""
        _, row, compiled = await room.mine(request, identifier)
        body = await body_of(request) if callable(given) else {}

        def found() -> dict[str, Any]:
            return reading(_evaluator(room, compiled), given(body) if callable(given) else given)

        return await room.gate.run(found, gone=request.is_disconnected, person=row.owner)

    @app.get(f"{service}/points")
    async def points(request: Request, identifier: str, lon: str, lat: str, chain: bool = True) -> dict[str, Any]:
        _, row, compiled = await room.mine(request, identifier)
        return await at(request, row.owner, compiled, lambda: _pairs(lon, lat), chain)

    @app.post(f"{service}/points")
    async def posted_points(request: Request, identifier: str, chain: bool = True) -> dict[str, Any]:
        _, row, compiled = await room.mine(request, identifier)
        return await at(request, row.owner, compiled, partial(_positions, await body_of(request)), chain)

    async def at(request: Request, owner: str, compiled: Compiled, places: Places, chain: bool) -> dict[str, Any]:
        return await room.gate.run(_points, room, compiled, places, chain, gone=request.is_disconnected, person=owner)

    @app.get(f"{service}/statistics")
    async def statistics(request: Request, identifier: str, bbox: str) -> dict[str, Any]:
        return await read(request, identifier, values.statistics, _geometry({"bbox": _numbers(bbox)}))

    @app.post(f"{service}/statistics")
    async def posted_statistics(request: Request, identifier: str) -> dict[str, Any]:
        return await read(request, identifier, values.statistics, _geometry)

    @app.post(f"{service}/zonal")
    async def zonal(request: Request, identifier: str) -> dict[str, Any]:
        return await read(request, identifier, _zonal, _features)

    @app.get(f"{service}/timeseries")
    async def timeseries(
        request: Request,
        identifier: str,
        lon: float = Query(ge=-180, le=180, allow_inf_nan=False),
        lat: float = Query(ge=-90, le=90, allow_inf_nan=False),
    ) -> dict[str, Any]:
        return await read(request, identifier, values.series, {"type": "Point", "coordinates": [lon, lat]})

    @app.post(f"{service}/timeseries")
    async def posted_timeseries(request: Request, identifier: str) -> dict[str, Any]:
        return await read(request, identifier, values.series, _geometry)

    @app.post(f"{service}/histogram")
    async def histogram(request: Request, identifier: str, bins: int = Query(50, ge=1, le=1000)) -> dict[str, Any]:
        return await read(request, identifier, lambda evaluator, at: samples.histogram(evaluator, at, bins), _geometry)

    @app.post(f"{service}/pixels")
    async def pixels(
        request: Request, identifier: str, most: int = Query(1000, ge=1, le=samples.MOST_PICKED)
    ) -> dict[str, Any]:
        def picked(evaluator: Evaluator, at: Any) -> dict[str, Any]:
            samples.affordable(evaluator, most, room.settings.processing.result_mb)
            return samples.picked(evaluator, at, most)

        return await read(request, identifier, picked, _geometry)

    @app.post(f"{service}/transect")
    async def transect(request: Request, identifier: str) -> dict[str, Any]:
        return await read(request, identifier, values.transect, _line)


def _evaluator(room: Room, compiled: Compiled) -> Evaluator:
    return Evaluator(room.settings, compiled, room.native)


def _points(room: Room, compiled: Compiled, places: Places, chain: bool) -> dict[str, Any]:
    asked = places()
    if len(asked) > MOST_POINTS:
        raise TooMuch(f"{len(asked)} points are asked for; the limit is {MOST_POINTS}", "ask in several requests")
    found = [room.engine.point(compiled, lon, lat) for lon, lat in asked]
    if not chain:
        found = [{key: value for key, value in point.items() if key != "chain"} for point in found]
    return {"points": found, "scale": values.scale_of(_evaluator(room, compiled).placed.lattice, 1)}


def _zonal(evaluator: Evaluator, features: Any) -> dict[str, Any]:
    """The features, each with its statistics; what lies outside of the data has none."""
    made, scale = [], values.scale_of(evaluator.placed.lattice, 1)
    for feature in features:
        try:
            found = values.statistics(evaluator, feature["geometry"])
        except GraphError as error:
            if error.code != "NoDataAvailable":
                raise
            found = {"statistics": None, "pixels": 0, "scale": scale}
        made.append({**feature, **found})
    return {"type": "FeatureCollection", "features": made}


def _features(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    raw = body.get("features") if body.get("type") == "FeatureCollection" else None
    if not isinstance(raw, list) or not raw:
        raise BadRequest("there are no features", "post a GeoJSON FeatureCollection")
    if len(raw) > MOST_FEATURES:
        raise TooMuch(f"{len(raw)} features are asked for; the limit is {MOST_FEATURES}", "ask in several requests")
    for feature in raw:
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise BadRequest(f"{str(feature)!r:.60} is not a GeoJSON feature", "post a FeatureCollection")
        parts(feature)
    return raw


def _geometry(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A geometry of a body: its own, that of a feature, or that of a box."""
    if (raw := body.get("bbox")) is not None and "type" not in body:
        if not isinstance(raw, list) or len(raw) != 4:
            raise BadRequest(f"{raw!r:.60} is not a bbox", SHAPES)
        west, south, east, north = box(dict(zip(("west", "south", "east", "north"), raw, strict=True))).degrees()
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": [ring]}
    given = body.get("geometry", body)
    found = parts(given)
    if not found:
        raise BadRequest("there is no geometry", SHAPES)
    return found[0] if len(found) == 1 else {"type": "FeatureCollection", "features": _as_features(found)}


def _line(body: Mapping[str, Any]) -> Any:
    found = body.get("geometry", body)
    parts(found)
    return found


def _as_features(found: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in found]


def _positions(body: Mapping[str, Any]) -> list[Any]:
    """The points of a body: a list `points` of [lon, lat], or points of GeoJSON."""
    if "points" in body:
        raw = body["points"]
        if not isinstance(raw, list):
            raise BadRequest(f"{raw!r:.60} is not a list of points", 'post {"points": [[lon, lat], …]}')
        body = {"type": "MultiPoint", "coordinates": raw}
    found = list[Any]()
    for part in parts(body):
        if part["type"] not in ("Point", "MultiPoint"):
            raise BadRequest(f"a {part['type']} is not a point", "post points")
        found += [part["coordinates"]] if part["type"] == "Point" else part["coordinates"]
    return [_place(*position[:2]) for position in found]


def _pairs(lon: str, lat: str) -> list[Any]:
    lons, lats = _numbers(lon), _numbers(lat)
    if len(lons) != len(lats):
        raise BadRequest(f"there are {len(lons)} longitudes and {len(lats)} latitudes", "give as many of both")
    return [_place(x, y) for x, y in zip(lons, lats, strict=True)]


def _place(lon: float, lat: float) -> tuple[float, float]:
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise BadRequest(f"{lon}, {lat} is not on Earth", "longitude, latitude in degrees")
    return float(lon), float(lat)


def _numbers(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise BadRequest(f"{text!r:.60} are not numbers", "separate them by commas")
    return found
