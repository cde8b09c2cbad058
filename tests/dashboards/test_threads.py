"""Threads of the service and the gateway: however long publications and starts take, all else is answered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from anyio import to_thread
from starlette.concurrency import run_in_threadpool

from bdap_hub.dashboards.records import Live, Records
from bdap_hub.dashboards.releases.places import Publications
from bdap_hub.dashboards.releases.progress import lines
from bdap_hub.dashboards.releases.publish import Publisher
from bdap_hub.dashboards.running import keeper as keeping
from bdap_hub.dashboards.running.keeper import Keeper
from bdap_hub.dashboards.snapshots import reading
from bdap_hub.dashboards.steps import silent
from bdap_hub.database import connect
from bdap_hub.errors import Busy, Unavailable
from bdap_hub.settings import Settings
from tests.until import until

from .conftest import API, Platform

SHARED = 40
"""Threads that all requests of a service share."""
SHOWN = Live(1, "farms", "hangs", "", "public", "ana", 1, "", "")


class Gate:
    """What goes through it waits until it is opened, in a thread."""

    def __init__(self) -> None:
        self._opened, self._lock = threading.Event(), threading.Lock()
        self.begun, self.inside, self.most = 0, 0, 0

    def through(self) -> int:
        with self._lock:
            self.begun += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self._opened.wait(90)
        with self._lock:
            self.inside -= 1
            return self.begun

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


async def _answered(seconds: float = 30) -> bool:
    """Whether one of the shared threads is free within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.create_task(run_in_threadpool(lambda: True))
    except TimeoutError:
        return False


async def _until(met: Callable[[], bool]) -> None:
    """As `until`, without one of the threads that are counted here."""
    for _ in range(6000):
        if met():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within a minute")


def _few_threads() -> None:
    to_thread.current_default_thread_limiter().total_tokens = 2


async def test_publications_take_none_of_the_shared_threads(gate: Gate):
    _few_threads()
    places = Publications()
    tasks = [asyncio.create_task(places.run(f"p{n}", gate.through)) for n in range(Publications.at_once)]
    await until(lambda: gate.begun == Publications.at_once)
    assert await _answered()
    shared, begun = Gate(), gate.begun
    held = [asyncio.create_task(run_in_threadpool(shared.through)) for _ in range(2)]  # the control
    await _until(lambda: shared.begun == 2)
    assert not await _answered(0.5)
    shared.open()
    gate.open()
    assert await asyncio.gather(*tasks) == [begun] * Publications.at_once and await asyncio.gather(*held)


async def test_a_person_has_two_places_and_the_others_theirs(gate: Gate):
    places, said = Publications(), list[str]()
    mine = [asyncio.create_task(places.run("ana", gate.through, lambda: said.append("waits"))) for _ in range(6)]
    await until(lambda: gate.begun == Publications.each and len(said) == Publications.waiting_each)
    assert said == ["waits"] * 4
    with pytest.raises(Busy, match="2 publications of yours are under way") as refused:
        await places.run("ana", gate.through)
    assert refused.value.retry_after == 60 and refused.value.remedy
    with pytest.raises(Busy):
        places.check("ana")
    places.check("ben")
    theirs = asyncio.create_task(places.run("ben", gate.through))
    await until(lambda: gate.begun == 3)
    gate.open()
    await asyncio.gather(theirs, *mine)
    assert (gate.begun, gate.most, places._taken, places._waiting) == (7, 3, Counter(), [])


async def test_few_run_in_all_and_who_waits_goes_on_in_turn(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Publications, "at_once", 1)
    monkeypatch.setattr(Publications, "waiting", 3)
    places, order = Publications(), list[str]()

    def begin(person: str) -> asyncio.Task[None]:
        return asyncio.create_task(places.run(person, lambda: (order.append(person), gate.through())[0]))

    tasks = []
    for number, person in enumerate(("ana", "ben", "pia", "olga")):
        tasks.append(begin(person))
        await until(lambda: len(places._waiting) == number)  # noqa: B023
    with pytest.raises(Busy, match="too many dashboards are being published"):
        places.check("eva")
    tasks[2].cancel()  # who goes away leaves their place in the line
    await until(lambda: len(places._waiting) == 2)
    gate.open()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["ana", "ben", "olga"] and gate.most == 1
    assert await places.run("eva", lambda: 1) == 1


async def test_waiting_ends_and_leaves_nothing_begun(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Publications, "patience", 0.1)
    places = Publications()
    mine = [asyncio.create_task(places.run("ana", gate.through)) for _ in range(2)]
    await until(lambda: gate.begun == 2)

    async def carry_out(tell: Callable[[str], None]) -> dict[str, Any]:
        return {"made": await places.run("ana", gate.through, lambda: tell("waiting until others are published"))}

    told = [line async for line in lines("dashboard", carry_out)]
    assert told[0] == b'{"step": "waiting until others are published"}\n'
    assert b'"code": "Busy"' in told[1] and b'"status": 429, "retry_after": 60' in told[1] and len(told) == 2
    assert (gate.begun, places._waiting) == (2, [])
    gate.open()
    await asyncio.gather(*mine)
    assert await carry_out(silent) == {"made": 3}  # the control


