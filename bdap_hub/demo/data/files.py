"""Writes the demo's Cloud Optimized GeoTIFFs, quicklooks and truth, each whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

EPSG = 32632
WEST, NORTH = 464_220, 5_080_220
SCALE = 0.0001
"""Reflectance is DN * SCALE, offset 0: as Sentinel-2 products read once their offset of -1000 is applied."""


def write_cog(
    path: Path,
    array: NDArray[Any],
    pixel: float,
    corner: tuple[float, float],
    tags: dict[str, str],
    colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> None:
    """A COG (DEFLATE, 512 px blocks, overviews) of one band in UTM 32N; nodata is 0, of decimals NaN."""
    classes, decimals = array.dtype == np.uint8, array.dtype == np.float32
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=array.shape[0],
        width=array.shape[1],
        count=1,
        dtype=array.dtype,
        crs=f"EPSG:{EPSG}",
        transform=from_origin(*corner, pixel, pixel),
        nodata=np.nan if decimals else 0,
        compress="DEFLATE",
        predictor=1 if classes else 3 if decimals else 2,
        level=6,
        blocksize=512,
        overview_resampling="MODE" if classes else "AVERAGE",
        overviews="AUTO",
        num_threads=2,
    ) as file:
        file.write(array, 1)
        file.update_tags(**tags)
        file.set_band_description(1, path.stem)
        if colours:
            file.write_colormap(1, dict(colours))
        if not classes and not decimals:
            file.scales, file.offsets = (SCALE,), (0.0,)


def write_quicklook(path: Path, blue: NDArray[Any], green: NDArray[Any], red: NDArray[Any], width: int = 512) -> None:
    """A true-colour PNG of at most `width` pixels, stretched as satellite quicklooks are."""
    step = max(1, blue.shape[0] // width)
    rgb = np.stack([_shrink(band, step) for band in (red, green, blue)])
    grey = np.clip((rgb * SCALE - 0.008) / 0.25, 0, 1) ** (1 / 1.55)
    options = {"driver": "PNG", "height": rgb.shape[1], "width": rgb.shape[2], "count": 3, "dtype": "uint8"}
    # A place is given only so that rasterio does not warn; it would stand in the .aux.xml, which goes.
    with rasterio.open(path, "w", transform=from_origin(WEST, NORTH, 10 * step, 10 * step), **options) as file:
        file.write((grey * 255).astype(np.uint8))
    path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)


def _shrink(band: NDArray[Any], step: int) -> NDArray[np.float32]:
    rows, columns = band.shape[0] // step, band.shape[1] // step
    cut = band[: rows * step, : columns * step].astype(np.float32)
    return np.asarray(cut.reshape(rows, step, columns, step).mean(axis=(1, 3)))


def write_text(path: Path, text: str) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
