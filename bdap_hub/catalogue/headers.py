"""Reads what a raster's header tells: size, projection, data type, nodata, scale, footprint, date, checksum.

The last block is read too, so that a truncated file is found when it is ingested, not when it is shown.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.warp import transform_geom
from rasterio.windows import Window
from rio_stac.stac import get_dataset_geom

from ..errors import BadRequest
from ..rasters.held import NOT_UTF_8, Held
from . import gridded
from .scan import read_date

CLASSES = {"SCL", "QA60", "QA_PIXEL", "FMASK"}
CLOUD_CLASSES = (8, 9, 10)
LEGEND = 20_000
JP2 = "image/jp2"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
GEOTIFF = "image/tiff; application=geotiff"
SHA256 = "1220"  # what a multihash of SHA-256 begins with: its code, and 32 bytes
COMPLEX = {"complex_int16": "cint16", "complex64": "cfloat32", "complex128": "cfloat64"}
WORLD = "EPSG:4326"


@dataclass(frozen=True)
class Header:
    """A raster's header. `raster_bands` are STAC raster:bands; `geometry` and `bbox` are WGS 84, degrees."""

    path: Path
    shape: tuple[int, int]
    transform: tuple[float, ...]
    epsg: int | None
    wkt2: str
    gsd: float
    metric: bool
    media_type: str
    names: tuple[str, ...]
    raster_bands: tuple[dict[str, Any], ...]
    geometry: dict[str, Any]
    bbox: tuple[float, ...]
    when: datetime | None
    platform: str
    cloud_cover: float | None = None
    until: datetime | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    own_names: bool = False
    palette: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """The file has a colour for each value: classes."""
    legend: str = ""
    """Lines of a value and its name."""
    size: int | None = None
    checksum: str = ""


def read(path: Path, band: str, checksum: bool = False) -> Header:
    """The header of a file; BadRequest, naming the file, if it is damaged or has no place on earth.

    `checksum`: the whole file is read for it.
    """
    found = _of_grid(path) if path.suffix.lower() in gridded.FORMATS else _of_raster(path, band)
    if path.is_dir():
        return found
    return replace(found, size=path.stat().st_size, checksum=_checksum(path) if checksum else "")


def _checksum(path: Path) -> str:
    """As a multihash."""
    with path.open("rb") as file:
        return SHA256 + hashlib.file_digest(file, "sha256").hexdigest()


