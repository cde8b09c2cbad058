"""Fuzzes for MINUTES (10), its parts equally long: graphs in-process and over HTTP, all other routes, schemathesis.

Exits 1 on a finding. `ONLY=graphs,http,routes,openapi` chooses among them. Writes bench/results/fuzz_processing.json.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bdap_hub.processing.engine.evaluate import Engine
from bench.common import RESULTS, machine

from .addresses import schemathesis
from .checks import PATIENCE, Found, in_process, over_http
from .graphs import graphs
from .routes import Routes
from .stage import stage

MINUTES = float(os.environ.get("MINUTES", "10"))
ONLY = os.environ.get("ONLY", "graphs,http,routes,openapi").split(",")
QUIET = list(HealthCheck)


def for_a_while(seconds: float, *checks: tuple[st.SearchStrategy[Any], Callable[[Any], None]]) -> None:
    """New inputs until the time is over, of each kind in turn."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for inputs, check in checks:
            some(inputs, check, until)


def some(inputs: st.SearchStrategy[Any], check: Callable[[Any], None], until: float) -> None:
    """Some inputs, as long as there is time."""

    @settings(max_examples=30, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=QUIET)
    @given(inputs)
    def each(one: Any) -> None:
        if time.monotonic() < until:
            check(one)

    each()


def main() -> int:
    """All parts; the number of kinds of failures."""
    found, seconds, started = Found(), MINUTES * 60 / len(ONLY), time.monotonic()
    with stage(PATIENCE) as on:
        engine = Engine(on.settings)
        if "graphs" in ONLY:
            for_a_while(seconds, (graphs(), lambda graph: in_process(on, engine, graph, found)))
        if "http" in ONLY:
            for_a_while(seconds, (graphs(), lambda graph: over_http(on, graph, found)))
        if "routes" in ONLY:
            for_a_while(seconds, *Routes(on, found).all())
        if "openapi" in ONLY:
            schemathesis(on, seconds, found)
        engine.close()
        on.memory()
        alive, peak = on.alive, round(on.peak)
    record = {
        "minutes": round((time.monotonic() - started) / 60, 1),
        "parts": ONLY,
        "counts": dict(sorted(found.counts.items())),
        "failures": found.failures,
        "process alive at the end": alive,
        "peak memory of the service, MiB": peak,
        "slowest answer, s": round(found.slowest[0], 1),
        "command": f"make bench AREA=fuzz_processing MINUTES={MINUTES:g}",
        "machine": machine(),
    }
    (RESULTS / "fuzz_processing.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2)[:6000], f"slowest: {found.slowest[1][:300]}", sep="\n")
    return len(found.failures) + (not alive)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
