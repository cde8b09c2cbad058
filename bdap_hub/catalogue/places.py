"""Threads for searches, few and of their own: however long these take, all else is still answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread

from ..errors import Busy

AT_ONCE = 8
"""Searches that look at once, of those who are logged in and of all others each."""
PATIENCE = 10.0
"""Seconds for which a search waits for a place."""


class Places:
    """Who finds none waits without a thread, then is told to come back. For one event loop alone."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._threads = CapacityLimiter(AT_ONCE)

    async def run[**P, T](self, search: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What a search finds; Busy where no place becomes free in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise Busy("too many searches are under way", "try again in a moment", retry_after=5) from None
        try:
            return await to_thread.run_sync(lambda: search(*given, **named), limiter=self._threads)
        finally:
            self._free.release()
