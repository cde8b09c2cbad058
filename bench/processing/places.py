"""Where is measured: the generated scenes, real Sentinel-2 where BDAP_TEST_DATA has it, each with its tiles."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .scenes import Tile, adjacent, core, dated, scattered, write_all

ROOT = Path("var/bench/store")
COLUMNS, ROWS, RANDOM = 4, 3, 16


@dataclass(frozen=True)
class Place:
    """Items below one data root, all over one place; `zooms` names the levels that are asked for."""

    name: str
    data: Path
    items: Sequence[dict[str, Any]]
    core: tuple[float, float, float, float]
    zooms: dict[str, int]

    @property
    def dates(self) -> list[str]:
        """The days of the items."""
        return [item["properties"]["datetime"][:10] for item in self.items]

    def viewport(self, level: str) -> list[Tile]:
        """Adjacent tiles."""
        return adjacent(self.zooms[level], self.core, COLUMNS, ROWS)

    def random(self, level: str, seed: int, count: int = RANDOM) -> list[Tile]:
        """Tiles anywhere in the place."""
        return scattered(self.zooms[level], self.core, count, seed)

    def anywhere(self, level: str, first: int = 0) -> Iterator[Tile]:
        """The same without an end, from that seed on."""
        return (tile for seed in itertools.count(first) for tile in self.random(level, seed))

    def nearest(self) -> list[dict[str, Any]]:
        """The items with all bands taken by nearest neighbour, as peers do."""
        return [_with_assets(item, lambda a: {**a, "roles": ["data", "classification"]}) for item in self.items]

    def local(self) -> list[dict[str, Any]]:
        """The items with the machine's own paths, and without links and raster:bands, which TiTiler minds."""
        return [{**_with_assets(item, self._localised), "links": []} for item in self.items]

    def merged(self) -> dict[str, Any]:
        """All dates as one item, for TiTiler: <band>_<date> for each asset."""
        local = self.local()
        assets = {
            f"{key}_{date}": asset
            for item, date in zip(local, self.dates, strict=True)
            for key, asset in item["assets"].items()
        }
        return {**local[0], "assets": assets}

    def _localised(self, asset: dict[str, Any]) -> dict[str, Any]:
        kept = {key: asset[key] for key in ("type", "roles", "eo:bands") if key in asset}
        return {**kept, "href": str(self.data / asset["href"].removeprefix("/eos/data/"))}


def generated(root: Path = ROOT) -> Place:
    """Six dates of 10980 x 10980 pixels."""
    data, scenes = root.absolute() / "data", dated()
    write_all(scenes, data / "bench")
    items = [scene.item("bench", f"/eos/data/bench/{scene.name}") for scene in scenes]
    return Place("10980² COGs", data, items, core(), {"overview": 11, "native": 13, "oversampled": 15})


def real() -> Place | None:
    """Five dates of one MGRS tile, thinned to 120 m; None where BDAP_TEST_DATA has no such folder."""
    data = Path(os.environ.get("BDAP_TEST_DATA", "/nowhere")) / "s2-l2a-33T-cog"
    items = []
    for path in sorted(data.glob("*/*_33TWM_*/*.json"), key=lambda path: path.stem.split("_")[2]):
        found = json.loads(path.read_text())
        folder = "/eos/data/" + str(path.parent.relative_to(data))
        assets = {Path(a["href"]).stem: {**a, "href": f"{folder}/{a['href']}"} for a in found["assets"].values()}
        items.append({**found, "collection": "bench", "assets": assets})
    if not items:
        return None
    west, south, east, north = items[0]["bbox"]
    inner = (west + 0.15, south + 0.1, east - 0.15, north - 0.1)
    return Place("real Sentinel-2 at 120 m", data, items, inner, {"overview": 8, "native": 10})


def _with_assets(item: dict[str, Any], change: Any) -> dict[str, Any]:
    return {**item, "assets": {key: change(asset) for key, asset in item["assets"].items()}}
