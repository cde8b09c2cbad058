"""What running releases are asked. Their authors decide how long an answer takes: nobody else waits for its thread.

For one event loop alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from anyio import CapacityLimiter, to_thread

AT_ONCE = 40
"""Short questions, which take seconds; and as many beside them that take as long as a notebook runs."""


class Questions[T]:
    """Threads for them, of their own; and one question by each name at a time: who asks meanwhile hears its answer."""

    def __init__(self) -> None:
        self._short, self._long = CapacityLimiter(AT_ONCE), CapacityLimiter(AT_ONCE)
        self._asked: dict[str, asyncio.Task[T]] = {}

    async def put[A](self, ask: Callable[..., A], *about: Any, long: bool = False) -> A:
        """What the release says, asked in one of these threads."""
        return await to_thread.run_sync(ask, *about, limiter=self._long if long else self._short)

    async def shared(self, name: str, ask: Callable[[str], Coroutine[Any, Any, T]]) -> T:
        """What comes of it. Whoever goes away takes nobody's answer along."""
        if (task := self._asked.get(name)) is None:
            task = self._asked[name] = asyncio.create_task(ask(name))
            task.add_done_callback(lambda _: self._asked.pop(name))
        return await asyncio.shield(task)
