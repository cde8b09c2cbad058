"""The labels of a cube's dates: moments, and periods as openEO names them ("2025-04", "2025-mam"). PURE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from .errors import BadCube

SEASONS = {"djf": 12, "mam": 3, "jja": 6, "son": 9, "ndjfma": 11, "mjjaso": 5}
"""Their first months; a season has the year in which it begins."""
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})T.*")
_PERIOD = re.compile(r"(\d{4})(?:-(\d{2}|\d{3}|[a-z]+))?")


def day(label: str) -> str:
    """The day of a moment; the label of a period as it is."""
    found = _MOMENT.fullmatch(label)
    return found[1] if found else label


def dated(labels: Sequence[str]) -> bool:
    """Whether each is a moment or a period."""
    return bool(labels) and all(_beginning(str(label), "") is not None for label in labels)


def moments(labels: Sequence[str], period: str = "") -> list[datetime]:
    """When each begins, without a zone (UTC); BadCube where a label is no date.

    Two digits after the year are months, dekads or weeks: `period` says which, else what they count up to.
    """
    sort = period or _counted(labels)
    found = [(label, _beginning(label, sort)) for label in labels]
    for label, moment in found:
        if moment is None:
            raise BadCube(
                f"{label!r} is no date", 'a chart through time needs labels such as "2025-04-18" or "2025-04"'
            )
    return [moment for _, moment in found if moment is not None]


def _counted(labels: Sequence[str]) -> str:
    parts = [match[2] for label in labels if (match := _PERIOD.fullmatch(label))]
    most = max((int(part) for part in parts if part and len(part) == 2 and part.isdigit()), default=0)
    return "month" if most <= 12 else "dekad" if most <= 36 else "week"


def _beginning(label: str, period: str) -> datetime | None:
    match = _PERIOD.fullmatch(label)
    try:
        if match is None:
            moment = datetime.fromisoformat(label)  # of an hour, too: 2025-04-18-10
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return _first(int(match[1]), match[2] or "01", period or _counted([label]))
    except ValueError:
        return None


def _first(year: int, part: str, period: str) -> datetime:
    """The first day of a part of a year; ValueError where it has none such."""
    if not part.isdigit():
        if part not in SEASONS:
            raise ValueError(part)
        return datetime(year, SEASONS[part], 1)
    number = int(part)
    if len(part) == 3:
        if not 1 <= number <= 366:
            raise ValueError(part)
        return datetime(year, 1, 1) + timedelta(days=number - 1)
    if period == "week":
        return datetime.fromisocalendar(year, number, 1)
    if period == "dekad":
        return datetime(year, (number + 2) // 3, (number - 1) % 3 * 10 + 1)
    return datetime(year, number, 1)
