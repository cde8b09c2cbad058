"""Bounding boxes and temporal intervals as openEO writes them. PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .graph import GraphError

EARTH = 6378137.0


class Bounds(NamedTuple):
    """West, south, east, north in degrees (EPSG:4326)."""

    west: float
    south: float
    east: float
    north: float

    def meets(self, other: Bounds) -> bool:
        """Whether the two share a point."""
        return (
            self.west <= other.east
            and other.west <= self.east
            and self.south <= other.north
            and other.south <= self.north
        )


WORLD = Bounds(-180.0, -90.0, 180.0, 90.0)


class Interval(NamedTuple):
    """[start, end) in UTC; None is open."""

    start: datetime | None = None
    end: datetime | None = None


def hull(a: Bounds, b: Bounds) -> Bounds:
    """The smallest box around both."""
    return Bounds(min(a.west, b.west), min(a.south, b.south), max(a.east, b.east), max(a.north, b.north))


def overlap(a: Bounds, b: Bounds) -> Bounds:
    """What both cover (upside down where they do not meet)."""
    return Bounds(max(a.west, b.west), max(a.south, b.south), min(a.east, b.east), min(a.north, b.north))


def box(raw: Mapping[str, Any]) -> Bounds:
    """A bounding box in degrees, or in metres of EPSG:3857."""
    try:
        west, south, east, north = (float(raw[side]) for side in ("west", "south", "east", "north"))
    except (KeyError, TypeError, ValueError):
        raise GraphError(
            "ProcessArgumentInvalid", "a bounding box needs the numbers west, south, east and north"
        ) from None
    crs = str(raw.get("crs") or 4326).upper().removeprefix("EPSG:")
    if crs == "3857":
        west, south, east, north = *lonlat(west, south), *lonlat(east, north)
    elif crs != "4326":
        raise GraphError("ProcessArgumentUnsupported", f"a bounding box in EPSG:{crs}", "give it in degrees, EPSG:4326")
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise GraphError(
            "ProcessArgumentInvalid", f"the bounding box {west}, {south}, {east}, {north} is empty or not on Earth"
        )
    return Bounds(west, south, east, north)


def lonlat(x: float, y: float) -> tuple[float, float]:
    """Degrees of a point in EPSG:3857."""
    return math.degrees(x / EARTH), math.degrees(2 * math.atan(math.exp(y / EARTH)) - math.pi / 2)


def interval(raw: Any) -> Interval:
    """A temporal extent; dates mean their first moment."""
    if not isinstance(raw, (list, tuple)) or len(raw) != 2:
        raise GraphError("ProcessArgumentInvalid", "a temporal extent is an array of a start and an end")
    start, end = (None if part is None else instant(part) for part in raw)
    if start and end and start >= end:
        raise GraphError(
            "TemporalExtentEmpty", f"the temporal extent {raw[0]} to {raw[1]} is empty: the end is not included"
        )
    return Interval(start, end)


def instant(raw: Any) -> datetime:
    """A date or RFC 3339 date-time in UTC."""
    try:
        moment = datetime.fromisoformat(raw)
    except (TypeError, ValueError):
        raise GraphError("ProcessArgumentInvalid", f"{raw!r:.60} is not a date", "write 2024-06-01") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def within(label: str, span: Interval) -> bool:
    """Whether a moment lies in [start, end)."""
    moment = instant(label)
    return (span.start is None or span.start <= moment) and (span.end is None or moment < span.end)


def common(a: Interval, b: Interval) -> Interval:
    """The overlap of two intervals."""
    starts, ends = [s for s in (a.start, b.start) if s], [e for e in (a.end, b.end) if e]
    return Interval(max(starts, default=None), min(ends, default=None))


def span(a: Interval, b: Interval) -> Interval:
    """The smallest interval around both."""
    start = None if a.start is None or b.start is None else min(a.start, b.start)
    return Interval(start, None if a.end is None or b.end is None else max(a.end, b.end))
