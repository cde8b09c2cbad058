"""Copies of a release, for more visitors than one is good for: what they are called, how many are wanted, who is where.

PURE.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Collection

MOST = 9
MOST_HOMES = 20_000  # kernels of which it is remembered which copy has them
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


class Copies:
    """Which further copies run, and which copy has which visitor's kernel. Threads may share it."""

    def __init__(self) -> None:
        self._further: dict[str, frozenset[str]] = {}
        self._homes: OrderedDict[tuple[str, str], str] = OrderedDict()

    def of(self, release: str) -> list[str]:
        """The release itself, and its further copies that run."""
        return [release, *sorted(self._further.get(release, ()))]

    def find(self, running: Collection[str]) -> list[str]:
        """Those that run are all that there are; their names."""
        found: dict[str, frozenset[str]] = {}
        for release, number in map(split, running):
            if number > 1:
                found[release] = found.get(release, frozenset()) | {named(release, number)}
        self._further = found
        return [name for names in found.values() for name in names]

    def add(self, name: str) -> None:
        """One more runs."""
        release, _ = split(name)
        self._further = {**self._further, release: self._further.get(release, frozenset()) | {name}}

    def drop(self, name: str) -> None:
        """It ends."""
        self._further = {release: names - {name} for release, names in self._further.items()}

    def home(self, release: str, kernel: str) -> str:
        """The copy that had the kernel when somebody last asked; '' where nobody did."""
        return self._homes.get((release, kernel), "")

    def settle(self, release: str, kernel: str, name: str) -> str:
        """The kernel is that copy's; its name."""
        self._homes[release, kernel] = name
        self._homes.move_to_end((release, kernel))
        if len(self._homes) > MOST_HOMES:
            self._homes.popitem(last=False)
        return name
