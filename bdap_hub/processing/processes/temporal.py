"""Processes along time: aggregation by intervals and calendar periods, alignment."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ..cancel import check
from ..cubes.cube import Cube
from ..cubes.extent import clock, instant, interval, within, within_hours
from ..cubes.values import Series, fits
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .cubes import shaped

SEASONS = ("djf", "mam", "jja", "son")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEPS: Mapping[str, timedelta] = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "dekad": 8 * DAY, "decade": 366 * DAY}


@process
def aggregate_temporal(
    ctx: Any, data: Any, intervals: Any, reducer: Any, labels: Any = (), dimension: Any = None, context: Any = None
) -> Any:
    """The dates in each interval put through a reducer; the start is the label unless `labels` says another."""
    name = temporal(data, dimension)
    fits(0, len(intervals))
    inside = [_inside(pair) for pair in intervals]
    names = tuple(labels) or tuple(pair[0] for pair in intervals)
    if len(set(names)) < len(names):
        raise GraphError("DistinctDimensionLabelsRequired", "two intervals have the same label", "give `labels`")
    if len(names) != len(inside):
        raise GraphError("ProcessArgumentInvalid", f"there are {len(inside)} intervals and {len(names)} labels")
    moments = [instant(label) for label in data.names(name)]
    groups = [_met(moments, meets) for meets in inside]
    return _grouped(ctx, data, name, groups, names, reducer, context)


@process
def aggregate_temporal_period(
    ctx: Any, data: Any, period: Any, reducer: Any, dimension: Any = None, context: Any = None
) -> Any:
    """The dates of each calendar period between the first and the last put through a reducer."""
    name = temporal(data, dimension)
    moments = [instant(label) for label in data.names(name)]
    of = [period_label(moment, period) for moment in moments]
    names = _periods(min(moments), max(moments), period) if moments else ()
    groups = [[i for i, label in enumerate(of) if label == wanted] for wanted in names]
    return _grouped(ctx, data, name, groups, names, reducer, context)


@process(limits="Along one temporal dimension.")
def resample_cube_temporal(data: Any, target: Any, dimension: Any = None, valid_within: Any = None) -> Any:
    """For each date of another cube the nearest of this one (the earlier one where two are as near)."""
    name = temporal(data, dimension)
    if name not in target.dims:
        raise GraphError("DimensionMismatch", f"the target has no dimension {name!r}")
    have, wanted = ([instant(label).timestamp() for label in cube.names(name)] for cube in (data, target))
    along = data.series(name).values
    fits(len(wanted) * along[:1].size, len(wanted))
    layers = [_nearest(along, np.abs(np.array(have) - moment), valid_within) for moment in wanted]
    return data.along(name, np.moveaxis(np.stack(layers), 0, data.axis(name)), target.names(name))


def period_label(moment: datetime, period: str) -> str:
    """The label of the period in which a moment lies."""
    year = _shifted(moment, period).year
    match period:
        case "hour":
            return moment.strftime("%Y-%m-%d-%H")
        case "week":
            return "{}-{:02}".format(*moment.isocalendar()[:2])
        case "year":
            return f"{year:04}"
        case "decade":
            return f"{year // 10 * 10:04}"
        case "decade-ad":
            return f"{(year - 1) // 10 * 10 + 1:04}"
        case _:
            return f"{year:04}-{within_year(moment, period)}"


def _shifted(moment: datetime, period: str) -> datetime:
    """The moment, put into the year in which its season began."""
    if moment.month > {"season": 2, "tropical-season": 4}.get(period, 0):
        return moment
    return moment.replace(year=moment.year - 1, day=1)


def within_year(moment: datetime, period: str) -> str:
    """The part of a period's label that is the same in each year."""
    match period:
        case "day":
            return moment.strftime("%j")
        case "dekad":
            return f"{(moment.month - 1) * 3 + min((moment.day - 1) // 10, 2) + 1:02}"
        case "month":
            return f"{moment.month:02}"
        case "season":
            return SEASONS[moment.month % 12 // 3]
        case "tropical-season":
            return "mjjaso" if 5 <= moment.month <= 10 else "ndjfma"
        case _:
            return period


def _periods(start: datetime, end: datetime, period: str) -> tuple[str, ...]:
    """The labels of all periods between two moments."""
    step = STEPS.get(period, 27 * DAY)
    fits(0, int((end - start) / step))
    return tuple(dict.fromkeys(period_label(moment, period) for moment in (*_moments(start, end, step), end)))


def _moments(start: datetime, end: datetime, step: timedelta) -> Iterable[datetime]:
    while start < end:
        yield start
        start += step


def _met(moments: Sequence[datetime], meets: Callable[[datetime], bool]) -> list[int]:
    check()
    return [i for i, moment in enumerate(moments) if meets(moment)]


def _inside(pair: Any) -> Callable[[datetime], bool]:
    """Whether a moment lies in an interval: of dates, or of times of the day."""
    start, end = (clock(part) for part in pair)
    if start is not None and end is not None:
        return functools.partial(within_hours, start=start, end=end)
    return functools.partial(within, span=interval(pair))


def temporal(data: Cube, dimension: str | None) -> str:
    """The temporal dimension asked for; the only one if none is."""
    if dimension is not None:
        data.names(dimension)
        return dimension
    if not data.of_kind("temporal"):
        raise GraphError("DimensionNotAvailable", "the cube has no temporal dimension")
    return data.only("temporal", "TooManyDimensions")


def _grouped(
    ctx: Any,
    data: Cube,
    dimension: str,
    groups: Sequence[Sequence[int]],
    names: tuple[str, ...],
    reducer: Any,
    context: Any,
) -> Cube:
    along = data.series(dimension)
    rest = along.values.shape[1:]
    fits(len(groups) * int(np.prod(rest)), len(groups))
    layers = []
    for group in groups:
        part = Series(along.values[list(group)], tuple(along.labels[i] for i in group))
        layers.append(shaped(ctx.call(reducer, {"data": part, "context": context}), rest, data))
    stacked = np.stack(layers) if layers else np.empty((0, *rest), data.data.dtype)
    return data.along(dimension, np.moveaxis(stacked.astype(data.data.dtype), 0, data.axis(dimension)), names)


def _nearest(along: Any, distance: Any, valid_within: float | None) -> Any:
    order = np.argsort(distance, kind="stable")
    if valid_within is None:
        return along[order[0]]
    out = np.full(along.shape[1:], np.nan, along.dtype)
    for index in order:
        check()
        if distance[index] > valid_within * 86400 or not (missing := np.isnan(out)).any():
            return out
        out = np.where(missing, along[index], out)
    return out
