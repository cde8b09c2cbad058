"""How netCDF and Zarr name what a result holds, by the CF conventions: coordinates, time, the CRS. PURE.

Source: CF 1.11; the CRS as `spatial_ref`, where rioxarray, xarray and GDAL look for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pyproj import CRS

from ..cubes.cube import SPATIAL, Cube
from ..cubes.extent import instant
from ..engine.grid import Grid
from .lattice import transform_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME = {"units": "seconds since 1970-01-01T00:00:00", "calendar": "proleptic_gregorian", "standard_name": "time"}
PERIODS = {4: "{}-01-01", 7: "{}-01"}
GLOBAL = {"Conventions": "CF-1.11"}


@dataclass(frozen=True)
class Coordinate:
    """A variable with the labels of one dimension."""

    name: str
    values: Any
    attributes: Mapping[str, Any]


def coordinates(like: Cube, grid: Grid) -> list[Coordinate]:
    """The coordinates of a result, but for the bands, which are variables."""
    made = [_labels(like, name) for name in dimensions(like) if name not in SPATIAL]
    if like.dims[-2:] != SPATIAL:
        return made
    axes = CRS.from_user_input(grid.crs).cs_to_cf()
    xs, ys = grid.centres()
    for name, letter, values in (("y", "Y", ys), ("x", "X", xs)):
        attributes = next((dict(axis) for axis in axes if axis.get("axis") == letter), {"axis": letter})
        made.append(Coordinate(name, values, attributes))
    return made


def dimensions(like: Cube) -> tuple[str, ...]:
    """The dimensions of each variable: all but the bands."""
    return tuple(name for name in like.dims if name != band_dimension(like))


def band_dimension(like: Cube) -> str | None:
    """The dimension whose labels become variables."""
    return next(iter(like.of_kind("bands")), None)


def variables(like: Cube) -> dict[str, int]:
    """Name of each variable and its place among the bands. Characters that paths or CF do not like become _."""
    dimension = band_dimension(like)
    if dimension is None:
        return {"value": 0}
    taken = {*like.dims, "spatial_ref"}
    made: dict[str, int] = {}
    for place, label in enumerate(like.labels[dimension]):
        name = re.sub(r"[^A-Za-z0-9_]", "_", str(label)) or "band"
        name = name if name[0].isalpha() or name[0] == "_" else f"band_{name}"
        made[name if name not in taken and name not in made else f"{name}_{place}"] = place
    return made


def values_of(cube: Cube, place: int) -> Any:
    """The values of one variable."""
    dimension = band_dimension(cube)
    return cube.data if dimension is None else cube.series(dimension).values[place]


def spatial_ref(grid: Grid) -> dict[str, Any]:
    """The attributes of the grid mapping variable."""
    crs, transform = CRS.from_user_input(grid.crs), transform_of(grid)
    named = {key: value for key, value in crs.to_cf().items() if isinstance(value, (str, int, float, list, tuple))}
    return {**named, "spatial_ref": crs.to_wkt(), "GeoTransform": " ".join(map(str, transform.to_gdal()))}


def _labels(like: Cube, name: str) -> Coordinate:
    labels = like.labels[name]
    if like.kind(name) == "temporal" and (seconds := _seconds(labels)) is not None:
        return Coordinate(name, seconds, {**TIME, "axis": "T"})
    if all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in labels):
        return Coordinate(name, np.array(labels), {})
    return Coordinate(name, np.array([str(label) for label in labels]), {})


def _seconds(labels: Sequence[Any]) -> Any:
    """Labels as moments; None where one is none (such as djf). A year or month means its first moment."""
    try:
        moments = [instant(PERIODS.get(len(str(label)), "{}").format(label)) for label in labels]
    except Exception:
        return None
    return np.array([(moment - EPOCH).total_seconds() for moment in moments], np.int64)
