"""Days, months and years as people choose them, and the bars of a time line of item counts. PURE."""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

MONTHS = tuple(calendar.month_abbr)  # ('', 'Jan', …)
NAMES = tuple(calendar.month_name)
MOST_MONTHS = 36
"""A time line of more months than this begins with years."""
MOST_DATES = 40
"""A collection of so few items is shown by its dates, all of them."""


@dataclass(frozen=True)
class Period:
    """'' (all that there is), a year, a month or a day, as ISO 8601 writes them."""

    text: str = ""

    @property
    def kind(self) -> str:
        """all, year, month or day."""
        return {0: "all", 4: "year", 7: "month", 10: "day"}[len(self.text)]

    @property
    def days(self) -> tuple[str, str] | None:
        """The first and the last day; None for all."""
        if not self.text:
            return None
        if self.kind == "year":
            return f"{self.text}-01-01", f"{self.text}-12-31"
        if self.kind == "month":
            year, month = map(int, self.text.split("-"))
            return f"{self.text}-01", f"{self.text}-{calendar.monthrange(year, month)[1]}"
        return self.text, self.text

    @property
    def year(self) -> Period:
        """The year it lies in."""
        return Period(self.text[:4])

    @property
    def month(self) -> Period:
        """The month it lies in; a year's is the year."""
        return Period(self.text[:7])

    @property
    def label(self) -> str:
        """As people say it: 10 July 2025."""
        parts = self.text.split("-") if self.text else []
        words = [str(int(parts[2]))] if len(parts) == 3 else []
        words += [NAMES[int(parts[1])]] if len(parts) > 1 else []
        return " ".join([*words, parts[0]]) if parts else "all dates"


ALL = Period()


def read_period(text: str) -> Period | None:
    """The period that a text names; None where it names none."""
    if not text:
        return Period()
    if not re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", text, re.ASCII):
        return None
    try:
        date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        return None
    return Period(text)


@dataclass(frozen=True)
class Bar:
    """A bar of the time line: the period it stands for, its count, whether what is chosen lies in it."""

    period: str
    label: str
    title: str
    count: int
    chosen: bool = False


@dataclass(frozen=True)
class Timeline:
    """Bars of one length of time, and the way back up: (period, label) from all to here."""

    unit: str
    bars: tuple[Bar, ...] = ()
    path: tuple[tuple[str, str], ...] = (("", "All dates"),)


def timeline(months: Sequence[tuple[str, int]], days: Sequence[str], chosen: Period) -> Timeline:
    """All dates where there are few, else years, months of the chosen year, or days of the chosen month.

    `months` are (YYYY-MM, items) of the whole collection; `days` the day of each item in the chosen month, or of all
    where they are few.
    """
    known = [(month, count) for month, count in months if count]
    if are_few(known):
        return Timeline("date", _dates(Counter(days), chosen), _path(chosen, True))
    long = _span(known) > MOST_MONTHS
    if chosen.kind in ("month", "day"):
        return Timeline("day", _days(Counter(days), chosen), _path(chosen, long))
    if chosen.kind == "year" or not long:
        inside = [one for one in known if one[0].startswith(chosen.text)] if chosen.text else known
        return Timeline("month", _months(inside, chosen), _path(chosen, long))
    return Timeline("year", _years(known, chosen))


def are_few(months: Iterable[tuple[str, int]]) -> bool:
    """Whether each date has a bar of its own."""
    return sum(count for _, count in months) <= MOST_DATES


def _dates(counts: Counter[str], chosen: Period) -> tuple[Bar, ...]:
    found: list[Bar] = []
    for day in sorted(counts):
        new = not found or found[-1].period[:4] != day[:4]
        label = f"{int(day[8:])} {MONTHS[int(day[5:7])]}{f' {day[:4]}' if new else ''}"
        inside = bool(chosen.text) and day.startswith(chosen.text)
        found.append(replace(_bar(day, label, counts[day], chosen), chosen=inside))
    return tuple(found)


def _years(known: Iterable[tuple[str, int]], chosen: Period) -> tuple[Bar, ...]:
    counts: Counter[str] = Counter()
    for month, count in known:
        counts[month[:4]] += count
    first, last = int(min(counts)), int(max(counts))
    return tuple(_bar(str(year), str(year), counts[str(year)], chosen) for year in range(first, last + 1))


def _months(known: Sequence[tuple[str, int]], chosen: Period) -> tuple[Bar, ...]:
    if not known:
        return ()
    counts = dict(known)
    first, last = (f"{chosen.text}-01", f"{chosen.text}-12") if chosen.text else (known[0][0], known[-1][0])
    found = []
    for number in range(_number(first), _number(last) + 1):
        month = f"{number // 12:04}-{number % 12 + 1:02}"
        found.append(_bar(month, _short(month, not found), counts.get(month, 0), chosen))
    return tuple(found)


def _days(counts: Counter[str], chosen: Period) -> tuple[Bar, ...]:
    days = (chosen.month.days or ("", ""))[1]
    month = chosen.text[:7]
    return tuple(
        _bar(f"{month}-{day:02}", str(day), counts[f"{month}-{day:02}"], chosen) for day in range(1, int(days[8:]) + 1)
    )


def _bar(period: str, label: str, count: int, chosen: Period) -> Bar:
    title = f"{Period(period).label}: {count} {'item' if count == 1 else 'items'}"
    return Bar(period, label, title, count, bool(chosen.text) and chosen.text == period)


def _short(month: str, first: bool) -> str:
    """Jan 2025 where a year begins, else Feb."""
    name = MONTHS[int(month[5:])]
    return f"{name} {month[:4]}" if first or month.endswith("-01") else name


def _path(chosen: Period, long: bool) -> tuple[tuple[str, str], ...]:
    path = [("", "All dates")]
    if chosen.text and (long or chosen.kind == "year"):
        path.append((chosen.year.text, chosen.year.label))
    if chosen.kind in ("month", "day"):
        path.append((chosen.month.text, chosen.month.label))
    return tuple(path)


def _span(known: Sequence[tuple[str, int]]) -> int:
    return _number(known[-1][0]) - _number(known[0][0]) + 1 if known else 0


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1
