"""What NetCDF-4 and Zarr say by the CF conventions: variables on one grid, its reference system, dates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform

from ..errors import BadRequest, BdapError
from ..rasters.crs_text import xml_names_files
from .arrays import Array, arrays_of
from .geometry import geojson_of

FORMATS = {".nc": "application/netcdf", ".nc4": "application/netcdf", ".zarr": "application/vnd.zarr"}
ACROSS = ("projection_x_coordinate", "longitude", "x", "lon", "easting")
ALONG = ("projection_y_coordinate", "latitude", "y", "lat", "northing")
STEPS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1, "milliseconds": 1e-3, "microseconds": 1e-6,
         "nanoseconds": 1e-9}  # fmt: skip
SINCE = re.compile(r"(\w+?)s?\s+since\s+(\d{4}-\d{1,2}-\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d*)?)?)?.*")
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
MOST = 10_000_000  # values of a coordinate
SIDE = 21


@dataclass(frozen=True)
class Gridded:
    """What the header says. `variables` share the grid; `times` are the first and the last, where there are any."""

    variables: tuple[Array, ...]
    dimensions: Mapping[str, dict[str, Any]]
    shape: tuple[int, int]
    transform: tuple[float, ...]
    box: tuple[float, float, float, float]
    crs: CRS
    times: tuple[datetime, datetime] | None


def read(path: Path) -> Gridded:
    """The header of a file or folder; BadRequest says what is missing in it."""
    try:
        with arrays_of(path) as arrays:
            return _gridded(path.name, arrays)
    except BdapError:
        raise
    except Exception as error:  # h5py and zarr have no common parent of what a damaged file makes them raise
        reason = (str(error).splitlines() or [""])[0]
        raise BadRequest(f"{path.name} cannot be read: {reason:.160}", "copy it again from its source") from None


def footprint(found: Gridded) -> dict[str, Any]:
    """The grid's outline in WGS 84, 21 points a side; longitudes from 0 to 360 as from -180 to 180."""
    west, south, east, north = found.box
    if found.crs.to_epsg() == 4326:
        if east > 180:
            west, east = (west - 360, east - 360) if west >= 180 else (-180.0, 180.0)
        box = (max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0))
        return geojson_of(box)
    along, up = np.linspace(west, east, SIDE), np.linspace(south, north, SIDE)
    xs = [*along, *[east] * SIDE, *along[::-1], *[west] * SIDE]
    ys = [*[south] * SIDE, *up, *[north] * SIDE, *up[::-1]]
    longitudes, latitudes = transform(found.crs, CRS.from_epsg(4326), xs, ys)
    ring = [[round(x, 7), round(y, 7)] for x, y in zip(longitudes, latitudes, strict=True)]
    return {"type": "Polygon", "coordinates": [ring]}


def bands(found: Gridded) -> list[dict[str, Any]]:
    """STAC raster:bands of the variables."""
    return [_band(one) for one in found.variables]


def cube(found: Gridded) -> dict[str, Any]:
    """The properties of STAC's datacube extension."""
    variables = {
        one.name: {"dimensions": list(one.dims), "type": "data"}
        | ({"unit": str(one.attrs["units"])} if one.attrs.get("units") else {})
        | ({"description": str(one.attrs["long_name"])} if one.attrs.get("long_name") else {})
        for one in found.variables
    }
    return {"cube:dimensions": dict(found.dimensions), "cube:variables": variables}


def _gridded(name: str, arrays: Mapping[str, Array]) -> Gridded:
    across, along = (_coordinate(arrays, known) for known in (ACROSS, ALONG))
    variables = tuple(one for one in arrays.values() if across and along and one.dims[-2:] == (along.name, across.name))
    if across is None or along is None or not variables:
        raise BadRequest(f"{name} has no variable along y and x", "name its coordinates by the CF conventions")
    xs, ys = (_numbers(name, one) for one in (across, along))
    (left, dx), (top, dy) = _edge(xs), _edge(ys)
    right, bottom = left + dx * len(xs), top + dy * len(ys)
    regular = _regular(xs, dx) and _regular(ys, dy)
    dimensions = _dimensions(arrays, variables, across, along, (left, right), (top, bottom))
    crs = _crs(name, arrays, variables[0], across)
    for part in dimensions.values():
        if part["type"] == "spatial":
            part["reference_system"] = crs.to_epsg() or crs.to_wkt(version="WKT2_2019")
    times = _times(arrays, dimensions)
    box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    placed = (dx, 0.0, left, 0.0, dy, top) if regular else ()
    return Gridded(variables, dimensions, (len(ys), len(xs)), placed, box, crs, times)


