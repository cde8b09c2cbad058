"""Copies of a release, for more visitors than one is good for: what they are called, how many are wanted. PURE."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from ...settings.services import DashboardsSettings

MOST = 9
_COPY = re.compile(rf"(?P<release>.+--v[0-9]+)-r(?P<number>[2-{MOST}])")


def named(release: str, number: int) -> str:
    """The name of a release's copy of that number; the first is the release itself.

    >>> named("farms--crops--v3", 1), named("farms--crops--v3", 2)
    ('farms--crops--v3', 'farms--crops--v3-r2')
    """
    return release if number == 1 else f"{release}-r{number}"


def split(name: str) -> tuple[str, int]:
    """The release and the number of the copy that is called so.

    >>> split("farms--crops--v3-r2"), split("farms--crops--v3")
    (('farms--crops--v3', 2), ('farms--crops--v3', 1))
    """
    found = _COPY.fullmatch(name)
    return (found["release"], int(found["number"])) if found else (name, 1)


def wanted(visitors: int, each: int, most: int) -> int:
    """How many copies there should be for so many visitors, `each` of them good for that many.

    >>> [wanted(visitors, 50, 3) for visitors in (0, 50, 51, 1000)]
    [1, 1, 2, 3]
    """
    return max(1, min(most, math.ceil(visitors / each)))


def most(settings: DashboardsSettings) -> int:
    """How many copies of a release there may be."""
    return min(settings.copies or 1 + len(settings.nodes), MOST)


class Copies:
    """Which further copies run, and which of them new visitors may be led to. Threads may share it."""

    def __init__(self) -> None:
        self._running: frozenset[str] = frozenset()
        self._fit: frozenset[str] = frozenset()

    def of(self, release: str) -> list[str]:
        """The release itself, and its further copies that run."""
        return [release, *sorted(name for name in self._running if split(name)[0] == release)]

    def fit(self, release: str) -> list[str]:
        """The release itself, and those of its copies whose pages are as its own."""
        return [name for name in self.of(release) if name == release or name in self._fit]

    def unknown(self) -> list[str]:
        """Copies of which nobody has looked yet whether they are fit."""
        return sorted(self._running - self._fit)

    def find(self, running: Iterable[str]) -> None:
        """Those that run are all that there are."""
        self._running = frozenset(name for name in running if split(name)[1] > 1)
        self._fit &= self._running

    @property
    def running(self) -> frozenset[str]:
        """All further copies."""
        return self._running

    def add(self, name: str) -> None:
        """It runs, and is fit."""
        self._running |= {name}
        self._fit |= {name}

    def doubt(self, release: str) -> None:
        """The release was started anew: whether its copies are as it is has to be looked at again."""
        self._fit = frozenset(name for name in self._fit if split(name)[0] != release)

    def drop(self, name: str) -> None:
        """It ends."""
        self._running -= {name}
        self._fit -= {name}
