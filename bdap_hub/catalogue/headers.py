"""Reads what a raster's header tells: size, projection, data type, nodata, scale, footprint, date.

The last block is read too, so that a truncated file is found when it is ingested, not when it is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window
from rio_stac.stac import get_dataset_geom

from ..errors import BadRequest
from ..rasters.held import Held
from .scan import read_date

CLASSES = {"SCL", "QA60", "QA_PIXEL", "FMASK"}
CLOUD_CLASSES = (8, 9, 10)
JP2 = "image/jp2"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
GEOTIFF = "image/tiff; application=geotiff"


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
    cloud_cover: float | None
    palette: bool = False
    """The file has a colour for each value: classes."""


def read(path: Path, band: str) -> Header:
    """The header of a file; BadRequest, naming the file, if it is damaged or has no place on earth."""
    try:
        held = Held.now(path.resolve(), beside=True)
        with held, rasterio.open(held.name, driver=driver_of(path)) as file:  # never a VRT, which reads other files
            held.check(file)
            if file.crs is None:
                raise BadRequest(f"{path.name} has no coordinate reference system", "set one with gdal_edit -a_srs")
            _read_last_block(file)
            return _header(path, band, file)
    except (RasterioError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadRequest(f"{path.name} cannot be read: {reason}", "copy it again from its source") from None


def driver_of(path: Path) -> str:
    """The only driver that may open a file: by its name, so that none is read as something that leads to others."""
    return "JP2OpenJPEG" if path.suffix.lower() == ".jp2" else "GTiff"


def _header(path: Path, band: str, file: Any) -> Header:
    place = get_dataset_geom(file, densify_pts=8, precision=7)
    tags = file.tags()
    stamp = file.get_tag_item("ACQUISITIONDATETIME", "IMAGERY") or tags.get("TIFFTAG_DATETIME", "").replace(":", "-", 2)
    when = read_date(stamp)
    epsg = file.crs.to_epsg()
    return Header(
        path=path,
        shape=(file.height, file.width),
        transform=tuple(file.transform)[:6],
        epsg=epsg,
        wkt2="" if epsg else file.crs.to_wkt(version="WKT2_2019"),
        gsd=round(abs(file.transform.a), 9),
        metric=bool(file.crs.is_projected),
        media_type=_media_type(file),
        names=tuple(name or f"b{i}" for i, name in enumerate(file.descriptions, 1)),
        raster_bands=tuple(_raster_band(file, i) for i in range(file.count)),
        geometry=place["footprint"],
        bbox=tuple(round(float(v), 7) for v in place["bbox"]),
        when=when[0] if when else None,
        platform=tags.get("PLATFORM", "") or file.get_tag_item("SATELLITEID", "IMAGERY") or "",
        cloud_cover=_cloud_cover(file) if band == "SCL" else None,
        palette=file.colorinterp[0] == ColorInterp.palette,
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
    band: dict[str, Any] = {"data_type": file.dtypes[i], "scale": file.scales[i], "offset": file.offsets[i]}
    nodata = file.nodatavals[i]
    if nodata is not None:
        band["nodata"] = "nan" if math.isnan(nodata) else int(nodata) if float(nodata).is_integer() else nodata
    if file.units[i]:
        band["unit"] = file.units[i]
    return band


def _cloud_cover(file: Any) -> float | None:
    """Percent of the valid pixels that the scene classification calls cloud or cirrus, from at most 512 x 512."""
    step = max(1, -(-max(file.shape) // 512))
    classes = file.read(1, out_shape=(-(-file.height // step), -(-file.width // step)))
    valid = int(np.count_nonzero(classes))
    return round(100 * float(np.isin(classes, CLOUD_CLASSES).sum()) / valid, 2) if valid else None
