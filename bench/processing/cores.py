"""How far the service grows with processors: the same tiles on one core and on two, server and clients together.

On a machine of two cores the clients must share them. So they do on one core, too: what they take of a tile's time is
stated, and is the same share of both figures. Beside it stands what the machine itself gains by a second core: two
processes that share nothing evaluate the same tiles.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.common import Row
from tests.conftest import make_settings

from . import apart
from .chains import CHAINS
from .driver import ask
from .places import Place
from .rows import row
from .scenes import Tile
from .servers import Server, add_service, ours

CLIENTS, ROUNDS, SECONDS = 8, 3, 3.0
GOAL = 1.8
THREADS, PROCESSES = "threads of one process", "processes"


@dataclass(frozen=True)
class Kind:
    """A way to run the service: on which cores, with how many processes that draw (0: threads of its own)."""

    name: str
    cores: int
    processes: int


ONE, SHARED, SEVERAL = Kind("1 core", 1, 0), Kind(THREADS, 2, 0), Kind(PROCESSES, 2, 2)
SAME = Kind(f"1 core, the same {PROCESSES}", 1, 2)


@dataclass(frozen=True)
class Round:
    """Seconds in all, tiles a second, CPU milliseconds of a tile at server and clients, the cores' share in use."""

    seconds: float
    rate: float
    server: float
    client: float
    used: float


def rows(place: Place) -> list[Row]:
    """Each chain on adjacent tiles, which are in the caches, and on random ones, which are not."""
    if len(os.sched_getaffinity(0)) < 2:
        return []
    return [*_cases(place, "adjacent tiles, warm", 512), *_cases(place, "random tiles", 24)]


def _cases(place: Place, what: str, cache_mb: int) -> list[Row]:
    found = []
    warm = what.startswith("adjacent")
    with _running(place, cache_mb) as servers:
        for number, chain in enumerate(CHAINS):
            urls = {kind: _url(place, folder, number) for kind, (folder, _) in servers.items()}
            seeds = iter(range(10_000))
            tiles: Callable[[], Sequence[Tile]] = (
                (lambda: _viewport(place)) if warm else lambda seeds=seeds: place.random("native", next(seeds))  # type: ignore[misc]
            )
            done = _measured(servers, urls, tiles)
            found += _rows(f"{chain.name} of {place.name}, {what}, {CLIENTS} clients", done)
            if warm:
                found.append(_machine(f"{chain.name} of {place.name}, {what}", number))
    return found


def _machine(case: str, chain: int) -> Row:
    """Two processes against one, each on a core of its own; the median of some turns."""
    first, second, *_ = sorted(os.sched_getaffinity(0))
    turns = [(apart.rate(chain, [first]), apart.rate(chain, [first, second])) for _ in range(ROUNDS)]
    one, two = (statistics.median(turn) for turn in zip(*turns, strict=True))
    return row(f"{case}, no service: 2 cores, 2 processes that share nothing", two, "1 core", one, "tiles/s", None,
               "higher")  # fmt: skip


def _rows(case: str, done: Mapping[Kind, Round]) -> list[Row]:
    one, shared, several, same = (done[kind] for kind in (ONE, SHARED, SEVERAL, SAME))
    return [
        row(f"{case}: 2 cores, {PROCESSES}", several.rate, "1 core", one.rate, "tiles/s", GOAL, "higher"),
        row(f"{case}: 2 cores, {PROCESSES}", several.rate, SAME.name, same.rate, "tiles/s", None, "higher"),
        row(f"{case}: 2 cores, {THREADS}", shared.rate, "1 core", one.rate, "tiles/s", None, "higher"),
        row(f"{case}: CPU a tile, {PROCESSES}", several.server, "1 core", one.server, "ms"),
        row(f"{case}: CPU a tile, {THREADS}", shared.server, "1 core", one.server, "ms"),
        row(f"{case}: CPU a tile of the clients, {PROCESSES}", several.client, "1 core", one.client, "ms"),
        row(f"{case}: of 2 cores in use, {PROCESSES}", 100 * several.used, THREADS, 100 * shared.used, "%", None,
            "higher"),
    ]  # fmt: skip


def _viewport(place: Place) -> Sequence[Tile]:
    return place.viewport("native")


def _measured(
    servers: Mapping[Kind, tuple[Any, Server]], urls: Mapping[Kind, str], tiles: Callable[[], Sequence[Tile]]
) -> dict[Kind, Round]:
    """The ways in turn, several times: what else happens on the machine meets all of them. Medians."""
    done: dict[Kind, list[Round]] = {kind: [] for kind in servers}
    counts = {}
    for kind, (_, server) in servers.items():
        with confined(kind.cores):
            _round(urls[kind], tiles, 1, server.pid, kind.cores)  # fills the caches
            counts[kind] = max(1, round(SECONDS / _round(urls[kind], tiles, 2, server.pid, kind.cores).seconds * 2))
    for _ in range(ROUNDS):
        for kind, (_, server) in servers.items():
            with confined(kind.cores):
                done[kind].append(_round(urls[kind], tiles, counts[kind], server.pid, kind.cores))
    names = Round.__dataclass_fields__
    return {kind: Round(*(statistics.median(getattr(r, name) for r in rounds) for name in names))
            for kind, rounds in done.items()}  # fmt: skip


def _round(url: str, tiles: Callable[[], Sequence[Tile]], times: int, pid: int, cores: int) -> Round:
    """All tiles so many times, without a pause in between."""
    asked = [tile for _ in range(times) for tile in tiles()]
    mine = time.process_time()
    found = ask(url, asked, CLIENTS, pid)
    client = (time.process_time() - mine) * 1000 / len(asked)
    return Round(found.seconds, found.rate, found.cpu, client, (found.cpu + client) / 1000 * found.rate / cores)


@contextmanager
def confined(cores: int) -> Iterator[None]:
    """Meanwhile this thread, and what it starts, run on so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _running(place: Place, cache_mb: int) -> Iterator[dict[Kind, tuple[Any, Server]]]:
    """The service in each way, side by side; who is not asked does nothing."""
    folder = Path(tempfile.mkdtemp(prefix="bdapbench-cores-"))
    try:
        with ExitStack() as stack:
            servers = {}
            for number, kind in enumerate((ONE, SHARED, SEVERAL, SAME)):
                limits = {"tile_cache_mb": 0, "block_cache_mb": cache_mb, "processes": kind.processes}
                settings = make_settings(folder / str(number), processing=limits, store={"data_root": place.data})
                with confined(kind.cores):
                    servers[kind] = (settings, stack.enter_context(ours(settings, settings.var)))
            yield servers
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _url(place: Place, settings: Any, number: int) -> str:
    return add_service(
        settings,
        "bench",
        CHAINS[number].graph("bench", place.dates),
        [{**i, "collection": "bench"} for i in place.items],
    )
