"""Reads pixels: shared handles per file and overview, one bounded cache of decoded blocks, never a path outside.

Handles are keyed by path, time and size of the file, so a replaced file is read anew.
"""

from __future__ import annotations

import glob
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from rasterio.enums import Interleaving, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ...errors import Unavailable
from ...settings import StoreSettings
from ..graphs.bands import Source
from .grid import Grid
from .sampling import Raster, Sampler, sampler
from .watch import Watch

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
MASK = 0
"""In place of a band's number: the mask that all bands share."""
SAMPLERS = 32 * 2**20
FRESH, MOST_PATHS = 2.0, 20_000
GDAL = {"GDAL_CACHEMAX": 64, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_NUM_THREADS": 1}


class FileUnavailable(Unavailable):
    """A file that the catalogue names is gone, damaged or unreadable."""

    code = "FileUnavailable"


class Unsuitable(RasterioError):  # type: ignore[misc]
    """A file that is sound, but of a kind that is not read here; its text ends the sentence "<href> …"."""


class Version(NamedTuple):
    """Which file exactly."""

    path: str
    mtime: int
    size: int


class Cache[V]:
    """A least-recently-used cache, bounded by the sum of its entries' sizes. Safe to share between threads."""

    def __init__(self, limit: int, size: Callable[[V], int] = lambda value: 1) -> None:
        self.limit, self.used, self._size = limit, 0, size
        self._entries: OrderedDict[Any, V] = OrderedDict()
        self._lock = threading.Lock()
        self._busy: dict[Any, threading.Lock] = {}

    def get(self, key: Any, make: Callable[[], V]) -> V:
        """The entry, made where it is missing; who comes while it is made waits for it."""
        while True:
            with self._lock:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return self._entries[key]
                underway = self._busy.get(key)
                if underway is None:
                    own = self._busy[key] = threading.Lock()
                    own.acquire()
                    break
            with underway:  # then look again: it may have failed
                pass
        try:
            value = make()
            self._keep(key, value)
            return value
        finally:
            with self._lock:
                del self._busy[key]
            own.release()

    def _keep(self, key: Any, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            self.used += self._size(value)
            while self.used > self.limit and self._entries:
                self.used -= self._size(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.used = 0


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


class Reader:
    """Values of sources on grids. `blocks` bytes bound the cache of decoded blocks; `watch` sees its calls."""

    def __init__(self, store: StoreSettings, blocks: int, files: int = 512, watch: Watch | None = None) -> None:
        self.store, self.watch = store, watch or Watch(store.patience)
        self._files: Cache[File] = Cache(files)
        self._paths: dict[str, tuple[str, float]] = {}
        self._blocks: Cache[Any] = Cache(blocks, lambda block: int(block.nbytes))
        self._samplers: Cache[Sampler | None] = Cache(SAMPLERS, lambda how: how.nbytes if how else 0)

    def version(self, href: str) -> Version:
        """Which file an href means now; FileUnavailable where there is none or it leaves the store."""
        try:
            with self.watch.on(self._place(href)):
                path = self._path(href)
                found = os.stat(path)  # noqa: PTH116  a Path costs more than the call
        except ValueError:
            raise FileUnavailable(f"{href} is not on the store, or a link", "name the file itself") from None
        except OSError:
            raise FileUnavailable(f"{href} cannot be opened", "tell the owner of the collection") from None
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise FileUnavailable(f"{href} is not a file", "tell the owner of the collection")
        return Version(path, found.st_mtime_ns, found.st_size)

    def _path(self, href: str, fresh: bool = False) -> str:
        """The file's path without links, as it was found at most FRESH seconds ago: each look walks the whole path."""
        known, now = self._paths.get(href), time.monotonic()
        if known is None or fresh or now - known[1] > FRESH:
            if len(self._paths) > MOST_PATHS:
                self._paths.clear()
            known = self._paths[href] = (str(self.store.path_of(href, links=False)), now)
        return known[0]

    def _opened(self, href: str, version: Version) -> File:
        """Opened only where it still lies: since its path was found somebody may have put a link there."""
        if not self._lies(href, version):
            raise Unsuitable("was moved just now: ask again")
        return File(version)

    def _lies(self, href: str, version: Version) -> bool:
        try:
            return self._path(href, fresh=True) == version.path
        except ValueError:
            return False

    def file(self, href: str) -> File:
        """The open file of an href; FileUnavailable where GDAL cannot read it."""
        version = self.version(href)
        return self._guarded(href, lambda: self._files.get(version, lambda: self._opened(href, version)))

    def text(self, href: str, most: int) -> bytes:
        """A document on the store, of at most so many bytes."""
        version = self.version(href)
        if version.size > most:
            raise FileUnavailable(f"{href} is larger than {most >> 20} MB", "split it")
        with self.watch.on(self._place(href)):
            if not self._lies(href, version):
                raise FileUnavailable(f"{href} was moved just now", "ask again")
            with os.fdopen(os.open(version.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                return file.read(most)

    def read(self, source: Source, grid: Grid) -> Any:
        """The source's values on the grid (NaN: no data); None where the two do not meet."""
        file = self.file(source.href)
        if not 1 <= source.index <= file.count:
            raise FileUnavailable(f"{source.href} has no band {source.index}", "tell the owner of the collection")
        how = self._samplers.get((grid, file.raster), lambda: sampler(grid, file.raster))
        if how is None:
            return None
        window = self._guarded(source.href, lambda: self._window(file, source, how))
        mask = replace(source, index=MASK)
        hidden = self._guarded(source.href, lambda: self._window(file, mask, how) == 0) if file.masked else None
        nodata = file.nodata if source.nodata is None else source.nodata
        return in_scale(how.take(window, nodata, source.nearest, hidden), source)

    def close(self) -> None:
        """Close all files; rasterio cannot do so any more once the interpreter ends."""
        self._files.clear()
        self._blocks.clear()

    def _window(self, file: File, source: Source, how: Sampler) -> Any:
        if how.decimate > 1:
            return _decimated(file, source, how)
        width, height = file.units[how.level]
        rows = range(how.top // height, (how.bottom - 1) // height + 1)
        columns = range(how.left // width, (how.right - 1) // width + 1)
        out = None
        for row in rows:
            for column in columns:
                block = self._block(file, source.index, how.level, row, column)
                y, x = how.top - row * height, how.left - column * width  # of the window, in the block
                part = block[max(y, 0) : y + how.bottom - how.top, max(x, 0) : x + how.right - how.left]
                if len(rows) == len(columns) == 1:
                    return part
                if out is None:
                    out = np.empty((how.bottom - how.top, how.right - how.left), block.dtype)
                out[max(-y, 0) :, max(-x, 0) :][: part.shape[0], : part.shape[1]] = part
        return out

    def _block(self, file: File, index: int, level: int, row: int, column: int) -> Any:
        width, height = file.units[level]
        dataset = file.levels[level]
        x, y = column * width, row * height
        window = Window(x, y, min(width, dataset.width - x), min(height, dataset.height - y))
        key = (file.version, index, level, row, column)
        return self._blocks.get(key, lambda: _pixels(dataset, index, window=window))

    def _place(self, href: str) -> str:
        """The part of the store that answers or hangs as a whole: a collection's folder, or a project's."""
        return "/".join(href.split("/")[: self.store.mount.rstrip("/").count("/") + 3])

    def _guarded[T](self, href: str, act: Callable[[], T]) -> T:
        try:
            with self.watch.on(self._place(href)):
                return act()
        except Unsuitable as error:
            raise FileUnavailable(f"{href} {error}", "tell the owner of the collection") from None
        except (RasterioError, OSError):  # GDAL's own words may hold the server's path
            raise FileUnavailable(f"{href} is damaged or not a raster", "tell the owner of the collection") from None


def in_scale(values: Any, source: Source) -> Any:
    """Stored numbers, which are changed, in the scale in which the source's are given."""
    if source.gain != 1:
        values *= source.gain
    if source.shift:
        values += source.shift
    return values


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


def _decimated(file: File, source: Source, how: Sampler) -> Any:
    dataset, k = file.levels[how.level], how.decimate
    window = Window(how.left * k, how.top * k, (how.right - how.left) * k, (how.bottom - how.top) * k)
    resampling = Resampling.nearest if source.nearest else Resampling.average
    shape = (how.bottom - how.top, how.right - how.left)
    return _pixels(dataset, source.index, window=window, out_shape=shape, resampling=resampling)


def _pixels(dataset: Any, index: int, **options: Any) -> Any:
    """Stored numbers of a band, or its mask (0: hidden)."""
    return dataset.read_masks(1, **options) if index == MASK else dataset.read(index, **options)
