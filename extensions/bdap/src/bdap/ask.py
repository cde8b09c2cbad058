"""What a cube asks the platform: its tile service, values, histograms, items and time series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import client as clients
from . import filters
from .client import Client, TileService
from .errors import BadCube
from .graph import Node
from .walk import without_time

if TYPE_CHECKING:
    from .cube import Cube


def client_of(cube: Cube) -> Client:
    """The client the cube was given, or the default one."""
    return cube.client or clients.default()


def service(cube: Cube, title: str = "") -> TileService:
    """The cube's tile service, made once for equal cubes."""
    return client_of(cube).service(cube.key, cube.graph, title)


def value(cube: Cube, lon: float, lat: float) -> float | dict[str, float | None] | None:
    """A number, or one for each band where there are several; None where there is no data."""
    found = client_of(cube).point(service(cube), lon, lat)
    return next(iter(found.values())) if len(found) == 1 else found


def histogram(cube: Cube, bbox: tuple[float, float, float, float] | None, bins: int) -> tuple[list[float], list[int]]:
    """Edges and counts within the box, or within all the service covers."""
    tiles = service(cube)
    box = bbox or tiles.bounds
    if box is None:
        raise BadCube("the histogram needs a box", "give it (west, south, east, north) in degrees")
    west, south, east, north = filters.bounding_box(box).values()
    return client_of(cube).histogram(tiles, (west, south, east, north), bins)


def items(cube: Cube, load: Node) -> list[dict[str, Any]]:
    """The STAC items that one load_collection of the cube reads."""
    return client_of(cube).search(filters.search_of(load.arguments))


def timeseries(cube: Cube, lon: float, lat: float) -> list[tuple[str, float | None]]:
    """(day, value) for each day of the cube, by one request; the cube must still have its dates."""
    if without_time(cube._node):
        raise BadCube("this cube has no dates any more", "ask for the time series before .median() and the like")
    dates, series = client_of(cube).timeseries(service(cube), lon, lat)
    if len(series) != 1:
        raise BadCube(f"the cube has the bands {', '.join(series)}", "choose one with .band(name) first")
    (values,) = series.values()
    return [(date[:10], value) for date, value in zip(dates, values, strict=True)]
