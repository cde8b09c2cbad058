"""Opening a dashboard through our gateway beside Voilà, plain and preheated: the same notebooks, in turns, in one run.

Ours is executed once and forked for each visitor (`--runtime voila`: plain Voilà behind our gateway). All are local
processes by default; `--engine docker` measures ours as it is shipped, without CPU and memory.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser import FLAGS, deaf_chromium

from ..common import Row, write
from . import notebooks
from .sides import Side, ours, plain, preheated
from .visits import NOWHERE, POSITIONS, Times, cost, html, in_turns, ten, visit

COMMAND = "make bench AREA=dashboards"
VIEWERS, HEAVY_VIEWERS = 5, 3
PASSIVE = 0.5
"""MiB that a visitor who looks may take at most."""


@dataclass(frozen=True)
class Case:
    """One figure of all sides, ours first; what ratio is asked for."""

    name: str
    values: Sequence[float]
    unit: str
    goal: float | None


def _seconds(name: str, what: str, found: Sequence[Times], goal: float | None) -> Case:
    return Case(name, [round(times[what], 3) for times in found], "s", goal)


def _times(browser: Browser, sides: Sequence[Side], rounds: int) -> list[Case]:
    one, crowd = in_turns(html, sides, rounds), in_turns(ten, sides, max(1, rounds // 3))
    near = in_turns(lambda side: visit(browser, side, slow=False), sides, rounds)
    far = in_turns(lambda side: visit(browser, side, slow=True), sides, max(1, rounds // 2))
    return [
        _seconds("full HTML, one visitor", "html", one, 15),
        _seconds("full HTML, ten visitors at once", "html", crowd, 50),
        _seconds("text is visible, loopback", "text", near, 15),
        _seconds("text is visible, 10 Mbit/s 40 ms", "text", far, 40),
        _seconds("widgets are visible, loopback", "widgets", near, 2),
        _seconds("widgets are visible, 10 Mbit/s 40 ms", "widgets", far, 3),
        _seconds("a button has answered, loopback", "answer", near, 2),
        _seconds("a button has answered, 10 Mbit/s 40 ms", "answer", far, 3),
    ]


def _costs(browser: Browser, sides: Sequence[Side]) -> list[Case]:
    looks = [cost(browser, side, VIEWERS, active=False) for side in sides]
    sides[0].alone()
    acts = [cost(browser, side, VIEWERS, active=True) for side in sides]
    return [
        Case("CPU of the server, a visitor who looks", [round(cpu, 3) for cpu, _ in looks], "s", 10),
        Case("CPU of the server, a visitor who clicks", [round(cpu, 3) for cpu, _ in acts], "s", 10),
        Case("memory of a visitor who looks", [round(memory, 1) for _, memory in looks], "MiB", 8),
        Case("memory of a visitor who clicks", [round(memory, 1) for _, memory in acts], "MiB", 8),
    ]


def _heavy(browser: Browser, sides: Sequence[Side], rounds: int) -> list[Case]:
    looks = [cost(browser, side, HEAVY_VIEWERS, active=False) for side in sides]
    sides[0].alone()
    acts = [cost(browser, side, HEAVY_VIEWERS, active=True) for side in sides]
    one = in_turns(html, sides, rounds)
    near = in_turns(lambda side: visit(browser, side, slow=False), sides, rounds)
    return [
        _seconds("heavy notebook, full HTML, one visitor", "html", one, None),
        _seconds("heavy notebook, widgets are visible, loopback", "widgets", near, None),
        _seconds("heavy notebook, a button has answered, loopback", "answer", near, None),
        Case("heavy notebook, memory of a visitor who looks", [round(memory, 1) for _, memory in looks], "MiB", 20),
        Case("heavy notebook, memory of a visitor who clicks", [round(memory, 1) for _, memory in acts], "MiB", 20),
    ]


def _rows(cases: Sequence[Case], sides: Sequence[Side], note: str) -> list[Row]:
    """One for each case and peer; and what a visitor who looks may take."""
    rows = []
    for case in cases:
        name, (mine, *theirs) = f"{case.name} ({note})", case.values
        rows += [
            Row(name, mine, side.name, value, case.unit, case.goal, COMMAND)
            for side, value in zip(sides[1:], theirs, strict=True)
        ]
        if case.name.endswith("memory of a visitor who looks"):
            rows.append(Row(name, mine, "what is asked for", PASSIVE, case.unit, 1, COMMAND))
    return rows


def main() -> None:
    """Measure and write bench/results/dashboards.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("process", "docker"), default="process")
    parser.add_argument("--runtime", choices=("fork", "voila"), default="fork")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--notebook", choices=("light", "heavy"), help="this one alone; rows of the other stay")
    wanted = parser.parse_args()
    note, rows = f"engine={wanted.engine}, runtime={wanted.runtime}", list[Row]()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=deaf_chromium(root), args=[*FLAGS, NOWHERE, POSITIONS])
        stack.callback(browser.close)

        def sides_of(running: ExitStack, name: str, content: bytes) -> list[Side]:
            (root / name).mkdir()
            mine = ours(running, root / name / "ours", wanted.engine, wanted.runtime, content)
            visit(browser, mine, slow=False)  # what a server does once in its life is nobody's visit
            voila = plain(running, root / name / "plain", content)
            return [mine, voila, preheated(running, root / name / "preheated", content)]

        if wanted.notebook != "heavy":
            with ExitStack() as running:
                sides = sides_of(running, "light", notebooks.LIGHT)
                in_turns(html, sides, 1)
                cases = _costs(browser, sides) if sides[0].pid else []
                rows += _rows(_times(browser, sides, wanted.rounds) + cases, sides, note)
        if wanted.notebook != "light" and wanted.engine == "process":
            with ExitStack() as running:
                sides = sides_of(running, "heavy", notebooks.HEAVY)
                in_turns(html, sides, 1)
                rows += _rows(_heavy(browser, sides, max(1, wanted.rounds // 2)), sides, note)
    write("dashboards", rows, keep=bool(wanted.notebook))


if __name__ == "__main__":
    main()
