"""Back-pressure: what cannot be evaluated soon is refused, never queued without end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from bdap_hub.errors import Busy
from bdap_hub.processing.cancel import CallerGone, TooLate, check
from bdap_hub.processing.engine.watch import Pool
from bdap_hub.processing.service.drawn import Drawn
from bdap_hub.processing.service.gate import Gate
from bdap_hub.processing.service.turns import Turns


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


class Places:
    """Asks for places, and notes who got one, in order."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.got, self.futures = turns, [], {}

    def ask(self, *names: str) -> None:
        for name in names:
            future = self.futures[name] = asyncio.get_running_loop().create_future()
            self.turns.ask(name[0], future)

    async def give(self, times: int) -> list[str]:
        for _ in range(times):
            before = {name for name, future in self.futures.items() if future.done()}
            self.turns.give()
            self.got += [name for name, future in self.futures.items() if future.done() and name not in before]
        return self.got


async def test_persons_take_turns_however_much_each_asks_for() -> None:
    places = Places(Turns(1, 500))
    places.ask("a0", *(f"a{number}" for number in range(1, 200)), "b1", "b2", "c1")
    assert places.futures["a0"].done() and places.turns.waiting == 202
    assert await places.give(7) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_a_full_queue_has_room_for_who_waits_less() -> None:
    places = Places(Turns(1, 4))
    places.ask("a0", "a1", "a2", "a3", "a4")
    with pytest.raises(Busy):
        places.ask("a5")
    places.ask("b1")
    assert isinstance(places.futures["a4"].exception(), Busy) and places.turns.waiting == 4
    places.ask("b2")
    with pytest.raises(Busy):
        places.ask("b3")
    assert await places.give(4) == ["a1", "b1", "a2", "b2"]


async def test_a_place_that_nobody_takes_is_given_on() -> None:
    places = Places(Turns(1, 4))
    places.ask("a0", "a1", "b1")
    places.turns.forget("a", places.futures["a1"])
    places.turns.forget("a", places.futures["a0"])
    assert places.futures["b1"].done() and places.turns.waiting == 0
    places.turns.give()
    places.ask("c1")
    assert places.futures["c1"].done()


class Work:
    """Work of several reads; it says when it has begun, and waits before each further read."""

    def __init__(self) -> None:
        self.begun, self.go, self.read = threading.Event(), threading.Event(), 0

    def run(self) -> int:
        for _ in range(3):
            check()
            self.read += 1
            self.begun.set()
            assert self.go.wait(60)
        return self.read


class Caller:
    """A caller who may go."""

    def __init__(self) -> None:
        self.away = False

    async def gone(self) -> bool:
        return self.away


async def begun(work: Work) -> None:
    assert await asyncio.to_thread(work.begun.wait, 60)


@pytest.mark.parametrize("goes", [True, False])
async def test_work_ends_at_its_next_read_when_its_caller_goes(goes: bool) -> None:
    gate, work, caller = Gate(workers=1, queue=5), Work(), Caller()
    running = asyncio.create_task(gate.run(work.run, gone=caller.gone))
    await begun(work)
    caller.away = goes
    if goes:
        with pytest.raises(CallerGone):
            await running
    work.go.set()
    assert await gate.run(lambda: "next") == "next"  # there is one place: the work before is over
    assert work.read == (1 if goes else 3) and running.done()


@pytest.mark.parametrize("seconds", [2, 60])
async def test_work_ends_after_the_deadline(seconds: float) -> None:
    gate, work = Gate(workers=1, queue=5, deadline=seconds), Work()
    running = asyncio.create_task(gate.run(work.run))
    await begun(work)
    if seconds < 60:
        with pytest.raises(TooLate, match="longer than 2 s") as error:
            await running
        assert error.value.code == "RequestTimeout" and error.value.status == 503
    work.go.set()
    assert await gate.run(lambda: "next") == "next"
    assert work.read == (1 if seconds < 60 else 3)


async def test_who_waits_and_goes_is_dropped_and_keeps_nobody_up() -> None:
    gate, work, caller, done = Gate(workers=1, queue=5), Work(), Caller(), list[int]()
    running = asyncio.create_task(gate.run(work.run))
    await begun(work)
    waiting = asyncio.create_task(gate.run(done.append, 1, gone=caller.gone))
    third = asyncio.create_task(gate.run(done.append, 2))
    caller.away = True
    with pytest.raises(CallerGone):
        await waiting
    work.go.set()
    await third
    assert await running == 3 and done == [2]


async def test_work_in_a_pool_ends_with_the_evaluation_that_asked_for_it() -> None:
    gate, work, caller = Gate(workers=1, queue=5), Work(), Caller()
    pool = Pool(1, gate.pool.watch, "read")
    running = asyncio.create_task(gate.run(lambda: list(pool.map(lambda _: work.run(), [1])), gone=caller.gone))
    await begun(work)
    caller.away = True
    with pytest.raises(CallerGone):
        await running
    work.go.set()
    assert await gate.run(lambda: list(pool.map(lambda _: "next", [1]))) == ["next"]
    assert work.read == 1
    pool.close()


async def test_who_waits_for_a_picture_draws_it_when_the_first_has_gone() -> None:
    gate, work, caller, drawn = Gate(workers=2, queue=5), Work(), Caller(), Drawn(1000)

    def first() -> bytes:
        work.run()
        return b"first"

    def draw(make: Any) -> bytes:
        return drawn.get("tile", make)

    running = asyncio.create_task(gate.run(draw, first, gone=caller.gone))
    await begun(work)
    second = asyncio.create_task(gate.run(draw, lambda: b"second"))
    while drawn.asked < 2:  # noqa: ASYNC110  no event tells us
        await asyncio.sleep(0)
    caller.away = True
    with pytest.raises(CallerGone):
        await running
    work.go.set()
    assert await second == b"second"
    assert await gate.run(draw, lambda: b"third") == b"second"


async def test_who_waits_for_a_picture_that_never_comes_holds_nobody_up() -> None:
    """Their place is another's meanwhile, and their wait ends like any evaluation."""
    gate, work = Gate(workers=2, queue=5, deadline=3), Work()
    drawn = Drawn(1000, gate.pool.watch.spare)
    hanging = asyncio.create_task(gate.run(drawn.get, "tile", work.run))
    await begun(work)
    waiting = [asyncio.create_task(gate.run(drawn.get, "tile", lambda: b"")) for _ in range(2)]
    assert await gate.run(drawn.get, "other", lambda: b"served") == b"served"
    for task in (hanging, *waiting):
        with pytest.raises(TooLate):
            await task
    assert await gate.run(drawn.get, "another", lambda: b"served") == b"served"
    work.go.set()
