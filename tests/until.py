"""Waits for what is on its way, however busy the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SECONDS, STEP = 60.0, 0.01


async def until(met: Callable[[], object]) -> None:
    """Returns once the condition, which may block, is met; AssertionError where it is not within SECONDS."""
    for _ in range(round(SECONDS / STEP)):
        if await asyncio.to_thread(met):
            return
        await asyncio.sleep(STEP)
    raise AssertionError(f"not within {SECONDS} s")
