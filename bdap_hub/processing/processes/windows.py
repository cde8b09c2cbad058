"""Neighbourhoods of pixels on numpy: shifted layers, sums, extremes, sorted stacks; no data (NaN) left out. PURE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..graphs.graph import GraphError

MOST_ACROSS, MOST_WEIGHTS, MOST_PRODUCTS = 257, 4096, 2**33
STACK = 2**24
"""How many values of a sorted stack are held at once."""


def footprint(size: int, shape: str) -> Any:
    """Which pixels of a square belong to a neighbourhood: all, or those in the circle that fits into it."""
    if size > MOST_ACROSS:
        raise TooMuch(f"the neighbourhood has {size} pixels a side", f"use at most {MOST_ACROSS}")
    if size % 2 == 0:
        raise GraphError("KernelDimensionsUneven", f"the neighbourhood has {size} pixels a side", "use an odd number")
    away = np.arange(size) - size // 2
    if shape == "circle":
        return np.add.outer(away**2, away**2) <= (size / 2) ** 2
    return np.ones((size, size), bool)


def reach_of(name: str, default: int, times: int = 1) -> Callable[[Mapping[str, Any]], int]:
    """The reach of a process whose argument `name` is the side of its neighbourhood."""

    def reach(arguments: Mapping[str, Any]) -> int:
        return times * (int(written(arguments, name, default)) // 2)

    return reach


def written(arguments: Mapping[str, Any], name: str, default: float) -> float:
    """A number that says how far a process looks: it must stand in the graph."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise GraphError("ProcessArgumentInvalid", f"{name!r} must stand in the graph as a number", "write it there")
    return float(value)


def affordable(values: Any, weights: int) -> None:
    """TooMuch for more products than an evaluation has time for."""
    if weights > MOST_WEIGHTS or weights * values.size > MOST_PRODUCTS:
        raise TooMuch(
            f"the neighbourhood has {weights} pixels for each of {values.size} values",
            f"use at most {MOST_WEIGHTS}, and fewer dates or bands",
        )


def shifts(values: Any, where: Any, fill: float = np.nan) -> Iterator[Any]:
    """The layers that lie under each pixel of a neighbourhood, row by row."""
    height, width = values.shape[-2:]
    tall, wide = (side // 2 for side in where.shape)
    around = [(0, 0)] * (values.ndim - 2) + [(tall, tall), (wide, wide)]
    padded = np.pad(values, around, constant_values=fill)
    for row, column in np.argwhere(where):
        yield padded[..., row : row + height, column : column + width]


def total(values: Any, where: Any) -> Any:
    """The sum over the neighbourhood; what lies outside of the layer counts as 0."""
    if where.all():  # a square: first down, then across
        down = sum(shifts(values, np.ones((len(where), 1), bool), 0))
        return sum(shifts(down, np.ones((1, len(where)), bool), 0))
    return sum(shifts(values, where, 0))


def extreme(values: Any, where: Any, largest: bool) -> Any:
    """The largest (smallest) value of the neighbourhood; no data where there is none."""
    choose = np.fmax if largest else np.fmin
    if where.all():
        values = _chosen(values, np.ones((len(where), 1), bool), choose)
        return _chosen(values, np.ones((1, len(where)), bool), choose)
    return _chosen(values, where, choose)


def of_sorted(values: Any, where: Any, function: Callable[[Any], Any]) -> Any:
    """What a function gives for the sorted neighbourhood of each pixel (no data last), some rows at a time."""
    reach, height = where.shape[0] // 2, values.shape[-2]
    around = [(0, 0)] * (values.ndim - 2) + [(reach, reach), (0, 0)]
    padded = np.pad(values, around, constant_values=np.nan)
    rows = max(1, STACK // max(1, int(where.sum()) * (values.size // max(1, height))))
    out = np.empty_like(values)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        part = padded[..., top : bottom + 2 * reach, :]
        stack = np.stack([layer[..., reach : reach + bottom - top, :] for layer in shifts(part, where)])
        stack.sort(axis=0)
        out[..., top:bottom, :] = function(stack)
    return out


def smoothed(values: Any, weights: Any) -> Any:
    """The mean weighed by the same weights down and across; no data are left out, and stay."""
    valid = np.isfinite(values)
    kind = values.dtype.type
    sums = [np.where(valid, values, 0), valid.astype(values.dtype)]
    for axis in ((-1, 1), (1, -1)):
        where = np.ones((len(weights), 1) if axis[0] == -1 else (1, len(weights)), bool)
        sums = [
            sum(layer * kind(weight) for layer, weight in zip(shifts(part, where, 0), weights, strict=True))
            for part in sums
        ]
    return np.where(valid, sums[0] / sums[1], np.nan).astype(values.dtype, copy=False)


def _chosen(values: Any, where: Any, choose: Any) -> Any:
    layers = shifts(values, where)
    out = next(layers).copy()
    for layer in layers:
        choose(out, layer, out=out)
    return out
