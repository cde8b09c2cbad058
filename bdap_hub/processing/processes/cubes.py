"""Processes on data cubes: load, filter, reduce, apply, mask, merge, ndvi, save_result."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..cube import LABELLED, Cube, fits, number
from ..extent import box, interval, within
from ..graph import GraphError
from ..spec import (
    Anything,
    Array,
    Box,
    Datacube,
    Interval,
    Mapper,
    Merger,
    Number,
    OptionalArray,
    OptionalBox,
    OptionalInterval,
    OptionalText,
    Options,
    PropertyFilters,
    Reducer,
    Text,
    process,
)


@process
def load_collection(
    ctx: Any,
    id: Text,
    spatial_extent: OptionalBox = None,
    temporal_extent: OptionalInterval = None,
    bands: OptionalArray = None,
    properties: PropertyFilters = None,
) -> Datacube:
    """Pixels of a collection as they are stored: no scale or offset is applied; nodata is no data."""
    return filter_bbox(ctx, ctx.load(), spatial_extent) if spatial_extent else ctx.load()


@process
def filter_temporal(data: Datacube, extent: Interval, dimension: OptionalText = None) -> Datacube:
    """Only the dates in [start, end)."""
    _only("t", dimension, "filter_temporal")
    span = interval(extent)
    labels = data.names("t")
    return data.select("t", [i for i, label in enumerate(labels) if within(label, span)])


@process
def filter_bands(data: Datacube, bands: Array) -> Datacube:
    """Only these bands (names or common names), in this order."""
    labels = data.names("bands")
    return data.select("bands", [labels.index(data.band(name)) for name in bands])


@process
def filter_bbox(ctx: Any, data: Datacube, extent: Box) -> Datacube:
    """Only pixels whose centre lies in the bounding box."""
    inside = ctx.grid.inside(box(extent))
    if inside.all():
        return data
    return replace(data, data=np.where(inside, data.data, np.asarray(np.nan, data.data.dtype)))


@process
def reduce_dimension(ctx: Any, data: Datacube, reducer: Reducer, dimension: Text, context: Anything = None) -> Datacube:
    """Collapse a dimension with a reducer, which gets the values along it."""
    series = data.series(dimension)
    values = ctx.call(reducer, {"data": series, "context": context})
    return data.without(dimension, _shaped(values, series.values.shape[1:], data))


@process
def apply(ctx: Any, data: Datacube, process: Mapper, context: Anything = None) -> Datacube:
    """Each value put through a process."""
    values = ctx.call(process, {"x": data.data, "context": context})
    return replace(data, data=_shaped(values, data.data.shape, data))


@process
def mask(data: Datacube, mask: Datacube, replacement: Number = None) -> Datacube:
    """Where the mask is neither zero nor no data, values are replaced (by no data)."""
    for dimension in LABELLED:
        if dimension in mask.dims and (dimension not in data.dims or mask.labels[dimension] != data.labels[dimension]):
            raise GraphError(
                "IncompatibleDataCubes",
                f"the mask's labels of {dimension!r} are not the data's",
                "reduce that dimension of the mask, or filter both alike",
            )
    where = mask.aligned(data.dims)
    hit = (where != 0) & ~np.isnan(where)
    return replace(data, data=np.where(hit, np.asarray(number(replacement), data.data.dtype), data.data))


@process
def ndvi(data: Datacube, nir: Text = "nir", red: Text = "red", target_band: OptionalText = None) -> Datacube:
    """(nir - red) / (nir + red); the bands are reduced, or the result is added as target_band."""
    series = data.series("bands")
    a, b = (series.values[series.at(data.band(name))] for name in (nir, red))
    with np.errstate(all="ignore"):
        values = (a - b) / (a + b)
    if target_band is None:
        return data.without("bands", values)
    if target_band in series.labels:
        raise GraphError("BandExists", f"the cube has a band {target_band!r} already")
    axis = data.axis("bands")
    labels = {**data.labels, "bands": (*series.labels, target_band)}
    return replace(data, data=np.concatenate([data.data, np.expand_dims(values, axis)], axis=axis), labels=labels)


@process
def merge_cubes(
    ctx: Any, cube1: Datacube, cube2: Datacube, overlap_resolver: Merger = None, context: Anything = None
) -> Datacube:
    """Two cubes side by side where bands or dates differ; where they overlap, resolved value by value."""
    dims = tuple(d for d in ("t", "bands", "y", "x") if d in cube1.dims or d in cube2.dims)
    differing = [d for d in LABELLED if d in cube1.dims and d in cube2.dims and cube1.labels[d] != cube2.labels[d]]
    if not differing:
        labels = {**cube2.labels, **cube1.labels}
        shape = tuple(len(labels[d]) for d in dims if d in LABELLED) + cube1.data.shape[-2:]
        fits(math.prod(shape))
        values = _resolved(ctx, overlap_resolver, cube1.aligned(dims), cube2.aligned(dims), context)
        return Cube(_shaped(values, shape, cube1), dims, labels, {**cube2.aliases, **cube1.aliases})
    if len(differing) > 1 or cube1.dims != cube2.dims:
        raise GraphError("IncompatibleDataCubes", "the cubes differ in more than one dimension", "filter or reduce one")
    return _joined(ctx, cube1, cube2, differing[0], overlap_resolver, context)


@process
def rename_labels(data: Datacube, dimension: Text, target: Array, source: OptionalArray = None) -> Datacube:
    """Other names for the labels of a dimension."""
    have = data.names(dimension)
    old = list(source or have[: len(target)])
    if len(old) != len(target):
        raise GraphError("LabelsNotEnumerated", f"{len(old)} labels cannot become {len(target)}")
    names = dict(zip(old, target, strict=True))
    return replace(data, labels={**data.labels, dimension: tuple(str(names.get(label, label)) for label in have)})


@process
def add_dimension(data: Datacube, name: Text, label: Anything, type: Text = "other") -> Datacube:
    """A new dimension (bands or t) with one label."""
    if name not in LABELLED or name in data.dims:
        raise GraphError("DimensionExists", f"the dimension {name!r} cannot be added", "bands and t can, once each")
    axis = 1 if name == "bands" and "t" in data.dims else 0
    dims = (*data.dims[:axis], name, *data.dims[axis:])
    return replace(data, data=np.expand_dims(data.data, axis), dims=dims, labels={**data.labels, name: (str(label),)})


@process
def drop_dimension(data: Datacube, name: Text) -> Datacube:
    """Without a dimension that has one label."""
    axis = data.axis(name)
    if data.data.shape[axis] != 1:
        raise GraphError("DimensionLabelCountMismatch", f"{name!r} has {data.data.shape[axis]} labels, not one")
    return data.without(name, np.squeeze(data.data, axis))


@process
def save_result(data: Datacube, format: Text, options: Options = None) -> Datacube:
    """The cube as it is; how tiles are drawn stands in `options` (colormap, min, max)."""
    if format.upper() not in ("PNG", "XYZ"):
        raise GraphError("FormatUnsuitable", f"the format {format!r} cannot be written", "use PNG")
    return data


def _only(expected: str, dimension: str | None, name: str) -> None:
    if dimension not in (None, expected):
        raise GraphError("DimensionNotAvailable", f"{name} works along {expected!r}, not {dimension!r}")


def _shaped(values: Any, shape: tuple[int, ...], like: Cube) -> Any:
    values = np.asarray(number(values))
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(like.data.dtype)
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise GraphError(
            "ProcessArgumentInvalid", f"the callback gives an array of shape {values.shape} where {shape} is needed"
        ) from None


def _resolved(ctx: Any, resolver: Any, x: Any, y: Any, context: Any) -> Any:
    if resolver is None:
        raise GraphError("OverlapResolverMissing", "the cubes overlap", "give an overlap_resolver")
    return ctx.call(resolver, {"x": x, "y": y, "context": context})


def _joined(ctx: Any, one: Cube, two: Cube, dimension: str, resolver: Any, context: Any) -> Cube:
    a, b = one.series(dimension), two.series(dimension)
    fits(one.data.size + two.data.size, len(a.labels) + len(b.labels))
    layers: dict[str, Any] = dict(zip(a.labels, a.values, strict=True))
    for label, layer in zip(b.labels, b.values, strict=True):
        layers[label] = layer if label not in layers else _resolved(ctx, resolver, layers[label], layer, context)
    labels = tuple(sorted(layers) if dimension == "t" else layers)
    data = np.moveaxis(np.stack([layers[label] for label in labels]), 0, one.axis(dimension))
    return Cube(data, one.dims, {**one.labels, dimension: labels}, {**two.aliases, **one.aliases})
