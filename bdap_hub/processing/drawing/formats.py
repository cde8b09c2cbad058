"""Tiles in the formats that are offered: pictures as PNG, JPEG and WebP, values as NPY and GeoTIFF."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from PIL import Image
from rasterio.io import MemoryFile

from .colours import Colour
from .picture import Indexed, Picture
from .png import png


@dataclass(frozen=True)
class Format:
    """A format: its media type, the extensions of its addresses (the first is ours), and whether it holds values."""

    name: str
    media: str
    extensions: tuple[str, ...]
    values: bool = False


FORMATS = (
    Format("PNG", "image/png", ("png",)),
    Format("WEBP", "image/webp", ("webp",)),
    Format("JPEG", "image/jpeg", ("jpg", "jpeg")),
    Format("NPY", "application/x-npy", ("npy",), values=True),
    Format("GTIFF", "image/tiff; application=geotiff", ("tif", "tiff"), values=True),
)
QUALITY = 85
FEW = 64
"""Palettes of fewer colours (classes) are never blurred by a lossy format that can do without."""


def picture_as(picture: Picture, form: Format, background: Colour) -> bytes:
    """A picture in one of the formats of pictures. JPEG knows no transparency: `background` shows through."""
    if form.name == "PNG":
        return png(picture)
    rgba = picture.rgba()
    out = io.BytesIO()
    if form.name == "JPEG":
        Image.fromarray(_over(rgba, background)).save(out, "JPEG", quality=QUALITY)
        return out.getvalue()
    shown = Image.fromarray(rgba if (rgba[..., 3] < 255).any() else rgba[..., :3])
    if isinstance(picture, Indexed) and len(picture.palette) < FEW:
        shown.save(out, "WEBP", lossless=True, quality=0, method=0)
    else:
        shown.save(out, "WEBP", quality=QUALITY, method=1)
    return out.getvalue()


def npy(layers: Any) -> bytes:
    """Layers (band, y, x) as numpy writes them: 32 bit numbers, NaN where there is no data."""
    out = io.BytesIO()
    np.save(out, layers.astype(np.float32, copy=False), allow_pickle=False)
    return out.getvalue()


def geotiff(layers: Any, names: tuple[str, ...], crs: str, transform: Affine) -> bytes:
    """Layers (band, y, x) as a GeoTIFF of 32 bit numbers; NaN is its nodata."""
    count, height, width = layers.shape
    profile = {"driver": "GTiff", "dtype": "float32", "count": count, "height": height, "width": width}
    with MemoryFile() as memory:
        with memory.open(
            **profile, crs=crs, transform=transform, nodata=np.nan, compress="deflate", predictor=3
        ) as file:
            file.write(layers.astype(np.float32, copy=False))
            file.descriptions = names
        return bytes(memory.read())


def _over(rgba: Any, background: Colour) -> Any:
    share = rgba[..., 3:].astype(np.float32) / np.float32(255)
    ground = np.asarray(background[:3], np.float32)
    return np.rint(rgba[..., :3] * share + ground * (1 - share)).astype(np.uint8)
