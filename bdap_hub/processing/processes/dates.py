"""Processes on dates and times, written as RFC 3339 has them."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

from ..cubes.extent import instant
from ..graphs.graph import GraphError
from ..graphs.spec import process

SECONDS = {"millisecond": 0.001, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
MONTHS = {"month": 1, "year": 12}


@process
def date_between(x: Any, min: Any, max: Any, exclude_max: Any = False) -> Any:
    """Whether a moment lies between two others."""
    moment, last = instant(x), instant(max)
    return instant(min) <= moment and (moment < last if exclude_max else moment <= last)


@process
def date_difference(date1: Any, date2: Any, unit: Any = "second") -> Any:
    """How much later the second date is: parts of a month or year count by its own length."""
    one, two = instant(date1), instant(date2)
    if unit in SECONDS:
        return (two - one).total_seconds() / SECONDS[unit]
    months = (two.year - one.year) * 12 + two.month - one.month
    if _later(one, months) > two:
        months -= 1
    start, end = _later(one, months), _later(one, months + 1)
    return (months + (two - start) / (end - start)) / MONTHS[unit]


@process
def date_shift(date: Any, value: Any, unit: Any) -> Any:
    """The date some time later, or earlier; a day that its month lacks becomes the month's last."""
    has_time = len(date) > len("2024-01-01")
    try:
        moment = datetime.fromisoformat(date)
        if unit in MONTHS:
            moved = _later(moment, int(value) * MONTHS[unit])
        else:
            moved = moment + timedelta(seconds=value * SECONDS[unit])
    except (ValueError, OverflowError):
        raise GraphError("ProcessArgumentInvalid", f"{date!r:.40} cannot be shifted by {value} {unit}") from None
    if not has_time:
        return moved.date().isoformat()
    text = moved.isoformat(timespec="milliseconds" if moved.microsecond else "seconds")
    return text.replace("+00:00", "Z") if moved.tzinfo in (None, UTC) else text


def _later(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
