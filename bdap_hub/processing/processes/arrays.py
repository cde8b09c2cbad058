"""Processes on arrays: the reducers, which ignore no data unless told otherwise, and array_element."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cube import number, series
from ..graph import Graph, GraphError
from ..spec import Anything, Array, Condition, Flag, Limit, Number, OptionalText, process

Function = Callable[..., Any]


def reducer(function: Function) -> Function:
    """`process` that gets the values with the axis to reduce first; an empty array gives no data."""

    @functools.wraps(function)
    def run(data: Any, ignore_nodata: bool = True) -> Any:
        values = series(data).values
        if not len(values):
            return np.float32(np.nan)
        with np.errstate(all="ignore"):
            return function(values, ignore_nodata)

    return process(run)


@reducer
def min_(data: Array, ignore_nodata: Flag = True) -> Number:
    """The smallest value."""
    return (np.fmin if ignore_nodata else np.minimum).reduce(data, axis=0)


@reducer
def max_(data: Array, ignore_nodata: Flag = True) -> Number:
    """The largest value."""
    return (np.fmax if ignore_nodata else np.maximum).reduce(data, axis=0)


@reducer
def sum_(data: Array, ignore_nodata: Flag = True) -> Number:
    """The sum; no data where there is no value at all."""
    if not ignore_nodata:
        return data.sum(axis=0)
    return np.where(np.isnan(data).all(axis=0), np.float32(np.nan), np.nansum(data, axis=0))


@reducer
def product(data: Array, ignore_nodata: Flag = True) -> Number:
    """The product; no data where there is no value at all."""
    if not ignore_nodata:
        return data.prod(axis=0)
    return np.where(np.isnan(data).all(axis=0), np.float32(np.nan), np.nanprod(data, axis=0))


@reducer
def mean(data: Array, ignore_nodata: Flag = True) -> Number:
    """The arithmetic mean."""
    if not ignore_nodata:
        return data.mean(axis=0)
    valid = ~np.isnan(data)
    total = np.where(valid, data, 0).sum(axis=0, dtype=np.float64)
    return (total / valid.sum(axis=0)).astype(data.dtype, copy=False)


@reducer
def median(data: Array, ignore_nodata: Flag = True) -> Number:
    """The median; of an even number of values the mean of the two in the middle."""
    ordered = np.sort(data, axis=0)  # NaN sorts last, so the valid values of a pixel come first
    valid = np.count_nonzero(~np.isnan(data), axis=0)
    if not ignore_nodata:
        valid = np.where(valid < len(data), 0, valid)
    low, high = np.maximum(valid - 1, 0) // 2, np.minimum(valid // 2, len(data) - 1)
    pick = functools.partial(np.take_along_axis, ordered, axis=0)
    middle = (pick(low[np.newaxis])[0] + pick(high[np.newaxis])[0]) / 2
    return np.where(valid == 0, np.float32(np.nan), middle).astype(data.dtype, copy=False)


@reducer
def sd(data: Array, ignore_nodata: Flag = True) -> Number:
    """The sample standard deviation."""
    return np.sqrt(_variance(data, ignore_nodata))


@reducer
def variance(data: Array, ignore_nodata: Flag = True) -> Number:
    """The sample variance."""
    return _variance(data, ignore_nodata)


@reducer
def first(data: Array, ignore_nodata: Flag = True) -> Number:
    """The first value."""
    return _end(data) if ignore_nodata else data[0]


@reducer
def last(data: Array, ignore_nodata: Flag = True) -> Number:
    """The last value."""
    return _end(data[::-1]) if ignore_nodata else data[-1]


@process
def count(ctx: Any, data: Array, condition: Condition = None, context: Anything = None) -> Number:
    """How many values are valid, or (condition true) there at all, or fulfil a condition."""
    values = series(data).values
    if condition is True:
        return np.full(values.shape[1:], len(values), np.float32)
    if isinstance(condition, Graph):
        met = np.asarray(number(ctx.call(condition, {"x": values, "context": context})))
        return np.broadcast_to(met == 1, values.shape).sum(axis=0, dtype=np.float32)
    return np.count_nonzero(np.isfinite(values), axis=0).astype(np.float32)


@process
def array_element(
    data: Array, index: Limit = None, label: OptionalText = None, return_nodata: Flag = False
) -> Anything:
    """The element at an index (from 0) or with a label."""
    if (index is None) == (label is None):
        raise GraphError("ArrayElementParameterMissing", "array_element needs either `index` or `label`")
    values = series(data)
    if label is not None:
        if return_nodata and label not in values.labels and label not in values.aliases:
            return np.float32(np.nan)
        return values.values[values.at(label)]
    if 0 <= index < len(values.values):
        return values.values[int(index)]
    if return_nodata:
        return np.float32(np.nan)
    raise GraphError(
        "ArrayElementNotAvailable", f"there is no element {index}", f"the array has {len(values.values)} elements"
    )


def _variance(data: Any, ignore_nodata: bool) -> Any:
    if not ignore_nodata:
        return data.var(axis=0, ddof=1, dtype=np.float64).astype(data.dtype)
    valid = ~np.isnan(data)
    number_of = valid.sum(axis=0)
    centre = np.where(valid, data, 0).sum(axis=0, dtype=np.float64) / number_of
    squares = np.where(valid, (data - centre) ** 2, 0).sum(axis=0)
    return np.where(number_of > 1, squares / (number_of - 1), np.nan).astype(data.dtype)


def _end(data: Any) -> Any:
    out = data[0].copy()
    for layer in data[1:]:
        empty = np.isnan(out)
        if not empty.any():
            break
        out = np.where(empty, layer, out)
    return out
