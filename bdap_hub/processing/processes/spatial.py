"""Processes on y and x: masks of geometries, zonal statistics, kernels, alignment of grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import TooMuch
from ..cubes.values import Series, fits, number
from ..cubes.vectors import as_geojson, collection, features_of, vector_cube
from ..graphs.graph import GraphError
from ..graphs.spec import Sees, process
from .cubes import shaped
from .filters import where

MOST_WEIGHTS, MOST_PRODUCTS = 4096, 2**33
BORDERS: Mapping[str, Any] = {"replicate": "edge", "reflect": "symmetric", "reflect_pixel": "reflect", "wrap": "wrap"}


@process
def mask_polygon(ctx: Any, data: Any, mask: Any, replacement: Any = None, inside: Any = False) -> Any:
    """Pixels whose centre lies outside of (or inside) the polygons are replaced; no data stay."""
    covered = ctx.grid.covered(as_geojson(mask))
    kept = ~covered if inside else covered
    if replacement is None:
        return where(data, kept)
    return where(data, kept | np.isnan(data.data), number(replacement))


@process(sees=Sees.EXTENT, limits="The labels of the geometries count from 0.")
def aggregate_spatial(
    ctx: Any, data: Any, geometries: Any, reducer: Any, target_dimension: Any = None, context: Any = None
) -> Any:
    """A vector cube: the pixels in each geometry put through a reducer; with `target_dimension` also their number."""
    if target_dimension is not None and target_dimension in data.dims:
        raise GraphError("TargetDimensionExists", f"the cube has a dimension {target_dimension!r} already")
    shape, layers = data.pixels.shape[:-2], []
    features = features_of(geometries)
    for feature in features:
        rows, columns, inside = ctx.grid.part(collection([feature]))
        pixels = np.moveaxis(data.data[..., rows, columns][..., inside], -1, 0)
        value = shaped(ctx.call(reducer, {"data": Series(pixels), "context": context}), shape, data)
        counts = np.full(shape, len(pixels)), np.count_nonzero(np.isfinite(pixels), axis=0)
        layers.append(np.stack([value, *counts]) if target_dimension else value)
    zones = vector_cube(features, getattr(geometries, "crs", "EPSG:4326"))
    flat = replace(data, dims=data.dims[:-2], data=data.data[..., 0, 0], features=zones.features, crs=zones.crs)
    labels = tuple(range(len(layers)))
    if target_dimension is None:
        return flat.added("geometry", np.stack(layers), labels, "geometry")
    with_counts = flat.added(target_dimension, layers[0], ("value", "total_count", "valid_count"), "other")
    order = (target_dimension, *flat.dims)
    arranged = [replace(with_counts, data=layer, dims=order).arranged(with_counts.dims).data for layer in layers]
    return with_counts.added("geometry", np.stack(arranged), labels, "geometry")


def _reach(arguments: Mapping[str, Any]) -> int:
    kernel = arguments["kernel"]
    if not isinstance(kernel, list):
        raise GraphError("ProcessArgumentInvalid", "the kernel must stand in the graph as an array of arrays")
    return max(len(kernel), *(len(row) for row in kernel if isinstance(row, list)), 1) // 2


@process(
    reach=_reach,
    limits="Tiles continue into their neighbours, so `border` applies only where the whole extent is evaluated at "
    f"once; beyond the data is no data. At most {MOST_WEIGHTS} weights, in pixels of the view.",
)
def apply_kernel(data: Any, kernel: Any, factor: Any = 1, border: Any = 0, replace_invalid: Any = 0) -> Any:
    """The weighted sum of each pixel and those around it."""
    weights = np.asarray(kernel, np.float64)
    if weights.ndim != 2 or not all(side % 2 for side in weights.shape):
        raise GraphError("KernelDimensionsUneven", f"the kernel has {weights.shape} weights", "use odd numbers")
    if weights.size > MOST_WEIGHTS or weights.size * data.data.size > MOST_PRODUCTS:
        raise TooMuch(
            f"the kernel has {weights.size} weights for {data.data.size} values",
            f"use at most {MOST_WEIGHTS} weights, and fewer dates or bands",
        )
    height, width = data.pixels.shape[-2:]
    valid = np.where(np.isfinite(data.data), data.data, np.asarray(replace_invalid, data.data.dtype))
    around = [(0, 0)] * (valid.ndim - 2) + [(side // 2, side // 2) for side in weights.shape]
    if isinstance(border, str):
        padded = np.pad(valid, around, mode=BORDERS[border])
    else:
        padded = np.pad(valid, around, constant_values=border)
    total = np.zeros_like(valid)
    for (row, column), weight in np.ndenumerate(weights):
        if weight:
            total += padded[..., row : row + height, column : column + width] * valid.dtype.type(weight)
    return replace(data, data=total * valid.dtype.type(factor))


@process(
    sees=Sees.EXTENT, limits="The grid stays: each pixel of a window gets the window's value, or no data if trimmed."
)
def aggregate_spatial_window(
    ctx: Any, data: Any, reducer: Any, size: Any, boundary: Any = "pad", align: Any = "upper-left", context: Any = None
) -> Any:
    """The pixels of each window of some columns and rows put through a reducer, which gives all of them its value."""
    columns, rows = (int(side) for side in size)
    *rest, height, width = data.pixels.shape
    padded, top, left = _whole_windows(data.pixels, rows, columns, align)
    split = padded.reshape(*rest, padded.shape[-2] // rows, rows, padded.shape[-1] // columns, columns)
    pixels = np.moveaxis(split, -3, -2).reshape(*split.shape[:-3], split.shape[-2], rows * columns)
    values = shaped(
        ctx.call(reducer, {"data": Series(np.moveaxis(pixels, -1, 0)), "context": context}), pixels.shape[:-1], data
    )
    here = np.s_[..., top : top + height, left : left + width]
    spread = np.repeat(np.repeat(values, rows, axis=-2), columns, axis=-1)[here]
    if boundary == "trim":
        kept = np.zeros((height, width), bool)
        rows_kept = slice(-top % rows if top else 0, None if top else height - height % rows)
        columns_kept = slice(-left % columns if left else 0, None if left else width - width % columns)
        kept[rows_kept, columns_kept] = True
        spread = np.where(kept, spread, np.nan).astype(spread.dtype)
    return replace(data, data=spread)


def _whole_windows(pixels: Any, rows: int, columns: int, align: str) -> tuple[Any, int, int]:
    """The pixels with no data added at the sides away from the corner, and how much above and to the left."""
    height, width = -pixels.shape[-2] % rows, -pixels.shape[-1] % columns
    fits(
        pixels.size
        // max(1, pixels.shape[-2] * pixels.shape[-1])
        * (pixels.shape[-2] + height)
        * (pixels.shape[-1] + width)
    )
    top, left = (height if align.startswith("lower") else 0), (width if align.endswith("right") else 0)
    around = [(0, 0)] * (pixels.ndim - 2) + [(top, height - top), (left, width - left)]
    return np.pad(pixels, around, constant_values=np.nan), top, left


@process(
    limits="In maps and values the view decides resolution and projection; results in files have what is asked for."
)
def resample_spatial(
    ctx: Any, data: Any, resolution: Any = 0, projection: Any = None, method: Any = "near", align: Any = "upper-left"
) -> Any:
    """The cube on another grid; as it is in a map, where all cubes lie on the grid of the view."""
    return ctx.resampled(data, method)


@process(limits="In maps and values all cubes lie on the grid of the view, so they are aligned already.")
def resample_cube_spatial(ctx: Any, data: Any, target: Any, method: Any = "near") -> Any:
    """The cube on the grid of another; as it is in a map."""
    return ctx.resampled(data, method)
