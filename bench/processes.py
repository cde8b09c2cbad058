"""What processes and all that they started cost: CPU time and memory, as Linux counts them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def tree(*roots: int) -> list[int]:
    """The processes and their descendants."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(_fields(int(folder.name))[1]), []).append(int(folder.name))
    found, open_ones = list(roots), list(roots)
    while open_ones:
        children = parents.get(open_ones.pop(), [])
        found += children
        open_ones += children
    return found


def cpu(pids: list[int]) -> float:
    """Seconds of CPU time, with those of children that have ended."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _fields(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def thread_cpu(*threads: int) -> float:
    """Seconds of CPU time of threads of this process."""
    ticks = 0
    for thread in threads:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def pss(pids: list[int]) -> float:
    """MiB, pages that several share in parts."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
