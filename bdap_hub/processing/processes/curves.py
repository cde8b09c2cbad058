"""Curves along a dimension: a model's parameters fitted to each pixel's values, and values predicted from them.

The independent variable is the label: a number, or for dates the seconds since 1970. Levenberg-Marquardt with
numeric derivatives (Press et al., Numerical Recipes, 15.5), all pixels at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..extent import instant
from ..graph import GraphError
from ..spec import process
from ..values import Series, fits, has_layers, labels_of, number, plain, series
from .cubes import shaped

ROUNDS, STEP = 40, 1e-6
Model = Callable[[Any], Any]


@process(limits="No data are always ignored. Dates count as seconds since 1970.")
def fit_curve(ctx: Any, data: Any, parameters: Any, function: Any, ignore_nodata: Any = True) -> Any:
    """The parameters with which the model comes nearest to the values; no data where there are fewer values."""
    values = series(data).values.astype(np.float64)
    places = [_place(label) for label in labels_of(data) or range(len(values))]
    start = [float(number(p)) for p in parameters]
    fits(len(values) * max(1, math.prod(values.shape[1:])) * (len(start) + 2))

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
    """The parameters, as (parameter, *pixels)."""
    valid = ~np.isnan(values)
    found = np.stack([np.full(values.shape[1:], p) for p in start])
    damping, residual = np.full(values.shape[1:], 1e-3), _residual(model, found, values, valid)
    for _ in range(ROUNDS):
        slopes = _slopes(model, found, valid)
        normal = np.einsum("kn...,ln...->...kl", slopes, slopes)
        gradient = np.einsum("kn...,n...->...k", slopes, residual)
        diagonal = np.maximum(np.einsum("...kk->...k", normal), 1e-12)
        damped = normal + np.eye(len(start)) * (damping[..., np.newaxis] * diagonal)[..., np.newaxis]
        change = np.moveaxis(np.linalg.solve(damped, gradient[..., np.newaxis])[..., 0], -1, 0)
        tried = _residual(model, found + change, values, valid)
        better = (tried**2).sum(axis=0) <= (residual**2).sum(axis=0)
        found, residual = np.where(better, found + change, found), np.where(better, tried, residual)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-12, 1e12)
        if (np.abs(change) <= 1e-10 * (np.abs(found) + 1e-10))[:, better].all() and better.all():
            break
    return np.where(valid.sum(axis=0) >= len(start), found, np.nan)


def _residual(model: Model, found: Any, values: Any, valid: Any) -> Any:
    difference = np.where(valid, values - model(found), 0)
    return np.where(np.isfinite(difference), difference, 1e30)


def _slopes(model: Model, found: Any, valid: Any) -> Any:
    slopes = []
    for index in range(len(found)):
        step = np.zeros_like(found)
        step[index] = STEP * np.maximum(np.abs(found[index]), 1)
        slope = (model(found + step) - model(found - step)) / (2 * step[index])
        slopes.append(np.where(valid & np.isfinite(slope), slope, 0))
    return np.stack(slopes)
