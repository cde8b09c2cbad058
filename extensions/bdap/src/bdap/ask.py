"""What a cube asks the platform: its tile service, values, histograms, items, series and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import client as clients
from . import filters, labels, shapes
from .client import Client, TileService
from .errors import BadCube
from .graph import Node
from .table import Table, Zones
from .walk import without_time

if TYPE_CHECKING:
    from .asking import Asking

MOST_POINTS, MOST_ZONES = 500, 1000
STATISTICS = ("valid", "nodata", "min", "max", "mean", "sd", "sum", "median", "p2", "p98")
NOWHERE = "cube.bounds says where there is data; longitude comes before latitude"


def client_of(cube: Any) -> Client:
    """The client the cube was given, or the default one."""
    return cube.client or clients.default()


def service(cube: Asking, title: str = "") -> TileService:
    """The cube's tile service, made once for equal cubes."""
    return client_of(cube).service(cube.key, cube.graph, title)


def value(cube: Asking, lon: float, lat: float) -> float | dict[str, float | None] | None:
    """A number, or one for each band where there are several; None where there is no data."""
    found = client_of(cube).point(service(cube), lon, lat)
    return next(iter(found.values())) if len(found) == 1 else found


def values(cube: Asking, places: Sequence[Sequence[float]]) -> Table:
    """Rows of place, date and bands."""
    made, rows = service(cube), Table()
    for start in range(0, len(places), MOST_POINTS):
        part = [list(place) for place in places[start : start + MOST_POINTS]]
        answer = client_of(cube).ask(made, "POST", "points", json={"points": part}, params={"chain": "false"})
        for found in answer["points"]:
            place = {"lon": found["lon"], "lat": found["lat"]}
            rows += [{**place, **row} for row in _rows(found["values"], made.times)]
    return rows


def histogram(cube: Asking, bbox: Sequence[float] | None, bins: int) -> tuple[list[float], list[int]]:
    """Edges and counts within the box, or within all the service covers."""
    tiles = service(cube)
    box = bbox or tiles.bounds
    if box is None:
        raise BadCube("the histogram needs a box", "give it (west, south, east, north) in degrees")
    if tiles.times:
        raise BadCube(
            f"the cube still has {len(tiles.times)} dates; a histogram is of one picture", "add .median() or .at(day)"
        )
    west, south, east, north = box if bbox is None else shapes.on_earth(box)
    if east > 180:  # only shapes cross the antimeridian there
        shape = shapes.box_polygon(west, south, east, north)
        found = client_of(cube).area(tiles, "histogram", shape, bins=bins)
        edges, counts = list(found["bins"]), list(found["counts"])
    else:
        edges, counts = client_of(cube).histogram(tiles, (west, south, east, north), bins)
    if not counts:
        raise BadCube(
            f"there is no valid pixel in ({west:g}, {south:g}, {east:g}, {north:g}): all are no data",
            f"look for another place or other dates, or hide less by masks; {NOWHERE}",
        )
    return edges, counts


def items(cube: Asking, load: Node) -> list[dict[str, Any]]:
    """The STAC items that one load_collection of the cube reads."""
    return client_of(cube).search(filters.search_of(load.arguments))


def timeseries(cube: Asking, place: Mapping[str, Any], statistic: str = "mean") -> list[tuple[str, float | None]]:
    """(day, value) for each day of the cube, by one request; the cube must still have its dates."""
    if without_time(cube._node):
        raise BadCube("this cube has no dates any more", "ask for the time series before .median() and the like")
    if statistic not in STATISTICS:
        raise BadCube(f"there is no statistic {statistic!r}", f"use one of {', '.join(STATISTICS)}")
    dates, series = client_of(cube).series(service(cube), place)
    if len(series) != 1:
        raise BadCube(f"the cube has the bands {', '.join(series)}", "choose one with .band(name) first")
    (found,) = series.values()
    return [(labels.day(date), value) for date, value in zip(dates, found[statistic], strict=True)]


def statistics(cube: Asking, features: Sequence[Mapping[str, Any]]) -> Zones:
    """Statistics of zones as GeoJSON, and as rows."""
    made, done = service(cube), list[dict[str, Any]]()
    for start in range(0, len(features), MOST_ZONES):
        body = {"type": "FeatureCollection", "features": list(features[start : start + MOST_ZONES])}
        done += client_of(cube).ask(made, "POST", "zonal", json=body)["features"]
    if all(each["statistics"] is None for each in done):
        raise BadCube(
            f"none of the {len(done)} zones meets the data" if len(done) > 1 else "the zone does not meet the data",
            NOWHERE,
        )
    rows, shown = Table(), list[dict[str, Any]]()
    for number, each in enumerate(done):
        own = {
            key: value for key, value in (each.get("properties") or {}).items() if not isinstance(value, dict | list)
        }
        found = list(_statistics(each["statistics"], made.times))
        rows += [{"zone": number, **own, **marks, **numbers} for marks, numbers in found]
        shown.append({"type": "Feature", "geometry": each["geometry"], "properties": {**own, **_flat(found)}})
    return Zones(rows, shown)


def _rows(nested: Any, times: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row for each date of a point's values, with a column for each band."""
    if not times:
        yield dict(nested)
        return
    for date, found in nested.items():
        yield {"date": labels.day(date), **(found if isinstance(found, Mapping) else {"value": found})}


def _statistics(nested: Any, times: Sequence[str]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """(labels, numbers) for each date and band."""
    if nested is None:
        yield {}, dict.fromkeys(STATISTICS)
        return
    for date, bands in nested.items() if times else [("", nested)]:
        when = {"date": labels.day(date)} if date else {}
        if "valid" in bands:
            yield when, bands
            continue
        for band, numbers in bands.items():
            yield {**when, **({"band": band} if band != "value" else {})}, numbers


def _flat(found: Sequence[tuple[dict[str, str], dict[str, Any]]]) -> dict[str, Any]:
    """All numbers as one feature's properties; band and date go into the names where there are several."""
    flat: dict[str, Any] = {}
    for marks, numbers in found:
        head = "_".join(marks.values()) if len(found) > 1 else ""
        flat |= {f"{head}_{name}" if head else name: value for name, value in numbers.items()}
    return flat
