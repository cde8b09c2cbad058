"""Image collections with interapro's methods: choose images, then `process()` them."""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable
from datetime import date
from typing import Any, Self

from .. import client as clients
from .. import places
from ..conditions import prop
from ..cube import Cube, collection
from ..errors import BadCube
from .process import ImageProcess

FAMILIES = {
    "S1": "sentinel-1",
    "S2": "sentinel-2",
    "S3": "sentinel-3",
    "L5": "landsat-5",
    "L7": "landsat-7",
    "L8": "landsat-8",
    "L9": "landsat-9",
}
"""interapro's short names, and how the ids of this platform's collections begin."""
ATTRIBUTES = {
    "cloud": "eo:cloud_cover",
    "clouds": "eo:cloud_cover",
    "cloudcover": "eo:cloud_cover",
    "cloud_cover": "eo:cloud_cover",
    "cloudcoverage": "eo:cloud_cover",
    "snow": "eo:snow_cover",
    "tile": "grid:code",
    "platform": "platform",
    "orbit": "sat:relative_orbit",
}
"""interapro's attributes, and the properties of STAC that they are here."""
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
    "=": operators.eq,
    "==": operators.eq,
    "!=": operators.ne,
}


NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


class ImageCollection:
    """Images of a collection that narrow down with each filter. As in interapro, methods change it and give it back."""

    def __init__(self, name: str, client: clients.Client | None = None) -> None:
        self.name = find(name, client or clients.default())
        self._cube = collection(self.name, client)

    def filterOnGeoName(self, name: str, enlarge: float = 0.0, country: str = "") -> Self:
        """Images around a town, or in the box of a country, made larger by `enlarge` degrees on each side."""
        return self._now(self._cube.inside(_enlarged(places.find(name, country).box(), enlarge)))

    def filterOnBBox(self, west: float, south: float, east: float, north: float) -> Self:
        """Images that meet a box in degrees."""
        return self._now(self._cube.inside((west, south, east, north)))

    def filterOnDate(self, year: int, month: int, day: int, to_year: int, to_month: int, to_day: int) -> Self:
        """Images from the first day to the second, both included."""
        try:
            first, last = date(year, month, day), date(to_year, to_month, to_day)
        except ValueError as error:
            raise BadCube(f"filterOnDate() got no date: {error}", "write year, month, day, year, month, day") from None
        return self._now(self._cube.between(first, last))

    def filterOn(self, attribute: str, operator: str, value: Any) -> Self:
        """Images whose attribute compares so, such as ("cloudcover", "<", 20)."""
        if operator not in OPERATORS:
            raise BadCube(f"filterOn() got the operator {operator!r}", f"use one of {' '.join(OPERATORS)}")
        name = ATTRIBUTES.get(attribute.lower(), attribute)
        return self._now(self._cube.where(OPERATORS[operator](prop[name], _number(value))))

    def sort(self, attribute: str = "datetime", ascending: bool = True) -> Self:
        """The order in which limit() takes images. Which one lies on top is another matter: see process()."""
        name = ATTRIBUTES.get(attribute.lower(), attribute)
        return self._now(self._cube.sorted(name, descending=not ascending))

    def limit(self, count: int) -> Self:
        """At most that many images."""
        return self._now(self._cube.limit(count))

    def dates(self) -> list[str]:
        """The days there are images of."""
        return self._cube.dates()

    def count(self) -> int:
        """How many images there are."""
        return len(self._cube.items())

    def process(self, top: str = "last") -> ImageProcess:
        """One picture of them: at each pixel the newest image that has data there (`top="first"`: the oldest)."""
        if top not in ("first", "last"):
            raise BadCube(f"process() got top={top!r}", 'use "last" (the newest image on top) or "first"')
        return ImageProcess(self._cube.reduce(top))

    def _now(self, cube: Cube) -> Self:
        self._cube = cube
        return self


def _enlarged(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    """A box made larger on each side, around the globe at most."""
    west, south, east, north = box[0] - by, max(box[1] - by, -90), box[2] + by, min(box[3] + by, 90)
    if east - west >= 360:
        return -180, south, 180, north
    return west + 360 if west < -180 else west, south, east - 360 if east > 180 else east, north


def _number(value: Any) -> Any:
    """A text that is written as numbers are ("20") as a number; others ("007") stay texts."""
    return float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value


def find(name: str, client: clients.Client) -> str:
    """The id of a collection by its id or by interapro's short name."""
    start = FAMILIES.get(name.upper())
    if start is None:
        return name
    seen = sorted(str(each["id"]) for each in client.collections())
    if name in seen:
        return name
    found = [each for each in seen if re.match(rf"{start}(?!\d)", each)]
    best = [each for each in found if each.endswith("l2a")] or found
    if len(best) == 1:
        return best[0]
    choice = f"it could be {', '.join(found)}" if found else "there is none that you may see"
    raise BadCube(
        f"{name!r} does not name one collection: {choice}", "write the collection's id; bdap.collections() lists them"
    )
