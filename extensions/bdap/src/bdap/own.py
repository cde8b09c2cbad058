"""Cubes of one's own pixels: files and arrays, which are uploaded to one's files on the platform."""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from . import client as clients
from . import filters
from .arrays import Grid, coords, needed, reference
from .choosing import loaded
from .client import Client
from .cube import Cube
from .errors import BadCube

DEGREES = {"lat": "y", "latitude": "y", "lon": "x", "longitude": "x"}
"""Names of dimensions in degrees, as climate data have them."""


def from_file(path: str | Path, name: str = "", client: Client | None = None) -> Cube:
    """A cube of a file of your own: GeoTIFF, JPEG 2000 or netCDF, which is uploaded to the platform.

    A file that lies on the store (/eos/…) is read there, if it is a GeoTIFF or JPEG 2000 and you may read it.
    """
    source = Path(path)
    if str(source).startswith("/eos/") and not name:
        return Cube(loaded("load_result", id=str(source)), None, client)
    if not source.is_file():
        raise BadCube(f"there is no file {source}", "look at its name")
    form = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2", ".nc": "netCDF"}.get(source.suffix.lower())
    if form is None:
        raise BadCube(f"{source.name} is no file of pixels that is read here", "use .tif, .jp2 or .nc")
    return Cube(
        loaded("load_uploaded_files", paths=[_upload(source, name or source.name, client)], format=form), None, client
    )


def from_xarray(array: Any, name: str = "", client: Client | None = None) -> Cube:
    """A cube of an xarray.DataArray with y, x (and bands, t) and a CRS (as rioxarray keeps it, or `.to_xarray()` gave).

    Dimensions lat and lon are in degrees. It is uploaded as GeoTIFFs, a file for each date, which count as your files
    on the platform; what `_FillValue` says is no data.
    """
    rows, crs, transform = _placed(_named(array))
    extra = [dim for dim in rows.dims[:-2] if dim not in ("t", "time", "bands", "band")]
    if extra:
        raise BadCube(
            f"the array has the dimension {extra[0]!r}", "keep t, bands, y and x: select or reduce the others"
        )
    time = next((dim for dim in ("t", "time") if dim in rows.dims), None)
    stem, paths = name or f"array-{uuid.uuid4().hex[:8]}", []
    moments = _moments(rows[time].values) if time else [None]
    with tempfile.TemporaryDirectory(prefix="bdap-") as folder:
        for number, moment in enumerate(moments):
            part = rows.isel({time: number}) if time else rows
            file = Path(folder) / f"{stem}{f'_{moment:%Y-%m-%dT%H%M%S}' if moment else ''}.tif"
            _write(file, part, crs, transform, _fill(array), moment)
            paths.append(_upload(file, f"bdap/{file.name}", client))
    return Cube(loaded("load_uploaded_files", paths=paths, format="GTiff"), None, client)


def from_rasterio(dataset: Any, name: str = "", client: Client | None = None) -> Cube:
    """A cube of an open rasterio dataset: its bands, on its pixels."""
    import rasterio
    from rasterio.shutil import copy

    if not dataset.crs:
        raise BadCube(f"{Path(dataset.name).name} does not say its reference system", "write it into the file first")
    with tempfile.TemporaryDirectory(prefix="bdap-") as folder, rasterio.Env():
        file = Path(folder) / f"{name or Path(dataset.name).stem}.tif"
        copy(dataset, file, driver="GTiff", tiled=True, compress="deflate")
        return from_file(file, f"bdap/{file.name}", client)


def from_pyjeo(jim: Any, name: str = "", client: Client | None = None) -> Cube:
    """A cube of a pyjeo.Jim, by a GeoTIFF."""
    with tempfile.TemporaryDirectory(prefix="bdap-") as folder:
        file = Path(folder) / f"{name or f'jim-{uuid.uuid4().hex[:8]}'}.tif"
        jim.io.write(str(file))
        return from_file(file, f"bdap/{file.name}", client)


def from_numpy(
    array: Any,
    bbox: tuple[float, float, float, float],
    crs: int | str = 4326,
    name: str = "",
    client: Client | None = None,
) -> Cube:
    """A cube of a numpy array (rows from north to south, or bands of these) that fills a box in its CRS."""
    xarray = needed("xarray")
    import numpy as np

    values = np.asarray(array)
    if values.ndim not in (2, 3):
        raise BadCube(f"the array has {values.ndim} dimensions", "give (rows, columns) or (bands, rows, columns)")
    height, width = values.shape[-2:]
    west, south, east, north = map(float, bbox)
    transform = (west, (east - west) / width, 0.0, north, 0.0, (south - north) / height)
    grid = Grid(f"EPSG:{str(crs).upper().removeprefix('EPSG:')}", transform, width, height, (), {}, str(values.dtype))
    made = xarray.DataArray(values, coords=coords(grid), dims=("bands", "y", "x")[-values.ndim :])
    return from_xarray(made.assign_coords(spatial_ref=reference(grid)), name, client)


