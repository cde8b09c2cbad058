"""Reads pixels: a few open files for each thread, one bounded cache of decoded blocks, never a path outside.

Files are known by path, time and size of the file, so a replaced file is read anew.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ...errors import Unavailable
from ...rasters.held import NOT_UTF_8, Held, Unsuitable, Version
from ...settings import StoreSettings
from ..graphs.bands import Source
from .cache import Cache
from .files import File, Handles
from .grid import Grid
from .memory import room
from .rows import Tile
from .sampling import Sampler, sampler
from .watch import Watch

MASK = 0
"""In place of a band's number: the mask that all bands share."""
SAMPLERS = 32 * 2**20
FRESH, MOST_PATHS = 2.0, 20_000


class FileUnavailable(Unavailable):
    """A file that the catalogue names is gone, damaged or unreadable."""

    code = "FileUnavailable"


class Reader:
    """Values of sources on grids. `blocks` bytes bound the cache of decoded blocks; `watch` sees its calls."""

    def __init__(self, store: StoreSettings, blocks: int, files: int = 512, watch: Watch | None = None) -> None:
        self.store, self.watch = store, watch or Watch(store.patience)
        self._handles = Handles()
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
            raise FileUnavailable(f"{href} cannot be opened", self._remedy(href)) from None
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise FileUnavailable(f"{href} is not a file", self._remedy(href))
        return Version(path, found.st_mtime_ns, found.st_size)

    def unchanged(self, files: Iterable[tuple[str, int, int]]) -> None:
        """FileUnavailable unless each file is there with that time and size: what was taken from it was kept."""
        for href, mtime, size in files:
            if self.version(href)[1:] != (mtime, size):
                raise FileUnavailable(f"{href} was replaced since the graph was posted", "post the graph again")

    def _remedy(self, href: str) -> str:
        own = href.startswith(f"{self.store.mount.rstrip('/')}/files/")
        return "upload it again (PUT /files)" if own else "tell the owner of the collection"

    def _path(self, href: str) -> str:
        """The file's path without links, as it was found at most FRESH seconds ago: each look walks the whole path."""
        known, now = self._paths.get(href), time.monotonic()
        if known is None or now - known[1] > FRESH:
            if len(self._paths) > MOST_PATHS:
                self._paths.clear()
            known = self._paths[href] = (str(self.store.path_of(href, links=False)), now)
        return known[0]

    def file(self, href: str) -> File:
        """What is known of the file of an href; FileUnavailable where GDAL cannot read it."""
        version = self.version(href)
        return self.guarded(href, lambda: self._files.get(version, lambda: File(version, self._handles)))

    def text(self, href: str, most: int) -> bytes:
        """A document on the store, of at most so many bytes."""
        version = self.version(href)
        if version.size > most:
            raise FileUnavailable(f"{href} is larger than {most >> 20} MB", "split it")
        return self.guarded(href, lambda: _content(version))

    def sampler(self, file: File, grid: Grid) -> Sampler | None:
        """How a grid's values are taken from a file; None where the two do not meet."""
        return self._samplers.get((grid, file.raster), lambda: sampler(grid, file.raster))

    def read(self, source: Source, grid: Grid, into: Any = None) -> Any:
        """The source's values on the grid (NaN: no data); None where the two do not meet.

        They may be written `into` an array of 32 bit floats.
        """
        file = self.file(source.href)
        if not 1 <= source.index <= file.count:
            raise FileUnavailable(f"{source.href} has no band {source.index}", self._remedy(source.href))
        how = self.sampler(file, grid)
        if how is None:
            return None
        window = self.guarded(source.href, lambda: self._window(file, source, how))
        mask = replace(source, index=MASK)
        hidden = self.guarded(source.href, lambda: self._window(file, mask, how) == 0) if file.masked else None
        nodata = file.nodata if source.nodata is None else source.nodata
        return in_scale(how.take(window, nodata, source.nearest, hidden, into), source)

    def close(self) -> None:
        """Close all files; rasterio cannot do so any more once the interpreter ends."""
        self._handles.close()
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
                y, x = how.top - row * height, how.left - column * width  # of the window, in the block
                block = self._block(file, source.index, how.level, row, column, y + how.bottom - how.top)
                part = block[max(y, 0) : y + how.bottom - how.top, max(x, 0) : x + how.right - how.left]
                if len(rows) == len(columns) == 1:
                    return part
                if out is None:
                    out = np.empty((how.bottom - how.top, how.right - how.left), block.dtype)
                out[max(-y, 0) :, max(-x, 0) :][: part.shape[0], : part.shape[1]] = part
        return out

    def _block(self, file: File, index: int, level: int, row: int, column: int, rows: int) -> Any:
        """A block of stored numbers, of which at least so many rows are there, as far as it has them."""
        key = (file.version, index, level, row, column)
        block = self._blocks.get(key, lambda: self._opened(file, index, level, row, column))
        if not isinstance(block, Tile):
            return block
        found = block.upto(min(rows, len(block)))
        return self._by_gdal(file, index, level, row, column) if found is None else found

    def _opened(self, file: File, *where: int) -> Any:
        index, level, row, column = where
        plain = None if index == MASK else file.tile(level, index, row, column)
        return self._by_gdal(file, *where) if plain is None else plain

    def _by_gdal(self, file: File, index: int, level: int, row: int, column: int) -> Any:
        width, height = file.units[level]
        whole_width, whole_height = file.raster.sizes[level]
        x, y = column * width, row * height
        window = Window(x, y, min(width, whole_width - x), min(height, whole_height - y))
        kind = np.uint8 if index == MASK else file.dtypes[index - 1]
        return _pixels(file.level(level), index, window=window, out=room((window.height, window.width), kind))

    def _place(self, href: str) -> str:
        """The part of the store that answers or hangs as a whole: a collection's folder, or a project's."""
        return "/".join(href.split("/")[: self.store.mount.rstrip("/").count("/") + 3])

    def guarded[T](self, href: str, act: Callable[[], T]) -> T:
        """What GDAL gives of a file; FileUnavailable where it fails. Calls into the store are seen by the watch."""
        try:
            with self.watch.on(self._place(href)):
                return act()
        except Unsuitable as error:
            raise FileUnavailable(f"{href} {error}", self._remedy(href)) from None
        except (RasterioError, CPLE_BaseError, OSError):  # GDAL's own words may hold the server's path
            raise FileUnavailable(f"{href} is damaged or not a raster", self._remedy(href)) from None
        except UnicodeDecodeError:
            raise FileUnavailable(f"{href} {NOT_UTF_8}", self._remedy(href)) from None


def _content(version: Version) -> bytes:
    with Held(version) as held, Path(held.name).open("rb") as file:
        return file.read(version.size)


def in_scale(values: Any, source: Source) -> Any:
    """Stored numbers, which are changed, in the scale in which the source's are given."""
    if source.gain != 1:
        values *= source.gain
    if source.shift:
        values += source.shift
    return values


def _decimated(file: File, source: Source, how: Sampler) -> Any:
    dataset, k = file.level(how.level), how.decimate
    window = Window(how.left * k, how.top * k, (how.right - how.left) * k, (how.bottom - how.top) * k)
    resampling = Resampling.nearest if source.nearest else Resampling.average
    shape = (how.bottom - how.top, how.right - how.left)
    return _pixels(dataset, source.index, window=window, out_shape=shape, resampling=resampling)


def _pixels(dataset: Any, index: int, **options: Any) -> Any:
    """Stored numbers of a band, or its mask (0: hidden)."""
    return dataset.read_masks(1, **options) if index == MASK else dataset.read(index, **options)
