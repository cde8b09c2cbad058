"""Memory that goes back to the system: malloc keeps what threads have freed, in many places, for whatever may come."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import mmap
import threading
import weakref
from typing import Any

import numpy as np

ARENAS, MAPPED, SPARE = (-8, 2), (-3, 4 << 20), (-1, 16 << 20)
"""mallopt's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: few places to keep it in, each for what one tile needs
again and again, so that it is neither asked of the system for each tile nor kept for all that ever was."""
SMALL = 32 << 10


@functools.cache
def frugal() -> None:
    """Have this process's malloc keep less; where it is not glibc's it stays as it is."""
    with contextlib.suppress(OSError, AttributeError):
        for name, value in (ARENAS, MAPPED, SPARE):
            ctypes.CDLL(None).mallopt(name, value)


class _Spare:
    """Mappings that nobody has any more, a few, for blocks of the same size: new ones cost a fault for each page."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self._by_size: dict[int, list[mmap.mmap]] = {}
        self._lock = threading.RLock()  # a block may end wherever Python clears up, here too

    def take(self, size: int) -> mmap.mmap:
        """A mapping of that size, with whatever stands in it."""
        with self._lock:
            if found := self._by_size.get(size):
                self.held -= size
                return found.pop()
        return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def give(self, mapping: mmap.mmap) -> None:
        """Nobody has it any more."""
        with self._lock:
            if self.held + len(mapping) > self.most:  # sizes that nobody asks for must not stay for good
                self._by_size.clear()
                self.held = 0
            self._by_size.setdefault(len(mapping), []).append(mapping)
            self.held += len(mapping)


_spare = _Spare(16 << 20)


def room(shape: tuple[int, ...], kind: Any) -> Any:
    """An array to be filled and kept for long. Its memory is the system's again soon after nobody has it."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    if size < SMALL:
        return np.empty(shape, kind)
    mapping = _spare.take(size)
    made = np.ndarray(shape, kind, mapping)
    weakref.finalize(made, _spare.give, mapping).atexit = False
    return made
