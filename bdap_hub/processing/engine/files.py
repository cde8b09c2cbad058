"""How files are opened: by which driver, what of them is refused, never another file that they name (held.py).

Each thread opens its own handles of GDAL, and few of them: GDAL keeps decoded blocks for each handle and thread, beyond
any bound of ours. Where a file's tiles are plain they are read without it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import rasterio
from rasterio.enums import Interleaving, MaskFlags
from rasterio.errors import RasterioError

from ...rasters.held import SIDECARS, Held, Unsuitable, Version
from .cache import Cache
from .points import Points
from .positions import Raster
from .rows import Tile, Unfinished
from .tiff import Image, Tiff

DRIVERS = (
    "LIBERTIFF",
    "GTiff",
    "JP2OpenJPEG",
)  # no format whose files name other files or addresses (VRT and its like)
UNIT = 512
HANDLES = 4
"""How many files a thread keeps open."""
PLAIN = 256
"""How many files are kept open, for all threads, that GDAL is not needed for."""
MOST_BLOCK = 512 << 20
"""Bytes that may be decoded to get at one pixel: a few bytes on disk can claim to be more than the memory holds."""
GDAL = {"GDAL_CACHEMAX": 16, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_NUM_THREADS": 1}


class _Own(OrderedDict[Any, Any]):
    """A thread's open files, the latest used last."""


class Handles:
    """Open files, HANDLES for each thread that reads."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: weakref.WeakValueDictionary[int, _Own] = weakref.WeakValueDictionary()
        self.plain: Cache[Tiff] = Cache(PLAIN)
        self.unfinished = Unfinished()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """This thread's handle of that key, made where it has none; the one it used longest ago is closed."""
        own = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = _Own()
            self._all[id(own)] = own
        if key not in own:
            while len(own) >= HANDLES:
                own.popitem(last=False)[1].close()
            own[key] = make()
        own.move_to_end(key)
        return own[key]

    def close(self) -> None:
        """Close all; nobody may read any more."""
        self.plain.clear()
        for own in list(self._all.values()):
            while own:
                own.popitem()[1].close()


class Way(NamedTuple):
    """With which drivers and options of GDAL a file is opened."""

    drivers: Sequence[str]
    options: dict[str, Any]


class File:
    """What a file's header says of it."""

    def __init__(self, version: Version, handles: Handles | None = None) -> None:
        self.version, self._handles = version, handles or Handles()
        full, self._way = _open(version)
        with full:
            _check(full)
            self.masked, self.dtypes = _masked(full), full.dtypes
            self.nodata, self.count, self.units = full.nodata, full.count, [_unit(full)]
            sizes = [(full.width, full.height)]
            for level in range(len(full.overviews(1))):
                with _first(version, self._way, overview_level=level) as coarser:
                    sizes.append((coarser.width, coarser.height))
                    self.units.append(_unit(coarser))
            self.raster = _geometry(full, tuple(sizes))
        self._plain = self._plain_images() if self._way is not BESIDE else [None] * len(sizes)

    def level(self, number: int = 0) -> Any:
        """This thread's open handle of a level, 0: full resolution. For use at once: the thread's next may close it."""
        options = {"overview_level": number - 1} if number else {}
        return self._handles.get((self.version, number), lambda: _first(self.version, self._way, **options))

    def tile(self, number: int, band: int, row: int, column: int) -> Tile | None:
        """One of the units of a level, of a band counted from 1; None where only GDAL can read it."""
        image = self._plain[number]
        place = None if image is None else image.place(band, row, column)
        if image is None or place is None:
            return None
        return Tile(image, place, image.shape(row, column), self._read, self._handles.unfinished)

    def _read(self, at: int, size: int) -> bytes:
        return self._tiff().read(at, size)

    def _tiff(self) -> Tiff:
        return self._handles.plain.get(self.version, lambda: Tiff(self.version))

    def _plain_images(self) -> list[Image | None]:
        kinds = set(self.dtypes)
        wanted = [(size, unit, min(kinds)) for size, unit in zip(self.raster.sizes, self.units, strict=True)]
        return self._tiff().levels(wanted, self.count) if len(kinds) == 1 else [None] * len(wanted)


