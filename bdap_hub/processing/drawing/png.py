"""A picture as a PNG: a palette where it has one, else RGB or RGBA."""

from __future__ import annotations

import functools
import struct
from typing import Any

import numpy as np
from isal import isal_zlib

from .colours import Colour
from .picture import Indexed, Picture

LEVEL = 1


def png(picture: Picture) -> bytes:
    """The PNG of a picture."""
    if isinstance(picture, Indexed):
        return _png(picture.index[..., np.newaxis], 3, _palette(picture.palette))
    return _png(picture.pixels, 2 if picture.pixels.shape[-1] == 3 else 6)


@functools.lru_cache(maxsize=64)
def _palette(colours: tuple[Colour, ...]) -> bytes:
    shown = b"".join(bytes(colour[:3]) for colour in colours)
    return _chunk(b"PLTE", shown) + _chunk(b"tRNS", bytes(colour[3] for colour in colours))


def _png(pixels: Any, colour_type: int, extra: bytes = b"") -> bytes:
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    flat = pixels.reshape(height, width * channels)
    rows[:, 1:] = flat
    if colour_type != 3:  # "up" filter: neighbouring rows of a photograph are alike; a palette's indices are not
        rows[1:, 1:] -= flat[:-1]
        rows[1:, 0] = 2
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))
    body = _chunk(b"IDAT", isal_zlib.compress(rows, LEVEL))
    return b"\x89PNG\r\n\x1a\n" + head + extra + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", isal_zlib.crc32(kind + data))
