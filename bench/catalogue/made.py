"""Made-up Sentinel-2 items and searches over them, the same for every store: each from its number alone. PURE."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

COLLECTION = "sentinel-2-l2a"
WEST, SOUTH, COLUMNS, ROWS = -20, 30, 60, 28
TILES = COLUMNS * ROWS
FIRST, REVISIT = datetime(2017, 1, 1, 9, tzinfo=UTC), timedelta(days=5)
BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "SCL": ""}


def item(number: int) -> dict[str, Any]:
    """One acquisition: a tile of a degree and a bit, every five days, no two of them at the same moment."""
    visit, tile = divmod(number, TILES)
    row, column = divmod(tile, COLUMNS)
    west, south = float(WEST + column), float(SOUTH + row)
    when = FIRST + visit * REVISIT + timedelta(seconds=7.123 * tile)
    name = f"S2{'AB'[visit % 2]}_T{tile:04d}_{when:%Y%m%dT%H%M%S}_{visit:04d}_L2A"
    ring = [[west, south], [west + 1.1, south], [west + 1.15, south + 1.1], [west + 0.05, south + 1.1], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": name,
        "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, west + 1.15, south + 1.1],
        "properties": _properties(number, visit, tile, when),
        "links": [],
        "assets": {band: _asset(band, name, tile) for band in BANDS},
    }


def items(count: int) -> Iterator[dict[str, Any]]:
    """The first so many, in the order of time."""
    return (item(number) for number in range(count))


def _properties(number: int, visit: int, tile: int, when: datetime) -> dict[str, Any]:
    return {
        "datetime": f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z",
        "platform": f"sentinel-2{'ab'[visit % 2]}",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "eo:cloud_cover": _cloud(number),
        "grid:code": f"MGRS-{tile:04d}",
        "proj:code": f"EPSG:{32601 + tile % 60}",
        "view:sun_elevation": round(30 + _cloud(number + 1) / 3, 2),
        "s2:processing_baseline": "05.09",
    }


def _cloud(number: int) -> float:
    """Evenly from 0 to 100, as if by chance (Knuth's multiplicative hash)."""
    return round((number * 2654435761 % 2**32) / 2**32 * 100, 2)


def _asset(band: str, name: str, tile: int) -> dict[str, Any]:
    return {
        "href": f"/eos/data/{COLLECTION}/{tile:04d}/{name}/{band}.tif",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "eo:bands": [{"name": band} | ({"common_name": BANDS[band]} if BANDS[band] else {})],
        "raster:bands": [{"data_type": "uint16", "scale": 0.0001, "offset": 0, "nodata": 0}],
    }


def searches(count: int, items_in_all: int, wide: bool = False) -> list[bytes]:
    """Bodies of POST /search: a box, a period, few clouds, the newest first. `wide`: a year of half the area."""
    chance = random.Random(f"{count} {wide}")
    whole = (items_in_all // TILES) * REVISIT
    return [_search(chance, whole, wide) for _ in range(count)]


def _search(chance: random.Random, whole: timedelta, wide: bool) -> bytes:
    size = chance.uniform(20, 30) if wide else chance.uniform(1, 4)
    west = chance.uniform(WEST, WEST + COLUMNS - size)
    south = chance.uniform(SOUTH, max(SOUTH + 0.1, SOUTH + ROWS - size))
    long = timedelta(days=365 if wide else chance.choice((30, 60, 90)))
    start = FIRST + chance.random() * max(whole - long, timedelta(0))
    body = {
        "collections": [COLLECTION],
        "bbox": [round(v, 3) for v in (west, south, west + size, south + size)],
        "datetime": f"{start:%Y-%m-%dT%H:%M:%SZ}/{start + long:%Y-%m-%dT%H:%M:%SZ}",
        "filter-lang": "cql2-json",
        "filter": {"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]},
        "sortby": [{"field": "datetime", "direction": "desc"}],
        "limit": 10,
    }
    return json.dumps(body).encode()


def collection() -> dict[str, Any]:
    """Their collection."""
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": COLLECTION,
        "title": "Made-up Sentinel-2",
        "description": "Items for measuring",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[WEST, SOUTH, WEST + COLUMNS + 1, SOUTH + ROWS + 1]]},
            "temporal": {"interval": [[f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", None]]},
        },
        "links": [],
    }
