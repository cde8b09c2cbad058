"""A store that hangs: whoever needs it is told so, everybody else goes on, and it is asked again once it is back.

XRootD's FUSE client, stopped, hangs as EOS's does.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from bdap_hub.processing.engine import watch
from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.limits import Limits
from bdap_hub.processing.engine.reader import FileUnavailable
from bdap_hub.processing.engine.watch import Pool, StoreAway, Watch
from bdap_hub.processing.service.gate import Gate
from bdap_hub.processing.workers.order import Order
from bdap_hub.processing.workers.team import Team
from bdap_hub.settings import Settings
from tests import xrootd

from .conftest import DATES, X, Y, Z, asset, collection, item, write_tiff
from .engines import compiled
from .graphs import band

GRID = Grid.tile(Z, X, Y)
BOX = tuple(GRID.bounds())


def scene(root: Path, name: str, value: int) -> Any:
    """A graph on a collection of one file with one value everywhere, ready to be evaluated."""
    place = Affine(GRID.xres, 0, GRID.left, 0, -GRID.yres, GRID.top)
    pixels = np.random.default_rng(1).integers(1, 9000, (2048, 2048)).astype(np.uint16)
    pixels[:256, :256] = value
    write_tiff(root / "B04.tif", pixels, "EPSG:3857", place)
    items = [item(name, name, DATES[0], (-180, -80, 180, 80), 0, {"B04": asset(f"/eos/data/{name}/B04.tif", "B04")})]
    return compiled(band("B04", name), [collection(name, "public", "", (-180, -80, 180, 80))], items)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[xrootd.Store]:
    """A FUSE mount as the collection `remote` of a store whose other collections are plain folders."""
    store = xrootd.new()
    here = tmp_path / "data/remote"
    here.mkdir(parents=True)
    try:
        subprocess.run(["mount", "--bind", store.mount / "data", here], check=True)
        yield store
    finally:
        store.hang(False)
        subprocess.run(["umount", "-l", here], check=False)
        store.stop()


async def test_a_hanging_mount_holds_up_only_those_who_need_it(
    tmp_path: Path, remote: xrootd.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AGAIN", 0.0)
    far = scene(remote.served / "data", "remote", 7)
    remote.open_to_all()
    near = scene(tmp_path / "data/near", "near", 5)
    engine = Engine(Settings(environment="demo", store={"root": tmp_path, "patience": 3}, processing={"port": 1}))
    gate = Gate(1, 100, watch=engine.watch)
    assert (await gate.run(engine.cube, far, GRID)).data.max() == 7
    remote.hang(True)
    elsewhere = [Grid.tile(Z, X + 1 + i % 7, Y + i // 7) for i in range(12)]
    waiting = [asyncio.create_task(gate.run(engine.cube, far, grid)) for grid in elsewhere]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(60):
        assert (await gate.run(engine.cube, near, GRID)).data.max() == 5
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, StoreAway) for answer in answers)
        assert answers[0].message == "/eos/data/remote does not answer" and answers[0].status == 503
        assert (await gate.run(engine.cube, near, GRID)).data.max() == 5
    remote.hang(False)
    deadline = time.monotonic() + 60
    while isinstance(answer := await _tried(gate.run(engine.cube, far, GRID)), StoreAway):
        assert time.monotonic() < deadline
    assert answer.data.max() == 7


def test_a_worker_that_meets_a_hanging_mount_draws_the_rest(tmp_path: Path, remote: xrootd.Store) -> None:
    far, near = band("B04", "remote"), band("B04", "near")
    plans = {"far": scene(remote.served / "data", "remote", 7), "near": scene(tmp_path / "data/near", "near", 5)}
    remote.open_to_all()
    settings = Settings(environment="demo", store={"root": tmp_path, "patience": 3}, processing={"port": 1})
    team, slow = Team(2, Limits(settings.store, settings.processing), lambda: slow.append(1)), list[int]()
    team.start()

    def ask(name: str, number: int) -> bytes:
        graph, plan = {"far": far, "near": near}[name], plans[name].plan
        order = Order(plan.id, "", Z, X + number, Y, 256, "NPY", "")
        return team.image(order, "one region", lambda: (json.dumps(graph), plan.dump()))

    try:
        assert b"NUMPY" in ask("far", 0) and b"NUMPY" in ask("near", 0)
        remote.hang(True)
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(ask, "far", number) for number in (1, 2)]
            assert ask("near", 1) != ask("near", 0)
            errors = [each.exception(60) for each in waiting]
        assert {(e.status, e.code, e.message) for e in errors} == {
            (503, "StoreUnavailable", "/eos/data/remote does not answer")
        }
        assert slow and ask("near", 2) and not any(member.gone for member in team.members.values())
    finally:
        remote.hang(False)
        team.close()


async def _tried(asked: Any) -> Any:
    return (await asyncio.gather(asked, return_exceptions=True))[0]


def blocked(pipe: Path) -> str:
    """Hangs until somebody writes."""
    return pipe.read_text()


def test_a_hanging_call_has_another_thread_take_its_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    made = Watch(patience=1)
    pool = Pool(1, made, "test")

    def ask(place: str, work: Any) -> Any:
        with made.on(place):
            return work()

    hanging = pool.submit(lambda: ask("/eos/data/a", lambda: blocked(pipe)))
    other = pool.submit(lambda: ask("/eos/data/b", lambda: "answer"))
    assert other.done.result(30) == "answer" and hanging.spared
    with pytest.raises(StoreAway, match="/eos/data/a does not answer"):
        hanging.done.result(30)
    with pytest.raises(StoreAway):
        pool.submit(lambda: ask("/eos/data/a", lambda: "not asked")).done.result(30)
    pipe.write_text("back")
    deadline = time.monotonic() + 30
    while made._hanging and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pool.submit(lambda: ask("/eos/data/a", lambda: "asked")).done.result(30) == "asked"
    pool.close()


def test_long_work_is_no_hanging() -> None:
    """A big file that takes longer than the store's patience, but moves on."""
    made = Watch(patience=0.5)
    pool = Pool(1, made, "test")

    def work() -> str:
        end = time.thread_time() + 1.2
        with made.on("/eos/data/a"):
            while time.thread_time() < end:
                pass
        return "done"

    assert pool.submit(work).done.result(60) == "done"
    pool.close()


