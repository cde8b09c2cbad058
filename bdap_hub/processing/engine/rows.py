"""Tiles of plain GeoTIFFs that are decoded from above only as far as somebody needs their rows.

A map tile rarely needs the last row of all blocks that it touches. What was inflated is kept, and of the latest tiles
the place where it goes on, too, so that panning on costs no more than decoding at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from isal import isal_zlib

from ..kernels import summed
from .memory import room
from .tiff import Image, Place, Read

STEP = 16
"""Rows are decoded so many at a time."""
STATE, UNFINISHED = 90 << 10, 12 << 20
"""Bytes that a decoder needs, beside what it has not decoded yet; and of all that are kept, so that they can go on."""


class Stream:
    """What is deflated in some bytes, or stands in them as it is, from its beginning on."""

    def __init__(self, raw: bytes, deflated: bool) -> None:
        self._rest, self._inflate = raw, isal_zlib.decompressobj() if deflated else None

    @property
    def nbytes(self) -> int:
        """What it keeps to go on."""
        return STATE + len(self._rest)

    def take(self, count: int, last: bool) -> bytes:
        """The next bytes, so many. Nothing where they are damaged, or where more, or less, than the `last` follow."""
        if self._inflate is None:
            found, self._rest = self._rest[:count], self._rest[count:]
            return b"" if len(found) != count or (last and self._rest) else found
        try:
            found = self._inflate.decompress(self._rest, count + last)
        except isal_zlib.IsalError:  # type: ignore[misc]
            return b""
        self._rest = self._inflate.unconsumed_tail
        return b"" if len(found) != count or (last and not self._inflate.eof) else bytes(found)


class Unfinished:
    """The streams that can go on, the latest used, in so many bytes; of others the beginning is inflated once more."""

    def __init__(self, limit: int = UNFINISHED) -> None:
        self._lock = threading.Lock()
        self._limit, self.held = limit, 0
        self._streams: OrderedDict[object, tuple[Stream, int]] = OrderedDict()

    def take(self, key: object) -> tuple[Stream, int] | None:
        """The stream of that key and how many rows it has given; it is the caller's alone now."""
        with self._lock:
            found = self._streams.pop(key, None)
            self.held -= found[0].nbytes if found else 0
            return found

    def keep(self, key: object, stream: Stream, rows: int) -> None:
        """For whoever needs more of it."""
        with self._lock:
            self._streams[key] = stream, rows
            self.held += stream.nbytes
            while self.held > self._limit:
                self.held -= self._streams.popitem(last=False)[1][0].nbytes


class Tile:
    """One tile of a band, without what of it lies beyond the image. Threads may share it."""

    def __init__(self, image: Image, place: Place, shape: tuple[int, int], read: Read, unfinished: Unfinished) -> None:
        self._image, self._place, self._read, self._unfinished = image, place, read, unfinished
        self._pixels, self._done = room(shape, image.kind), 0
        self._whole = np.dtype(f"u{image.kind.itemsize}")  # differences wrap around, whatever the sign
        self._key, self._lock = object(), threading.Lock()

    def __len__(self) -> int:
        return len(self._pixels)

    @property
    def nbytes(self) -> int:
        """What its pixels take, decoded or not."""
        return int(self._pixels.nbytes)

    def upto(self, rows: int) -> Any:
        """Its pixels, of which so many rows are decoded; None where they are damaged."""
        with self._lock:
            return self._pixels if rows <= self._done or self._decoded(rows) else None

    def _decoded(self, rows: int) -> bool:
        """Goes on to a whole step, or to the end."""
        (width, height), visible = self._image.tile, len(self._pixels)
        end = min(visible, -(-rows // STEP) * STEP)
        stream, done = self._unfinished.take(self._key) or (self._begun(), 0)
        found = stream.take((end - done) * width * self._image.kind.itemsize, last=end == height)
        if not found:
            return False
        values = np.frombuffer(found, self._image.kind).reshape(end - done, width)[:, : self._pixels.shape[1]]
        if self._image.differences:
            summed(values.view(self._whole), self._pixels[done:end].view(self._whole))
        else:
            self._pixels[done:end] = values
        self._done = end
        if end < visible:
            self._unfinished.keep(self._key, stream, end)
        return True

    def _begun(self) -> Stream:
        start, size = self._place
        raw = self._read(start, size)
        return Stream(raw if len(raw) == size else b"", self._image.deflated)
