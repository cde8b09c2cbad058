"""Geometries that tests use, on a grid of 10 m pixels, and graphs on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyproj import Geod, Transformer

from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

from .graphs import node, of

GEOD = Geod(ellps="WGS84")
UTM = Grid("EPSG:32633", 500_000, 5_200_000, 10, 10, 60, 40)
LONLAT = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """A box of the grid's pixels (columns and rows from its corner), in degrees."""
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [list(LONLAT.transform(500_000 + 10 * x, 5_200_000 - 10 * y)) for x, y in corners]


def polygon(*box: float, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring(*box)]}}


def point(x: float, y: float, **properties: Any) -> dict[str, Any]:
    at = list(LONLAT.transform(500_000 + 10 * x, 5_200_000 - 10 * y))
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": at}}


def several(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def along(x: Any, y: Any) -> list[dict[str, Any]]:
    return [{"dimension": "x", "value": x, "unit": "px"}, {"dimension": "y", "value": y, "unit": "px"}]


EMPTY = {"type": "Feature", "properties": {"name": "nothing"}, "geometry": None}
FIELDS = several(polygon(3, 12, 13, 2, name="a", area=100), polygon(20, 35, 50, 15, name="b", area=600), EMPTY)


def evaluate(raw: dict[str, Any], grid: Grid = UTM, **cubes: Cube) -> Cube:
    graph = parse(raw, REGISTRY)
    loaded = {n.id: cubes[n.arguments["id"]] for n in graph.nodes if n.process == "load_collection"}
    found = run(graph, Context(grid, loaded.__getitem__, whole=True))
    assert isinstance(found, Cube)
    return found


def chain(*steps: tuple[str, dict[str, Any]], geojson: Any = FIELDS) -> dict[str, Any]:
    """load_geojson and processes one after the other on its result."""
    raw = {"s0": node("load_geojson", data=geojson)}
    for number, (process, arguments) in enumerate(steps, start=1):
        first = "geometries" if process == "vector_buffer" else "data"
        raw[f"s{number}"] = node(process, **{first: of(f"s{number - 1}"), **arguments})
    raw[f"s{len(steps)}"]["result"] = True
    return raw


METRES = ("vector_reproject", {"projection": 32633})


def area(geometry: Any) -> float:
    """Square metres on the ellipsoid."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    rings = [ring for one in polygons for ring in one]
    return sum(abs(GEOD.polygon_area_perimeter(*np.array(ring).T)[0]) for ring in rings)
