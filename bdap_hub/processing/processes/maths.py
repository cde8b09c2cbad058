"""Arithmetic, rounding, powers, trigonometry, scaling: numbers in, a number out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..cubes.values import has_layers
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .lifted import elementwise, numpy_functions

numpy_functions(
    {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "divide": np.true_divide,
        "absolute": np.abs,
        "sgn": np.sign,
        "sqrt": np.sqrt,
        "exp": np.exp,
        "ln": np.log,
        "floor": np.floor,
        "ceil": np.ceil,
        "sin": np.sin,
        "cos": np.cos,
        "tan": np.tan,
        "sinh": np.sinh,
        "cosh": np.cosh,
        "tanh": np.tanh,
        "arcsin": np.arcsin,
        "arccos": np.arccos,
        "arctan": np.arctan,
        "arctan2": np.arctan2,
        "arsinh": np.arcsinh,
        "arcosh": np.arccosh,
        "artanh": np.arctanh,
    }
)


@process
def pi() -> float:
    """π."""
    return float(np.pi)


@process
def e() -> float:
    """Euler's number."""
    return math.e


@process
def nan() -> float:
    """Not a number."""
    return float("nan")


@process
def constant(x: Any) -> Any:
    """x itself."""
    return x


@process
@elementwise
def mod(x: Any, y: Any) -> Any:
    """The remainder with the sign of y; by zero what IEEE 754 gives for the quotient."""
    return np.where(np.equal(y, 0), np.true_divide(x, y), np.mod(x, y))


@process
@elementwise
def power(base: Any, p: Any) -> Any:
    """base raised to p; no data stays, even to the power of zero."""
    result = np.where(np.isnan(base) | np.isnan(p), np.nan, np.float_power(base, p))
    return result.astype(np.result_type(base, p, np.float32))


@process
@elementwise
def log(x: Any, base: Any) -> Any:
    """The logarithm of x to a base."""
    return np.log(x) / np.log(base)


@process
@elementwise
def normalized_difference(x: Any, y: Any) -> Any:
    """(x - y) / (x + y)."""
    return np.true_divide(np.subtract(x, y), np.add(x, y))


@process
def int_(x: Any) -> Any:
    """The integer part; of a plain NaN there is none."""
    result = _truncated(x)
    return None if not has_layers(x) and result != result else result


@process
@elementwise
def round_(x: Any, p: Any = 0) -> Any:
    """x rounded to p decimals, half to even."""
    return np.round(x, int(p))


@process
def clip(x: Any, min: Any, max: Any) -> Any:
    """x kept between min and max."""
    if not has_layers(min, max) and min is not None and max is not None and min > max:
        raise GraphError("MinMaxSwapped", f"min is {min} and max is {max}", "give the smaller one as min")
    return _clipped(x, min, max)


@process
@elementwise
def linear_scale_range(x: Any, inputMin: Any, inputMax: Any, outputMin: Any = 0, outputMax: Any = 1) -> Any:
    """x, kept between inputMin and inputMax, stretched to outputMin … outputMax."""
    kept = np.clip(x, np.minimum(inputMin, inputMax), np.maximum(inputMin, inputMax))
    share = (kept - inputMin) / (inputMax - inputMin)
    return share * (outputMax - outputMin) + outputMin


_truncated = elementwise(np.trunc)
_clipped = elementwise(np.clip)
