"""What a cube asks the platform: its tile service, values, histograms, items and time series."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import client as clients
from . import filters
from .client import Client, TileService
from .errors import BadCube
from .graph import Node
from .maths import pixels
from .walk import with_extent, without_time

if TYPE_CHECKING:
    from .cube import Cube

THREADS = 4
MAX_DAYS = 400


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
    """(day, value) for each day of the cube, asked in parallel; the cube must still have its dates."""
    if without_time(cube._node):
        raise BadCube("this cube has no dates any more", "ask for the time series before .median() and the like")
    days = cube.dates()
    if len(days) > MAX_DAYS:
        raise BadCube(f"the cube has {len(days)} days; a time series takes at most {MAX_DAYS}", "use between()")

    def on(day: str) -> tuple[str, float | None]:
        found = value(_on_day(cube, day), lon, lat)
        if isinstance(found, dict):
            raise BadCube(f"the cube has the bands {', '.join(found)}", "choose one with .band(name) first")
        return day, found

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(on, days))


def _on_day(cube: Cube, day: str) -> Cube:
    return cube._as(pixels(with_extent(cube._node, filters.interval(day, day)))).first()
