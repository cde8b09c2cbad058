"""Back-pressure: so many evaluations at once, persons in turn, so many waiting; the rest is told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import BdapError
from ..cancel import CallerGone, Cancel, TooLate
from ..engine.watch import Pool, Watch
from .turns import Turns, busy

LOOK = 0.25
"""Seconds between two looks whether the caller is still there."""
Gone = Callable[[], Awaitable[bool]]


class Gate:
    """Runs blocking work in `workers` threads; at most `queue` callers wait, each at most `patience` seconds.

    Work ends at its next read or step when its caller has gone, or after `deadline` seconds. Work that waits for a
    store that hangs gives its place to others, until `watch` gives it up.
    """

    def __init__(
        self,
        workers: int,
        queue: int,
        patience: float = 30,
        watch: Watch | None = None,
        deadline: float = float("inf"),
    ) -> None:
        self.pool = Pool(workers, watch or Watch(patience), "evaluate")
        self.patience, self.deadline = patience, deadline
        self.turns = Turns(workers, queue)

    async def run[T](self, work: Callable[..., T], *arguments: Any, gone: Gone | None = None, person: str = "") -> T:
        """The result of `work`. Busy where too many wait already, TooLate after the deadline.

        `person`: for whom; each has their turn. `gone`: whether the caller has gone, which ends it.
        """
        await self._turn(person, gone)
        loop, cancel = asyncio.get_running_loop(), Cancel()
        place = _Once(self.turns.give)
        job = self.pool.submit(
            lambda: cancel.run(lambda: work(*arguments)), lambda: loop.call_soon_threadsafe(place.give)
        )
        done = asyncio.wrap_future(job.done)
        done.add_done_callback(lambda _: place.give())
        try:
            reason = await _over(done, gone, self.deadline)
        except BaseException:
            cancel.now(CallerGone())
            raise
        if reason is not None:
            cancel.now(reason)
            raise reason
        return done.result()  # type: ignore[no-any-return]

    async def _turn(self, person: str, gone: Gone | None) -> None:
        """Wait for a place."""
        place = asyncio.get_running_loop().create_future()
        self.turns.ask(person, place)
        try:
            reason = await _over(place, gone, self.patience)
            if reason is None:
                place.result()
            if isinstance(reason, CallerGone) or (reason is None and gone is not None and await gone()):
                raise CallerGone
            if reason is not None:
                raise busy(5)
        except BaseException:
            self.turns.forget(person, place)
            raise


async def _over(future: asyncio.Future[Any], gone: Gone | None, seconds: float) -> BdapError | None:
    """Wait until it is done; else the reason to wait no longer: the caller has gone, or time is up."""
    future.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody may be left to ask for it
    now = asyncio.get_running_loop().time
    until = now() + seconds
    while not future.done():
        await asyncio.wait({future}, timeout=max(0, min(LOOK, until - now())))
        if future.done():
            break
        if now() >= until:
            return TooLate(seconds)
        if gone is not None and await gone():
            return CallerGone()
    return None


class _Once:
    """Gives a place back, at the first of several occasions. For the event loop's thread alone."""

    def __init__(self, give: Callable[[], None]) -> None:
        self._give, self._given = give, False

    def give(self) -> None:
        if not self._given:
            self._given = True
            self._give()
