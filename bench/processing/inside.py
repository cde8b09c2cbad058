"""Where the time of a tile goes: reading, sampling, maths, encoding; one thread, in this process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from bdap_hub.processing.drawing import png
from bdap_hub.processing.engine import evaluate, reader
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bench.common import Row
from tests.conftest import make_settings
from tests.processing.conftest import collection

from .chains import CHAINS, Chain
from .places import Place
from .rows import row

PARTS = ("blocks", "where to sample", "sampling", "encoding", "maths and all else")


def rows(place: Place) -> list[Row]:
    """For each chain the milliseconds of each part, of tiles of which nothing is in the cache."""
    found = []
    for chain in CHAINS:
        spent, total = _measured(place, chain)
        for part, value in spent.items():
            case = f"{chain.name} of {place.name}, native, random tiles, one thread: {part}"
            found.append(row(case, value, "the whole tile", total, "ms"))
    return found


def _measured(place: Place, chain: Chain) -> tuple[dict[str, float], float]:
    spent = dict.fromkeys(PARTS, 0.0)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent[part] += time.thread_time() - started

        return run

    with TemporaryDirectory() as folder:
        settings = make_settings(
            Path(folder), processing={"threads": 1, "block_cache_mb": 24}, store={"data_root": place.data}
        )
        engine = evaluate.Engine(settings)
        engine.pool.map = map  # type: ignore[assignment,method-assign]  # all in this thread
        compiled = evaluate.Compiled.of(*planned(place, chain))
        tiles = place.random("native", 5)
        for tile in place.random("native", 6, 4):
            engine.tile(compiled, *tile)
        with (
            patch.object(reader.Reader, "_block", timed("blocks", reader.Reader._block)),
            patch.object(reader, "sampler", timed("where to sample", reader.sampler)),
            patch.object(reader.Sampler, "take", timed("sampling", reader.Sampler.take)),
            patch.object(evaluate, "png", timed("encoding", png.png)),
        ):
            started = time.process_time()
            for tile in tiles:
                engine.tile(compiled, *tile)
            total = time.process_time() - started
        engine.close()
    spent["maths and all else"] = total - sum(spent.values())
    return {part: value * 1000 / len(tiles) for part, value in spent.items()}, total * 1000 / len(tiles)


def planned(place: Place, chain: Chain) -> tuple[Any, Any]:
    """The graph of a chain and its plan."""
    graph = parse(json.loads(json.dumps(chain.graph("bench", place.dates))), REGISTRY)
    asked = queries(graph)
    described = collection("bench", "public", "", (-180, -90, 180, 90))
    return graph, plan.build(graph, asked, {"bench": described}, {q.node: place.items for q in asked}, 1000)
