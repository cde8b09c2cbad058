"""How one small function serves both worlds of values (see values.py): decorators that declare it as a process."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..cubes.values import Series, floats, has_layers, items, number, plain, series
from ..graphs.spec import process

Function = Callable[..., Any]
NO_DATA = np.float32(np.nan)


def elementwise(function: Function) -> Function:
    """A function of numbers: plain ones in full precision, no data in gives no data out; layers pixel by pixel."""

    @functools.wraps(function)
    def run(*args: Any, **arguments: Any) -> Any:
        if has_layers(*args, *arguments.values()):
            return function(*map(number, args), **{name: number(value) for name, value in arguments.items()})
        if any(value is None for value in (*args, *arguments.values())):
            return None
        exact = {name: np.float64(number(value)) for name, value in arguments.items()}
        return plain(function(*(np.float64(number(value)) for value in args), **exact))

    return run


def numpy_functions(functions: Mapping[str, Function]) -> None:
    """Declare functions of numpy as processes; they get the arguments in the order of the specification."""
    for name, function in functions.items():
        process(elementwise(_in_order(function)), name=name)


def logical(function: Function) -> Function:
    """A function of truth values with three values: on layers 1, 0 and NaN, on plain ones True, False and None."""

    @functools.wraps(function)
    def run(x: Any, y: Any = None) -> Any:
        result = function(number(x), number(y))
        if has_layers(x, y):
            return result
        return None if np.isnan(result) else bool(result)

    return run


def reducer(function: Function) -> Function:
    """A process on an array of numbers, whose function gets the values with the axis to reduce first.

    Of plain values no data are taken out beforehand, so that its NaN is a NaN. No values at all give no data.
    """

    @functools.wraps(function)
    def run(data: Any, ignore_nodata: bool = True) -> Any:
        if has_layers(data):
            values = series(data).values
            return function(values, ignore_nodata) if len(values) else NO_DATA
        every = items(data)
        given = [value for value in every if value is not None]
        if not given or (len(given) < len(every) and not ignore_nodata):
            return None
        numbers = floats(given)
        result = plain(function(numbers, False))
        return None if math.isnan(result) and np.isfinite(numbers).all() else result

    return process(run)


def cumulative(functions: Mapping[str, Function]) -> None:
    """Declare processes that give an array as long as their own: no data stays where it is, or spreads from there."""
    for name, function in functions.items():
        process(_cumulative(function), name=name)


def _cumulative(function: Function) -> Function:
    def values_of(values: Any, ignore_nodata: bool) -> Any:
        missing = np.isnan(values)
        hidden = missing if ignore_nodata else np.logical_or.accumulate(missing, axis=0)
        return np.where(hidden, np.asarray(np.nan, values.dtype), function(values))

    def run(data: Any, ignore_nodata: bool = True) -> Any:
        if has_layers(data):
            whole = series(data)
            return Series(values_of(whole.values, ignore_nodata), whole.labels, whole.aliases)
        values = values_of(floats(items(data)), ignore_nodata).tolist()
        return [None if math.isnan(value) else value for value in values]

    return run


def _in_order(function: Function) -> Function:
    def run(**arguments: Any) -> Any:
        return function(*arguments.values())

    return run
