"""Fuzzes for MINUTES (10): a third in-process, a third over HTTP, a third by schemathesis. Exits 1 on a finding.

`ONLY=graphs,http,openapi` chooses among the parts. Writes bench/results/fuzz_processing.json.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from bdap_hub.processing.engine.evaluate import Engine
from bench.common import RESULTS, machine

from .addresses import schemathesis
from .checks import Found, in_process, over_http
from .graphs import graphs
from .stage import stage

MINUTES = float(os.environ.get("MINUTES", "10"))
ONLY = os.environ.get("ONLY", "graphs,http,openapi").split(",")
QUIET = list(HealthCheck)


def for_a_while(seconds: float, check: Callable[[Any], None]) -> None:
    """New graphs until the time is over."""
    until = time.monotonic() + seconds

    @settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=QUIET)
    @given(graphs())
    def some(graph: Any) -> None:
        if time.monotonic() < until:
            check(graph)

    while time.monotonic() < until:
        some()


def main() -> int:
    """All parts; the number of kinds of failures."""
    found, seconds, started = Found(), MINUTES * 60 / len(ONLY), time.monotonic()
    with stage() as on:
        engine = Engine(on.settings)
        if "graphs" in ONLY:
            for_a_while(seconds, lambda graph: in_process(on, engine, graph, found))
        if "http" in ONLY:
            for_a_while(seconds, lambda graph: over_http(on, graph, found))
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
