"""Back-pressure: what cannot be evaluated soon is refused, never queued without end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bdap_hub.errors import Busy
from bdap_hub.processing.service.gate import Gate


async def test_beyond_the_queue_callers_are_told_to_come_back() -> None:
    gate, release = Gate(workers=1, queue=1), threading.Event()
    running = asyncio.create_task(gate.run(release.wait, 10))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(gate.run(lambda: "done"))
    await asyncio.sleep(0.05)
    with pytest.raises(Busy) as error:
        await gate.run(lambda: "too much")
    assert error.value.status == 429 and error.value.retry_after > 0
    release.set()
    assert await running is True and await waiting == "done"
    assert await gate.run(lambda: "again") == "again"


async def test_nobody_waits_longer_than_patience() -> None:
    gate, release = Gate(workers=1, queue=5, patience=0.1), threading.Event()
    running = asyncio.create_task(gate.run(release.wait, 10))
    await asyncio.sleep(0.05)
    with pytest.raises(Busy):
        await gate.run(lambda: "late")
    release.set()
    assert await running is True


async def test_nothing_is_evaluated_for_a_caller_who_has_gone() -> None:
    gate, done = Gate(workers=1, queue=5), []

    async def gone() -> bool:
        return True

    with pytest.raises(Busy):
        await gate.run(lambda: done.append(1), gone=gone)
    assert done == []
    assert await gate.run(lambda: "free again") == "free again"


async def test_a_failure_frees_its_place() -> None:
    gate = Gate(workers=1, queue=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await gate.run(lambda: 1 // 0)
    assert await gate.run(lambda: 5) == 5
