"""Threads for publications, few and of their own: however long these take, all else of the service is still answered.

For one event loop alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread

from ...errors import Busy
from ..steps import Tell

AT_ONCE, EACH = 8, 2
"""Publications under way at once, and of them those of one person."""
WAITING, WAITING_EACH = 24, 4
"""So many wait for a place, and of them of one person."""
PATIENCE = 120.0
"""Seconds for which a publication waits for a place."""
LATER = 60
"""Seconds after which who was sent away may ask again: a publication takes minutes."""


class Places:
    """Who finds none waits without a thread, then is told to come back: nothing of theirs was begun.

    A place goes to the first who waits and has fewer than EACH.
    """

    def __init__(self) -> None:
        self._threads = CapacityLimiter(AT_ONCE)
        self._taken: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    def check(self, person: str) -> None:
        """Busy where a publication of theirs would neither find a place nor may wait for one."""
        theirs = sum(name == person for name, _ in self._waiting)
        if not self._room(person) and (theirs >= WAITING_EACH or len(self._waiting) >= WAITING):
            raise self._busy(person)

    async def run[T](self, person: str, tell: Tell, publish: Callable[[], T]) -> T:
        """What it returns; Busy where no place becomes free in time. Once begun it ends, whoever still listens."""
        await self._place(person, tell)
        try:
            return await to_thread.run_sync(publish, limiter=self._threads)
        finally:
            self._give(person)

    async def _place(self, person: str, tell: Tell) -> None:
        self.check(person)
        if self._room(person):
            self._taken[person] += 1
            return
        tell("waiting until others are published")
        waits = person, asyncio.get_running_loop().create_future()
        self._waiting.append(waits)
        try:
            await asyncio.wait({waits[1]}, timeout=PATIENCE)
            if not waits[1].done():
                raise self._busy(person)
        except BaseException:
            if waits[1].done():  # it was given just as its owner went
                self._give(person)
            else:
                self._waiting.remove(waits)
            raise

    def _give(self, person: str) -> None:
        """A place is free: for the first who may have it."""
        self._taken[person] -= 1
        self._taken += Counter()  # forgets those with none
        for waits in self._waiting:
            if self._room(waits[0]):
                self._waiting.remove(waits)
                self._taken[waits[0]] += 1
                waits[1].set_result(None)
                return

    def _room(self, person: str) -> bool:
        return self._taken.total() < AT_ONCE and self._taken[person] < EACH

    def _busy(self, person: str) -> Busy:
        if (own := self._taken[person]) >= EACH:
            return Busy(f"{own} publications of yours are under way", "publish again when one has ended", LATER)
        return Busy("too many dashboards are being published just now", "publish again in a minute", LATER)
