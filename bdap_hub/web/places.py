"""Places for work that takes long, few and with threads of their own: however long it takes, all else is answered.

For one event loop alone.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread

from ..errors import Busy


class Places(ABC):
    """Who finds none waits without a thread, then is told to come back: nothing of theirs was begun.

    A place goes to the first who waits and has fewer than `each`. Nobody's name, '', stands for all who are not known:
    they share what there is.
    """

    at_once: int
    each: int
    """Pieces of work under way at once, and of them those of one person."""
    waiting: int
    waiting_each: int
    """So many wait for a place, and of them of one person."""
    patience: float
    """Seconds for which one waits."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(self.at_once)
        self._taken: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @abstractmethod
    def busy(self, own: int) -> Busy:
        """What is said to who finds no place; `own`: how many of theirs are under way."""

    def check(self, person: str) -> None:
        """Busy where work of theirs would neither find a place nor may wait for one."""
        theirs = sum(name == person for name, _ in self._waiting)
        if not self._room(person) and (len(self._waiting) >= self.waiting or (person and theirs >= self.waiting_each)):
            raise self.busy(self._own(person))

    async def run[T](self, person: str, act: Callable[[], T], waits: Callable[[], None] = lambda: None) -> T:
        """What it returns; Busy where no place becomes free in time. Once begun it ends, whoever still listens.

        `waits` is called where it has to wait.
        """
        await self._place(person, waits)
        try:
            return await to_thread.run_sync(act, limiter=self._threads)
        finally:
            self._give(person)

    async def _place(self, person: str, waits: Callable[[], None]) -> None:
        self.check(person)
        if self._room(person):
            self._taken[person] += 1
            return
        waits()
        place = person, asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await asyncio.wait({place[1]}, timeout=self.patience)
            if not place[1].done():
                raise self.busy(self._own(person))
        except BaseException:
            if place[1].done():  # it was given just as its owner went
                self._give(person)
            else:
                self._waiting.remove(place)
            raise

    def _give(self, person: str) -> None:
        """A place is free: for the first who may have it."""
        self._taken[person] -= 1
        self._taken += Counter()  # forgets those with none
        for place in self._waiting:
            if self._room(place[0]):
                self._waiting.remove(place)
                self._taken[place[0]] += 1
                place[1].set_result(None)
                return

    def _room(self, person: str) -> bool:
        return self._taken.total() < self.at_once and self._own(person) < self.each

    def _own(self, person: str) -> int:
        """How much of theirs is under way; of who is not known nothing is theirs."""
        return self._taken[person] if person else 0
