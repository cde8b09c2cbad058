"""Places are written down before a start and freed with the container: real databases, an engine of plain data."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub.errors import Busy, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning.gpu import placement as gpus
from bdap_hub.spawning.gpu import pool as gpu_pool
from bdap_hub.spawning.gpu import tables as gpu_tables
from bdap_hub.spawning.gpu.placement import Device, Running, Wish
from bdap_hub.spawning.gpu.pool import Asker, Pool, Standing, clock, due
from bdap_hub.spawning.gpu.tables import GpuAllocation, GpuUse, allocate, allocations, end, hours
from tests.until import until

TWO = (Device("local", "GPU-1", "NVIDIA H100"), Device("local", "GPU-2", "NVIDIA H100"))


class Node:
    """Stands for the Docker engine: the containers that run, and whether it answers."""

    def __init__(self) -> None:
        self.containers: dict[str, Running] = {}
        self.down = False

    def __call__(self) -> list[Running]:
        if self.down:
            raise Unavailable("the Docker engine does not answer")
        return list(self.containers.values())

    def run(self, name: str, *devices: str, project: str = "forest", since: float = 0) -> None:
        assert name not in self.containers
        self.containers[name] = Running(name, name, project, "gpu", devices, since or time.time())


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def hub(settings: Settings, database_url: str, node: Node, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pool]:
    """Starts a hub: a new pool on the same database and engine, with `gpus` of the two devices."""
    monkeypatch.setattr(gpu_pool, "LOOK", 0.02)
    sessions = database.connect(database_url)

    def start(gpus: int = 2, **values: Any) -> Pool:
        for name, value in values.items():
            setattr(settings.spawning, name, value)
        pool = Pool(settings, sessions, node, lambda: TWO[:gpus])
        pool.look()
        return pool

    return start


def ask(name: str, project: str = "forest", **more: Any) -> Asker:
    return Asker(Wish(name, project, time.time(), **more), name, "gpu")


async def begin(pool: Pool, node: Node, name: str, project: str = "forest") -> tuple[str, ...]:
    """A whole start: a place, a container, done."""
    found = await pool.acquire(ask(name, project))
    node.run(name, *found, project=project)
    pool.started(name)
    await pool.tidy()
    return found


def rows(pool: Pool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in allocations(pool._sessions):
        found.setdefault(row.holder, []).append(row.device)
    return found


async def test_a_place_is_written_down_before_the_start_and_freed_with_the_container(
    hub: Callable[..., Pool], node: Node
) -> None:
    pool = hub()
    given = await pool.acquire(ask("ana"))
    assert given == ("GPU-1",) and rows(pool) == {"ana": ["GPU-1"]} and not node.containers
    await pool.tidy()
    assert rows(pool) == {"ana": ["GPU-1"]}  # about to start: not taken for lost
    node.run("ana", *given)
    pool.started("ana")
    await pool.tidy()
    assert rows(pool) == {"ana": ["GPU-1"]} and await begin(pool, node, "ben") == ("GPU-2",)
    del node.containers["ana"]
    await pool.tidy()
    assert rows(pool) == {"ben": ["GPU-2"]}
    with pool._sessions() as session:
        (use,) = session.query(GpuUse).all()
    assert (use.device, use.person, use.project, use.model) == ("GPU-1", "ana", "forest", "NVIDIA H100")


async def test_a_start_that_fails_leaves_nothing(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub()
    await pool.acquire(ask("ana"))
    pool.started("ana")  # the image is missing: no container
    await pool.tidy()
    assert rows(pool) == {}


@pytest.mark.parametrize(("created", "expected"), [(False, {}), (True, {"ana": ["GPU-1"]})])
async def test_the_hub_is_killed_before_or_after_the_container_came(
    hub: Callable[..., Pool], node: Node, created: bool, expected: dict[str, list[str]]
) -> None:
    given = await hub().acquire(ask("ana"))
    if created:
        node.run("ana", *given)
    again = hub()
    assert rows(again) == expected
    assert await again.acquire(ask("ben")) == (("GPU-2",) if created else ("GPU-1",))


async def test_a_container_ended_while_the_hub_was_away(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub()
    for name in ("ana", "ben"):
        await begin(pool, node, name)
    del node.containers["ana"]
    assert rows(hub()) == {"ben": ["GPU-2"]}


async def test_a_container_that_nobody_wrote_down_holds_its_gpu(hub: Callable[..., Pool], node: Node) -> None:
    node.run("old", "GPU-1", since=time.time() - 99 * 3600)
    pool = hub(gpu_hours=24, gpu_notice_minutes=30)
    assert rows(pool) == {"old": ["GPU-1"]} and await pool.acquire(ask("ana")) == ("GPU-2",)
    until = pool.until("old")
    assert until is not None and 29 * 60 < until - time.time() <= 30 * 60  # its time is over, but not without notice


async def test_nothing_is_freed_while_the_engine_does_not_answer(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub()
    await begin(pool, node, "ana")
    node.down = True
    await pool.tidy()
    assert rows(pool) == {"ana": ["GPU-1"]}
    with pytest.raises(Unavailable, match="does not answer"):
        await pool.acquire(ask("ben"))
    node.down = False
    assert pool.waiting == {} and await pool.acquire(ask("ben")) == ("GPU-2",)


async def test_the_line(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub(gpus=1, gpu_hours=2)
    await begin(pool, node, "ana")
    told: dict[str, Standing] = {}
    waiting = []
    for name in ("ben", "cleo"):
        waiting.append(
            asyncio.create_task(pool.acquire(ask(name), tell=lambda now, name=name: told.update({name: now})))
        )
        await until(lambda name=name: name in told)  # type: ignore[misc]
    assert {name: now.position for name, now in told.items()} == {"ben": 1, "cleo": 2}
    assert told["ben"].due == pool.until("ana")
    assert rows(pool) == {"ana": ["GPU-1"]}
    del node.containers["ana"]
    assert await asyncio.wait_for(waiting[0], 5) == ("GPU-1",)
    await until(lambda: told["cleo"].position == 1)
    assert not waiting[1].done() and rows(pool) == {"ben": ["GPU-1"]}
    pool.started("ben")
    assert await asyncio.wait_for(waiting[1], 5) == ("GPU-1",)


async def test_who_leaves_loses_the_place_in_line(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub(gpus=1)
    await begin(pool, node, "ana")
    here = True
    ben = asyncio.create_task(pool.acquire(ask("ben"), stay=lambda: here))
    await until(lambda: list(pool.waiting) == ["ben"])
    here = False
    with pytest.raises(Busy, match="the next is due back by"):
        await asyncio.wait_for(ben, 5)
    cleo = asyncio.create_task(pool.acquire(ask("cleo")))
    await until(lambda: list(pool.waiting) == ["cleo"])
    cleo.cancel()  # as JupyterHub does where a start takes too long
    with pytest.raises(asyncio.CancelledError):
        await cleo
    del node.containers["ana"]
    await pool.tidy()
    assert pool.waiting == {} and rows(pool) == {}


@pytest.mark.parametrize(("module", "step"), [(gpus, "place"), (gpu_tables, "allocate")])
async def test_who_leaves_at_the_moment_of_being_served_holds_nothing(
    hub: Callable[..., Pool], node: Node, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    pool = hub(gpus=1)
    quick = getattr(module, step)

    begun, may_go_on = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Any:
        begun.set()
        assert may_go_on.wait(30)
        return quick(*arguments)

    monkeypatch.setattr(module, step, slowly)
    ben = asyncio.create_task(pool.acquire(ask("ben")))
    await until(begun.is_set)
    ben.cancel()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await ben
    await asyncio.sleep(0.4)
    await pool.tidy()
    assert rows(pool) == {} and await pool.acquire(ask("cleo")) == ("GPU-1",)


async def test_refusals(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub(gpu_wait_minutes=0, gpu_hours=3)
    with pytest.raises(Unavailable, match="no node has 3 GPUs"):
        await pool.acquire(ask("ana", count=3))
    with pytest.raises(Unavailable, match="no node has a GPU of model A100"):
        await pool.acquire(ask("ana", model="A100"))
    assert await pool.acquire(ask("ana", count=2, model="h100")) == ("GPU-1", "GPU-2")
    with pytest.raises(
        Busy, match=r"all GPUs are in use; the next is due back by \d\d:\d\d UTC.* \(in (3 h|2 h 59 min)\)"
    ):
        await pool.acquire(ask("ben"))
    assert pool.waiting == {}


async def test_without_gpus_neither_engine_nor_line(hub: Callable[..., Pool], node: Node) -> None:
    node.down = True
    pool = hub(gpus=0)  # looks
    await pool.tidy()
    with pytest.raises(Unavailable, match="no node has a GPU"):
        await pool.acquire(ask("ana"))


async def test_many_at_once(hub: Callable[..., Pool], node: Node) -> None:
    pool = hub(gpu_wait_minutes=1)
    served: list[str] = []

    async def work(number: int) -> None:
        name = f"p{number}"
        await begin(pool, node, name, f"project{number % 3}")
        used = [device for one in node.containers.values() for device in one.devices]
        assert len(used) == len(set(used)) <= 2
        served.append(name)
        del node.containers[name]

    await asyncio.wait_for(asyncio.gather(*map(work, range(12))), 30)
    assert len(served) == 12
    await pool.tidy()
    assert rows(pool) == {}


@pytest.mark.parametrize("seed", range(4))
async def test_hubs_that_are_killed_at_any_moment_never_give_one_gpu_twice(
    hub: Callable[..., Pool], node: Node, seed: int
) -> None:
    dice, pool = random.Random(seed), hub(gpu_wait_minutes=0)
    starting: dict[str, tuple[str, ...]] = {}
    for step in range(40):
        match dice.choice(["ask", "ask", "create", "create", "end", "fail", "kill", "tidy"]):
            case "ask":
                try:
                    starting[f"p{step}"] = await pool.acquire(ask(f"p{step}"))
                except Busy:
                    held = [device for one in node.containers.values() for device in one.devices]
                    assert len(held) + sum(map(len, starting.values())) == 2, "refused beside a free one"
            case "create" if starting:
                name, devices = starting.popitem()
                node.run(name, *devices)
                pool.started(name)
            case "end" if node.containers:
                del node.containers[dice.choice(sorted(node.containers))]
            case "fail" if starting:
                pool.started(starting.popitem()[0])
            case "kill":
                starting.clear()
                pool = hub(gpu_wait_minutes=0)
            case "tidy":
                await pool.tidy()
        used = [device for one in node.containers.values() for device in one.devices] + [
            device for devices in starting.values() for device in devices
        ]
        assert len(used) == len(set(used))
    starting.clear()
    node.containers.clear()
    assert rows(hub()) == {}


def row(device: str = "GPU-1", holder: str = "ana", **more: Any) -> GpuAllocation:
    values = {"project": "forest", "since": 1000.0, "until": None, "slot": 0, **more}
    return GpuAllocation(node="local", device=device, holder=holder, person=holder, image="gpu", **values)


def test_the_database_gives_a_place_once(database_url: str) -> None:
    sessions = [database.connect(database_url) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda n: allocate(sessions[n % 4], [row("GPU-1", f"p{n}")]), range(16)))
    assert won.count(True) == 1
    assert not allocate(sessions[0], [row("GPU-2", "x"), row("GPU-1", "x")])  # all or none
    assert allocate(sessions[0], [row("GPU-2", "x"), row("GPU-1", "x", slot=1)])


def test_only_the_holder_s_place_ends_and_once(database_url: str) -> None:
    sessions = database.connect(database_url)
    assert allocate(sessions, [row()])
    (mine,) = (one.held() for one in allocations(sessions))
    assert end(sessions, [replace(mine, holder="ben")]) == 0
    assert [end(sessions, [mine], now=4600), end(sessions, [mine], now=4600)] == [1, 0]
    assert hours(sessions, 0, 9000) == [("forest", 1, 1.0)]


def test_hours_by_project(database_url: str) -> None:
    sessions, now = database.connect(database_url), time.time()
    for holder, project, begun, ended, share in (
        ("a", "forest", now - 36000, now - 28800, 1.0),
        ("b", "forest", now - 7200, now - 3600, 0.5),
        ("c", "farms", now - 9000, now - 5400, 1.0),
    ):
        assert allocate(sessions, [row(holder=holder, project=project, since=begun, share=share)])
        assert end(sessions, [one.held() for one in allocations(sessions)], now=ended) == 1
    assert allocate(sessions, [row(holder="d", project="farms", since=now - 3600)])
    found = {project: (uses, round(total, 2)) for project, uses, total in hours(sessions, 0, now)}
    assert found == {"forest": (2, 2.5), "farms": (2, 2.0)}
    part = {project: (uses, round(total, 2)) for project, uses, total in hours(sessions, now - 8100, now - 1800)}
    assert part == {"forest": (1, 0.5), "farms": (2, 1.25)}
    assert hours(sessions, now - 20 * 86400, now - 19 * 86400) == []
    assert max(total for _, _, total in hours(sessions, now - 3600, now + 86400)) < 1.1  # the future is not used yet


def test_moments_for_people() -> None:
    now = time.time()
    assert due(None) == "none has an end set"
    assert clock(now + 7800).endswith("(in 2 h 10 min)") and clock(now + 7200).endswith("(in 2 h)")
    assert clock(now - 60).endswith("(in 0 min)") and " on 20" in clock(now + 2 * 86400)
