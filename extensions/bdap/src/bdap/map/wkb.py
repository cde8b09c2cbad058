"""Well-known binary geometries (OGC 06-103r4, clause 8; EWKB's flags, too) as GeoJSON. PURE."""

from __future__ import annotations

import struct
from typing import Any

KINDS = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}


def geojson(content: bytes) -> dict[str, Any]:
    """A geometry; ValueError where it is none. Heights and measures are left out."""
    try:
        return _geometry(memoryview(content), 0)[0]
    except (struct.error, IndexError, KeyError):
        raise ValueError("a geometry is not well-known binary") from None


def _geometry(data: memoryview, at: int) -> tuple[dict[str, Any], int]:
    order = "<" if data[at] else ">"
    (raw,) = struct.unpack_from(f"{order}I", data, at + 1)
    at += 5
    if raw & 0x20000000:  # EWKB: a reference system follows
        at += 4
    more = bin(raw & 0xC0000000).count("1") + {0: 0, 1: 1, 2: 1, 3: 2}[(raw & 0xFFFF) // 1000]
    kind = (raw & 0xFFFF) % 1000
    size = 2 + more
    if kind == 1:
        (x, y), at = struct.unpack_from(f"{order}2d", data, at), at + 8 * size
        return {"type": "Point", "coordinates": [x, y]}, at
    (count,) = struct.unpack_from(f"{order}I", data, at)
    at += 4
    if kind == 2:
        line, at = _line(data, at, count, order, size)
        return {"type": "LineString", "coordinates": line}, at
    found: list[Any] = []
    for _ in range(count):
        if kind == 3:
            (length,) = struct.unpack_from(f"{order}I", data, at)
            ring, at = _line(data, at + 4, length, order, size)
            found.append(ring)
        else:
            part, at = _geometry(data, at)
            found.append(part if kind == 7 else part["coordinates"])
    if kind == 7:
        raise ValueError("a GeometryCollection cannot be drawn: split it")
    return {"type": KINDS[kind], "coordinates": found}, at


def _line(data: memoryview, at: int, count: int, order: str, size: int) -> tuple[list[list[float]], int]:
    numbers = struct.unpack_from(f"{order}{count * size}d", data, at)
    return [[numbers[i], numbers[i + 1]] for i in range(0, len(numbers), size)], at + 8 * count * size
