"""Two folders of tests at a time (`pytest -n 2`): a folder stays whole in one worker, so that what it starts is started
once and what it looks at is its own; and no worker draws a number (a port, a network's) that another one may draw."""

from __future__ import annotations

import os
import secrets
import signal
from typing import Any

import psutil
import pytest

# The long ones, the longest first: what is left at the end is short, and both workers are ready at about the same time.
FIRST = ("identity", "dashboards", "spawning", "processing", "hub", "extensions", "faults", "end_to_end", "attacks")
TOGETHER = {"batch": "processing"}  # one HTCondor pool serves both


def pytest_configure(config: Any) -> None:
    """Ctrl-C ends a worker's fixtures as it does without workers."""
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGINT, _once)


def _once(number: int, frame: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # xdist sends another one, which would cut the tidying up short
    raise KeyboardInterrupt


def folder_of(nodeid: str) -> str:
    """The folder below tests/ that a test stands in, or the one whose worker has what it needs already."""
    folder = nodeid.split("/")[1]
    return TOGETHER.get(folder, folder)


def _place(folder: str) -> int:
    return FIRST.index(folder) if folder in FIRST else len(FIRST)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """The long folders come first where there are workers."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(folder_of(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Instead of xdist's own, which tear folders apart."""
    from tests.by_folder import ByFolder

    config.option.loadscopereorder = False  # not by the number of tests: many are short
    return ByFolder(config, log)


def share(numbers: range, environment: Any = os.environ) -> range:
    """Those that are this worker's alone; all where there is but one process.

    >>> share(range(200), {"PYTEST_XDIST_WORKER": "gw1", "PYTEST_XDIST_WORKER_COUNT": "2"})
    range(100, 200)
    >>> share(range(200), {})
    range(0, 200)
    """
    count = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(environment.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % count  # a crashed one's successor
    size = len(numbers) // count
    return numbers[number * size : (number + 1) * size]


def draw(numbers: range) -> int:
    """One of this worker's share."""
    return secrets.choice(share(numbers))


def draw_network(second: int) -> int:
    """x of a network 10.second.x.0/24 that is this worker's alone, and that none of a run that was killed still has."""
    taken = {one.address for found in psutil.net_if_addrs().values() for one in found}
    numbers = [number for number in share(range(200)) if f"10.{second}.{number}.1" not in taken]
    return secrets.choice(numbers)