def _geometry(full: Any, sizes: tuple[tuple[int, int], ...]) -> Raster:
    gcps, placed = full.gcps
    crs, step = full.crs or placed, full.transform
    name = f"EPSG:{code}" if (code := crs.to_epsg(confidence_threshold=100)) else crs.to_wkt()
    if full.crs is None:
        return Raster.of_points(name, Points.of(gcps, crs.is_geographic), sizes)
    return Raster(name, step.c, step.f, step.a, -step.e, sizes)


def _check(full: Any) -> None:
    """Refuses what is sound, but not read here."""
    if full.count == 0:
        raise Unsuitable("holds no single image, but several")
    if full.crs is None and not (full.gcps[0] and full.gcps[1]):
        raise Unsuitable("has no coordinate reference system")
    if full.transform.b or full.transform.d:
        raise Unsuitable("lies on a rotated grid: warp it to an upright one")
    if any(kind.startswith("complex") for kind in full.dtypes):
        raise Unsuitable("holds complex numbers: store amplitude or intensity")
    if (size := _decoded_at_once(full)) > MOST_BLOCK:
        raise Unsuitable(f"is stored in blocks of {size >> 20} MB: store it in tiles")


ALONE = Way(DRIVERS, GDAL)  # no file beside it is looked at
MASKED = Way(DRIVERS[1:], GDAL)  # LIBERTIFF crashes on the overviews of a file with a mask
BESIDE = Way(DRIVERS[1:], {})


def _open(version: Version) -> tuple[Any, Way]:
    """The file at full resolution, and the way in which its overviews are opened, too."""
    if any(os.path.lexists(version.path + suffix) for suffix in SIDECARS):
        return _first(version, BESIDE), BESIDE
    found = _first(version, ALONE)
    return (_first(version, MASKED), MASKED) if _masked(found) else (found, ALONE)


def _masked(dataset: Any) -> bool:
    """Whether it has a mask or an alpha band, beside which nodata says nothing."""
    return any(MaskFlags.per_dataset in flags for flags in dataset.mask_flag_enums)


def _first(version: Version, way: Way, **options: Any) -> Any:
    """The file opened by the first driver that can."""
    held = Held(version, way is BESIDE)
    try:
        with rasterio.Env(**way.options):
            found = _by_driver(held, way.drivers, options)
    except BaseException:
        held.close()
        raise
    held.while_open(found)
    return found


def _by_driver(held: Held, drivers: Sequence[str], options: dict[str, Any]) -> Any:
    for driver in drivers[:-1]:
        try:
            return _opened(held, driver, options)
        except Unsuitable:
            raise
        except RasterioError:
            pass
    return _opened(held, drivers[-1], options)


def _opened(held: Held, driver: str, options: dict[str, Any]) -> Any:
    if driver == "LIBERTIFF":  # knows no other files
        return rasterio.open(held.name, driver=driver, **options)
    full = rasterio.open(held.name, driver=driver)
    held.check(full)
    if not options:
        return full
    with full:
        return rasterio.open(held.name, driver=driver, **options)


def _unit(dataset: Any) -> tuple[int, int]:
    """Width and height of what is read and cached at once: the file's blocks, unless they are odd."""
    height, width = dataset.block_shapes[0]
    return (width, height) if 128 <= width <= 2048 and 128 <= height <= 2048 else (UNIT, UNIT)


def _decoded_at_once(dataset: Any) -> int:
    """The bytes of the largest block, with all bands where they are stored together."""
    blocks = zip(dataset.block_shapes, dataset.dtypes, strict=True)
    sizes = [height * width * np.dtype(kind).itemsize for (height, width), kind in blocks]
    return sum(sizes) if dataset.interleaving is Interleaving.pixel else max(sizes)
