"""Unpacks a netCDF file into GeoTIFFs, one for each variable and date. Runs in a process of its own (apart.py)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from ..cubes.extent import DEGREES
from ..graphs.graph import GraphError

CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
UNITS = ("days", "hours", "minutes", "seconds")
SIDE = 512
ROWS = 1024
MOST_LAYERS = 2000


def unpack(source: str, folder: Path, most_bytes: int) -> None:
    """Write `<variable>_<date>.tif` for each layer; FormatUnsuitable where there is none or it is too much."""
    _check_links(source)
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    left, count = most_bytes, 0
    for name in _names(source):
        with rasterio.open(name, driver="netCDF") as data:
            if data.count == 0 or data.transform.is_identity or data.transform.b or data.transform.d:
                continue  # no grid: bounds of cells, the CRS's own variable
            crs = _crs(data)
            for band in range(1, data.count + 1):
                count += 1
                left -= data.width * data.height * np.dtype(data.dtypes[0]).itemsize
                if left < 0 or count > MOST_LAYERS:
                    raise _wrong(f"holds more than {most_bytes >> 20} MB or {MOST_LAYERS} layers", "split it")
                _write(data, band, crs, folder)
    if count == 0:
        raise _wrong("holds no variable on a grid of x and y", "write it with CF conventions")


def _check_links(source: str) -> None:
    """What HDF5 could open besides the file itself is refused; classic netCDF names no other files."""
    if not h5py.is_hdf5(source):
        return
    with h5py.File(source, "r") as file:
        todo = [file]
        while todo:
            group = todo.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise _wrong("holds links to other files", "write it as one file")
                found = group[name]
                if isinstance(found, h5py.Group):
                    todo.append(found)
                elif isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
                    raise _wrong("keeps its numbers in other files", "write it as one file")


def _names(source: str) -> Iterator[str]:
    try:
        with rasterio.open(source, driver="netCDF") as whole:
            names = list(whole.subdatasets) or [source]
    except RasterioError:
        raise _wrong("is damaged or no netCDF", "look into the file") from None
    yield from names


def _crs(data: Any) -> Any:
    if data.crs is not None:
        return data.crs
    units = {value for key, value in data.tags().items() if key.endswith("#units")}
    if {"degrees_east", "degrees_north"} <= units:
        return DEGREES
    raise _wrong("says no coordinate reference system", "add a grid_mapping (spatial_ref)")


def _write(data: Any, band: int, crs: Any, folder: Path) -> None:
    tags = data.tags(band)
    name, moment = tags.get("NETCDF_VARNAME", "band"), _moment(data, tags)
    tail = f"_{moment:%Y%m%dT%H%M%S}" if moment else ""
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60]
    path = folder / f"{safe}{tail}.tif"
    if path.exists():
        raise _wrong(f"gives the variable {name!r:.40} twice for one date", "choose one")
    shape = {"width": data.width, "height": data.height, "count": 1, "dtype": data.dtypes[0], "nodata": data.nodata}
    tiled = {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE, "compress": "deflate", "BIGTIFF": "IF_SAFER"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=data.transform, **shape, **tiled) as out:
        for top in range(0, data.height, ROWS):
            window = Window(0, top, data.width, min(ROWS, data.height - top))
            out.write(data.read(band, window=window), 1, window=window)
        out.scales, out.offsets = (data.scales[band - 1],), (data.offsets[band - 1],)
        out.set_band_description(1, name)
        if moment:
            out.update_tags(TIFFTAG_DATETIME=f"{moment:%Y:%m:%d %H:%M:%S}")
        factors = [2**k for k in range(1, 10) if max(data.width, data.height) >> k >= SIDE // 2]
        if factors:
            out.build_overviews(factors, Resampling.average if data.dtypes[0].startswith("f") else Resampling.nearest)


def _moment(data: Any, tags: dict[str, str]) -> datetime | None:
    """The date of a layer; None where the file has no time. Other dimensions are not read."""
    found = None
    for key, value in tags.items():
        if not key.startswith("NETCDF_DIM_"):
            continue
        said = data.tags().get(f"{key.removeprefix('NETCDF_DIM_')}#units", "")
        unit, _, since = said.partition(" since ")
        if not since or found is not None:
            raise _wrong(f"has the dimension {key.removeprefix('NETCDF_DIM_')!r:.40} besides time, y and x", "select")
        calendar = data.tags().get(f"{key.removeprefix('NETCDF_DIM_')}#calendar", "standard")
        if calendar not in CALENDARS or unit not in UNITS:
            raise _wrong(f"counts time in {unit!r:.20} of the calendar {calendar!r:.30}", f"use {', '.join(UNITS)}")
        try:
            begin = datetime.fromisoformat(since.strip().removesuffix(" UTC"))
            found = begin.replace(tzinfo=begin.tzinfo or UTC) + timedelta(**{unit: float(value)})
        except (ValueError, OverflowError):
            raise _wrong(f"counts time {said!r:.60}", "use days since 1970-01-01") from None
    return found


def _wrong(sentence: str, remedy: str) -> GraphError:
    return GraphError("FormatUnsuitable", sentence, remedy)
