"""Curves along a dimension: a model's parameters fitted to each pixel's values, and values predicted from them.

The independent variable is the label: a number, or for dates the seconds since 1970. Levenberg-Marquardt with
numeric derivatives (Press et al., Numerical Recipes, 15.5), all pixels at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..cubes.extent import instant
from ..cubes.values import Series, fits, has_layers, labels_of, number, plain, series
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .cubes import shaped

ROUNDS, STEP, ENOUGH = 40, 1e-7, 1e-6
MOST_PARAMETERS = 100
Model = Callable[[Any], Any]


@process(limits="No data are always ignored. Dates count as seconds since 1970.")
def fit_curve(ctx: Any, data: Any, parameters: Any, function: Any, ignore_nodata: Any = True) -> Any:
    """The parameters with which the model comes nearest to the values; no data where there are fewer values."""
    values = series(data).values.astype(np.float64)
    places = [_place(label) for label in labels_of(data) or range(len(values))]
    start = [float(number(p)) for p in parameters]
    pixels = max(1, math.prod(values.shape[1:]))
    fits(pixels * max(len(values) * (len(start) + 2), len(start) ** 2))
    if len(start) > MOST_PARAMETERS:
        raise TooMuch(f"the model has {len(start)} parameters", f"use at most {MOST_PARAMETERS}")

    def model(found: Any) -> Any:
        handed = Series(found) if values.ndim > 1 else found.tolist()
        every = [number(ctx.call(function, {"x": place, "parameters": handed})) for place in places]
        return np.stack([np.broadcast_to(np.asarray(value, np.float64), values.shape[1:]) for value in every])

    found = _fitted(model, values, start)
    kind = series(data).values.dtype
    return Series(found.astype(kind)) if has_layers(data) else found.tolist()


@process(limits="The dimension holds the parameters; labels must be given. Dates count as seconds since 1970.")
def predict_curve(ctx: Any, parameters: Any, function: Any, dimension: Any, labels: Any = None) -> Any:
    """What the model gives for each label."""
    if not labels:
        raise GraphError("ProcessArgumentUnsupported", "values can only be predicted for labels that are given")
    along = parameters.series(dimension)
    rest = along.values.shape[1:]
    fits(len(labels) * math.prod(rest), len(labels))
    layers = [
        shaped(ctx.call(function, {"x": _place(label), "parameters": along}), rest, parameters) for label in labels
    ]
    return parameters.along(dimension, np.moveaxis(np.stack(layers), 0, parameters.axis(dimension)), tuple(labels))


def _place(label: Any) -> float:
    return float(label) if isinstance(plain(label), (int, float)) else instant(label).timestamp()


def _fitted(model: Model, values: Any, start: list[float]) -> Any:
    """The parameters, as (parameter, *pixels). The first step is undamped: of a linear model it is the answer."""
    valid = ~np.isnan(values)
    found = np.stack([np.full(values.shape[1:], p) for p in start])
    fitted = model(found)
    error, damping = _squares(fitted, values, valid), np.zeros(values.shape[1:])
    for _ in range(ROUNDS):
        slopes = [np.where(valid, slope, 0) for slope in _slopes(model, found, fitted)]
        change = _step(slopes, np.where(valid, values - fitted, 0), damping)
        tried = model(found + change)
        squares = _squares(tried, values, valid)
        better = squares <= error
        small = np.abs(change) <= ENOUGH * (np.abs(found) + ENOUGH)
        found, fitted = np.where(better, found + change, found), np.where(better, tried, fitted)
        error = np.where(better, squares, error)
        damping = np.where(better, damping / 10, np.clip(damping * 10, 1e-3, 1e12))
        if (small.all(axis=0) | (damping >= 1e9) | (valid.sum(axis=0) < len(start))).all():
            break
    return np.where((valid.sum(axis=0) >= len(start)) & np.isfinite(error), found, np.nan)


def _step(slopes: list[Any], residual: Any, damping: Any) -> Any:
    normal = np.empty((*damping.shape, len(slopes), len(slopes)))
    for k, one in enumerate(slopes):
        for m, other in enumerate(slopes[: k + 1]):
            normal[..., k, m] = normal[..., m, k] = (one * other).sum(axis=0)
        normal[..., k, k] = np.maximum(normal[..., k, k] * (1 + damping), 1e-30)
    gradient = np.stack([(slope * residual).sum(axis=0) for slope in slopes], axis=-1)
    normal, gradient = np.nan_to_num(normal), np.nan_to_num(gradient)
    ridge = 1e-12 * np.trace(normal, axis1=-2, axis2=-1)[..., np.newaxis, np.newaxis] + 1e-30
    return np.moveaxis(np.linalg.solve(normal + ridge * np.eye(len(slopes)), gradient[..., np.newaxis])[..., 0], -1, 0)


def _squares(fitted: Any, values: Any, valid: Any) -> Any:
    total = np.where(valid, (values - fitted) ** 2, 0).sum(axis=0)
    return np.where(np.isnan(total), np.inf, total)


def _slopes(model: Model, found: Any, fitted: Any) -> Any:
    for index in range(len(found)):
        step = np.zeros_like(found)
        step[index] = STEP * np.maximum(np.abs(found[index]), 1)
        yield (model(found + step) - fitted) / step[index]
