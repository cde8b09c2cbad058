"""Who looks at what: how many visitors each running release, or copy of it, has, and since when it has none."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from ..records import Live


class Looks:
    """Visitors by the name of what they look at. They come and go in the gateway's event loop."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._lives: dict[str, Live] = {}
        self._left: dict[str, float] = {}

    def at(self, *names: str) -> int:
        """How many look at these."""
        return sum(self._count[name] for name in names)

    def lives(self) -> dict[str, Live]:
        """What somebody looks at, by name."""
        return dict(self._lives)

    @contextlib.contextmanager
    def one(self, name: str, live: Live) -> Iterator[None]:
        """While it lasts, one more looks."""
        self._count[name] += 1
        self._lives[name] = live
        try:
            yield
        finally:
            self._left[name] = time.time()
            self._count[name] -= 1
            if not self._count[name]:
                del self._count[name], self._lives[name]

    def began(self, name: str) -> None:
        """It runs now: nobody has looked at it yet, whatever had that name before."""
        self._left[name] = time.time()

    def found(self, names: Iterable[str]) -> None:
        """These run, and count as left now where that is not known."""
        for name in names:
            self._left.setdefault(name, time.time())

    def left(self, name: str) -> float:
        """When the last one left, seconds since 1970; 0 where nobody is known to have looked."""
        return self._left.get(name, 0.0)

    def keep(self, names: Iterable[str]) -> None:
        """When others than these were left is forgotten."""
        for name in self._left.keys() - set(names):
            self._left.pop(name, None)