def _coordinate(arrays: Mapping[str, Array], known: tuple[str, ...]) -> Array | None:
    """By its standard name, else by its own."""
    ones = [one for one in arrays.values() if len(one.shape) == 1 and one.dims == (one.name,) and one.shape[0] > 1]
    named = [one for one in ones if one.attrs.get("standard_name") in known]
    return next(iter(named or [one for one in ones if one.name.lower() in known]), None)


def _numbers(name: str, array: Array) -> NDArray[np.float64]:
    if array.shape[0] > MOST or np.dtype(array.dtype).kind not in "iuf":
        raise BadRequest(f"the coordinate {array.name!r:.60} of {name} is not one of numbers", "write numbers")
    values = np.asarray(array.values(), dtype=np.float64)
    if not np.isfinite(values).all():
        raise BadRequest(f"the coordinate {array.name!r:.60} of {name} has gaps", "write a number for each pixel")
    return values


def _edge(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the first pixel begins, and the step: coordinates are of the pixels' middles."""
    step = float((values[-1] - values[0]) / (len(values) - 1))
    return float(values[0]) - step / 2, step


def _regular(values: NDArray[np.float64], step: float) -> bool:
    return bool(np.abs(np.diff(values) - step).max() <= abs(step) * 1e-3)


def _crs(name: str, arrays: Mapping[str, Array], variable: Array, across: Array) -> CRS:
    """From the variable that its grid_mapping names; longitudes without any are those of WGS 84."""
    mapping = arrays.get(str(variable.attrs.get("grid_mapping", "")))
    text = next((str(mapping.attrs[k]) for k in ("crs_wkt", "spatial_ref") if mapping and mapping.attrs.get(k)), "")
    if not text and str(across.attrs.get("units", "")).lower().startswith("degree"):
        return CRS.from_epsg(4326)
    if xml_names_files(text.encode()):
        raise BadRequest(f"the coordinate reference system of {name} names files", "write it without grids")
    try:
        return CRS.from_wkt(text)
    except CRSError:
        raise BadRequest(
            f"{name} has no coordinate reference system", "write it as crs_wkt of the variable that grid_mapping names"
        ) from None


def _dimensions(
    arrays: Mapping[str, Array], variables: tuple[Array, ...], across: Array, along: Array,
    x: tuple[float, float], y: tuple[float, float],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Of the datacube extension: by name, with their extents."""
    sizes = {dim: size for one in variables for dim, size in zip(one.dims, one.shape, strict=True)}
    found: dict[str, dict[str, Any]] = {}
    for dim, size in sizes.items():
        if dim in (across.name, along.name):
            axis, ends = ("x", x) if dim == across.name else ("y", y)
            found[dim] = {"type": "spatial", "axis": axis, "extent": [min(ends), max(ends)]}
        elif times := _moments(arrays.get(dim)):
            found[dim] = {"type": "temporal", "extent": [_written(times[0]), _written(times[-1])]}
        else:
            found[dim] = {"type": "other", "extent": [0, size - 1]}
    return found


def _times(arrays: Mapping[str, Array], dimensions: Mapping[str, dict[str, Any]]) -> tuple[datetime, datetime] | None:
    """Of the dimension of time, else of a variable `time` that holds one moment."""
    for dim, one in dimensions.items():
        if one["type"] == "temporal" and (times := _moments(arrays.get(dim))):
            return min(times), max(times)
    times = _moments(arrays.get("time"))
    return (times[0], times[-1]) if len(times) == 1 else None


def _moments(array: Array | None) -> list[datetime]:
    """None for calendars that are not ours, and for what is no time."""
    if array is None or len(array.shape) > 1 or int(np.prod(array.shape)) > MOST:
        return []
    match = SINCE.fullmatch(str(array.attrs.get("units", "")).strip())
    if not match or str(array.attrs.get("calendar", "standard")).lower() not in CALENDARS:
        return []
    unit, day, *clock = match.groups()
    if f"{unit}s" not in STEPS:
        return []
    year, month, date = (int(part) for part in day.split("-"))
    try:
        start = datetime(year, month, date, *(int(part or 0) for part in clock), tzinfo=UTC)
        values = np.atleast_1d(np.asarray(array.values(), dtype=np.float64))
        return [start + timedelta(seconds=float(value) * STEPS[f"{unit}s"]) for value in values if np.isfinite(value)]
    except (ValueError, OverflowError):
        return []


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _band(array: Array) -> dict[str, Any]:
    attrs = array.attrs
    band: dict[str, Any] = {
        "data_type": array.dtype.lstrip("<>|="),
        "scale": float(attrs.get("scale_factor", 1)),
        "offset": float(attrs.get("add_offset", 0)),
    }
    fill = attrs.get("_FillValue", attrs.get("missing_value"))
    if isinstance(fill, int | float) and not isinstance(fill, bool):
        band["nodata"] = "nan" if np.isnan(fill) else int(fill) if float(fill).is_integer() else fill
    if attrs.get("units"):
        band["unit"] = str(attrs["units"])
    return band
