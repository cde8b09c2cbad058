"""Values of single pixels in an area: how often which occur, and as many of them as a chart can show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..cubes.cube import SPATIAL
from ..engine.inquiry import binned
from .pixels import Evaluator
from .values import Sample, nested, sample

MOST_PICKED = 10_000
NUMBER = 50
"""Bytes of a number while it is written as JSON: the object, its place in a list, and its text."""


def histogram(evaluator: Evaluator, geometry: Mapping[str, Any], bins: int) -> dict[str, Any]:
    """Counts and statistics of each date and band over the pixels whose centres lie in a polygon."""
    found = sample(evaluator, geometry)
    made = [binned(values, bins) for values in _layers(found)]
    return {**made[0], "bands": nested(found.cube, made), "pixels": found.pixels, "scale": found.scale}


def affordable(evaluator: Evaluator, most: int, limit_mb: int) -> None:
    """TooMuch where so many pixels of each date and band are more than a result may be."""
    result = evaluator.compiled.result
    layers = math.prod(len(result.labels[name]) for name in result.dims if name not in SPATIAL)
    if (needed := most * layers * NUMBER >> 20) > limit_mb:
        raise TooMuch(
            f"{most:,} pixels of {layers:,} dates and bands are {needed:,} MB; the limit is {limit_mb:,} MB",
            "ask for fewer pixels, dates or bands",
        )


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