async def test_a_place_given_to_who_just_went_is_given_on():
    places = Publications()
    places._taken["ana"] = Publications.each
    waits = [asyncio.create_task(places._place("ana", lambda: None)) for _ in range(2)]
    await until(lambda: len(places._waiting) == 2)
    places._give("ana")
    waits[0].cancel()
    await asyncio.wait(waits, timeout=30)
    assert waits[0].cancelled() and waits[1].done() and not waits[1].cancelled()
    assert (places._taken["ana"], places._waiting) == (Publications.each, [])


def test_forty_publications_of_one_person_stop_nothing_else(
    platform: Platform, gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    """Two run, four wait, the others are told when to come back; the gallery and a dashboard's page are shown."""
    published, headers = Publisher._published, platform.hub.bearer("ana")

    def slow(*given: Any) -> Any:
        gate.through()
        return published(*given)

    def publish(slug: str) -> httpx.Response:
        values = {"project": "agriculture", "slug": slug, "visibility": "project"}
        files = {"bundle": ("page.html", b"<!doctype html><title>x</title><h1>Wheat</h1>")}
        return httpx.post(f"{platform.hub.url}{API}", headers=headers, data=values, files=files, timeout=200)

    monkeypatch.setattr(Publisher, "_published", slow)
    taken = Publications.each + Publications.waiting_each
    with ThreadPoolExecutor(SHARED) as pool:
        asked: list[Future[httpx.Response]] = [pool.submit(publish, f"many-{number}") for number in range(SHARED)]
        try:
            asyncio.run(until(lambda: sum(one.done() for one in asked) == SHARED - taken))
            assert gate.begun == gate.most == Publications.each
            for path in ("", "/schema"):
                assert httpx.get(f"{platform.hub.url}{API}{path}", headers=headers, timeout=30).status_code == 200
            assert httpx.get(f"{platform.hub.url}/services/dashboards/", timeout=30).status_code == 200
            refused = [one.result() for one in asked if one.done()]
        finally:
            gate.open()
        done = [one.result() for one in asked]
    assert {(one.status_code, one.headers["retry-after"], one.json()["code"]) for one in refused} == {
        (429, "60", "Busy")
    }
    assert Counter(one.status_code for one in done) == {201: taken, 429: SHARED - taken}
    assert gate.most == Publications.each
    again = next(n for n, one in enumerate(done) if one.status_code == 429)
    assert publish(f"many-{again}").status_code == 201  # later
    made = [n for n, one in enumerate(done) if one.status_code == 201]
    for number in (*made, again):
        ended = httpx.delete(f"{platform.hub.url}{API}/agriculture/many-{number}", headers=headers, timeout=60)
        assert ended.status_code == 204


class Hanging:
    """Something that takes connections and never says anything, and the engine whose release that is."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=SHARED)
        self.where = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked, self.fails = 0, False

    def address(self, _name: str) -> str:
        self.asked += 1
        if self.fails:
            raise Unavailable("the engine does not answer")
        return self.where

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.close()


@pytest.fixture
def keeper(settings: Settings, hanging: Hanging) -> Keeper:
    made = Keeper(settings, Records(connect(settings.database)), None)  # type: ignore[arg-type]
    made._runtime = hanging  # type: ignore[assignment]
    return made


async def test_visitors_of_one_that_hangs_wait_together(
    keeper: Keeper, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "LOOK_SECONDS", 2.0)
    probes, answers = Counter[str](), reading.answers

    def counted(address: str) -> bool:
        probes[address] += 1
        return answers(address)

    monkeypatch.setattr(keeping, "answers", counted)
    _few_threads()
    visitors = [asyncio.create_task(keeper.address(SHOWN)) for _ in range(SHARED)]
    await _until(lambda: probes[hanging.where] == 1)
    assert await _answered(1.5), "none of the shared threads is held"
    visitors[0].cancel()  # whoever goes takes no other's answer along
    assert await asyncio.gather(*visitors[1:]) == [None] * (SHARED - 1)
    assert (hanging.asked, probes[hanging.where]) == (1, 1)
    assert await keeper.address(SHOWN) is None and probes[hanging.where] == 2  # each time anew
    monkeypatch.setattr(keeping, "answers", lambda _address: True)
    assert await keeper.address(SHOWN) == hanging.where  # the control


async def test_one_that_hangs_holds_up_no_other(keeper: Keeper, hanging: Hanging, gate: Gate, monkeypatch: Any):
    monkeypatch.setattr(keeping, "answers", lambda _address: gate.through() > 0 if gate.begun == 0 else True)
    other = Live(2, "farms", "works", "", "public", "ana", 1, "", "")
    waits = asyncio.create_task(keeper.address(SHOWN))
    await _until(lambda: gate.begun == 1)
    assert await keeper.address(other) == hanging.where and not waits.done()
    gate.open()
    assert await waits == hanging.where


async def test_a_silent_engine_is_told_to_each_who_waits(keeper: Keeper, hanging: Hanging):
    hanging.fails = True
    told = await asyncio.gather(*(keeper.address(SHOWN) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 5 and hanging.asked == 1
