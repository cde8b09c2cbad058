"""In a visitor's process, right after the fork: what two processes must not share is made anew."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import seeds

_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before the fork
_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_SMALL, _LARGE = 128 * 2**10, 2**20


def die_with_parent(parent: int) -> None:
    """The kernel ends this process when its parent ends, however that happens."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def give_back() -> None:
    """What a gesture needs for a moment goes back to the operating system, and is not taken from pages that are shared.

    glibc learns from the notebook's first large arrays to keep up to 64 MiB of what is freed: right for one process,
    not for a hundred. What is larger than 1 MiB now gets, and gives back, pages of its own.
    """
    if adjust := getattr(_LIBC, "mallopt", None):  # there is none in musl
        adjust(_M_MMAP_THRESHOLD, _LARGE)
        adjust(_M_TRIM_THRESHOLD, _SMALL)


class Renewal:
    """Made before `gc.freeze`, which hides objects from those who look for them; used after the fork."""

    def __init__(self) -> None:
        self._seeds = seeds.Seeds(_alive(*seeds.kinds()))
        self._engines = engines()

    def renew(self, ours: Iterable[int]) -> None:
        """Everything that the module's first line promises."""
        give_back()
        self._seeds.renew()
        _descriptors(set(ours))
        for engine in self._engines:  # a pool's connections are forgotten, not closed: they are the original's
            engine.dispose(close=False)


def engines() -> list[Any]:
    """SQLAlchemy's, but for those whose database lies in this process's own memory, which is copied with it."""
    found = _alive(getattr(sys.modules.get("sqlalchemy.engine"), "Engine", None))
    return [
        each for each in found if each.dialect.name != "sqlite" or ":memory:" not in (each.url.database or ":memory:")
    ]


def _alive(*kinds: Any) -> list[Any]:
    wanted = tuple(kind for kind in kinds if kind is not None)
    return [found for found in gc.get_objects() if issubclass(type(found), wanted)]


def _descriptors(ours: set[int]) -> None:
    for entry in list(Path("/proc/self/fd").iterdir()):
        number = int(entry.name)
        if number <= 2 or number in ours:
            continue
        with contextlib.suppress(OSError):
            mode = os.fstat(number).st_mode
            if stat.S_ISSOCK(mode):
                _hang_up(number)
            elif stat.S_ISREG(mode):
                _reopen(number)


def _hang_up(number: int) -> None:
    """A connection looks closed by its other side, which clients know how to mend; the original's stays open."""
    here, there = socket.socketpair()
    there.close()
    os.dup2(here.fileno(), number)
    here.close()


def _reopen(number: int) -> None:
    """The same file at the same place, with a position of its own."""
    flags = fcntl.fcntl(number, fcntl.F_GETFL)
    place = os.lseek(number, 0, os.SEEK_CUR)
    new = os.open(f"/proc/self/fd/{number}", flags & (os.O_ACCMODE | os.O_APPEND) | os.O_CLOEXEC)
    os.lseek(new, place, os.SEEK_SET)
    os.dup2(new, number)
    os.close(new)
