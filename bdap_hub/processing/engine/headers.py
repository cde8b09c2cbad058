"""A raster file as an item of its own: what its header tells of place, time and bands."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from ...rasters.held import Unsuitable
from ..cubes.extent import DEGREES
from .files import File
from .grid import crs_of
from .reader import FileUnavailable, Reader

DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)-?(\d\d)-?(\d\d)(?!\d)")


def item_of_raster(reader: Reader, href: str) -> dict[str, Any]:
    """The STAC item of a file on the store; FileUnavailable where it cannot be read, or lies nowhere on Earth."""
    file = reader.file(href)
    return reader.guarded(href, lambda: _item(file, href))


def _item(file: File, href: str) -> dict[str, Any]:
    data = file.level()
    colours = _colours(data)
    count = data.count - (colours[-1] is ColorInterp.alpha)
    classes = ["classification"] if colours[0] is ColorInterp.palette else []
    bands = [_band(data, index) for index in range(count)]
    asset = {"href": href, "type": "image/tiff", "roles": ["data", *classes], "raster:bands": bands, "eo:bands": bands}
    name = PurePosixPath(href).stem
    properties = {"datetime": _when(file).isoformat()}
    return {"id": name, "bbox": _degrees(file, href), "properties": properties, "assets": {name: asset}}


def _colours(data: Any) -> Any:
    """What its bands mean. rasterio takes an error that another file left in this thread for one of this file's."""
    try:
        return data.colorinterp
    except CPLE_BaseError:
        return data.colorinterp


def _band(data: Any, index: int) -> dict[str, Any]:
    name = data.descriptions[index] or f"b{index + 1}"
    scale, offset = data.scales[index], data.offsets[index]
    if not (math.isfinite(scale) and math.isfinite(offset)):
        raise Unsuitable("declares a scale or an offset that is no number")
    return {"name": name, "scale": scale, "offset": offset}


def _when(file: File) -> datetime:
    """What the header says, else the name, else when the file was written."""
    said = file.level().tags().get("TIFFTAG_DATETIME", "")
    named = DAY.search(PurePosixPath(file.version.path).stem)
    for text, form in ((said, "%Y:%m:%d %H:%M:%S"), ("".join(named.groups()) if named else "", "%Y%m%d")):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return datetime.fromtimestamp(file.version.mtime // 10**9, UTC)


def _degrees(file: File, href: str) -> list[float]:
    raster = file.raster
    x, y = sorted((raster.left, raster.right)), sorted((raster.bottom, raster.top))
    try:
        west, south, east, north = transform_bounds(crs_of(raster.crs), crs_of(DEGREES), x[0], y[0], x[1], y[1])
    except RasterioError:
        raise FileUnavailable(f"{href} lies nowhere on Earth", "correct its coordinate reference system") from None
    if raster.crs == DEGREES and east > 180:
        east -= 360
    return [west, south, east, north]
