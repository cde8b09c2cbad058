"""The pixels of a load node on a grid: each band of each date, from its scenes drawn over one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..cubes.cube import Cube
from ..cubes.extent import Bounds
from ..graphs.plan import Load, Step
from .grid import Grid
from .reader import Reader


def loaded(load: Load, grid: Grid, reader: Reader, mapped: Callable[..., Iterable[Any]]) -> Cube:
    """All that a load reads; `mapped` is `map`, or does the bands of the dates side by side."""
    shape, around = (len(load.steps), len(load.bands), grid.height, grid.width), grid.bounds()
    data = np.empty(shape, np.float32)
    jobs = [(t, b) for t, step in enumerate(load.steps) for b in range(shape[1]) if meets(step, around)]
    parts = mapped(lambda job: _layer(load.steps[job[0]], job[1], grid, around, reader, data[job]), jobs)
    done = {job: part for job, part in zip(jobs, parts, strict=True) if part is not None}
    kind = np.result_type(data, *{part.dtype for part in done.values()})
    data = data if data.dtype == kind else np.empty(shape, kind)
    for t, b in np.ndindex(shape[:2]):
        part = done.get((t, b), np.nan)
        if not np.may_share_memory(part, data):
            data[t, b] = part
    return _cube(load, data)


def meets(step: Step, around: Bounds) -> bool:
    """Whether one of its scenes does."""
    return any(scene.bounds.meets(around) for scene in step.scenes)


def blank(load: Load, value: float) -> Cube:
    """What it reads, as one pixel that has this value everywhere."""
    return _cube(load, np.full((len(load.steps), len(load.bands), 1, 1), value, np.float32))


def _layer(step: Step, band: int, grid: Grid, around: Bounds, reader: Reader, into: Any) -> Any:
    """A band of a date, maybe `into` that array; None where there is nothing of it."""
    out = None
    for scene in step.scenes:
        source = scene.sources[band]
        if source is None or not scene.bounds.meets(around):
            continue
        part = reader.read(source, grid, into if out is None else None)
        if part is None:
            continue
        out = part if out is None else np.where(np.isnan(out), part, out)
        if not np.isnan(out).any():
            break
    return out


def _cube(load: Load, data: Any) -> Cube:
    labels = {"t": tuple(step.label for step in load.steps), "bands": load.bands}
    return Cube(data, ("t", "bands", "y", "x"), labels, dict(load.aliases))
