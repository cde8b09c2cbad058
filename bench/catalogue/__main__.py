"""Fills the stores, checks that all find the same, measures, writes bench/results/catalogue.json. Half an hour.

ITEMS=1000000 says how many; KEEP=1 keeps the stores below var/bench for the next run; ONLY=ours,pgstac,geoparquet
chooses among the services.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.common import Row, write

from . import inside, made, servers
from .filled import Filled, filled
from .measure import Found, answers, in_turn
from .servers import Contender

ITEMS = int(os.environ.get("ITEMS", "1000000"))
ONLY = os.environ.get("ONLY", "ours,pgstac,geoparquet").split(",")
COMMAND = "make bench AREA=catalogue"
FOLDER = Path("var/bench/catalogue").absolute()
SQLITE, PGSTAC = "ours on SQLite", "ours on pgstac"
ALONE, MANY, WIDE, CHECKED = 300, 480, 24, 40


@contextmanager
def running(stores: Filled, folder: Path) -> Iterator[list[Contender]]:
    """All services that are compared; ours come first."""
    with ExitStack() as stack:
        found = [stack.enter_context(servers.ours(SQLITE, stores.sqlite, folder))]
        found.append(stack.enter_context(servers.ours(PGSTAC, stores.pgstac, folder)))
        if "pgstac" in ONLY:
            found.append(stack.enter_context(servers.pgstac(stores.port)))
        if "geoparquet" in ONLY:
            found.append(stack.enter_context(servers.geoparquet(stores.parquet, folder)))
        yield found


def refuse_unless_alike(contenders: Sequence[Contender], searches: Sequence[bytes]) -> int:
    """All find the same items in the same order; how many in all."""
    found = {one.name: [[item["id"] for item in page["features"]] for page in answers(one, searches)]
             for one in contenders}  # fmt: skip
    first = found[contenders[0].name]
    for name, pages in found.items():
        if different := [number for number, page in enumerate(pages) if page != first[number]]:
            at = different[0]
            raise SystemExit(f"{name} finds {pages[at]}, and {contenders[0].name} {first[at]} for {searches[at]!r}")
    return sum(map(len, first))


def rows_of(found: dict[str, Found], case: str, goal: float | None) -> list[Row]:
    """Ours on each store beside the best of the others."""
    ours = [name for name in found if name in (SQLITE, PGSTAC)]
    rows = []
    for what, unit in (("p50", "ms"), ("p95", "ms"), ("cpu_each", "ms CPU")):
        theirs = {name: getattr(one, what) for name, one in found.items() if name not in ours}
        if not theirs:
            continue
        best = min(theirs, key=lambda name: theirs[name])
        for name in ours:
            here = goal if what == "p95" else None
            label = f"{case}, {what.removesuffix('_each')}, {name}"
            rows.append(Row(label, _short(getattr(found[name], what)), best, _short(theirs[best]), unit, here, COMMAND))
    return rows


def say(case: str, found: dict[str, Found]) -> None:
    """All of them, the slow ones too."""
    for name, one in found.items():
        print(f"{case}: {name}: p50 {one.p50:.1f} ms, p95 {one.p95:.1f} ms, CPU {one.cpu_each:.1f} ms", flush=True)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def main() -> None:
    """Everything."""
    name = f"{ITEMS:,} items, box + period + clouds"
    folder = FOLDER / str(ITEMS)
    try:
        with filled(folder, ITEMS) as stores, running(stores, folder) as contenders:
            items = refuse_unless_alike(contenders, made.searches(CHECKED, ITEMS))
            print(f"all find the same {items} items in {CHECKED} searches", flush=True)
            rows: list[Row] = []
            for clients, count, chunk in ((1, ALONE, 6), (8, MANY, 48)):
                case = f"{name}, {clients} client{'s' * (clients > 1)}"
                found = in_turn(contenders, made.searches(count, ITEMS), clients, chunk, stores.pid)
                say(case, found)
                rows += rows_of(found, case, 1.0)
            wide = f"{ITEMS:,} items, half the area and a year + clouds, 1 client"
            found = in_turn(contenders, made.searches(WIDE, ITEMS, wide=True), 1, 1, stores.pid)
            say(wide, found)
            rows += rows_of(found, wide, None)
            parts: dict[str, Any] = inside.parts({SQLITE: stores.sqlite, PGSTAC: stores.pgstac}, ITEMS)
            inside.say(parts)
    finally:
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)
    if {"pgstac", "geoparquet"} <= set(ONLY):
        write("catalogue", rows)


main()
