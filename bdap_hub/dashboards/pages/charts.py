"""Usage by day as bars of an SVG drawing: no scripts, and the same numbers as a table beside it. PURE."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from ..usage import Day

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 178, 58, 30, 12


@dataclass(frozen=True)
class Bar:
    """A day's column: where it stands, and what it says."""

    x: float
    y: float
    width: float
    height: float
    says: str
    kind: str = ""


@dataclass(frozen=True)
class Mark:
    """A word at an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A drawing of WIDTH by HEIGHT with its title and what it says in a sentence."""

    title: str
    sentence: str
    bars: tuple[Bar, ...]
    levels: tuple[Mark, ...]
    dates: tuple[Mark, ...]
    legend: tuple[tuple[str, str], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM


def charts(days: Sequence[Day]) -> list[Chart]:
    """Visits with visitors, sessions, memory and starts of these days."""
    visits, people = sum(d.visits for d in days), max((d.visitors for d in days), default=0)
    sessions = sum(d.sessions for d in days)
    memory, start = max((d.peak_mb for d in days), default=0), max((d.start_ms for d in days), default=0) / 1000
    return [
        _chart(
            "Visits and visitors",
            f"{_count(visits, 'visit')}, at most {_count(people, 'visitor')} a day",
            days,
            (("", "visits", lambda d: d.visits), ("inner", "visitors", lambda d: d.visitors)),
        ),
        _chart("Sessions", f"{_count(sessions, 'session')}", days, (("", "sessions", lambda d: d.sessions),)),
        _chart(
            "Most memory, MiB",
            f"at most {memory:,} MiB" if memory else "not seen yet",
            days,
            (("", "MiB", lambda d: d.peak_mb),),
        ),
        _chart(
            "Slowest start, seconds",
            f"at most {start:.1f} s" if start else "none yet",
            days,
            (("", "s", lambda d: d.start_ms / 1000),),
        ),
    ]


def highest(value: float) -> float:
    """The upper end of an axis: the next of 1, 2, 5, 10, 20, 50 … that holds the value."""
    if value <= 1:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value))


Series = tuple[str, str, Callable[[Day], float]]


def _chart(title: str, sentence: str, days: Sequence[Day], series: Sequence[Series]) -> Chart:
    top = highest(max((value(day) for day in days for _, _, value in series), default=0))
    step = (WIDTH - LEFT) / max(1, len(days))
    scale = (HEIGHT - BOTTOM - TOP) / top
    bars = []
    for kind, unit, value in series:
        share = 0.42 if kind else 0.8
        for number, day in enumerate(days):
            if (size := value(day)) > 0:
                height = round(max(1.5, size * scale), 2)
                x = LEFT + step * (number + (1 - share) / 2)
                says = f"{_day(day.day)}: {_number(size)} {unit}"
                bars.append(Bar(round(x, 2), HEIGHT - BOTTOM - height, round(step * share, 2), height, says, kind))
    levels = tuple(Mark(HEIGHT - BOTTOM - top * part * scale, _number(top * part)) for part in (0, 0.5, 1))
    legend = tuple((kind, unit) for kind, unit, _ in series) if len(series) > 1 else ()
    return Chart(title, sentence, tuple(bars), levels, _dates(days, step), legend)


def _dates(days: Sequence[Day], step: float) -> tuple[Mark, ...]:
    """The first day, the one in the middle and the last."""
    places = sorted({0, len(days) // 2, len(days) - 1}) if days else []
    return tuple(Mark(round(LEFT + step * (place + 0.5), 2), _day(days[place].day)) for place in places)


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
