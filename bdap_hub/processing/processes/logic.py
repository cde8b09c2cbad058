"""Logic with three values: true, false, and no data where the result cannot be known."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cubes.values import has_layers, items, number, plain, series
from ..graphs.graph import GraphError
from ..graphs.spec import process
from ..kernels import both, either
from .lifted import logical


@process
@logical
def and_(x: Any, y: Any) -> Any:
    """True if both are true."""
    return both(_known(x), _known(y))


@process
@logical
def or_(x: Any, y: Any) -> Any:
    """True if one is true."""
    return either(_known(x), _known(y))


@process
@logical
def xor(x: Any, y: Any) -> Any:
    """True if exactly one is true."""
    differ = np.asarray((x != 0) != (y != 0), np.float32)
    return np.where(np.isnan(x) | np.isnan(y), np.float32(np.nan), differ)


@process
def not_(x: Any) -> Any:
    """The contrary; no data stays no data."""
    if isinstance(x, np.ndarray):
        return np.where(np.isnan(x), np.float32(np.nan), np.asarray(x == 0, np.float32))
    return None if x is None else not x


@process
def if_(value: Any, accept: Any, reject: Any = None) -> Any:
    """accept where value is true, else reject."""
    if not isinstance(value, np.ndarray):
        return accept if value is not None and plain(value) == 1 else reject
    if any(isinstance(branch, (str, list)) for branch in (accept, reject)):
        raise GraphError("ProcessArgumentInvalid", "where the condition is one of pixels, `if` gives numbers only")
    chosen = np.where(value == 1, number(accept), number(reject))
    return chosen.astype(np.result_type(number(accept), number(reject), np.float32), copy=False)


@process
def all_(data: Any, ignore_nodata: Any = True) -> Any:
    """Whether all values are true."""
    return _pairwise(data, ignore_nodata, stops=0)


@process
def any_(data: Any, ignore_nodata: Any = True) -> Any:
    """Whether one value is true."""
    return _pairwise(data, ignore_nodata, stops=1)


def _known(value: Any) -> Any:
    """A plain number as 1, 0 or NaN: one that is not 0 may be 0 in the layers' precision."""
    return value if isinstance(value, np.ndarray) else np.float32(np.nan if value != value else value != 0)


def _pairwise(data: Any, ignore_nodata: bool, stops: int) -> Any:
    """The value `stops` if it occurs, else its contrary, or no data where that cannot be known."""
    if has_layers(data):
        values = series(data).values
        found = ((values != 0) == bool(stops)) & ~np.isnan(values)
        result = np.where(found.any(axis=0), np.float32(stops), np.float32(1 - stops))
        unknown = np.isnan(values).any(axis=0) & (result != stops)
        return result if ignore_nodata else np.where(unknown, np.float32(np.nan), result)
    every = items(data)
    if any(value is not None and bool(value) == bool(stops) for value in every):
        return bool(stops)
    return None if None in every and not ignore_nodata else not stops
