"""Climatology: normals of the periods of the year, and what differs from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from ..cubes.extent import instant
from ..cubes.values import fits
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .temporal import SEASONS, temporal, within_year


@process
def climatological_normal(data: Any, period: Any, climatology_period: Any = (1981, 2010)) -> Any:
    """The mean over some years of each period of the year."""
    name = temporal(data, None)
    moments = [instant(label) for label in data.names(name)]
    of = [within_year(moment, period) for moment in moments]
    counted = _counted(moments, period, *climatology_period)
    of = [label if year_counts else "" for label, year_counts in zip(of, counted, strict=True)]
    names = {
        "climatology-period": ("climatology-period",),
        "season": SEASONS,
        "tropical-season": ("ndjfma", "mjjaso"),
        "month": tuple(f"{i:02}" for i in range(1, 13)),
        "day": tuple(f"{i:03}" for i in range(1, 367 if "366" in of else 366)),
    }[period]
    axis = data.axis(name)
    fits(len(names) * (data.data.size // max(1, len(moments))), len(names))
    layers = [_mean(np.take(data.data, [i for i, o in enumerate(of) if o == wanted], axis), axis) for wanted in names]
    return data.along(name, np.stack(layers, axis), names)


@process
def anomaly(data: Any, normals: Any, period: Any) -> Any:
    """Each date less the normal of its period."""
    name, other = temporal(data, None), temporal(normals, None)
    have = [str(label) for label in normals.names(other)]
    places = []
    for label in data.names(name):
        wanted = have[0] if period in ("single-period", "climatology-period") else _of_normal(str(label), period)
        if wanted not in have:
            raise GraphError("LabelNotAvailable", f"the normals have no label {wanted!r}, which {label!r} needs")
        places.append(have.index(wanted))
    normal = normals.series(other).values[places]
    return data.along(name, data.data - np.moveaxis(normal, 0, data.axis(name)), data.names(name))


def _counted(moments: Sequence[datetime], period: str, first: int, last: int) -> list[bool]:
    """Which moments count for normals: a winter counts with its later year, and if whole."""
    start = {"season": 12, "tropical-season": 11}.get(period, 13)
    years = [moment.year + (moment.month >= start) for moment in moments]
    whole = any(moment.year == first - 1 and moment.month >= start for moment in moments)
    winter = {12: 2, 11: 4}.get(start, 0)
    return [
        first <= year <= last and (whole or year > first or moment.month > winter)
        for moment, year in zip(moments, years, strict=True)
    ]


def _of_normal(label: str, period: str) -> str:
    return label if period in ("year", "decade", "decade-ad") else label.rsplit("-", 1)[-1]


def _mean(values: Any, axis: int) -> Any:
    valid = ~np.isnan(values)
    total = np.where(valid, values, 0).sum(axis=axis, dtype=np.float64)
    return (total / valid.sum(axis=axis)).astype(values.dtype)
