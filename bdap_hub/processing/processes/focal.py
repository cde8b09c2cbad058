"""Processes on the neighbourhood of each pixel: focal statistics, morphology, smoothing, edges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..graphs.graph import GraphError
from ..graphs.spec import process
from .windows import affordable, extreme, footprint, of_sorted, reach_of, shifts, smoothed, total, written

VIEW = "In pixels of the view (at a point: of the file); tiles look into their neighbours, so that no seam shows."
EDGES: Mapping[str, tuple[float, float, float]] = {"sobel": (1, 2, 1), "scharr": (3, 10, 3), "prewitt": (1, 1, 1)}


@process(reach=reach_of("size", 3), limits=VIEW)
def focal_statistics(
    data: Any, statistic: Any, size: Any = 3, shape: Any = "square", percentile: Any = None, fill: Any = False
) -> Any:
    """A statistic of the values around each pixel; no data are left out, and stay unless they are to be filled."""
    where = footprint(int(size), shape)
    affordable(data.pixels, int(where.sum()))
    if (statistic == "percentile") == (percentile is None) or not 0 <= (percentile or 0) <= 100:
        raise GraphError("ProcessArgumentInvalid", f"the percentile of {statistic!r} is {percentile}",
                         "give a `percentile` from 0 to 100 with the statistic 'percentile', and no other")  # fmt: skip
    if statistic == "percentile":
        values = of_sorted(data.data, where, lambda stack: _percentile(stack, percentile / 100))
    else:
        values = STATISTICS[statistic](data.data, where)
    kept = values if fill else np.where(np.isnan(data.data), np.nan, values)
    return replace(data, data=kept.astype(data.data.dtype, copy=False))


def _mean(values: Any, where: Any) -> Any:
    valid = ~np.isnan(values)
    return total(np.where(valid, values, 0).astype(np.float64), where) / total(valid.astype(np.float64), where)


def _sum(values: Any, where: Any) -> Any:
    sums = total(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf).astype(np.float64), where)
    return np.where(_count(values, where) > 0, sums, np.nan)


def _count(values: Any, where: Any) -> Any:
    return total((~np.isnan(values)).astype(np.float32), where)


def _variance(values: Any, where: Any) -> Any:
    """The sample variance; values are taken from their mean first, which keeps the squares small."""
    valid = ~np.isnan(values)
    centre = values[valid].mean(dtype=np.float64) if valid.any() else 0.0
    moved = np.where(valid, values - centre, 0).astype(np.float64)
    number, sums, squares = total(valid.astype(np.float64), where), total(moved, where), total(moved**2, where)
    return np.where(number > 1, np.maximum(squares - sums**2 / number, 0) / (number - 1), np.nan)


def _percentile(stack: Any, share: float) -> Any:
    """The value below which a share of a sorted stack lies (no data last), interpolated linearly."""
    valid = np.count_nonzero(~np.isnan(stack), axis=0)
    place = share * np.maximum(valid - 1, 0)
    low = np.floor(place).astype(np.int64)
    below, above = (
        np.take_along_axis(stack, at[np.newaxis], axis=0)[0] for at in (low, np.minimum(low + 1, len(stack) - 1))
    )
    rest = (place - low).astype(stack.dtype)
    return np.where(rest > 0, below * (1 - rest) + above * rest, below)


def _majority(stack: Any) -> Any:
    lengths = _runs(stack)
    return np.take_along_axis(stack, lengths.argmax(axis=0)[np.newaxis], axis=0)[0]


def _minority(stack: Any) -> Any:
    lengths = _runs(stack)
    ends = np.ones(stack.shape, bool)  # of each run only the last element knows its whole length
    ends[:-1] = stack[:-1] != stack[1:]
    lengths = np.where(ends & (lengths > 0), lengths, len(stack) + 1)
    return np.take_along_axis(stack, lengths.argmin(axis=0)[np.newaxis], axis=0)[0]


def _runs(stack: Any) -> Any:
    """For each element of a sorted stack how often its value has occurred so far; 0 for no data."""
    lengths = np.zeros(stack.shape, np.int32)
    lengths[0] = ~np.isnan(stack[0])
    for place in range(1, len(stack)):
        same = stack[place] == stack[place - 1]
        lengths[place] = np.where(same, lengths[place - 1] + 1, ~np.isnan(stack[place]))
    return lengths


def _variety(stack: Any) -> Any:
    new = (stack[1:] != stack[:-1]) & ~np.isnan(stack[1:])
    counts = new.sum(axis=0) + ~np.isnan(stack[0])
    return np.where(counts > 0, counts, np.nan)


def _sorted(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda values, where: of_sorted(values, where, function)


STATISTICS: Mapping[str, Callable[[Any, Any], Any]] = {
    "mean": _mean,
    "median": _sorted(lambda stack: _percentile(stack, 0.5)),
    "min": lambda values, where: extreme(values, where, largest=False),
    "max": lambda values, where: extreme(values, where, largest=True),
    "range": lambda values, where: extreme(values, where, largest=True) - extreme(values, where, largest=False),
    "sum": _sum,
    "count": _count,
    "sd": lambda values, where: np.sqrt(_variance(values, where)),
    "variance": _variance,
    "majority": _sorted(_majority),
    "minority": _sorted(_minority),
    "variety": _sorted(_variety),
}


def _twice(arguments: Mapping[str, Any]) -> int:
    return reach_of("size", 3, 1 if arguments.get("operation") in ("erode", "dilate", "gradient") else 2)(arguments)


@process(reach=_twice, limits=VIEW)
def morphology(data: Any, operation: Any, size: Any = 3, shape: Any = "square") -> Any:
    """Erosion and dilation, and what is made of them; no data are left out, and stay."""
    where, values = footprint(int(size), shape), data.pixels
    affordable(values, 2 * int(where.sum()))
    missing = np.isnan(values)

    def eroded(layer: Any) -> Any:
        return np.where(missing, np.nan, extreme(layer, where, largest=False))

    def dilated(layer: Any) -> Any:
        return np.where(missing, np.nan, extreme(layer, where, largest=True))

    done: Mapping[str, Callable[[], Any]] = {
        "erode": lambda: eroded(values),
        "dilate": lambda: dilated(values),
        "open": lambda: dilated(eroded(values)),
        "close": lambda: eroded(dilated(values)),
        "gradient": lambda: dilated(values) - eroded(values),
        "tophat": lambda: values - dilated(eroded(values)),
        "blackhat": lambda: eroded(dilated(values)) - values,
    }
    return replace(data, data=done[operation]().astype(values.dtype, copy=False))


def _three_sigmas(arguments: Mapping[str, Any]) -> int:
    sigma = written(arguments, "sigma", 1)
    return math.ceil(3 * min(max(sigma, 0), 1e6))  # beyond the limit in any case; three times the largest is infinite


@process(reach=_three_sigmas, limits=VIEW)
def gaussian_filter(data: Any, sigma: Any) -> Any:
    """The mean weighed by a Gaussian, cut off at three standard deviations; no data are left out, and stay."""
    if not 0.1 <= sigma <= 40:
        raise GraphError("ProcessArgumentInvalid", f"sigma is {sigma} pixels", "choose 0.1 to 40")
    away = np.arange(-math.ceil(3 * sigma), math.ceil(3 * sigma) + 1)
    affordable(data.pixels, 4 * len(away))
    return replace(data, data=smoothed(data.data, np.exp(-(away**2) / (2 * sigma**2))))


@process(reach=lambda arguments: 1, limits=VIEW)
def edge_detection(data: Any, operator: Any = "sobel") -> Any:
    """The length of the gradient per pixel, or the Laplacian; no data next to a pixel give no data."""
    a, b, c, d, e, f, g, h, i = shifts(data.pixels, np.ones((3, 3), bool))
    if operator == "laplacian":
        return replace(data, data=b + d + f + h - 4 * e)
    first, middle, last = EDGES[operator]
    across = (first * (c - a) + middle * (f - d) + last * (i - g)) / (2 * (first + middle + last))
    down = (first * (g - a) + middle * (h - b) + last * (i - c)) / (2 * (first + middle + last))
    return replace(data, data=np.where(np.isnan(e), np.nan, np.hypot(across, down)).astype(data.data.dtype, copy=False))
