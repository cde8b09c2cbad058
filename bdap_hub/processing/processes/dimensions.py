"""Processes on the dimensions of a data cube and their labels."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..cubes.cube import SPATIAL, ordered
from ..cubes.values import fits
from ..graphs.graph import GraphError
from ..graphs.spec import Sees, process

GRID = "y and x keep their names."


@process(limits="Not for spatial dimensions.")
def add_dimension(data: Any, name: Any, label: Any, type: Any = "other") -> Any:
    """A new dimension with one label."""
    _new(data, name, "DimensionExists")
    if type == "spatial":
        raise GraphError("ProcessArgumentUnsupported", "spatial dimensions cannot be added", "y and x are there")
    return data.added(name, data.data[np.newaxis], (label,), type)


@process
def drop_dimension(data: Any, name: Any) -> Any:
    """Without a dimension that has one label."""
    axis = data.axis(name)
    if data.data.shape[axis] != 1:
        raise GraphError("DimensionLabelCountMismatch", f"{name!r} has {data.data.shape[axis]} labels, not one")
    return data.without(name, np.squeeze(data.data, axis))


@process(limits=GRID)
def rename_dimension(data: Any, source: Any, target: Any) -> Any:
    """The same cube, with another name for a dimension."""
    data.axis(source)
    _new(data, target, "DimensionExists")
    labels = {**data.labels, target: data.names(source)}
    dims = tuple(target if d == source else d for d in data.dims)
    return _reduced(replace(data, labels=labels, kinds={**data.kinds, target: data.kind(source)}), dims)


@process
def rename_labels(data: Any, dimension: Any, target: Any, source: Any = ()) -> Any:
    """Other names for the labels of a dimension; without `source` its labels must be 0, 1, 2 …"""
    have = data.names(dimension)
    if not source and have[: len(target)] != tuple(range(len(target))):
        raise GraphError("LabelsNotEnumerated", f"the labels of {dimension!r} are not 0, 1, 2 …", "give `source`")
    old = list(source) or list(have[: len(target)])
    if len(old) != len(target):
        raise GraphError("LabelMismatch", f"{len(old)} labels cannot become {len(target)}")
    if missing := [label for label in old if label not in have]:
        raise GraphError("LabelNotAvailable", f"{dimension!r} has no label {missing[0]!r}")
    names = dict(zip(old, target, strict=True))
    labels = tuple(names.get(label, label) for label in have)
    if len(set(labels)) < len(labels):
        twice = next(label for label in target if labels.count(label) > 1)
        raise GraphError("LabelExists", f"{dimension!r} has a label {twice!r} already")
    return replace(data, labels={**data.labels, dimension: labels})


@process(limits="Of y and x those of the pixels in view.")
def dimension_labels(ctx: Any, data: Any, dimension: Any) -> Any:
    """The labels of a dimension."""
    data.axis(dimension)
    if dimension in SPATIAL:
        return ctx.grid.centres()[1 - SPATIAL.index(dimension)].tolist()
    return list(data.names(dimension))


@process(limits="Not for y and x.")
def flatten_dimensions(data: Any, dimensions: Any, target_dimension: Any, label_separator: Any = "~") -> Any:
    """Several dimensions as one, whose labels are theirs with a separator between."""
    names = [data.names(d) for d in dimensions]
    fits(0, math.prod(map(len, names)))
    _new(data, target_dimension, "TargetDimensionExists")
    rest = tuple(d for d in data.dims if d not in dimensions)
    values = data.aligned((*dimensions, *rest))
    flat = values.reshape(math.prod(map(len, names)), *values.shape[len(dimensions) :])
    labels = tuple(label_separator.join(map(str, parts)) for parts in itertools.product(*names))
    return _reduced(data, rest).added(target_dimension, flat, labels, "other")


@process(limits="Not for y and x.")
def unflatten_dimension(data: Any, dimension: Any, target_dimensions: Any, label_separator: Any = "~") -> Any:
    """One dimension as several, by the parts of its labels."""
    labels = [str(label).split(label_separator) for label in data.names(dimension)]
    for target in target_dimensions:
        _new(data, target, "TargetDimensionExists")
    names = [tuple(dict.fromkeys(part)) for part in zip(*labels, strict=True)]
    whole = len(names) == len(target_dimensions) and math.prod(map(len, names)) == len(labels)
    if not whole or [list(parts) for parts in itertools.product(*names)] != labels:
        raise GraphError("ProcessArgumentInvalid", f"the labels of {dimension!r} are not all parts combined in order")
    rest = tuple(d for d in data.dims if d != dimension)
    values = data.aligned((dimension, *rest))
    split = replace(
        data,
        data=values.reshape(*map(len, names), *values.shape[1:]),
        labels={**data.labels, **dict(zip(target_dimensions, names, strict=True))},
        kinds={**data.kinds, **dict.fromkeys(target_dimensions, "other")},
    )
    made = _reduced(split, (*target_dimensions, *rest))
    return made.arranged(ordered(made))


@process(sees=Sees.EXTENT, limits="Labelled dimensions only: the grid of the view stays.")
def trim_cube(data: Any) -> Any:
    """Without labels for which there are no data at all, at the ends (for bands and others: anywhere)."""
    for dimension in data.labels:
        filled = ~np.isnan(data.series(dimension).values).all(axis=tuple(range(1, data.data.ndim)))
        kept = np.flatnonzero(filled)
        if data.kind(dimension) == "temporal" and kept.size:
            kept = np.arange(kept[0], kept[-1] + 1)
        data = data.select(dimension, kept.tolist())
    return data


def _new(data: Any, name: str, code: str) -> None:
    if name in data.dims:
        raise GraphError(code, f"the cube has a dimension {name!r} already", "choose another name")


def _reduced(data: Any, dims: tuple[str, ...]) -> Any:
    """The cube with these names of dimensions, and only their labels."""
    return replace(data, dims=dims, labels={k: v for k, v in data.labels.items() if k in dims})
