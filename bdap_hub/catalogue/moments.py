"""Moments and periods as STAC writes them, in seconds since 1970. PURE."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import BadRequest

Period = tuple[float, float]
EVER: Period = (float("-inf"), float("inf"))
OPEN = ("", "..")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def read_period(text: Any) -> Period:
    """Of 'instant', 'from/to', '../to', 'from/..' (RFC 3339, as the standard wants it: no bare days)."""
    if text is None:
        return EVER
    ends = str(text).split("/")
    if len(ends) > 2:
        raise BadRequest(f"datetime {text!r} has more than two ends", "write it as from/to")
    first, last = ends[0], ends[-1]
    if len(ends) == 2 and first in OPEN and last in OPEN:
        raise BadRequest(f"datetime {text!r} is open on both sides", "give at least one end, or leave it out")
    for each in {first, last} - set(OPEN):
        if not RFC3339.fullmatch(each):
            raise BadRequest(f"{each!r:.40} is no RFC 3339 time", "write it as 2025-06-01T10:20:31Z")
    start = EVER[0] if first in OPEN else seconds(first)
    end = EVER[1] if last in OPEN else seconds(last)
    if start > end:
        raise BadRequest(f"datetime {text!r} ends before it begins", "write the earlier end first")
    return start, end


def seconds(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return moment(text)[0]


def moment(text: str) -> Period:
    """Begin and end of a time, which are the same, or of a day."""
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        raise BadRequest(f"{text!r:.40} is no date", "write it as 2025-06-01 or 2025-06-01T10:20:31Z") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    begin = found.timestamp()
    whole_day = len(text) <= 10
    return begin, begin + (timedelta(days=1).total_seconds() - 1e-3 if whole_day else 0)


def times_of(properties: dict[str, Any]) -> Period:
    """When an item begins and ends."""
    at = properties.get("datetime")
    start, end = properties.get("start_datetime") or at, properties.get("end_datetime") or at
    return seconds(str(start)), seconds(str(end))


def rfc3339(at: float) -> str:
    """A moment as text, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
