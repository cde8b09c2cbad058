"""Made-up items for the tests of search."""

from __future__ import annotations

from typing import Any


def square(west: float, south: float, size: float = 1.0) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def item(number: int, west: float, south: float, day: str, cloud: float, collection: str = "c") -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"i{number:05d}",
        "collection": collection,
        "geometry": square(west, south),
        "bbox": [west, south, west + 1, south + 1],
        "properties": {"datetime": f"{day}T10:00:00Z", "eo:cloud_cover": cloud, "platform": f"p{number % 2}"},
        "assets": {},
        "links": [],
    }
