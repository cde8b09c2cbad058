"""Values of single pixels in an area: how often which occur, and as many of them as a chart can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.inquiry import binned
from .pixels import Evaluator
from .values import Sample, nested, sample

MOST_PICKED = 10_000


def histogram(evaluator: Evaluator, geometry: Mapping[str, Any], bins: int) -> dict[str, Any]:
    """Counts and statistics of each date and band over the pixels whose centres lie in a polygon."""
    found = sample(evaluator, geometry)
    made = [binned(values, bins) for values in _layers(found)]
    return {**made[0], "bands": nested(found.cube, made), "pixels": found.pixels, "scale": found.scale}


def picked(evaluator: Evaluator, geometry: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Values of at most so many pixels of an area, taken by chance (always the same), for each date and band."""
    found = sample(evaluator, geometry)
    count = found.data.shape[-1]
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:most])
    lists = [[_number(value) for value in layer[chosen]] for layer in _layers(found)]
    return {"values": nested(found.cube, lists), "picked": len(chosen), "pixels": found.pixels, "scale": found.scale}


def _layers(found: Sample) -> Any:
    return found.data.reshape(-1, found.data.shape[-1])


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
