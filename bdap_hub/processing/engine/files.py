"""How files are opened: by which driver, what of them is refused, never another file that they name."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from rasterio.enums import Interleaving, MaskFlags
from rasterio.errors import RasterioError

from .positions import Raster

SIDECARS = (".ovr", ".msk", ".aux.xml")
DRIVERS = (
    "LIBERTIFF",
    "GTiff",
    "JP2OpenJPEG",
)  # no format whose files name other files or addresses (VRT and its like)
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNIT = 512
MOST_BLOCK = 512 << 20
"""Bytes that may be decoded to get at one pixel: a few bytes on disk can claim to be more than the memory holds."""
GDAL = {"GDAL_CACHEMAX": 64, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_NUM_THREADS": 1}


class Unsuitable(RasterioError):  # type: ignore[misc]
    """A file that is sound, but of a kind that is not read here; its text ends the sentence "<href> …"."""


class Version(NamedTuple):
    """Which file exactly."""

    path: str
    mtime: int
    size: int


class File:
    """An open file: its geometry and one shared, thread-safe handle for each level."""

    def __init__(self, version: Version) -> None:
        self.version = version
        full, way = _open(version.path)
        if full.count == 0:
            raise Unsuitable("holds no single image, but several")
        if full.crs is None:
            raise Unsuitable("has no coordinate reference system")
        step = full.transform
        if step.b or step.d:
            raise Unsuitable("lies on a rotated grid: warp it to an upright one")
        if any(kind.startswith("complex") for kind in full.dtypes):
            raise Unsuitable("holds complex numbers: store amplitude or intensity")
        if (size := _decoded_at_once(full)) > MOST_BLOCK:
            raise Unsuitable(f"is stored in blocks of {size >> 20} MB: store it in tiles")
        self.masked = _masked(full)
        self.levels = [full, *[_first(version.path, way, overview_level=k) for k in range(len(full.overviews(1)))]]
        sizes = tuple((level.width, level.height) for level in self.levels)
        crs = f"EPSG:{code}" if (code := full.crs.to_epsg(confidence_threshold=100)) else full.crs.to_wkt()
        self.raster = Raster(crs, step.c, step.f, step.a, -step.e, sizes)
        self.nodata, self.count = full.nodata, full.count
        self.units = [_unit(level) for level in self.levels]


class Way(NamedTuple):
    """With which drivers and options of GDAL a file is opened."""

    drivers: Sequence[str]
    options: dict[str, Any]


ALONE = Way(DRIVERS, GDAL)  # no file beside it is looked at; threads share LIBERTIFF's handles without copies
MASKED = Way(DRIVERS[1:], GDAL)  # LIBERTIFF crashes on the overviews of a file with a mask
BESIDE = Way(DRIVERS[1:], {})


def _open(path: str) -> tuple[Any, Way]:
    """The file at full resolution, and the way in which its overviews are opened, too."""
    if any(os.path.lexists(path + suffix) for suffix in SIDECARS):
        _refuse_links(Path(path))
        return _first(path, BESIDE), BESIDE
    found = _first(path, ALONE)
    return (_first(path, MASKED), MASKED) if _masked(found) else (found, ALONE)


def _masked(dataset: Any) -> bool:
    """Whether it has a mask or an alpha band, beside which nodata says nothing."""
    return any(MaskFlags.per_dataset in flags for flags in dataset.mask_flag_enums)


def _first(path: str, way: Way, **options: Any) -> Any:
    """The file opened by the first driver that can."""
    options = {"thread_safe": True, **options}
    with rasterio.Env(**way.options):
        for driver in way.drivers[:-1]:
            try:
                return rasterio.open(path, driver=driver, **options)
            except RasterioError:
                pass
        return rasterio.open(path, driver=way.drivers[-1], **options)


def _refuse_links(path: Path) -> None:
    """Whoever may write beside a file must not have others' pixels read as its overviews or mask."""
    for beside in path.parent.glob(f"{glob.escape(path.stem)}.*"):
        foreign = beside.suffix in (".ovr", ".msk") and _start(beside) not in TIFF
        if beside.is_symlink() or foreign or beside.suffix == ".aux":
            raise Unsuitable("has a file beside it that is a link or of another format")
    with _first(str(path), BESIDE, thread_safe=False) as file:
        if file.tags(ns="OVERVIEWS"):
            raise Unsuitable("names another file as its overviews")


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _unit(dataset: Any) -> tuple[int, int]:
    """Width and height of what is read and cached at once: the file's blocks, unless they are odd."""
    height, width = dataset.block_shapes[0]
    return (width, height) if 128 <= width <= 2048 and 128 <= height <= 2048 else (UNIT, UNIT)


def _decoded_at_once(dataset: Any) -> int:
    """The bytes of the largest block, with all bands where they are stored together."""
    blocks = zip(dataset.block_shapes, dataset.dtypes, strict=True)
    sizes = [height * width * np.dtype(kind).itemsize for (height, width), kind in blocks]
    return sum(sizes) if dataset.interleaving is Interleaving.pixel else max(sizes)
