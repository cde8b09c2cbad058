"""Files as GDAL gets to see them: held open, with what may lie beside them, under names that nobody else can change.

What a path stands for can change between a look and its use (a link for a file, a folder for another); what is held
does not. GDAL opens what other files name by whatever driver it has, so that a file that names others is refused.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from rasterio.errors import RasterioError

from .crs_text import names_files, xml_names_files

RASTERS = (".ovr", ".msk", ".msk.ovr", ".ovr.msk", ".ovr.ovr")
SIDECARS = (".ovr", ".msk", ".aux.xml")
"""Files beside x.tif, as x.tif.ovr, for whose sake one looks beside it."""
WORLD = (".tfw", ".tifw", ".wld", ".j2w", ".jp2w")
"""Files beside x.tif, as x.tfw."""
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_TEXT = 8 << 20
NOT_UTF_8 = "has a band's description, or another text, that is not UTF-8"
"""What ends the sentence "<file> …" where rasterio raises UnicodeDecodeError."""


class Unsuitable(RasterioError):  # type: ignore[misc]
    """A file that is sound, but of a kind that is not read here; its text ends the sentence "<href> …"."""


class Version(NamedTuple):
    """Which file exactly."""

    path: str
    mtime: int
    size: int


class Held:
    """One version of a file, open; `beside`: with its side-cars, which GDAL finds by their names."""

    def __init__(self, version: Version, beside: bool = False) -> None:
        self.stack = ExitStack()
        with ExitStack() as failed:
            failed.callback(self.close)
            handle = self.handle = self._open(version.path)
            found = os.fstat(handle)
            if str(Path(_magic(handle)).readlink()) != version.path:
                raise Unsuitable("was moved just now: ask again")
            if (found.st_mtime_ns, found.st_size) != version[1:]:
                raise Unsuitable("was replaced just now: ask again")
            _refuse(lambda: names_files(handle))
            self.names, self.name = {_magic(handle)}, _magic(handle)
            if beside:
                self._name(Path(version.path), handle)
            failed.pop_all()

    @classmethod
    def now(cls, path: Path, beside: bool = False) -> Held:
        """The file as it is now."""
        found = path.stat()
        return cls(Version(str(path), found.st_mtime_ns, found.st_size), beside)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self.stack.close()

    def while_open(self, dataset: Any) -> None:
        """Let go of it once a dataset is gone: some drivers open the file again and again."""
        weakref.finalize(dataset, self.stack.close)

    def check(self, dataset: Any) -> None:
        """Refuse what GDAL found beyond the file: overviews and masks that it names, of others or of the internet."""
        if dataset.tags(ns="OVERVIEWS") or not self.names.issuperset(dataset.files):
            raise Unsuitable("names another file as its overviews")

    def _open(self, path: str) -> int:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        self.stack.callback(os.close, handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unsuitable("is not a file, or has something beside it that is none")
        return handle

    def _name(self, path: Path, handle: int) -> None:
        """Names for it and its side-cars in a folder of our own, where it has any."""
        names = (*(path.name + suffix for suffix in (*RASTERS, ".aux.xml")), *(path.stem + end for end in WORLD))
        found = [name for name in names if os.path.lexists(path.parent / name)]
        if not found:
            return
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bdap-held-")))
        self.name = self._link(folder / path.name, handle)
        for name in found:
            self._link(folder / name, self._beside(path.parent / name))

    def _beside(self, path: Path) -> int:
        """Whoever may write beside a file must not have others' pixels read as its overviews or mask."""
        try:
            handle = self._open(str(path))
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise Unsuitable("has a file beside it that is a link or of another format") from None
        foreign = Path(_magic(handle)).readlink() != path
        if path.suffix in (".ovr", ".msk"):
            foreign = foreign or os.pread(handle, 4, 0) not in TIFF
        elif (size := os.fstat(handle).st_size) > MOST_TEXT:
            raise Unsuitable(f"has a file beside it of more than {MOST_TEXT >> 20} MB")
        else:
            _refuse(lambda: xml_names_files(os.pread(handle, size, 0)))
        if foreign:
            raise Unsuitable("has a file beside it that is a link or of another format")
        return handle

    def _link(self, name: Path, handle: int) -> str:
        name.symlink_to(_magic(handle))
        self.names.add(str(name))
        return str(name)


def _refuse(names_files: Callable[[], bool]) -> None:
    """What PROJ would open, it waits for: a pipe would stop the whole process."""
    try:
        named = names_files()
    except (ValueError, struct.error):
        raise Unsuitable("is damaged or not a raster") from None
    if named:
        raise Unsuitable("has a coordinate reference system that names files")


def _magic(handle: int) -> str:
    """The name of an open file of this process, which stands for that very file."""
    return f"/proc/self/fd/{handle}"
