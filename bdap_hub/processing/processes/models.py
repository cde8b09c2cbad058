"""Processes with stored models: the features of each pixel, or whole images, in; predictions or probabilities out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..cubes.cube import SPATIAL, Cube
from ..cubes.values import fits
from ..graphs.graph import GraphError
from ..graphs.spec import process

AT_ONCE = 16384
"""How many pixels a model gets at once."""
HERE = "Models that the platform's operators have put into its folder; whoever may log in may use them."


@process(limits=HERE)
def load_ml_model(ctx: Any, id: Any) -> Any:
    """The model of that name."""
    return ctx.models(id)


@process
def ml_predict(data: Any, model: Any, dimensions: Any = None) -> Any:
    """What the model gives first: one value for each pixel, or several."""
    return _predicted(data, model, dimensions, "predictions", lambda outputs: outputs[0])


@process
def ml_predict_probabilities(data: Any, model: Any, dimensions: Any = None) -> Any:
    """The first output that has several numbers for each pixel: the probabilities of classes."""

    def chosen(outputs: Any) -> Any:
        for output in outputs:
            if getattr(output, "ndim", 0) > 1 and output.dtype.kind == "f" and output.shape[1] > 1:
                return output
        raise GraphError("ModelUnsupported", f"the model {model.name!r} gives no probabilities", "use ml_predict")

    return _predicted(data, model, dimensions, "class", chosen)


def _predicted(data: Cube, model: Any, dimensions: Any, name: str, chosen: Any) -> Cube:
    reduced = tuple(dimensions or data.of_kind("bands"))
    if not reduced or any(d in SPATIAL for d in reduced):
        raise GraphError("DimensionNotAvailable", "the features stand along no dimension", "name it in `dimensions`")
    count = math.prod(len(data.names(d)) for d in reduced)
    if isinstance(model.shape[1], int) and model.shape[1] != count:
        raise GraphError(
            "ProcessArgumentInvalid",
            f"the model {model.name!r} takes {model.shape[1]} features; the cube has {count}",
            f"choose them along {', '.join(reduced)}, such as with filter_bands",
        )
    rest = tuple(d for d in data.dims if d not in reduced)
    values = data.aligned((*rest, *reduced))
    shape = values.shape[: len(rest)]
    fits(values.size)
    flat = values.reshape(*shape, count)
    missing = ~np.isfinite(flat).all(axis=-1)
    flat = np.where(missing[..., np.newaxis], 0, flat)
    found = _images(flat, model, chosen) if len(model.shape) == 4 else _pixels(flat, model, chosen)
    found = np.where(missing, np.nan, found).astype(data.data.dtype)
    left = {d: labels for d, labels in data.labels.items() if d not in reduced}
    cube = replace(data, data=found[0], dims=rest, labels=left, aliases={})
    return cube.added(name, found, tuple(range(len(found))), "other")


def _pixels(flat: Any, model: Any, chosen: Any) -> Any:
    """The predictions first, then the dimensions of the pixels."""
    rows = flat.reshape(-1, flat.shape[-1])
    parts = [chosen(model(rows[start : start + AT_ONCE])) for start in range(0, len(rows), AT_ONCE)]
    made = [_numbers(part, model) for part in parts]
    if any(part.ndim > 2 or len(part) != min(AT_ONCE, len(rows) - AT_ONCE * at) for at, part in enumerate(made)):
        raise GraphError("ModelUnsupported", f"the model {model.name!r} does not give a row for each pixel")
    joined = np.concatenate([part.reshape(len(part), -1) for part in made])
    return joined.T.reshape(-1, *flat.shape[:-1])


def _images(flat: Any, model: Any, chosen: Any) -> Any:
    *rest, height, width, count = flat.shape
    images = np.moveaxis(flat.reshape(-1, height, width, count), -1, 1)
    if not len(images):
        raise GraphError("NoDataAvailable", "there is no image for the model")
    made = np.stack([_numbers(chosen(model(image[np.newaxis])), model) for image in images])
    made = made.reshape(len(images), -1, *made.shape[-2:]) if made.ndim >= 3 else made
    if made.ndim != 4 or made.shape[-2:] != (height, width):
        raise GraphError(
            "ModelUnsupported", f"the model {model.name!r} does not give images of the size that it gets",
            "use one that keeps the size",
        )  # fmt: skip
    return np.moveaxis(made, 1, 0).reshape(made.shape[1], *rest, height, width)


def _numbers(output: Any, model: Any) -> Any:
    if not isinstance(output, np.ndarray) or output.dtype.kind not in "fiub" or not output.ndim:
        raise GraphError(
            "ModelUnsupported", f"the model {model.name!r} does not give numbers",
            "export it with numbers as classes, and without ZipMap",
        )  # fmt: skip
    return output.astype(np.float64)
