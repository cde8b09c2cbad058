"""Whether the coordinate reference system in a file's header names files: PROJ would open them, whatever they are.

A pipe among them would stop the whole process, not only the thread. So the text is looked at before GDAL sees it: in
the GeoTIFF key 34737, in all boxes of a JPEG 2000 file but those of pixels, and in side-cars of XML.
"""

from __future__ import annotations

import html
import os
import re
import struct
from collections.abc import Iterator

KEY, MOST, BOXES = 34737, 1 << 20, 1000
NAMES = re.compile(rb"grids\s*=(?!@null\b)|proj4_grids|parameter_?file|init\s*=|file\s*=|model\s*=|proj-based")
"""Of grids, of PROJ's own definitions, and of its operations by their text. `+nadgrids=@null` is none."""
BIG = {"<": b"II+\0", ">": b"MM\0+"}
JP2 = b"\0\0\0\x0cjP  "


class TooLarge(ValueError):
    """More text than a coordinate reference system needs."""


def names_files(handle: int) -> bool:
    """Whether the header of an open file does; ValueError where it is too large or damaged to say."""
    return any(NAMES.search(text.lower()) for text in _texts(handle))


def xml_names_files(text: bytes) -> bool:
    """Whether an XML document does, however its characters are written."""
    plain = html.unescape(text.decode("utf-8", "replace")).encode()
    if re.search(rb'"type"\s*:\s*"\w*CRS"', plain):  # PROJJSON, which names files by other words
        return True
    return NAMES.search(plain.lower()) is not None


def _texts(handle: int) -> Iterator[bytes]:
    head = os.pread(handle, 16, 0)
    if head[:4] in (b"II*\0", b"MM\0*", *BIG.values()):
        return _of_tiff(handle, head)
    return _of_boxes(handle) if head.startswith(JP2) else iter(())


def _of_tiff(handle: int, head: bytes) -> Iterator[bytes]:
    """What stands in the key, of whichever type, however often, in the first directory."""
    order = "<" if head[:1] == b"I" else ">"
    big = head[:4] == BIG[order]
    where, counted, entry, inline = ("Q", "Q", "HHQ", 8) if big else ("I", "H", "HHI", 4)
    (start,) = struct.unpack_from(order + where, head, 8 if big else 4)
    size, step = struct.calcsize(order + counted), struct.calcsize(order + entry) + inline
    (count,) = struct.unpack(order + counted, _exactly(handle, size, start))
    entries = _exactly(handle, _bounded(count * step), start + size)
    for at in range(0, len(entries), step):
        tag, kind, number = struct.unpack_from(order + entry, entries, at)
        if tag == KEY:
            length, value = _bounded(number * (8 if kind > 2 and kind != 7 else 1)), entries[at + step - inline :]
            (offset,) = struct.unpack_from(order + where, value)
            yield value[:length] if length <= inline else _read(handle, length, offset)


def _of_boxes(handle: int) -> Iterator[bytes]:
    at, end = 0, os.fstat(handle).st_size
    for _ in range(BOXES):
        head = _read(handle, 16, at)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        length = struct.unpack_from(">Q", head, 8)[0] if length == 1 and len(head) == 16 else length or end - at
        if kind != b"jp2c":
            yield _read(handle, _bounded(min(length, end - at)), at)
        if length < 8:
            return
        at += length
    raise TooLarge


def _bounded(length: int) -> int:
    if length > MOST:
        raise TooLarge
    return length


def _read(handle: int, length: int, at: int) -> bytes:
    """Nothing where a file names a place beyond all files."""
    return os.pread(handle, length, at) if at < 2**63 else b""


def _exactly(handle: int, length: int, at: int) -> bytes:
    found = _read(handle, length, at)
    if len(found) != length:
        raise ValueError("cut short")
    return found
