"""Bounding boxes and temporal intervals as openEO writes them. PURE: coordinates are computed, no file is read."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from ..graphs.graph import GraphError

EARTH = 6378137.0
DEGREES, MERCATOR = "EPSG:4326", "EPSG:3857"


class Bounds(NamedTuple):
    """West, south, east, north in degrees (EPSG:4326). East is beyond 180 where it crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def meets(self, other: Bounds) -> bool:
        """Whether the two share a point."""
        if self.south > other.north or other.south > self.north:
            return False
        if self.west <= other.east and other.west <= self.east:
            return True
        return (self.east > 180 and other.west <= self.east - 360 and self.west - 360 <= other.east) or (
            other.east > 180 and self.west <= other.east - 360 and other.west - 360 <= self.east
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
    """What both cover (upside down where they do not meet); around both parts where these are two."""
    found = Bounds(max(a.west, b.west), max(a.south, b.south), min(a.east, b.east), min(a.north, b.north))
    for one, other in ((a, b), (b, a)):
        if one.east > 180:
            if other.east - other.west >= 360:
                return found._replace(west=one.west, east=one.east)
            west, east = max(one.west - 360, other.west), min(one.east - 360, other.east)
            if west <= east:
                found = found._replace(west=west, east=east if found.west > found.east else max(east, found.east))
    return found


class Box(NamedTuple):
    """West, south, east, north in the units of `crs`, which is an EPSG code: EPSG:4326."""

    west: float
    south: float
    east: float
    north: float
    crs: str = DEGREES

    def degrees(self) -> Bounds:
        """The smallest box in degrees around it."""
        if self.crs == DEGREES:
            return Bounds(*self[:4])
        if self.crs == MERCATOR:
            return Bounds(*lonlat(self.west, self.south), *lonlat(self.east, self.north))
        west, south, east, north = transformer(self.crs, DEGREES).transform_bounds(*self[:4])
        return Bounds(west, south, east, north) if west <= east else Bounds(-180.0, south, 180.0, north)


def box(raw: Mapping[str, Any]) -> Box:
    """A bounding box of a graph; GraphError if it is empty, or in a CRS that has no EPSG code."""
    try:
        west, south, east, north = (float(raw[side]) for side in ("west", "south", "east", "north"))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise GraphError(
            "ProcessArgumentInvalid", "a bounding box needs the numbers west, south, east and north"
        ) from None
    made = Box(west, south, east, north, epsg(raw.get("crs") or 4326))
    inside = made.crs != DEGREES or (west >= -180 and east <= 180 and south >= -90 and north <= 90)
    if not (inside and west < east and south < north and all(map(math.isfinite, made[:4]))):
        raise GraphError(
            "ProcessArgumentInvalid", f"the bounding box {west}, {south}, {east}, {north} is empty or not on Earth"
        )
    if not all(map(math.isfinite, made.degrees())):
        raise GraphError("ProcessArgumentInvalid", f"the bounding box lies outside of {made.crs}")
    return made


def epsg(crs: Any) -> str:
    """The EPSG code of a CRS: only such are used, as other descriptions can name files."""
    text = str(crs)
    code = text.upper().removeprefix("EPSG:")
    if code in ("4326", "3857"):
        return f"EPSG:{code}"
    try:
        found = CRS.from_epsg(int(code)) if code.isdigit() else CRS.from_wkt(text)
        known = found.to_epsg()
    except (CRSError, ValueError):
        known = None
    if known is None:
        raise GraphError("ProcessArgumentInvalid", f"{text!r:.60} is not a CRS with an EPSG code", "use EPSG:4326")
    return f"EPSG:{known}"


@functools.lru_cache(maxsize=64)
def transformer(source: str, target: str) -> Transformer:
    """From one CRS to another, x before y; infinity for what lies outside of the target's world."""
    return Transformer.from_crs(source, target, always_xy=True)


def lonlat(x: float, y: float) -> tuple[float, float]:
    """Degrees of a point in EPSG:3857; infinity for what lies far outside of its world."""
    if not max(abs(x), abs(y)) < 100 * EARTH:
        return math.inf, math.inf
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


def within(moment: datetime, span: Interval) -> bool:
    """Whether a moment lies in [start, end)."""
    return (span.start is None or span.start <= moment) and (span.end is None or moment < span.end)


def clock(raw: Any) -> time | None:
    """A time of day in UTC; None if the text is something else."""
    try:
        return time.fromisoformat(str(raw).removesuffix("Z")) if ":" in str(raw)[:3] else None
    except ValueError:
        return None


def within_hours(moment: datetime, start: time, end: time) -> bool:
    """Whether a moment lies in [start, end) of its day; an end before the start is that of the next day."""
    hour = moment.time()
    return start <= hour < end if start < end else hour >= start or hour < end


def common(a: Interval, b: Interval) -> Interval:
    """The overlap of two intervals."""
    starts, ends = [s for s in (a.start, b.start) if s], [e for e in (a.end, b.end) if e]
    return Interval(max(starts, default=None), min(ends, default=None))


def span(a: Interval, b: Interval) -> Interval:
    """The smallest interval around both."""
    start = None if a.start is None or b.start is None else min(a.start, b.start)
    return Interval(start, None if a.end is None or b.end is None else max(a.end, b.end))
