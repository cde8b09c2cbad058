"""A small picture of an item in true colour, read from the overviews; a collection shows its least cloudy one."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from ..rasters.held import Held
from ..settings import StoreSettings
from .headers import driver_of

WIDTH, HIGHEST = 480, 1920
REFLECTANCE = (0.008, 0.25)
COLOURS = ("red", "green", "blue")


def draw(store: StoreSettings, item: dict[str, Any]) -> bytes | None:
    """A PNG, or None where nothing can be drawn (a picture is never a reason for an ingest to fail)."""
    try:
        return _png(np.stack([_plane(store, asset) for asset in _assets(item)]))
    except (RasterioError, OSError, ValueError, LookupError, TypeError, StopIteration):
        return None


def _assets(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The red, green and blue assets; else the first asset alone, in grey."""
    named = {a["eo:bands"][0].get("common_name"): a for a in item["assets"].values() if a.get("eo:bands")}
    if all(colour in named for colour in COLOURS):
        return [named[colour] for colour in COLOURS]
    return [next(iter(item["assets"].values()))]


def _plane(store: StoreSettings, asset: dict[str, Any]) -> NDArray[np.uint8]:
    """One colour: reflectance by one stretch for all colours, so that hues are right; all else by its own values."""
    raster = asset["raster:bands"][0]
    data = _read(store.path_of(asset["href"], links=False))
    if "reflectance" in asset["roles"] and raster["scale"] != 1:
        return _stretch(data * np.float32(raster["scale"]) + np.float32(raster["offset"]), *REFLECTANCE)
    if not np.isfinite(data).any():
        raise ValueError("nothing but nodata")
    return _stretch(data, *(float(v) for v in np.nanpercentile(data, (1, 98))))


def _read(path: Path) -> NDArray[np.float32]:
    """Without what lies beside it: members may lay links to others' pixels there (x.tif.ovr)."""
    with Held.now(path) as held, rasterio.open(held.name, driver=driver_of(path)) as file:
        held.check(file)
        step = max(1, -(-file.width // WIDTH), -(-file.height // HIGHEST))
        shape = (max(1, file.height // step), max(1, file.width // step))
        data = file.read(1, out_shape=shape, masked=True)
    return np.asarray(np.ma.filled(data.astype(np.float32), np.nan))


def _stretch(plane: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """From `low` to `high`, with the gamma quicklooks have; what has no data is black."""
    unit = np.clip((plane - low) / max(high - low, 1e-9), 0, 1) ** (1 / 1.5)
    return np.nan_to_num(unit * 255).astype(np.uint8)


def _png(planes: NDArray[np.uint8]) -> bytes:
    options = {"driver": "PNG", "count": len(planes), "height": planes.shape[1], "width": planes.shape[2]}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(dtype="uint8", **options) as file:
            file.write(planes)
        content: bytes = memory.read()
    return content
