"""What one looks at, as the query of an address and back. PURE.

What is wrong in an address is left out, with a sentence; the rest of the view is shown.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from .period import ALL, Period, read_period

LONGEST = 2000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LOOK = re.compile(r"[a-z]+(:[A-Za-z0-9._,-]{1,100})?")


@dataclass(frozen=True)
class Side:
    """One picture: a collection at a time, drawn in one way ('': the collection's first)."""

    collection: str
    period: Period = ALL
    look: str = ""


@dataclass(frozen=True)
class Camera:
    """Where the map looks."""

    lat: float
    lon: float
    zoom: float

    def around(self, width: float, height: float) -> tuple[float, float, float, float]:
        """West, south, east, north of so many pixels around it, within the world; flat enough for a search."""
        across = width * 360 / 256 / 2**self.zoom / 2
        along = height * 360 / 256 / 2**self.zoom / 2 * math.cos(math.radians(self.lat))
        west, east = max(self.lon - across, -180.0), min(self.lon + across, 180.0)
        south, north = max(self.lat - along, -90.0), min(self.lat + along, 90.0)
        return round(west, 4), round(south, 4), round(east, 4), round(north, 4)


@dataclass(frozen=True)
class View:
    """All that a shared address brings back. Without `left` the list of collections is shown."""

    left: Side | None = None
    right: Side | None = None
    camera: Camera | None = None
    place: tuple[float, float] | None = None  # latitude, longitude


def write(view: View) -> str:
    """The view as the query of an address, without the question mark."""
    pairs: list[tuple[str, str]] = []
    for side, keys in ((view.left, ("collection", "date", "look")), (view.right, ("with", "with-date", "with-look"))):
        if side is not None:
            values = (side.collection, side.period.text, side.look)
            pairs += [(key, value) for key, value in zip(keys, values, strict=True) if value]
    if view.camera:
        camera = view.camera
        pairs.append(("at", f"{camera.lat:.4f},{camera.lon:.4f},{camera.zoom:g}"))
    if view.place:
        pairs.append(("place", "{:.5f},{:.5f}".format(*view.place)))
    return urlencode(pairs, safe=",:", quote_via=quote)


def read(query: str) -> tuple[View, tuple[str, ...]]:
    """The view that a query describes, and a sentence for each part of it that makes no sense."""
    if len(query) > LONGEST:
        return View(), (f"The address is too long ({len(query)} signs): open the explorer without it.",)
    found = dict(parse_qsl(query.lstrip("?")))
    said: list[str] = []
    left = _side(found, ("collection", "date", "look"), said)
    right = _side(found, ("with", "with-date", "with-look"), said) if left else None
    return View(left, right, _camera(found.get("at", ""), said), _place(found.get("place", ""), said)), tuple(said)


def _side(found: dict[str, str], keys: tuple[str, str, str], said: list[str]) -> Side | None:
    name, date, look = (found.get(key, "") for key in keys)
    if not name:
        return None
    if not _NAME.fullmatch(name):
        said.append(f"“{name:.60}” is no name of a collection: choose one from the list.")
        return None
    period = read_period(date)
    if period is None:
        said.append(f"“{date:.30}” is no date: write 2025, 2025-07 or 2025-07-10.")
    if look and not _LOOK.fullmatch(look):
        said.append(f"“{look:.60}” is no way to draw a collection: choose one from its list.")
        look = ""
    return Side(name, period or ALL, look)


def _camera(text: str, said: list[str]) -> Camera | None:
    if not text:
        return None
    numbers = _numbers(text, 3)
    if numbers is None or not (abs(numbers[0]) <= 85 and abs(numbers[1]) <= 180 and 1 <= numbers[2] <= 22):
        said.append(f"“{text:.60}” is no place on the map: write latitude, longitude and zoom, as in at=45.8,8.6,11.")
        return None
    return Camera(*numbers)


def _place(text: str, said: list[str]) -> tuple[float, float] | None:
    if not text:
        return None
    numbers = _numbers(text, 2)
    if numbers is None or not (abs(numbers[0]) <= 90 and abs(numbers[1]) <= 180):
        said.append(f"“{text:.60}” is no place: write latitude and longitude, as in place=45.81,8.63.")
        return None
    return numbers[0], numbers[1]


def _numbers(text: str, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(math.isfinite(number) for number in numbers) else None
