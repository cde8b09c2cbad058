"""How cost grows: with the dates of a composite, not with the size of a collection; and what memory panning needs."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from pathlib import Path

from bench.common import Row
from tests.conftest import make_settings

from .chains import CHAINS
from .driver import ask, memory_mib
from .places import ROOT, Place
from .rows import row
from .scenes import CRS, LEFT, PIXEL, TOP, dated, many_dates, mosaic, place, write_all
from .servers import add_service, ours

COUNTS = (6, 12, 24, 48)
CACHE, BESIDE = 128, 300
"""MiB of the cache of blocks, and what a process may need beside it."""


def dates(generated: Place) -> list[Row]:
    """CPU of a tile of a composite, by its number of dates."""
    data, chain = ROOT.absolute() / "data", CHAINS[-1]
    scenes = many_dates(dated(), data / "bench", max(COUNTS))
    items = [scene.item("many", f"/eos/data/bench/{scene.name}") for scene in scenes]
    folder, cpu = Path(tempfile.mkdtemp(prefix="bdapbench-dates-")), {}
    try:
        settings = make_settings(
            folder / "var", processing={"tile_cache_mb": 0, "block_cache_mb": 24}, store={"data_root": data}
        )
        with ours(settings, folder) as server:
            for count in COUNTS:
                some = items[:count]
                url = add_service(
                    settings, "many", chain.graph("many", [i["properties"]["datetime"][:10] for i in some]), some
                )
                tiles = generated.random("native", 7, 12)
                ask(url, tiles[:2], 1, server.pid)
                cpu[count] = ask(url, tiles, 1, server.pid).cpu
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    case = "masked median of {} dates, random tiles: CPU a tile"
    return [
        row(case.format(count), cpu[count], f"{count // 6} times that of 6 dates", cpu[6] * count / 6, "ms", 0.9)
        for count in COUNTS[1:]
    ]


def memory(minutes: float) -> list[Row]:
    """Random panning over a hundred scenes: resident memory, and the CPU of a tile beside a collection of one scene."""
    data, scenes = ROOT.absolute() / "data", mosaic()
    write_all(scenes, data / "mosaic")
    items = [scene.item("mosaic", f"/eos/data/mosaic/{scene.name}") for scene in scenes]
    folder = Path(tempfile.mkdtemp(prefix="bdapbench-memory-"))
    cache = {"tile_cache_mb": 0, "block_cache_mb": CACHE, "processes": None}
    try:
        settings = make_settings(folder / "var", processing=cache, store={"data_root": data})
        with ours(settings, folder) as server:
            whole, one = (
                add_service(settings, "mosaic", CHAINS[1].graph("mosaic", [scenes[0].date]), some)
                for some in (items, items[44:45])
            )
            few = _tiles_in(scenes[44].bounds, 14)
            beside = [min(ask(url, few, 1, server.pid).cpu for _ in range(4)) for url in (whole, one)]
            urls, values, most, asked = [whole], random.Random(4), memory_mib(server.pid), 0
            until = time.monotonic() + minutes * 60
            while time.monotonic() < until:
                tiles = [_anywhere(values) for _ in range(200)]
                ask(urls[0], tiles, 4, server.pid)
                most, asked = max(most, memory_mib(server.pid)), asked + len(tiles)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    where = f"{minutes:g} minutes of random panning, {asked} tiles, 100 scenes, cache of {CACHE} MiB"
    return [
        row(f"{where}: resident memory at most", most, f"cache + {BESIDE} MiB", CACHE + BESIDE, "MiB", 1),
        row("NDVI + colormap, the same tiles from a collection of 100 scenes: CPU a tile", beside[0], "from 1 scene",
            beside[1], "ms", 0.8),
    ]  # fmt: skip


def _anywhere(values: random.Random) -> tuple[int, int, int]:
    """A tile of any zoom from 9 to 16 somewhere over the mosaic."""
    side, zoom = 1536 * PIXEL * 10, values.randint(9, 16)
    x, y = _tile(LEFT + values.random() * side, TOP - values.random() * side, zoom)
    return zoom, int(x), int(y)


def _tiles_in(bounds: tuple[float, float, float, float], zoom: int) -> list[tuple[int, int, int]]:
    left, top = _tile(bounds[0] + 3000, bounds[3] - 3000, zoom)
    return [(zoom, int(left) + i, int(top) + j) for i in range(3) for j in range(3)]


def _tile(x: float, y: float, zoom: int) -> tuple[float, float]:
    from rasterio.warp import transform

    lon, lat = (values[0] for values in transform(CRS, "EPSG:4326", [x], [y]))
    return place(lon, lat, zoom)
