"""Result files of the benches: rows `case, ours, peer, theirs, unit, ratio, goal, command, machine`.

A ratio above 1 means ours is better; goal is the ratio that is asked for (None: reported only).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """The machine in words: processor, cores we may use, memory, Python."""
    cpu = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Python {platform.python_version()}"


@dataclass(frozen=True)
class Row:
    """One measured case. `better` says whether less or more of `unit` is better."""

    case: str
    ours: float
    peer: str
    theirs: float
    unit: str
    goal: float | None
    command: str
    better: Literal["lower", "higher"] = "lower"
    machine: str = field(default_factory=machine)

    @property
    def ratio(self) -> float:
        """How many times better ours is."""
        ours, theirs = (self.ours, self.theirs) if self.better == "higher" else (self.theirs, self.ours)
        return round(ours / theirs, 2) if theirs else 0.0

    def record(self) -> dict[str, object]:
        """The row as it stands in the result file."""
        keys = ("case", "ours", "peer", "theirs", "unit", "ratio", "goal", "command", "machine")
        values = {**asdict(self), "ratio": self.ratio}
        return {key: values[key] for key in keys}


def write(area: str, rows: Iterable[Row], keep: bool = False) -> Path:
    """Write bench/results/<area>.json and print the rows as a table; the path of the file.

    `keep`: what stands there of other cases stays.
    """
    records = [row.record() for row in rows]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{area}.json"
    measured = {(r["case"], r["peer"]) for r in records}
    others = json.loads(path.read_text()) if keep and path.exists() else []
    whole = [*(r for r in others if (r["case"], r["peer"]) not in measured), *records]
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    width = max((len(str(r["case"])) for r in records), default=4)
    print(f"{'case':{width}}  {'ours':>9}  {'theirs':>9}  {'unit':8}  {'ratio':>6}  {'goal':>5}  peer")
    for r in records:
        numbers = f"{r['ours']:>9}  {r['theirs']:>9}  {r['unit']:8}  {r['ratio']:>6}  {r['goal'] or '-':>5}"
        print(f"{r['case']:{width}}  {numbers}  {r['peer']}")
    return path
