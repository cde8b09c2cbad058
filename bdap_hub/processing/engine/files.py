"""How files are opened: by which driver, what of them is refused, never another file that they name.

Each thread opens its own handles, and few of them: GDAL keeps decoded blocks for each handle and thread, beyond any
bound of ours, while opening costs a tenth of decoding a block.
"""

from __future__ import annotations

import glob
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
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
HANDLES = 4
"""How many files a thread keeps open."""
MOST_BLOCK = 512 << 20
"""Bytes that may be decoded to get at one pixel: a few bytes on disk can claim to be more than the memory holds."""
GDAL = {"GDAL_CACHEMAX": 16, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_NUM_THREADS": 1}


class Unsuitable(RasterioError):  # type: ignore[misc]
    """A file that is sound, but of a kind that is not read here; its text ends the sentence "<href> …"."""


class Version(NamedTuple):
    """Which file exactly."""

    path: str
    mtime: int
    size: int


class _Own(OrderedDict[Any, Any]):
    """A thread's open files, the latest used last."""


class Handles:
    """Open files, HANDLES for each thread that reads."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: weakref.WeakValueDictionary[int, _Own] = weakref.WeakValueDictionary()

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
        for own in list(self._all.values()):
            while own:
                own.popitem()[1].close()


class Way(NamedTuple):
    """With which drivers and options of GDAL a file is opened."""

    drivers: Sequence[str]
    options: dict[str, Any]


class File:
    """What a file's header says of it. `lies` tells whether its path is still its own."""

    def __init__(
        self, version: Version, handles: Handles | None = None, lies: Callable[[], bool] = lambda: True
    ) -> None:
        self.version, self._handles, self._lies = version, handles or Handles(), lies
        self._check_place()
        full, self._way = _open(version.path)
        with full:
            _check(full)
            step = full.transform
            crs = f"EPSG:{code}" if (code := full.crs.to_epsg(confidence_threshold=100)) else full.crs.to_wkt()
            self.masked, self.dtypes = _masked(full), full.dtypes
            self.nodata, self.count, self.units = full.nodata, full.count, [_unit(full)]
            sizes = [(full.width, full.height)]
            for level in range(len(full.overviews(1))):
                with _first(version.path, self._way, overview_level=level) as coarser:
                    sizes.append((coarser.width, coarser.height))
                    self.units.append(_unit(coarser))
        self.raster = Raster(crs, step.c, step.f, step.a, -step.e, tuple(sizes))

    def level(self, number: int = 0) -> Any:
        """This thread's open handle of a level, 0: full resolution. For use at once: the thread's next may close it."""
        return self._handles.get((self.version, number), lambda: self._opened(number))

    def _opened(self, number: int) -> Any:
        self._check_place()
        options = {"overview_level": number - 1} if number else {}
        handle = _first(self.version.path, self._way, **options)
        found = os.lstat(self.version.path)
        if (found.st_mtime_ns, found.st_size) != self.version[1:]:
            handle.close()
            raise Unsuitable("was replaced just now: ask again")
        return handle

    def _check_place(self) -> None:
        """Since its path was found somebody may have put a link there."""
        if not self._lies():
            raise Unsuitable("was moved just now: ask again")


def _check(full: Any) -> None:
    """Refuses what is sound, but not read here."""
    if full.count == 0:
        raise Unsuitable("holds no single image, but several")
    if full.crs is None:
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
    with _first(str(path), BESIDE) as file:
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
