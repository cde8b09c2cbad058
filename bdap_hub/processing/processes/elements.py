"""Processes on single values: arithmetic, comparison, logic. They work elementwise on arrays; NaN is no data.

Comparisons and logic give 1, 0 or no data, as openEO's three-valued logic has it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cube import number
from ..graph import GraphError
from ..spec import Anything, Boolean, Flag, Limit, Number, process

Function = Callable[..., Any]


def elementwise(function: Function) -> Function:
    """`process` whose arguments become numbers first, and whose numpy warnings are silent."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*[number(a) for a in args], **{k: number(v) for k, v in kwargs.items()})

    return process(run)


@elementwise
def add(x: Number, y: Number) -> Number:
    """The sum of two numbers."""
    return np.add(x, y)


@elementwise
def subtract(x: Number, y: Number) -> Number:
    """x minus y."""
    return np.subtract(x, y)


@elementwise
def multiply(x: Number, y: Number) -> Number:
    """The product of two numbers."""
    return np.multiply(x, y)


@elementwise
def divide(x: Number, y: Number) -> Number:
    """x divided by y; by zero gives ±infinity or NaN as IEEE 754 has it."""
    return np.true_divide(x, y)


@elementwise
def mod(x: Number, y: Number) -> Number:
    """The remainder of x by y, with the sign of y."""
    return np.mod(x, y)


@elementwise
def power(base: Number, p: Number) -> Number:
    """base raised to p."""
    result = np.where(np.isnan(base) | np.isnan(p), np.nan, np.float_power(base, p))
    return result.astype(np.result_type(base, p, np.float32))


@elementwise
def normalized_difference(x: Number, y: Number) -> Number:
    """(x - y) / (x + y)."""
    return np.true_divide(np.subtract(x, y), np.add(x, y))


@elementwise
def absolute(x: Number) -> Number:
    """The absolute value."""
    return np.abs(x)


@elementwise
def sqrt(x: Number) -> Number:
    """The square root."""
    return np.sqrt(x)


@elementwise
def exp(p: Number) -> Number:
    """e raised to p."""
    return np.exp(p)


@elementwise
def ln(x: Number) -> Number:
    """The natural logarithm."""
    return np.log(x)


@elementwise
def log(x: Number, base: Limit) -> Number:
    """The logarithm of x to a base."""
    return np.log(x) / np.log(base)


@elementwise
def floor(x: Number) -> Number:
    """x rounded down."""
    return np.floor(x)


@elementwise
def ceil(x: Number) -> Number:
    """x rounded up."""
    return np.ceil(x)


@elementwise
def int_(x: Number) -> Number:
    """The integer part of x."""
    return np.trunc(x)


@elementwise
def round_(x: Number, p: Limit = 0) -> Number:
    """x rounded to p decimals, half to even."""
    return np.round(x, int(p))


@elementwise
def clip(x: Number, min: Limit, max: Limit) -> Number:
    """x kept between min and max."""
    return np.clip(x, min, max)


@elementwise
def linear_scale_range(
    x: Number, inputMin: Limit, inputMax: Limit, outputMin: Limit = 0, outputMax: Limit = 1
) -> Number:
    """x, kept between inputMin and inputMax, stretched to outputMin … outputMax."""
    share = (np.clip(x, inputMin, inputMax) - inputMin) / (inputMax - inputMin)
    return share * (outputMax - outputMin) + outputMin


def truth(result: Any, *operands: Any) -> Any:
    """A comparison's result as 1, 0, or no data where an operand has none."""
    missing = functools.reduce(operator.or_, (np.isnan(o) for o in operands))
    return np.where(missing, np.float32(np.nan), np.asarray(result, np.float32))


def _compare(x: Any, y: Any, relation: Function) -> Any:
    if isinstance(x, str) or isinstance(y, str):
        if isinstance(x, str) and isinstance(y, str):
            return np.float32(relation(x, y))
        return np.float32(relation is operator.ne)
    x, y = number(x), number(y)
    return truth(relation(x, y), x, y)


@process
def eq(x: Anything, y: Anything, delta: Number = None, case_sensitive: Flag = True) -> Boolean:
    """Whether x equals y, within delta if given."""
    if delta is not None:
        return truth(np.abs(np.subtract(number(x), number(y))) <= delta, number(x), number(y))
    if not case_sensitive and isinstance(x, str) and isinstance(y, str):
        x, y = x.casefold(), y.casefold()
    return _compare(x, y, operator.eq)


@process
def neq(x: Anything, y: Anything, delta: Number = None, case_sensitive: Flag = True) -> Boolean:
    """Whether x differs from y, by more than delta if given."""
    return not_(eq(x, y, delta, case_sensitive))


@process
def lt(x: Anything, y: Anything) -> Boolean:
    """Whether x is less than y."""
    return _compare(x, y, operator.lt)


@process
def lte(x: Anything, y: Anything) -> Boolean:
    """Whether x is at most y."""
    return _compare(x, y, operator.le)


@process
def gt(x: Anything, y: Anything) -> Boolean:
    """Whether x is greater than y."""
    return _compare(x, y, operator.gt)


@process
def gte(x: Anything, y: Anything) -> Boolean:
    """Whether x is at least y."""
    return _compare(x, y, operator.ge)


@process
def between(x: Anything, min: Anything, max: Anything, exclude_max: Flag = False) -> Boolean:
    """Whether min ≤ x ≤ max (or < max)."""
    return and_(gte(x, min), lt(x, max) if exclude_max else lte(x, max))


@elementwise
def and_(x: Boolean, y: Boolean) -> Boolean:
    """True if both are true; no data if that cannot be known."""
    known_false = (x == 0) | (y == 0)
    return np.where(known_false, np.float32(0), truth((x != 0) & (y != 0), x, y))


@elementwise
def or_(x: Boolean, y: Boolean) -> Boolean:
    """True if one is true; no data if that cannot be known."""
    known_true = ((x != 0) & ~np.isnan(x)) | ((y != 0) & ~np.isnan(y))
    return np.where(known_true, np.float32(1), truth(np.zeros(()), x, y))


@elementwise
def xor(x: Boolean, y: Boolean) -> Boolean:
    """True if exactly one is true."""
    return truth((x != 0) != (y != 0), x, y)


@elementwise
def not_(x: Boolean) -> Boolean:
    """The contrary; no data stays no data."""
    return truth(x == 0, x)


@process
def if_(value: Boolean, accept: Anything, reject: Anything = None) -> Anything:
    """accept where value is true, else reject."""
    if any(isinstance(branch, (str, list)) for branch in (accept, reject)):
        raise GraphError("ProcessArgumentInvalid", "`if` works on numbers and booleans here")
    chosen = np.where(np.asarray(number(value)) == 1, number(accept), number(reject))
    return chosen.astype(np.result_type(number(accept), number(reject), np.float32), copy=False)


@elementwise
def is_nodata(x: Anything) -> Boolean:
    """Whether there is no data."""
    return np.isnan(x).astype(np.float32)


@elementwise
def is_nan(x: Anything) -> Boolean:
    """Whether there is no number (here the same as no data)."""
    return np.isnan(x).astype(np.float32)


@elementwise
def is_valid(x: Anything) -> Boolean:
    """Whether there is a finite value."""
    return np.isfinite(x).astype(np.float32)
