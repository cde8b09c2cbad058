"""Generates, checks that all draw the same, measures, writes bench/results/processing.json. About fifteen minutes.

MINUTES=60 pans that long when memory is watched; ONLY=speed,cold,real,fuse,dates,memory,parts,scaling chooses among the
parts (`random` is of `speed`), and leaves the figures of the others as they are.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdap_hub.settings import Settings
from bench.common import Row, write
from bench.peers import Server, environment
from tests.conftest import make_settings
from tests.processing.conftest import collection

from . import cores, fuse, inside, scaling
from .chains import CHAINS, Chain
from .compare import agreeing, refuse_unless_alike
from .driver import ask
from .floor import blocks_of, measure
from .places import Place, generated, real
from .rows import COMMAND, row
from .scenes import Tile
from .servers import CODECS, add_service, openeo, ours, post_to_openeo, titiler

MINUTES = float(os.environ.get("MINUTES", "1"))
ONLY = os.environ.get("ONLY", "speed,cold,real,fuse,dates,memory,parts,scaling").split(",")
SECONDS = 3.0
"""Each service is asked without a pause for so long; the last tiles that were begun are waited for, and count."""
FLOORS = 5
"""Turns of ours and the floor; the best of each counts, as both meet the same machine."""


@dataclass(frozen=True)
class Stage:
    """The running services over one place. `uncached`: ours with a cache so small that each tile is decoded."""

    place: Place
    settings: Settings
    folder: Path
    ours: Server
    peers: Mapping[str, Server]

    def urls(self, chain: Chain, nearest: bool = False) -> dict[str, str]:
        """Tile addresses of a chain by service; without those that cannot do it."""
        items = self.place.nearest() if nearest else self.place.items
        name, dates = ("near" if nearest else "bench"), self.place.dates
        found = {
            "ours": add_service(
                self.settings, name, chain.graph(name, dates), [{**i, "collection": name} for i in items]
            )
        }
        mixed = "nearest" if nearest or chain.composite else "bilinear"  # TiTiler takes bands and classes alike
        query = chain.query(str(self.folder / "item.json"), mixed, dates)
        for peer, server in self.peers.items():
            if peer.startswith("titiler-openeo"):
                found[peer] = post_to_openeo(server, chain.theirs("bench", dates))
            elif query:
                found[peer] = f"{server.base}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png?{query}"
        return found

    def pids(self) -> dict[str, int]:
        """Process of each service."""
        return {"ours": self.ours.pid, **{name: server.pid for name, server in self.peers.items()}}


@contextmanager
def stage(
    place: Place, cache_mb: int = 512, peers: tuple[Callable[..., Any], ...] = (titiler, openeo)
) -> Iterator[Stage]:
    """Fresh processes over a place."""
    folder = Path(tempfile.mkdtemp(prefix="bdapbench-processing-"))
    try:
        limits = {"tile_cache_mb": 0, "block_cache_mb": cache_mb, "processes": None}
        settings = make_settings(folder / "var", processing=limits, store={"data_root": place.data})
        (folder / "item.json").write_text(json.dumps(place.merged()))
        described = {**collection("bench", "public", "", (-180, -90, 180, 90)), "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2020-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]]}}}  # fmt: skip
        with ExitStack() as stack:
            us = stack.enter_context(ours(settings, folder))
            others = [
                stack.enter_context(openeo(folder, described, place.local()) if peer is openeo else peer(folder))
                for peer in peers
            ]
            yield Stage(place, settings, folder, us, {server.name: server for server in others})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """All parts, one after the other."""
    parts: dict[str, Callable[[Place], list[Row]]] = {
        "speed": lambda place: [*adjacent(place, place.zooms), *random_tiles(place)],
        "random": random_tiles,
        "cold": cold,
        "real": lambda place: adjacent(found, ("native",)) if (found := real()) else [],
        "fuse": lambda place: fuse.rows(place, stage, CHAINS[1], compare_two),
        "dates": scaling.dates,
        "memory": lambda place: scaling.memory(MINUTES),
        "parts": inside.rows,
        "scaling": cores.rows,
    }
    place, rows = generated(), []
    for name in ONLY:
        rows += parts[name](place)
        write("processing", rows, keep="ONLY" in os.environ)


def adjacent(place: Place, levels: Any) -> list[Row]:
    """A viewport that all services have drawn before."""
    rows = []
    with stage(place) as on:
        for chain in CHAINS:
            near = on.urls(chain, nearest=True)
            for level in levels:
                tiles = place.viewport(level)
                shares = {peer: agreeing(near["ours"], url, tiles[5:7]) for peer, url in near.items() if peer != "ours"}
                case = (
                    f"{chain.name} of {place.name}, {level} (z{place.zooms[level]}), {len(tiles)} adjacent tiles, warm"
                )
                refuse_unless_alike(case, shares)
                rows += compare_two(case, on, on.urls(chain), itertools.cycle(tiles), before=tiles)
    return rows


def random_tiles(place: Place) -> list[Row]:
    """Tiles of which our cache holds nothing, beside the decoding of their blocks."""
    rows, python = [], environment("floor", *CODECS)
    with stage(place, cache_mb=24) as on:
        for chain in CHAINS:
            case = f"{chain.name} of {place.name}, native (z{place.zooms['native']}), random tiles"
            rows += compare_two(case, on, on.urls(chain), place.anywhere("native"))
            tiles = [tile for seed in range(900, 903) for tile in place.random("native", seed)]
            paths = files(place, chain)
            blocks, url = [blocks_of(paths, tile) for tile in tiles], on.urls(chain)["ours"]
            turns = [(ask(url, tiles, 1, on.ours.pid).cpu, measure(python, blocks)) for _ in range(FLOORS)]
            cpu, least = (min(found) for found in zip(*turns, strict=True))
            rows.append(row(f"{case}: CPU a tile", cpu, "decode floor (libdeflate)", least, "ms", 1 / 1.5))
    return rows


def files(place: Place, chain: Chain) -> list[Path]:
    """All files behind a chain."""
    items = place.items if chain.composite else place.items[:1]
    bands = (*chain.bands, *(["SCL"] if chain.composite else []))
    return [place.data / item["assets"][band]["href"].removeprefix("/eos/data/") for item in items for band in bands]


def cold(place: Place) -> list[Row]:
    """The first viewport of fresh processes; the page cache is as it is."""
    rows = []
    for chain in CHAINS:
        with stage(place) as on:
            tiles, pids = place.viewport("native"), on.pids()
            done = {name: ask(url, tiles, 1, pids[name]) for name, url in on.urls(chain).items()}
        case = f"{chain.name} of {place.name}, native, {len(tiles)} adjacent tiles, fresh process, 1 client"
        for peer in done.keys() - {"ours"}:
            rows.append(row(case, done["ours"].rate, peer, done[peer].rate, "tiles/s", 3, "higher"))
    return rows


def compare_two(
    case: str, on: Stage, urls: Mapping[str, str], tiles: Iterator[Tile], before: Sequence[Tile] = ()
) -> list[Row]:
    """One client and eight; each service in turn. `tiles` has no end; `before`: asked for first, for warm caches."""
    one, eight, pids = {}, {}, on.pids()
    for name, url in urls.items():
        if before:
            ask(url, before, 2, pids[name])
        one[name] = ask(url, tiles, 1, pids[name], SECONDS)
        eight[name] = ask(url, tiles, 8, pids[name], SECONDS)
    rows = []
    for peer in [name for name in urls if name != "ours"]:
        goal = 20 if peer.startswith("titiler-openeo") else 10
        mine, other = one["ours"], one[peer]
        rows += [
            row(f"{case}: CPU a tile, 1 client", mine.cpu, peer, other.cpu, "ms"),
            row(f"{case}: p50, 1 client", mine.p50, peer, other.p50, "ms"),
            row(f"{case}: p95, 1 client", mine.p95, peer, other.p95, "ms"),
            row(f"{case}: 8 clients", eight["ours"].rate, peer, eight[peer].rate, "tiles/s", goal, "higher"),
            row(f"{case}: CPU a tile, 8 clients", eight["ours"].cpu, peer, eight[peer].cpu, "ms", goal),
        ]
    if urls and case.startswith("masked"):
        rows.append(row(f"{case}: p95, 1 client", one["ours"].p95, "what is asked for", 50, "ms", 1))
    return rows


if __name__ == "__main__":
    main()
    print(f"written by {COMMAND}")
