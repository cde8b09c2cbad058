"""Processes on data cubes: load, reduce, apply, mask, merge, ndvi, save_result."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..cubes.cube import SPATIAL, Cube, ordered
from ..cubes.values import Series, fits, number, series
from ..graphs.graph import GraphError
from ..graphs.spec import Sees, process
from ..kernels import replaced
from .filters import filter_bbox, filter_spatial

FORMATS = ("GTiff", "netCDF", "Zarr", "PNG", "WEBP", "JPEG", "JSON", "GeoJSON", "Parquet", "CSV", "XYZ")
_KNOWN = {name.upper() for name in FORMATS} | {"COG", "TIFF", "GEOTIFF", "GEOPARQUET"}


@process(
    limits="Values are as stored, each item's brought to the scale and offset of its collection (Sentinel-2: to no "
    "offset), so that they do not jump; physical_values gives physical ones. One day is one time step."
)
def load_collection(
    ctx: Any, id: Any, spatial_extent: Any, temporal_extent: Any, bands: Any = None, properties: Any = None
) -> Any:
    """Pixels of a collection in the scale of the collection (see graphs/scaling.py); nodata is no data."""
    return _loaded(ctx, spatial_extent)


@process(
    limits="The catalogue here, STAC documents on the store by path, and servers that the operator lists; files on the "
    "store. Values and time steps as in load_collection."
)
def load_stac(
    ctx: Any,
    url: Any,
    spatial_extent: Any = None,
    temporal_extent: Any = None,
    bands: Any = None,
    properties: Any = None,
) -> Any:
    """Pixels of what STAC documents describe."""
    return _loaded(ctx, spatial_extent)


@process(
    limits="One's own jobs by id or address, GeoTIFF alone; files by path. Values and time steps as in load_collection."
)
def load_result(ctx: Any, id: Any, spatial_extent: Any = None, temporal_extent: Any = None, bands: Any = None) -> Any:
    """Pixels of one's own files and results."""
    return _loaded(ctx, spatial_extent)


@process(
    limits="One's own files (`/files`). GTiff, JP2 and netCDF are pixels; a GTiff or JP2 is one date: the header's, "
    "else the one in its name, else when it was uploaded. GeoJSON, Parquet (GeoParquet) and CSV are geometries."
)
def load_uploaded_files(ctx: Any, paths: Any, format: Any, options: Any = None) -> Any:
    """Pixels of one's own files; geometries are in the graph already when it runs (graphs/uploads.py)."""
    return ctx.load()


def _loaded(ctx: Any, spatial_extent: Any) -> Any:
    if not spatial_extent:
        return ctx.load()
    return (filter_spatial if "type" in spatial_extent else filter_bbox)(ctx, ctx.load(), spatial_extent)


@process
def physical_values(data: Any) -> Any:
    """Never runs: it is folded into the load (graphs/rewrite.py); here are the graphs in which it cannot be."""
    raise GraphError("ProcessArgumentInvalid", "physical_values takes what a load gives", "put it right after the load")


@process(limits=f"Formats: {', '.join(FORMATS)}, with the options that /file_formats lists.")
def save_result(data: Any, format: Any, options: Any = None) -> Any:
    """The cube as it is; what becomes of it, the one who evaluates the graph reads in `format` and `options`."""
    if format.upper() not in _KNOWN:
        raise GraphError(
            "FormatUnsuitable", f"the format {format!r:.60} cannot be written", f"use {', '.join(FORMATS)}"
        )
    return data


@process
def create_data_cube() -> Any:
    """A cube without dimensions and without data."""
    return Cube(np.full((), np.nan), (), {})


@process(limits="Nothing is logged.")
def inspect(data: Any, message: Any = "", code: Any = "User", level: Any = "info") -> Any:
    """The data as they are."""
    return data


@process(limits="Along y or x only where the whole extent is evaluated at once; tiles use `aggregate_spatial`.")
def reduce_dimension(ctx: Any, data: Any, reducer: Any, dimension: Any, context: Any = None) -> Any:
    """Collapse a dimension with a reducer, which gets the values along it."""
    if dimension in SPATIAL:
        ctx.want_whole("reduce_dimension over y or x")
    along = data.series(dimension)
    values = ctx.call(reducer, {"data": along, "context": context}, data, dimension)
    return data.without(dimension, shaped(values, along.values.shape[1:], data))


@process(sees=Sees.EXTENT)
def reduce_spatial(ctx: Any, data: Any, reducer: Any, context: Any = None) -> Any:
    """Collapse y and x with a reducer, which gets the values of all pixels."""
    for dimension in SPATIAL:
        data.axis(dimension)
    rest = data.data.shape[:-2]
    pixels = np.moveaxis(data.data.reshape(*rest, -1), -1, 0)
    values = shaped(ctx.call(reducer, {"data": Series(pixels), "context": context}), rest, data)
    return replace(data, data=values, dims=data.dims[:-2])


@process
def apply(ctx: Any, data: Any, process: Any, context: Any = None) -> Any:
    """Each value put through a process."""
    values = ctx.call(process, {"x": data.data, "context": context}, data)
    return replace(data, data=shaped(values, data.data.shape, data))