def test_too_many_hanging_threads_end_all_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST", 3)
    made, release = Watch(patience=0.2), threading.Event()
    pool = Pool(3, made, "test")

    def ask(place: str, work: Any) -> Any:
        with made.on(place):
            return work()

    hanging = [pool.submit(lambda i=i: ask(f"/eos/data/{i}", release.wait)) for i in range(3)]  # type: ignore[misc]
    wait([job.done for job in hanging], 60)
    with pytest.raises(StoreAway):
        pool.submit(lambda: ask("/eos/data/other", lambda: 1)).done.result(30)
    release.set()
    deadline = time.monotonic() + 30
    while made._hanging and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pool.submit(lambda: ask("/eos/data/other", lambda: 1)).done.result(30) == 1
    pool.close()


def test_a_pipe_in_the_store_is_no_file(tmp_path: Path) -> None:
    made = scene(tmp_path / "data/near", "near", 5)
    engine = Engine(Settings(environment="demo", store={"root": tmp_path}, processing={"port": 1}))
    assert engine.cube(made, GRID).data.max() == 5
    (tmp_path / "data/near/B04.tif").unlink()
    os.mkfifo(tmp_path / "data/near/B04.tif")
    with pytest.raises(FileUnavailable, match=r"/eos/data/near/B04.tif is not a file"):
        engine.cube(made, GRID)
    engine.close()


def test_nobody_looks_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service at rest costs no processor time; a call that comes after that is looked after as any other."""
    looks: list[float] = []

    class Looked(dict[int, Any]):
        def values(self) -> Any:
            looks.append(time.monotonic())
            return super().values()

    monkeypatch.setattr(watch, "LOOK", 0.01)
    made, release = Watch(patience=0.2), threading.Event()
    made._calls = Looked()
    pool = Pool(1, made, "test")
    release.wait(0.2)
    assert looks == []
    deadline = time.monotonic() + 60
    with made.on("/eos/data/a"):
        while len(looks) < 3 and time.monotonic() < deadline:
            release.wait(0.01)
    assert len(looks) > 2  # the positive control
    while made._called.is_set() and time.monotonic() < deadline:  # the last look is still to come
        release.wait(0.01)
    release.wait(0.5)
    seen = len(looks)
    release.wait(0.2)
    assert len(looks) == seen

    def ask() -> Any:
        with made.on("/eos/data/b"):
            return release.wait(60)

    with pytest.raises(StoreAway):
        pool.submit(ask).done.result(30)
    release.set()
    pool.close()
