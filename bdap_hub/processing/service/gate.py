"""Back-pressure: so many evaluations at once, so many waiting, the rest is told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...errors import Busy


class Gate:
    """Runs blocking work in `workers` threads; at most `queue` callers wait, each at most `patience` seconds."""

    def __init__(self, workers: int, queue: int, patience: float = 30) -> None:
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="evaluate")
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
        try:
            if gone is not None and await gone():
                raise Busy("the caller has gone")
            return await asyncio.get_running_loop().run_in_executor(self.pool, work, *arguments)
        finally:
            self._slots.release()
