"""Loops over pixels, compiled: where a profile says that numpy's passes over whole arrays cost most of a tile.

They are compiled once for each kind of processor and version of this file; what comes of it is kept in the folder that
the variable NUMBA_CACHE_DIR names, beside the file or in the account's cache. Where none can be written, each process
that imports this compiles anew, for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numba
import numpy as np
from numba import types

COLUMNS = 1024
"""So many columns are sorted at once: they stay in the processor's own cache."""
FLOATS = ("f4", "f8")
WHOLE = ("u1", "u2", "u4", "u8")


def _array(kind: str, layout: Literal["C", "A"] = "C", readonly: bool = True, dimensions: int = 2) -> Any:
    return types.Array(numba.from_dtype(np.dtype(kind)), dimensions, layout, readonly=readonly)


def _kept(make: Callable[..., Any], signatures: Sequence[Any], function: Any, **options: Any) -> Any:
    """The function compiled for arguments of these types, now, and kept for the next process."""
    try:
        return make(list(signatures), cache=True, **options)(function)
    except Exception:  # nothing can be kept anywhere, or what was kept is damaged; a fault of ours comes up again
        return make(list(signatures), **options)(function)


def _loop[F](*signatures: Any) -> Callable[[F], F]:
    """Compiled; it runs without the interpreter's lock."""

    def compiled(function: F) -> F:
        return _kept(numba.njit, signatures, function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]

    return compiled


def _ufunc[F](*signatures: str) -> Callable[[F], F]:
    """Compiled as a function of numpy on arrays of any shapes that fit, from one of numbers."""

    def compiled(function: F) -> F:
        return _kept(numba.vectorize, signatures, function)  # type: ignore[no-any-return]

    return compiled


@_loop(*(types.void(_array(kind, "A"), _array(kind, "A", readonly=False)) for kind in WHOLE))
def summed(differences: Any, out: Any) -> None:
    """Undoes TIFF's horizontal differences: each number of a row and all before it, added up in its own width."""
    for i in range(differences.shape[0]):
        total = differences[i, 0]
        out[i, 0] = total
        for j in range(1, differences.shape[1]):
            total = out.dtype.type(total + differences[i, j])
            out[i, j] = total


@_loop(*(types.void(_array(kind, readonly=False), types.float64) for kind in FLOATS))
def smoothed(window: Any, weight: float) -> None:
    """Each pixel is mixed with those beside it, each of which gets this weight, along both axes, in place.

    There are at least two rows and columns; the first and the last stand for those beyond.
    """
    height, width = window.shape
    own, beside = window.dtype.type(1 - 2 * weight), window.dtype.type(weight)
    before, this = window[0].copy(), np.empty(width, window.dtype)
    for i in range(height):
        row, after = window[i], window[min(i + 1, height - 1)]
        for j in range(width):
            this[j] = row[j]
        for j in range(width):
            row[j] = this[j] * own + (before[j] + after[j]) * beside
        before, this = this, before
        for j in range(width):
            this[j] = row[j]
        row[0] = this[0] * own + (this[0] + this[1]) * beside
        for j in range(1, width - 1):
            row[j] = this[j] * own + (this[j - 1] + this[j + 1]) * beside
        row[width - 1] = this[width - 1] * own + (this[width - 1] + this[width - 2]) * beside


@_loop(
    *(
        types.void(_array(kind), _array("i8"), _array("f4"), _array("f4"), _array(kind, readonly=False))
        for kind in FLOATS
    )
)
def mixed(window: Any, corner: Any, across: Any, down: Any, out: Any) -> None:
    """Between four neighbours: `corner` is the flat index of the upper left, the others the right and lower weights."""
    flat, to_lower, to_right = window.reshape(-1), np.uint64(window.shape[1]), np.uint64(1)
    corners, rights, lowers, values = corner.reshape(-1), across.reshape(-1), down.reshape(-1), out.reshape(-1)
    for i in range(values.size):
        at = np.uint64(corners[i])
        a, b, c, d = flat[at], flat[at + to_right], flat[at + to_lower], flat[at + to_lower + to_right]
        upper, lower = a + (b - a) * rights[i], c + (d - c) * rights[i]
        values[i] = upper + (lower - upper) * lowers[i]


@_loop(
    *(
        types.void(_array(kind), _array("i8"), types.boolean, _array(kind, readonly=False, dimensions=1))
        for kind in FLOATS
    )
)
def middles(layers: Any, pairs: Any, ignore: Any, out: Any) -> None:
    """The median of each column's numbers; NaN where it has none, or has a NaN which is not to be ignored.

    `pairs` are the comparisons that sort so many numbers, made for many columns at once.
    """
    count, size = layers.shape
    rows, valid = np.empty((count, COLUMNS), layers.dtype), np.empty(COLUMNS, np.int32)
    nothing, last, two = layers.dtype.type(np.nan), layers.dtype.type(np.inf), layers.dtype.type(2)
    for start in range(0, size, COLUMNS):
        width = min(COLUMNS, size - start)
        valid[:] = 0
        for i in range(count):
            row, given = rows[i], layers[i]
            for j in range(width):
                value = given[start + j]
                row[j] = value if value == value else last
                valid[j] += value == value
        for k in range(pairs.shape[0]):
            one, other = rows[pairs[k, 0]], rows[pairs[k, 1]]
            for j in range(width):
                a, b = one[j], other[j]
                one[j] = a if a < b else b
                other[j] = b if a < b else a
        for j in range(width):
            known = valid[j]
            middle = (rows[max(known - 1, 0) // 2, j] + rows[min(known // 2, count - 1), j]) / two
            out[start + j] = middle if known == count or (ignore and known > 0) else nothing


@_ufunc("f4(f4,f4)", "f4(f8,f8)")
def both(x: Any, y: Any) -> Any:
    """1 where both are true (neither 0 nor NaN), 0 where one is 0, else NaN."""
    if x == 0 or y == 0:
        return np.float32(0)
    return np.float32(1) if x == x and y == y else np.float32(np.nan)


@_ufunc("f4(f4,f4)", "f4(f8,f8)")
def either(x: Any, y: Any) -> Any:
    """1 where one is true (neither 0 nor NaN), 0 where both are 0, else NaN."""
    if (x != 0 and x == x) or (y != 0 and y == y):
        return np.float32(1)
    return np.float32(0) if x == x and y == y else np.float32(np.nan)


@_ufunc("f4(f4,f4,f4)", "f4(f4,f8,f4)", "f8(f8,f8,f8)")
def replaced(value: Any, where: Any, replacement: Any) -> Any:
    """The replacement where `where` is neither 0 nor NaN, else the value."""
    return replacement if where != 0 and where == where else value


@_ufunc("u1(f4,f4,f4,f4)", "u1(f8,f4,f4,f4)")
def graded(value: Any, low: Any, factor: Any, top: Any) -> Any:
    """How far the value lies above `low`, times the factor, rounded and clipped to 0 … `top`; of NaN 0."""
    share = (value - low) * factor + np.float32(0.5)
    if share >= top:
        return np.uint8(top)
    return np.uint8(share) if share > 0 else np.uint8(0)