@process(limits="Not along y or x.")
def apply_dimension(
    ctx: Any, data: Any, process: Any, dimension: Any, target_dimension: Any = None, context: Any = None
) -> Any:
    """The values along a dimension put through a process that gives an array."""
    labels, along = data.names(dimension), data.series(dimension)
    values = _stacked(ctx.call(process, {"data": along, "context": context}, data, dimension), along, data)
    numbered = tuple(range(len(values)))
    if target_dimension in (None, dimension):
        kept = labels if len(values) == len(labels) else numbered
        return data.along(dimension, np.moveaxis(values, 0, data.axis(dimension)), kept)
    if target_dimension not in data.dims:
        return data.without(dimension, values[0]).added(target_dimension, values, numbered, "other")
    if len(data.names(target_dimension)) != 1:
        raise GraphError("DimensionExists", f"{target_dimension!r} has more than one label", "choose another name")
    kind, left = data.kind(target_dimension), data.without(dimension, values[0])
    axis = left.axis(target_dimension)
    rest = left.without(target_dimension, np.squeeze(values[0], axis))
    return rest.added(target_dimension, np.squeeze(values, axis + 1), numbered, kind)


@process
def mask(data: Any, mask: Any, replacement: Any = None) -> Any:
    """Where the mask is neither zero nor no data, values are replaced (by no data)."""
    for dimension in mask.dims:
        known = dimension in data.dims
        if not known or (dimension not in SPATIAL and mask.labels[dimension] != data.labels[dimension]):
            raise GraphError(
                "IncompatibleDataCubes",
                f"the mask's labels of {dimension!r} are not the data's",
                "reduce that dimension of the mask, or filter both alike",
            )
    instead = np.asarray(number(replacement), data.data.dtype)
    return replace(data, data=replaced(data.data, mask.aligned(data.dims), instead))


@process
def ndvi(data: Any, nir: Any = "nir", red: Any = "red", target_band: Any = None) -> Any:
    """(nir - red) / (nir + red); the bands are reduced, or the result is added as target_band."""
    dimension = data.only("bands", "DimensionAmbiguous")
    along = data.series(dimension)
    a, b = (along.values[along.labels.index(data.band(name, dimension))] for name in (nir, red))
    values = (a - b) / (a + b)
    if target_band is None:
        return data.without(dimension, values)
    if target_band in along.labels:
        raise GraphError("BandExists", f"the cube has a band {target_band!r} already")
    axis = data.axis(dimension)
    both = np.concatenate([data.data, np.expand_dims(values, axis)], axis=axis)
    return data.along(dimension, both, (*along.labels, target_band))


@process
def merge_cubes(ctx: Any, cube1: Any, cube2: Any, overlap_resolver: Any = None, context: Any = None) -> Any:
    """Two cubes side by side where labels of a dimension differ; where they overlap, resolved value by value."""
    shared = [d for d in cube1.labels if d in cube2.labels]
    differing = [d for d in shared if cube1.labels[d] != cube2.labels[d]]
    if not differing:
        return _overlaid(ctx, cube1, cube2, overlap_resolver, context)
    if len(differing) > 1 or set(cube1.dims) != set(cube2.dims):
        raise GraphError("IncompatibleDataCubes", "the cubes differ in more than one dimension", "filter or reduce one")
    return _joined(ctx, cube1, cube2.arranged(cube1.dims), differing[0], overlap_resolver, context)


def shaped(values: Any, shape: tuple[int, ...], like: Cube) -> Any:
    """What a callback gives as an array of floats of this shape."""
    if isinstance(values, (list, Series)):
        raise GraphError("ProcessArgumentInvalid", "the callback gives an array where a single value is needed")
    values = np.asarray(number(values))
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(like.data.dtype)
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise GraphError(
            "ProcessArgumentInvalid", f"the callback gives an array of shape {values.shape} where {shape} is needed"
        ) from None


def _stacked(result: Any, along: Series, like: Cube) -> Any:
    """The array that a callback gives, as layers of the shape of those along a dimension."""
    found = series(result if isinstance(result, (list, Series)) else [result]).values
    shape = (len(found), *along.values.shape[1:])
    fits(math.prod(shape), len(found))
    return shaped(found.reshape(*found.shape, *[1] * (along.values.ndim - found.ndim)), shape, like)


def _resolved(ctx: Any, resolver: Any, x: Any, y: Any, context: Any) -> Any:
    if resolver is None:
        raise GraphError("OverlapResolverMissing", "the cubes overlap", "give an overlap_resolver")
    return ctx.call(resolver, {"x": x, "y": y, "context": context})


def _overlaid(ctx: Any, one: Cube, two: Cube, resolver: Any, context: Any) -> Cube:
    """Cubes whose shared dimensions have the same labels; one is spread over the dimensions that it lacks."""
    dims = ordered(one, two)
    sizes = {d: size for cube in (two, one) for d, size in zip(cube.dims, cube.data.shape, strict=True)}
    shape = tuple(sizes[d] for d in dims)
    fits(math.prod(shape))
    values = _resolved(ctx, resolver, one.aligned(dims), two.aligned(dims), context)
    return Cube(
        shaped(values, shape, one),
        dims,
        {**two.labels, **one.labels},
        {**two.aliases, **one.aliases},
        {**two.kinds, **one.kinds},
        {**two.features, **one.features},
        one.crs if one.features else two.crs,
    )


def _joined(ctx: Any, one: Cube, two: Cube, dimension: str, resolver: Any, context: Any) -> Cube:
    a, b = one.series(dimension), two.series(dimension)
    fits(one.data.size + two.data.size, len(a.labels) + len(b.labels))
    layers: dict[Any, Any] = dict(zip(a.labels, a.values, strict=True))
    for label, layer in zip(b.labels, b.values, strict=True):
        layers[label] = layer if label not in layers else _resolved(ctx, resolver, layers[label], layer, context)
    labels = tuple(sorted(layers) if one.kind(dimension) == "temporal" else layers)
    data = np.moveaxis(np.stack([layers[label] for label in labels]), 0, one.axis(dimension))
    return replace(one.along(dimension, data, labels), aliases={**two.aliases, **one.aliases})
