"""Processes that keep a part of a data cube. Outside a spatial extent pixels stay, without data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..cubes import vectors
from ..cubes.cube import Cube
from ..cubes.extent import box, instant, interval, within
from ..cubes.vectors import GEOMETRY, as_geojson
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .lifted import NO_DATA

STAYS = "The grid of the view stays: what lies outside is no data."


@process
def filter_temporal(data: Any, extent: Any, dimension: Any = None) -> Any:
    """Only the dates in [start, end)."""
    span = interval(extent)
    dimensions = data.of_kind("temporal") if dimension is None else (dimension,)
    if not dimensions:
        raise GraphError("DimensionNotAvailable", "the cube has no temporal dimension")
    for name in dimensions:
        data = data.select(name, [i for i, label in enumerate(data.names(name)) if within(instant(label), span)])
    return data


@process(limits="By name or common name, not by wavelength.")
def filter_bands(data: Any, bands: Any = (), wavelengths: Any = ()) -> Any:
    """Only these bands (names or common names), in this order."""
    if wavelengths:
        raise GraphError("ProcessArgumentUnsupported", "bands are not known by wavelength here", "name the bands")
    if not bands:
        raise GraphError("BandFilterParameterMissing", "filter_bands needs `bands`", "name the bands to keep")
    dimension = data.only("bands", "DimensionMissing")
    labels = data.names(dimension)
    return data.select(dimension, [labels.index(data.band(name, dimension)) for name in bands])


@process
def filter_labels(ctx: Any, data: Any, condition: Any, dimension: Any, context: Any = None) -> Any:
    """Only the entries of a dimension whose label meets a condition."""
    met = [ctx.call(condition, {"value": label, "context": context}) for label in data.names(dimension)]
    return data.select(dimension, [i for i, kept in enumerate(met) if kept])


@process(limits=f"{STAYS} Any CRS with an EPSG code; no vertical extent.")
def filter_bbox(ctx: Any, data: Any, extent: Any) -> Any:
    """Only pixels whose centre, or geometries that as a whole, lie in the bounding box."""
    if data.of_kind(GEOMETRY):
        return vectors.within(data, box(extent))
    return where(data, ctx.grid.inside(box(extent)))


@process(limits=STAYS)
def filter_spatial(ctx: Any, data: Any, geometries: Any) -> Any:
    """Only pixels whose centre lies in one of the geometries (points and lines: those that they touch)."""
    return where(data, ctx.grid.covered(as_geojson(geometries)))


def where(data: Cube, kept: Any, replacement: Any = NO_DATA) -> Cube:
    """The cube with other pixels than those kept replaced."""
    if kept.all():
        return data
    return replace(data, data=np.where(kept, data.data, np.asarray(replacement, data.data.dtype)))
