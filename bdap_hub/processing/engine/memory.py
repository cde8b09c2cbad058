"""Memory that goes back to the system: malloc keeps what threads have freed, in many places, for whatever may come."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import mmap
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


def room(shape: tuple[int, ...], kind: Any) -> Any:
    """An array to be filled and kept for long. Its memory is the system's again as soon as nobody has it."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    if size < SMALL:
        return np.empty(shape, kind)
    return np.ndarray(shape, kind, mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
