"""What people are told while they wait for a GPU and while they have one; when a server must end because of it."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub.errors import Busy, NotAllowed
from bdap_hub.settings import Settings
from bdap_hub.spawning.engines import State
from bdap_hub.spawning.gpu import pool as gpu_pool
from bdap_hub.spawning.gpu import wait as gpu_wait
from bdap_hub.spawning.gpu.placement import Running
from bdap_hub.spawning.gpu.pool import Pool
from bdap_hub.spawning.gpu.tables import allocations
from bdap_hub.spawning.page import form
from bdap_hub.spawning.page.choosing import Known, start_page
from bdap_hub.spawning.plan import Choice, choices
from bdap_hub.spawning.recheck import Recheck
from bdap_hub.spawning.spawner import BdapDockerSpawner
from tests.until import until


class Runs:
    """An engine on which every server runs."""

    async def state(self, name: str) -> State:
        return State("running")


class Spawner(BdapDockerSpawner):
    """Without JupyterHub and Docker around it: `runs` are the containers, `gone` those that were stopped."""

    user: Any = None

    @property
    def pool(self) -> Pool:
        return self.the_pool

    @property
    def engine(self) -> Any:
        return Runs()

    async def stop(self, now: bool = False) -> None:
        self.runs.clear()
        await self.pool.tidy()


@pytest.fixture
def make(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(gpu_pool, "LOOK", 0.02)
    monkeypatch.setattr(gpu_wait, "AWAY", 1.0)
    settings.spawning.gpus = 1
    runs: list[Running] = []
    pool = Pool(settings, database.connect(settings.database), lambda: runs)

    def one(name: str = "ana", groups: tuple[str, ...] = ("project-agriculture",)) -> Spawner:
        found = Spawner.__new__(Spawner, settings=settings)
        Recheck.__init__(found, settings=settings)
        found.the_pool, found.runs = pool, runs
        found.user = SimpleNamespace(name=name, groups=[SimpleNamespace(name=group) for group in groups])
        found.authenticator, found.handler, found.orm_spawner = SimpleNamespace(), None, None
        found.object_name = name
        return found

    return one


def gpu(spawner: Spawner) -> Choice:
    return next(one for one in choices(spawner.policy, spawner.person) if one.image.gpu)


async def runs_with_gpu(spawner: Spawner) -> None:
    given = await spawner.gpus_for(gpu(spawner))
    project = "agriculture"
    spawner.runs.append(Running(spawner.object_name, spawner.user.name, project, "gpu", given, time.time()))
    await spawner.gpus_settled(gpu(spawner))


async def test_the_page_says_ones_position_and_stays_alive(make: Any) -> None:
    ana, ben = make("ana"), make("ben")
    ana.settings.spawning.gpu_hours = 2
    await runs_with_gpu(ana)
    start = asyncio.create_task(ben.gpus_for(gpu(ben)))
    await until(lambda: ben.gpu_line)
    events = []
    page = ben.progress()
    async with asyncio.timeout(5):
        async for event in page:
            events.append(event)
            if len(events) == 2:
                break
    first = events[0]["message"]
    assert first.startswith("You are number 1 in line for a GPU: all are in use, the next is due back by ")
    assert "(in 2 h)" in first and "waits 15 minutes at most; closing it gives the place away" in first
    assert events[1] == {"progress": 0, "stage": "queued"}  # nothing new to read
    await page.aclose()
    with pytest.raises(Busy, match="all GPUs are in use"):  # nobody looks any more
        await asyncio.wait_for(start, 5)
    assert ben.gpu_line == "" and ben.pool.waiting == {}


async def test_a_page_opened_before_one_stands_in_line_counts(make: Any) -> None:
    """A start stops and removes what was there before it asks for a GPU; the page is open by then."""
    ana, ben = make("ana"), make("ben")
    await runs_with_gpu(ana)
    early = ben.progress()
    await anext(early)
    start = asyncio.create_task(ben.gpus_for(gpu(ben)))
    await until(lambda: ben.gpu_line)
    await early.aclose()
    again = ben.progress()
    await anext(again)
    await asyncio.sleep(gpu_wait.AWAY + 0.5)
    assert not start.done()  # somebody looks
    await again.aclose()
    with pytest.raises(Busy, match="all GPUs are in use"):
        await asyncio.wait_for(start, 20)


async def test_who_closes_the_page_before_one_stands_in_line_gives_the_place_away(make: Any) -> None:
    ana, ben = make("ana"), make("ben")
    await runs_with_gpu(ana)
    early = ben.progress()
    await anext(early)
    await early.aclose()
    with pytest.raises(Busy, match="all GPUs are in use"):
        await asyncio.wait_for(ben.gpus_for(gpu(ben)), 20)


async def test_a_page_that_is_loaded_again_keeps_the_place(make: Any) -> None:
    ana, ben = make("ana"), make("ben")
    await runs_with_gpu(ana)
    start = asyncio.create_task(ben.gpus_for(gpu(ben)))
    await until(lambda: ben.gpu_line)
    for _ in range(3):
        page = ben.progress()
        await anext(page)
        await asyncio.sleep(0.7)
        await page.aclose()
    assert not start.done()
    page = ben.progress()
    await anext(page)
    ana.runs.clear()
    assert await asyncio.wait_for(start, 5) == ("0",)
    assert "line" not in (await anext(page))["message"]
    await page.aclose()


async def test_who_lost_the_project_while_waiting_gets_nothing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = make("ana"), make("ben")
    await runs_with_gpu(ana)
    choice = gpu(ben)
    start = asyncio.create_task(ben.gpus_for(choice))
    await asyncio.sleep(1.1)
    ben.user.groups.clear()
    ana.runs.clear()
    with pytest.raises(NotAllowed, match="not a member"):
        await asyncio.wait_for(start, 5)
    await ben.gpus_settled(choice)
    assert not allocations(ben.pool._sessions)


async def test_the_end_of_a_gpus_time_stops_the_server(make: Any) -> None:
    ana = make("ana")
    ana.settings.spawning.gpu_hours = 0.6
    await runs_with_gpu(ana)
    assert await ana.poll() is None and not ana.gpu_overdue
    assert ana.gpu_notice == {"what": "a GPU", "until": gpu_pool.clock(ana.pool.until("ana")), "soon": False}
    (row,) = ana.pool.mine("ana")
    row.until = time.time() + 20 * 60
    assert ana.gpu_notice["soon"] and await ana.poll() is None
    row.until = time.time() - 1
    assert await ana.poll() == "the time of its GPU is over"
    assert ana.gpu_notice is None and not allocations(ana.pool._sessions)


async def test_without_an_end(make: Any) -> None:
    ana = make("ana")
    ana.settings.spawning.gpu_hours = 0
    await runs_with_gpu(ana)
    assert (ana.gpu_notice, ana.gpu_overdue) == ({"what": "a GPU", "until": None, "soon": False}, False)
    assert ana.gpu_state == "all in use, none has an end set"


async def test_an_image_without_gpu_asks_for_none(make: Any) -> None:
    ana = make("ana")
    lab = next(one for one in choices(ana.policy, ana.person) if not one.image.gpu)
    assert await ana.gpus_for(lab) == () and ana.gpu_facts(()) == {} and ana.gpu_notice is None
    await ana.gpus_settled(lab)
    assert not allocations(ana.pool._sessions)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"project": "agriculture", "image": "gpu"}, 120 + 900),
        ({"project": "agriculture", "image": "lab"}, 120),
        ({"image": ["gpu"]}, 120),
        ({}, 120),
    ],
)
def test_the_time_in_line_comes_on_top_of_the_starts(make: Any, options: Any, expected: int) -> None:
    ana = make("ana")
    ana.start_timeout, ana.user_options = 120, options
    for _ in range(2):
        ana.run_pre_spawn_hook()
        assert ana.start_timeout == expected


async def test_the_start_page_says_what_is_free(make: Any) -> None:
    ana = make("ana")

    def shown(gpus: str) -> str:
        return form.render(start_page("ana", ana.choices, Known(gpus=gpus)))

    assert shown(ana.gpu_state).count("GPUs: 1 of 1 free.") == 1
    await runs_with_gpu(ana)
    assert "GPUs: all in use, the next is due back by " in shown(ana.gpu_state)
    assert "GPUs:" not in shown("")
