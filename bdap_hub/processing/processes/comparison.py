"""Comparisons: true, false, or no data where an operand has none. Types are compared strictly."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..cubes.values import has_layers, number, plain
from ..graphs.spec import process
from .lifted import Function
from .logic import and_, not_

PIXELS = "On pixels NaN and no data are the same."


def truth(result: Any, *operands: Any) -> Any:
    """A comparison's result on layers: 1, 0, or no data where an operand has none."""
    out = np.array(result, np.float32)
    for operand in operands:
        if (missing := np.isnan(operand)).any():
            out[np.broadcast_to(missing, out.shape)] = np.nan
    return out


@process
def eq(x: Any, y: Any, delta: Any = None, case_sensitive: Any = True) -> Any:
    """Whether x equals y, within delta if given."""
    if not case_sensitive and isinstance(x, str) and isinstance(y, str):
        x, y = x.casefold(), y.casefold()
    if delta:
        return _compare(x, y, lambda a, b: np.abs(np.subtract(a, b)) <= delta)
    return _compare(x, y, operator.eq, (bool, str))


@process
def neq(x: Any, y: Any, delta: Any = None, case_sensitive: Any = True) -> Any:
    """Whether x differs from y, by more than delta if given."""
    return not_(eq(x, y, delta, case_sensitive))


def _declared(name: str, relation: Function) -> Function:
    def compared(x: Any, y: Any) -> Any:
        return _compare(x, y, relation)

    return process(compared, name=name)


lt, lte = _declared("lt", operator.lt), _declared("lte", operator.le)
gt, gte = _declared("gt", operator.gt), _declared("gte", operator.ge)


@process
def between(x: Any, min: Any, max: Any, exclude_max: Any = False) -> Any:
    """Whether min ≤ x ≤ max (or < max)."""
    return and_(gte(x, min), lt(x, max) if exclude_max else lte(x, max))


@process(limits=PIXELS)
def is_nodata(x: Any) -> Any:
    """Whether there is no data."""
    return np.isnan(x).astype(np.float32) if isinstance(x, np.ndarray) else x is None


@process(limits=PIXELS)
def is_nan(x: Any) -> Any:
    """Whether it is a number that is none."""
    return np.isnan(x).astype(np.float32) if isinstance(x, np.ndarray) else isinstance(x, float) and math.isnan(x)


@process
def is_infinite(x: Any) -> Any:
    """Whether it is an infinite number."""
    return np.isinf(x).astype(np.float32) if isinstance(x, np.ndarray) else isinstance(x, float) and math.isinf(x)


@process
def is_valid(x: Any) -> Any:
    """Whether there is a finite number, or data of another type."""
    if isinstance(x, np.ndarray):
        return np.isfinite(x).astype(np.float32)
    return math.isfinite(x) if isinstance(x, (int, float)) else x is not None


def same(x: Any, y: Any) -> bool:
    """Whether two plain values are equal as `eq` has it; without data they never are."""
    return _compare(x, y, operator.eq, (bool, str)) is True


def _compare(x: Any, y: Any, relation: Function, also: tuple[type, ...] = ()) -> Any:
    """`relation` of two numbers, or of two values of one of the types `also`; of others False."""
    x, y = plain(x), plain(y)
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        if has_text(x, y):
            return np.float32(0)
        x, y = number(x), number(y)
        return truth(relation(x, y), x, y)
    if x is None or y is None:
        return None
    if any(isinstance(x, kind) and isinstance(y, kind) for kind in also) or (_is_number(x) and _is_number(y)):
        return bool(relation(x, y))
    return False


def has_text(*values: Any) -> bool:
    """Whether one of the values is no number, no truth value and no layer."""
    return any(not (v is None or isinstance(v, (bool, int, float)) or has_layers(v)) for v in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
