"""Image collections with interapro's methods: choose images, then `process()` them."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Self

from .. import client as clients
from .. import places
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
OPERATORS = ("<", "<=", ">", ">=", "=", "==", "!=")


class ImageCollection:
    """Images of a collection that narrow down with each filter. As in interapro, methods change it and give it back."""

    def __init__(self, name: str, client: clients.Client | None = None) -> None:
        self.name = find(name, client or clients.default())
        self._cube = collection(self.name, client)

    def filterOnGeoName(self, name: str, enlarge: float = 0.0, country: str = "") -> Self:
        """Images around a town, or in the box of a country, made larger by `enlarge` degrees on each side."""
        west, south, east, north = places.find(name, country).box()
        box = (west - enlarge, max(south - enlarge, -90), east + enlarge, min(north + enlarge, 90))
        return self._now(self._cube.inside(box))

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
        return self._now(self._cube.where(**{name: f"{operator} {value}"}))

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
