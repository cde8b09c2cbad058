"""Until when a search goes on: the stores ask as they look, each search in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import Unavailable

SECONDS = 20.0
"""For which a search may look. Anybody may search: what a filter costs is only known once it was tried."""


class TooLate(Unavailable):
    """A search took longer than it may. Its status is not 408, with which browsers ask again."""

    code = "RequestTimeout"

    def __init__(self) -> None:
        super().__init__(
            f"the search took longer than {SECONDS:g} s",
            "narrow the bbox, the time or the filter, or name fewer collections",
        )


class _Thread(threading.local):
    """When what this thread looks for is to end."""

    until = float("inf")


_this = _Thread()


@contextmanager
def bounded() -> Iterator[None]:
    """What this thread looks for meanwhile ends SECONDS after the outermost of these began."""
    before = _this.until
    _this.until = min(before, time.monotonic() + SECONDS)
    try:
        yield
    finally:
        _this.until = before


def left() -> float:
    """Seconds that are left; infinitely many for what is no search."""
    return _this.until - time.monotonic()


def passed() -> bool:
    """Whether none are left."""
    return left() <= 0


def check() -> None:
    """TooLate where none are left."""
    if passed():
        raise TooLate