def _of_raster(path: Path, band: str) -> Header:
    try:
        held = Held.now(path.resolve(), beside=True)
        with held, rasterio.open(held.name, driver=driver_of(path)) as file:  # never a VRT, which reads other files
            held.check(file)
            if file.crs is None and not file.gcps[0]:
                raise BadRequest(f"{path.name} has no coordinate reference system", "set one with gdal_edit -a_srs")
            _read_last_block(file)
            return _header(path, band, file)
    except (RasterioError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadRequest(f"{path.name} cannot be read: {reason}", "copy it again from its source") from None
    except UnicodeDecodeError:
        raise BadRequest(f"{path.name} {NOT_UTF_8}", "write its bands' descriptions anew") from None


def driver_of(path: Path) -> str:
    """The only driver that may open a file: by its name, so that none is read as something that leads to others."""
    return "JP2OpenJPEG" if path.suffix.lower() == ".jp2" else "GTiff"


def _header(path: Path, band: str, file: Any) -> Header:
    place = get_dataset_geom(file, densify_pts=8, precision=7) if file.crs else _by_points(*file.gcps)
    tags = file.tags()
    stamp = file.get_tag_item("ACQUISITIONDATETIME", "IMAGERY") or tags.get("TIFFTAG_DATETIME", "").replace(":", "-", 2)
    when = read_date(stamp)
    days = [found[0] for name in file.descriptions if name and (found := read_date(name))]
    series = (min(days), max(days)) if len(days) == file.count > 1 else None  # a band for each date
    epsg = file.crs.to_epsg() if file.crs else None
    return Header(
        path=path,
        shape=(file.height, file.width),
        transform=tuple(file.transform)[:6] if file.crs else (),
        epsg=epsg,
        wkt2=file.crs.to_wkt(version="WKT2_2019") if file.crs and not epsg else "",
        gsd=round(abs(file.transform.a), 9),
        metric=bool(file.crs and file.crs.is_projected),
        media_type=_media_type(file),
        names=tuple(name or f"b{i}" for i, name in enumerate(file.descriptions, 1)),
        raster_bands=tuple(_raster_band(file, i) for i in range(file.count)),
        geometry=place["footprint"],
        bbox=tuple(round(float(v), 7) for v in place["bbox"]),
        when=series[0] if series else when[0] if when else None,
        until=series[1] if series else None,
        platform=tags.get("PLATFORM", "") or file.get_tag_item("SATELLITEID", "IMAGERY") or "",
        cloud_cover=_cloud_cover(file) if band == "SCL" else None,
        palette=file.colormap(1) if file.colorinterp[0] == ColorInterp.palette else {},
        legend=tags.get("legend", "")[:LEGEND],
    )


def _by_points(points: list[Any], crs: Any) -> dict[str, Any]:
    """Where the pixels of a file lie that has no transform, but points whose places are known."""
    hull = shapely.MultiPoint([(point.x, point.y) for point in points]).convex_hull
    footprint = transform_geom(crs or WORLD, WORLD, shapely.geometry.mapping(hull), precision=7)
    return {"footprint": footprint, "bbox": shapely.geometry.shape(footprint).bounds}


def _of_grid(path: Path) -> Header:
    """Of NetCDF and Zarr: the variables are its bands."""
    found = gridded.read(path)
    epsg, times = found.crs.to_epsg(), found.times
    footprint = gridded.footprint(found)
    return Header(
        path=path,
        shape=found.shape,
        transform=found.transform,
        epsg=epsg,
        wkt2="" if epsg else found.crs.to_wkt(version="WKT2_2019"),
        gsd=round(abs(found.box[2] - found.box[0]) / found.shape[1], 9),
        metric=bool(found.crs.is_projected),
        media_type=gridded.FORMATS[path.suffix.lower()],
        names=tuple(one.name for one in found.variables),
        raster_bands=tuple(gridded.bands(found)),
        geometry=footprint,
        bbox=tuple(round(float(v), 7) for v in shapely.geometry.shape(footprint).bounds),
        when=times[0] if times else None,
        until=times[1] if times and times[1] > times[0] else None,
        platform="",
        properties=gridded.cube(found),
        own_names=True,
    )


def _media_type(file: Any) -> str:
    if file.driver != "GTiff":
        return JP2
    return COG if file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG" else GEOTIFF


def _read_last_block(file: Any) -> None:
    rows, columns = file.block_shapes[0]
    top, left = (file.height - 1) // rows * rows, (file.width - 1) // columns * columns
    file.read(file.count, window=Window(left, top, file.width - left, file.height - top))


def _raster_band(file: Any, i: int) -> dict[str, Any]:
    kind = file.dtypes[i]
    band: dict[str, Any] = {"data_type": COMPLEX.get(kind, kind), "scale": file.scales[i], "offset": file.offsets[i]}
    nodata = file.nodatavals[i]
    if nodata is not None:
        band["nodata"] = "nan" if math.isnan(nodata) else int(nodata) if float(nodata).is_integer() else nodata
    if file.units[i]:
        band["unit"] = file.units[i]
    if file.crs and file.crs.is_projected:
        band["spatial_resolution"] = round(abs(file.transform.a) * file.crs.linear_units_factor[1], 9)
    if bits := file.tags(i + 1, ns="IMAGE_STRUCTURE").get("NBITS"):
        band["bits_per_sample"] = int(bits)
    if (sampling := file.tags().get("AREA_OR_POINT", "").lower()) in ("area", "point"):
        band["sampling"] = sampling
    return band


def _cloud_cover(file: Any) -> float | None:
    """Percent of the valid pixels that the scene classification calls cloud or cirrus, from at most 512 x 512."""
    step = max(1, -(-max(file.shape) // 512))
    classes = file.read(1, out_shape=(-(-file.height // step), -(-file.width // step)))
    valid = int(np.count_nonzero(classes))
    return round(100 * float(np.isin(classes, CLOUD_CLASSES).sum()) / valid, 2) if valid else None
