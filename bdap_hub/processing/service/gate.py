"""Back-pressure: so many evaluations at once, so many waiting, the rest is told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import Busy
from ..engine.watch import Pool, Watch


class Gate:
    """Runs blocking work in `workers` threads; at most `queue` callers wait, each at most `patience` seconds.

    Work that waits for a store that hangs gives its place to others, until `watch` gives it up.
    """

    def __init__(self, workers: int, queue: int, patience: float = 30, watch: Watch | None = None) -> None:
        self.pool = Pool(workers, watch or Watch(patience), "evaluate")
        self.queue, self.patience, self.waiting = queue, patience, 0
        self._slots = asyncio.Semaphore(workers)

    async def run[T](
        self, work: Callable[..., T], *arguments: Any, gone: Callable[[], Awaitable[bool]] | None = None
    ) -> T:
        """The result of `work`; Busy where too many wait already, or when the caller has gone meanwhile."""
        if self.waiting >= self.queue:
            raise Busy("the processing service is busy", "try again in a moment", retry_after=2)
        self.waiting += 1
        try:
            async with asyncio.timeout(self.patience):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy("the processing service is busy", "try again in a moment", retry_after=5) from None
        finally:
            self.waiting -= 1
        loop, place = asyncio.get_running_loop(), _Once(self._slots.release)
        try:
            if gone is not None and await gone():
                raise Busy("the caller has gone")
            job = self.pool.submit(lambda: work(*arguments), lambda: loop.call_soon_threadsafe(place.give))
            result: T = await asyncio.wrap_future(job.done)
            return result
        finally:
            place.give()


class _Once:
    """Gives a place back, at the first of several occasions. For the event loop's thread alone."""

    def __init__(self, give: Callable[[], None]) -> None:
        self._give, self._given = give, False

    def give(self) -> None:
        if not self._given:
            self._given = True
            self._give()