def _named(array: Any) -> Any:
    """The array with y and x as its last dimensions, rows from north to south."""
    names = {old: new for old, new in DEGREES.items() if old in array.dims}
    array = array.rename(names)
    if missing := [dim for dim in ("y", "x") if dim not in array.dims]:
        raise BadCube(
            f"the array has no dimension {missing[0]!r}: it has {', '.join(map(str, array.dims))}",
            'rename the one of rows and that of columns: array.rename(rows="y", columns="x")',
        )
    rows = array.transpose(*(dim for dim in array.dims if dim not in ("y", "x")), "y", "x")
    if names and "spatial_ref" not in rows.coords:
        rows = rows.assign_coords(spatial_ref=((), 0, {"spatial_ref": "EPSG:4326"}))
    return rows if rows["y"].values[0] > rows["y"].values[-1] else rows.isel(y=slice(None, None, -1))


def _placed(array: Any) -> tuple[Any, str, Any]:
    """The array, its CRS and its geotransform."""
    from rasterio.transform import Affine

    attributes = array.coords["spatial_ref"].attrs if "spatial_ref" in array.coords else {}
    crs = attributes.get("crs_wkt") or attributes.get("spatial_ref")
    if not crs:
        raise BadCube("the array does not say its reference system", 'write it: array.rio.write_crs("EPSG:32632")')
    x, y = array["x"].values, array["y"].values
    if len(x) < 2 or len(y) < 2:
        raise BadCube("the array has less than two pixels a side", "give a larger one")
    xres, yres = float(x[-1] - x[0]) / (len(x) - 1), float(y[-1] - y[0]) / (len(y) - 1)
    return array, crs, Affine(xres, 0, float(x[0]) - xres / 2, 0, yres, float(y[0]) - yres / 2)


def _moments(labels: Any) -> list[datetime]:
    """The dates of an array; of a month or year its first day. The platform makes one picture of each day."""
    found = [filters.moment(each.isoformat() if hasattr(each, "isoformat") else each) for each in labels]
    if twice := [day for day, count in Counter(each.date() for each in found).items() if count > 1]:
        raise BadCube(
            f"the array has {twice[0]} more than once; a cube has one picture of a day",
            'choose one time of each day, or join them: array.resample(time="1D").mean()',
        )
    return found


def _fill(array: Any) -> float | None:
    """The number that stands for no data in the array, where there is one."""
    whole = array.dtype.kind in "iu"
    said = {**(array.encoding if whole else {}), **array.attrs}
    fill = said.get("_FillValue", said.get("missing_value"))
    return None if fill is None or fill != fill else fill


def _write(path: Path, array: Any, crs: str, transform: Any, fill: float | None, moment: datetime | None) -> None:
    import numpy as np
    import rasterio

    values = array.values
    if values.dtype in (bool, np.int64):
        values = values.astype(np.float32)
    nodata = {}
    if np.issubdtype(values.dtype, np.floating):
        values, nodata = np.where(array.values == fill, values.dtype.type("nan"), values), {"nodata": float("nan")}
    elif fill is not None and np.iinfo(values.dtype).min <= fill <= np.iinfo(values.dtype).max:
        nodata = {"nodata": fill}
    layers = values.reshape(-1, *values.shape[-2:])
    names = [str(each) for dim in ("bands", "band") if dim in array.dims for each in np.atleast_1d(array[dim].values)]
    profile = {"driver": "GTiff", "count": len(layers), "height": values.shape[-2], "width": values.shape[-1]}
    size = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(
        path, "w", **profile, **size, **nodata, dtype=values.dtype, crs=crs, transform=transform
    ) as file:
        file.write(layers)
        if moment:
            file.update_tags(TIFFTAG_DATETIME=f"{moment:%Y:%m:%d %H:%M:%S}")
        for number, each in enumerate(names if len(names) == len(layers) else (), 1):
            file.set_band_description(number, each)


def _upload(path: Path, name: str, client: Client | None) -> str:
    """The file among one's own on the platform, under that name."""
    with path.open("rb") as content:
        (client or clients.default()).send("processing", "PUT", f"/files/{quote(name)}", content=content, seconds=900)
    return name
