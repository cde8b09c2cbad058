"""A small picture of a collection: its least cloudy item in true colour, read from the overviews."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from ..settings import StoreSettings

WIDTH = 480
COLOURS = ("red", "green", "blue")


def draw(store: StoreSettings, items: list[dict[str, Any]]) -> bytes | None:
    """A PNG, or None where nothing can be drawn (a picture is never a reason for an ingest to fail)."""
    best = min(items, key=lambda i: (i["properties"].get("eo:cloud_cover", 0), i["properties"]["datetime"]))
    try:
        planes = [_read(store.path_of(href)) for href in _hrefs(best)]
        return _png(np.stack([_stretch(plane) for plane in planes]))
    except (RasterioError, OSError, ValueError):
        return None


def _hrefs(item: dict[str, Any]) -> list[str]:
    """The red, green and blue assets; else the first asset alone, in grey."""
    named = {a["eo:bands"][0].get("common_name"): a["href"] for a in item["assets"].values() if a.get("eo:bands")}
    if all(colour in named for colour in COLOURS):
        return [named[colour] for colour in COLOURS]
    return [next(iter(item["assets"].values()))["href"]]


def _read(path: Path) -> NDArray[np.float32]:
    with rasterio.open(path) as file:
        step = max(1, -(-file.width // WIDTH))
        shape = (max(1, file.height // step), max(1, file.width // step))
        data = file.read(1, out_shape=shape, masked=True)
    return np.asarray(np.ma.filled(data.astype(np.float32), np.nan))


def _stretch(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    """1st to 98th percentile, with the gamma quicklooks have; what has no data is black."""
    if not np.isfinite(plane).any():
        raise ValueError("nothing but nodata")
    low, high = np.nanpercentile(plane, (1, 98))
    unit = np.clip((plane - low) / max(float(high - low), 1e-9), 0, 1) ** (1 / 1.4)
    return np.nan_to_num(unit * 255).astype(np.uint8)


def _png(planes: NDArray[np.uint8]) -> bytes:
    options = {"driver": "PNG", "count": len(planes), "height": planes.shape[1], "width": planes.shape[2]}
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(dtype="uint8", **options) as file:
            file.write(planes)
        content: bytes = memory.read()
    return content
