"""Statistics of arrays: reducers, which ignore no data unless told otherwise, and cumulative ones."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from ..cubes.values import Series, fits, floats, has_layers, items, number, plain, series
from ..graphs.graph import Graph, GraphError
from ..graphs.spec import process
from ..kernels import middles
from .comparison import is_valid
from .lifted import NO_DATA, cumulative, reducer

MOST_NETWORK, LEAST_NETWORK = 32, 4096


@reducer
def min_(data: Any, ignore_nodata: Any = True) -> Any:
    """The smallest value."""
    return (np.fmin if ignore_nodata else np.minimum).reduce(data, axis=0)


@reducer
def max_(data: Any, ignore_nodata: Any = True) -> Any:
    """The largest value."""
    return (np.fmax if ignore_nodata else np.maximum).reduce(data, axis=0)


@reducer
def sum_(data: Any, ignore_nodata: Any = True) -> Any:
    """The sum; no data where there is no value at all."""
    if not ignore_nodata:
        return data.sum(axis=0)
    return np.where(np.isnan(data).all(axis=0), NO_DATA, np.nansum(data, axis=0))


@reducer
def product(data: Any, ignore_nodata: Any = True) -> Any:
    """The product; no data where there is no value at all."""
    if not ignore_nodata:
        return data.prod(axis=0)
    return np.where(np.isnan(data).all(axis=0), NO_DATA, np.nanprod(data, axis=0))


@reducer
def mean(data: Any, ignore_nodata: Any = True) -> Any:
    """The arithmetic mean."""
    if not ignore_nodata:
        return data.mean(axis=0)
    valid = ~np.isnan(data)
    total = np.where(valid, data, 0).sum(axis=0, dtype=np.float64)
    return (total / valid.sum(axis=0)).astype(data.dtype, copy=False)


@reducer
def median(data: Any, ignore_nodata: Any = True) -> Any:
    """The median; of an even number of values the mean of the two in the middle."""
    if data.dtype in (np.float32, np.float64) and len(data) <= MOST_NETWORK:
        out = np.empty(data[0].size, data.dtype)
        middles(np.ascontiguousarray(data).reshape(len(data), -1), _pairs(len(data)), bool(ignore_nodata), out)
        return out.reshape(data.shape[1:])
    ordered, valid = _ordered(data, ignore_nodata)
    low, high = np.maximum(valid - 1, 0) // 2, np.minimum(valid // 2, len(data) - 1)
    middle = (_picked(ordered, low) + _picked(ordered, high)) / 2
    return np.where(valid == 0, NO_DATA, middle).astype(data.dtype, copy=False)


@reducer
def sd(data: Any, ignore_nodata: Any = True) -> Any:
    """The sample standard deviation."""
    return np.sqrt(_variance(data, ignore_nodata))


@reducer
def variance(data: Any, ignore_nodata: Any = True) -> Any:
    """The sample variance."""
    return _variance(data, ignore_nodata)


@process
def first(data: Any, ignore_nodata: Any = True) -> Any:
    """The first value."""
    return _end(data, 0, ignore_nodata)


@process
def last(data: Any, ignore_nodata: Any = True) -> Any:
    """The last value."""
    return _end(data, -1, ignore_nodata)


@process
def extrema(data: Any, ignore_nodata: Any = True) -> Any:
    """The smallest and the largest value."""
    return [min_(data, ignore_nodata), max_(data, ignore_nodata)]


@process
def quantiles(data: Any, probabilities: Any = None, q: Any = None, ignore_nodata: Any = True) -> Any:
    """The values below which a share of the values lies, interpolated linearly; a number asks for equal shares."""
    shares = _shares(probabilities, q)
    fits(0, len(shares))
    if has_layers(data):
        values = series(data).values
        fits(len(shares) * values[:1].size)
        if not len(values):
            return [NO_DATA] * len(shares)
        ordered, valid = _ordered(values, ignore_nodata)
        return [_quantile(ordered, valid, share).astype(values.dtype, copy=False) for share in shares]
    every = items(data)
    given = floats([value for value in every if value is not None])
    if not len(given) or (len(given) < len(every) and not ignore_nodata):
        return [None] * len(shares)
    ordered = _ordered(given, False)
    return [plain(_quantile(*ordered, share)) for share in shares]


@process
def count(ctx: Any, data: Any, condition: Any = None, context: Any = None) -> Any:
    """How many values are valid, or (condition true) there at all, or fulfil a condition."""
    values = items(data)
    if condition is True:
        return len(values)
    if isinstance(condition, Graph):
        met = ctx.call_each(condition, ({"x": value, "context": context} for value in values))
    else:
        met = [is_valid(value) for value in values]
    total = sum((np.asarray(number(value)) == 1 for value in met), start=np.zeros((), np.int64))
    return total.astype(np.float32) if has_layers(data) else int(total)


cumulative(
    {
        "cumsum": lambda values: np.nancumsum(values, axis=0),
        "cumproduct": lambda values: np.nancumprod(values, axis=0),
        "cummax": lambda values: np.fmax.accumulate(values, axis=0),
        "cummin": lambda values: np.fmin.accumulate(values, axis=0),
    }
)


def _ordered(data: Any, ignore_nodata: bool) -> tuple[Any, Any]:
    """The values sorted (NaN last), and how many of them count: none where one is missing that may not be ignored."""
    valid = np.count_nonzero(~np.isnan(data), axis=0)
    return _sorted(data), valid if ignore_nodata else np.where(valid < len(data), 0, valid)


def _sorted(data: Any) -> Any:
    """The layers sorted, NaN last. Few large ones by a network of comparisons, which is several times faster."""
    if not 1 < len(data) <= MOST_NETWORK or data[0].size < LEAST_NETWORK:
        return np.sort(data, axis=0)
    layers = list(np.where(np.isnan(data), np.asarray(np.inf, data.dtype), data))
    for low, high in _network(len(layers)):
        layers[low], layers[high] = np.minimum(layers[low], layers[high]), np.maximum(layers[low], layers[high])
    return np.stack(layers)


@functools.lru_cache(maxsize=64)
def _network(size: int) -> tuple[tuple[int, int], ...]:
    """Batcher's odd-even merge sort: the pairs to compare, in order (Knuth, TAOCP 5.2.2, algorithm M)."""
    pairs, top = list[tuple[int, int]](), 1 << max(0, (size - 1).bit_length() - 1)
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(size - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return tuple(pairs)


@functools.lru_cache(maxsize=64)
def _pairs(size: int) -> Any:
    """`_network` as an array, for `middles`."""
    return np.array(_network(size), np.int64).reshape(-1, 2)


def _picked(ordered: Any, index: Any) -> Any:
    flat = ordered.reshape(-1)
    size = flat.size // len(ordered)
    places = np.broadcast_to(index, ordered.shape[1:]).reshape(-1) * size + np.arange(size)
    return flat.take(places).reshape(ordered.shape[1:])


def _quantile(ordered: Any, valid: Any, share: float) -> Any:
    place = share * np.maximum(np.asarray(valid) - 1, 0)
    low = np.floor(place).astype(np.int64)
    rest = place - low
    below, above = _picked(ordered, low), _picked(ordered, np.minimum(low + 1, len(ordered) - 1))
    between = np.where(rest > 0, below * (1 - rest) + above * rest, below)
    return np.where(np.asarray(valid) == 0, np.nan, between)


def _shares(probabilities: Any, q: Any) -> list[float]:
    if (probabilities is None) == (q is None):
        code = "QuantilesParameterMissing" if q is None else "QuantilesParameterConflict"
        raise GraphError(code, "quantiles needs either `probabilities` or `q`", "give `probabilities`")
    asked = q if probabilities is None else probabilities
    if not isinstance(asked, list):
        fits(0, int(asked))
        return [i / asked for i in range(1, int(asked))]
    if any(a >= b for a, b in itertools.pairwise(asked)):
        raise GraphError("AscendingProbabilitiesRequired", f"{asked} is not in ascending order")
    return [float(share) for share in asked]


def _variance(data: Any, ignore_nodata: bool) -> Any:
    if len(data) < 2:
        return np.full(data.shape[1:], np.nan, data.dtype)
    if not ignore_nodata:
        return data.var(axis=0, ddof=1, dtype=np.float64).astype(data.dtype)
    valid = ~np.isnan(data)
    number_of = valid.sum(axis=0)
    centre = np.where(valid, data, 0).sum(axis=0, dtype=np.float64) / number_of
    squares = np.where(valid, (data - centre) ** 2, 0).sum(axis=0)
    return np.where(number_of > 1, squares / (number_of - 1), np.nan).astype(data.dtype)


def _end(data: Any, end: int, ignore_nodata: bool) -> Any:
    values = items(data)[:: 1 if end == 0 else -1]
    if not values:
        return NO_DATA if isinstance(data, Series) else None
    if not ignore_nodata:
        return values[0]
    if not has_layers(data):
        return next((value for value in values if value is not None), None)
    out = number(values[0])
    for layer in values[1:]:
        empty = np.isnan(out)
        if not empty.any():
            break
        out = np.where(empty, number(layer), out)
    return out
