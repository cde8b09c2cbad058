"""Waits for what is on its way, however busy the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SECONDS, STEP = 60.0, 0.01
BUSY_SECONDS = 6.0
"""What may be added to a bound that the tests set to some seconds. Where hub, provider, servers and tests share two
cores, a pause of seconds is the machine's; `python -m bench.outage` holds a bound of a minute to the letter."""


async def until(met: Callable[[], object]) -> None:
    """Returns once the condition, which may block, is met; AssertionError where it is not within SECONDS."""
    for _ in range(round(SECONDS / STEP)):
        if await asyncio.to_thread(met):
            return
        await asyncio.sleep(STEP)
    raise AssertionError(f"not within {SECONDS} s")
