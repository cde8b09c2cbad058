"""The folder on the store by which work and its answers travel: what is read there, and what is printed meanwhile."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from .description import ERRORS, INPUT, OUTPUT

SUFFIX = ".batch"
MOST = 1 << 20
"""Bytes of output that are taken at once."""
TAIL = 64 << 10
"""Bytes from the end of a file in which its last word is looked for."""


class HandOver:
    """The folder of one run. It belongs to the service's account, or where that is root, to the owner of its parent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str) -> None:
        """What the work reads on its standard input."""
        _make(self.folder)
        path = self.folder / INPUT
        path.write_text(text)
        _give(path)

    def lines(self, start: int) -> list[str]:
        """Whole lines printed since the last call, which may have been another service's.

        `start` tells one run on a machine from the next: there, all begins anew.
        """
        offset = self._offset(start)
        try:
            with (self.folder / OUTPUT).open("rb") as file:
                if os.fstat(file.fileno()).st_size < offset:
                    offset = 0
                file.seek(offset)
                new = file.read(MOST).rpartition(b"\n")
        except OSError:
            return []
        if new[1]:
            self._mark.write_text(json.dumps([start, offset + len(new[0]) + 1]))
        return new[0].decode(errors="replace").splitlines()

    def tail(self) -> list[str]:
        """The last lines that were printed."""
        return _tail(self.folder / OUTPUT)

    def complaint(self) -> str:
        """The end of what the work complained about, for the operators' log."""
        return "\n".join(_tail(self.folder / ERRORS))[-2000:]

    def remove(self) -> None:
        """Nothing is left of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _mark(self) -> Path:
        return self.folder / "read"

    def _offset(self, start: int) -> int:
        with suppress(OSError, ValueError):
            begun, offset = json.loads(self._mark.read_text())
            return int(offset) if begun == start else 0
        return 0


def _tail(path: Path) -> list[str]:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        return file.read(TAIL).decode(errors="replace").splitlines()
    return []


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder)


def _give(path: Path) -> None:
    """HTCondor runs nothing as root: what root hands over belongs to whom the folder around it belongs."""
    if os.geteuid() == 0:
        around = path.parent.stat()
        os.chown(path, around.st_uid, around.st_gid)
