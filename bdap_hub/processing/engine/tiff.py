"""The tiles of plain GeoTIFFs, read without GDAL: its handles take a millisecond to open, and memory as long as open.

Plain: little-endian TIFF 6.0 or BigTIFF, in tiles, deflated or as they are, of whole numbers (also as differences)
or floats, bands apart. Of all else nothing is said here, and GDAL reads it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...rasters.held import Held, Version

MOST_IMAGES, MOST_TAGS, MOST_TILES = 64, 512, 2**16
SIZES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of a number, by its type in the file."""
WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, PLANAR, PREDICTOR = 256, 257, 258, 259, 277, 284, 317
TILE_WIDTH, TILE_HEIGHT, OFFSETS, COUNTS, FORMAT, SUBFILE = 322, 323, 324, 325, 339, 254
PLAIN, DEFLATE, DIFFERENCES, REDUCED, APART = 1, (8, 32946), 2, 1, 2
KINDS = {1: "u", 2: "i", 3: "f"}

Read = Callable[[int, int], bytes]
Place = tuple[int, int]
"""Where bytes begin in a file, and how many they are."""


class Entry(NamedTuple):
    """What a tag holds: numbers of a type, in the file at `at`."""

    type: int
    many: int
    at: int


@dataclass(frozen=True)
class Image:
    """One image of a file: its size and that of its tiles; where they begin, and their bytes in the file."""

    width: int
    height: int
    tile: tuple[int, int]
    kind: Any
    bands: int
    deflated: bool
    differences: bool
    starts: Any
    sizes: Any

    def place(self, band: int, row: int, column: int) -> Place | None:
        """Where a tile of the band counted from 1 stands in the file; None where it does not, or cannot be plain."""
        across, down = -(-self.width // self.tile[0]), -(-self.height // self.tile[1])
        number = ((band - 1) * down + row) * across + column
        start, size = int(self.starts[number]), int(self.sizes[number])
        expected = self.tile[0] * self.tile[1] * self.kind.itemsize
        return (start, size) if start and 0 < size <= 2 * expected + 1024 else None

    def shape(self, row: int, column: int) -> tuple[int, int]:
        """Rows and columns of a tile that lie in the image."""
        width, height = self.tile
        return min(height, self.height - row * height), min(width, self.width - column * width)


def images(read: Read) -> Iterator[Image | None]:
    """The images of a file in its order, None for each that is not plain; nothing where it is no such file."""
    head = read(0, 16)
    if head[:4] == b"II*\0" and len(head) >= 8:
        big, at = False, struct.unpack_from("<I", head, 4)[0]
    elif head[:8] == b"II+\0\x08\0\0\0" and len(head) == 16:
        big, at = True, struct.unpack_from("<Q", head, 8)[0]
    else:
        return
    for number in range(MOST_IMAGES):
        if not at:
            return
        tags, at = _tags(at, big, read)
        yield _image(tags, read, first=number == 0)


def _tags(at: int, big: bool, read: Read) -> tuple[Mapping[int, Entry], int]:
    """The entries of a directory, and where the next one is."""
    length, count_of, entry, link = (8, "<Q", "<HHQ", "<Q") if big else (2, "<H", "<HHI", "<I")
    each, inline = (20, 12) if big else (12, 8)
    (count,) = struct.unpack(count_of, read(at, length))
    if count > MOST_TAGS:
        raise ValueError(f"a directory of {count} tags")
    raw = read(at + length, count * each + struct.calcsize(link))
    found = {}
    for number in range(count):
        tag, kind, many = struct.unpack_from(entry, raw, number * each)
        place = at + length + number * each + inline
        if SIZES.get(kind, 0) * many > each - inline:
            (place,) = struct.unpack_from(link, raw, number * each + inline)
        found[tag] = Entry(kind, many, place)
    return found, struct.unpack_from(link, raw, count * each)[0]


def _image(tags: Mapping[int, Entry], read: Read, first: bool) -> Image | None:
    def numbers(tag: int, *default: int) -> Any:
        return _numbers(tags[tag], read) if tag in tags else np.array(default, np.int64)

    def number(tag: int, default: int = 0) -> int:
        return int((numbers(tag, default))[0])

    samples, bits, forms = number(SAMPLES, 1), set(numbers(BITS, 1).tolist()), set(numbers(FORMAT, 1).tolist())
    compression, predictor, subfile = number(COMPRESSION, 1), number(PREDICTOR, 1), number(SUBFILE)
    known = compression in (PLAIN, *DEFLATE) and predictor in (1, DIFFERENCES) and subfile == (0 if first else REDUCED)
    apart = samples == 1 or number(PLANAR, 1) == APART
    if not (known and apart and len(bits) == len(forms) == 1 and TILE_WIDTH in tags and OFFSETS in tags):
        return None
    form, size = KINDS.get(forms.pop(), ""), bits.pop()
    if size not in ((32, 64) if form == "f" else (8, 16, 32, 64)) or (form == "f" and predictor != 1) or not form:
        return None
    width, height, tile = number(WIDTH), number(HEIGHT), (number(TILE_WIDTH), number(TILE_HEIGHT))
    tiles = samples * -(-width // max(1, tile[0])) * -(-height // max(1, tile[1]))
    starts, sizes = numbers(OFFSETS), numbers(COUNTS)
    if min(width, height, *tile) < 1 or not len(starts) == len(sizes) == tiles:
        return None
    kind = np.dtype(f"<{form}{size // 8}")
    return Image(width, height, tile, kind, samples, compression != PLAIN, predictor == DIFFERENCES, starts, sizes)


def _numbers(entry: Entry, read: Read) -> Any:
    if entry.type not in SIZES or not 0 < entry.many <= MOST_TILES:
        raise ValueError(f"{entry.many} numbers of type {entry.type}")
    return np.frombuffer(read(entry.at, entry.many * SIZES[entry.type]), f"<u{SIZES[entry.type]}")


class Tiff:
    """A file open for its plain images; threads may share it. It is closed once nobody has it any more."""

    def __init__(self, version: Version) -> None:
        held = Held(version)
        self._handle = held.handle
        held.while_open(self)

    def read(self, at: int, size: int) -> bytes:
        """Some of its bytes; fewer, or none, where it ends before."""
        return os.pread(self._handle, size, at) if at < 2**62 else b""

    def levels(self, wanted: Sequence[tuple[tuple[int, int], tuple[int, int], str]], bands: int) -> list[Image | None]:
        """The image of each level, with its size, tiles and kind of numbers; None where GDAL is to read it."""
        try:
            found = list(images(self.read))
        except (ValueError, IndexError, struct.error):
            return [None] * len(wanted)
        fitting: list[Image | None] = []
        for number, (size, tile, kind) in enumerate(wanted):
            fits = [
                image
                for image in (found[:1] if number == 0 else found[1:])
                if image is not None
                and ((image.width, image.height), image.tile, image.bands) == (size, tile, bands)
                and image.kind == np.dtype(kind)
            ]
            fitting.append(fits[0] if len(fits) == 1 else None)
        return fitting
