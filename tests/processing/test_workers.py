"""Processes that draw tiles: the same pixels, each its own region, no harm where one is killed or stuck."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.errors import BdapError, Unavailable
from bdap_hub.processing.alone import KEPT, SET
from bdap_hub.processing.cancel import CallerGone, Cancel
from bdap_hub.processing.drawing.drawable import drawable
from bdap_hub.processing.drawing.formats import FORMATS
from bdap_hub.processing.engine.dates import alone
from bdap_hub.processing.engine.evaluate import Compiled
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.limits import Limits, processes, shares
from bdap_hub.processing.workers import member, team
from bdap_hub.processing.workers.image import image
from bdap_hub.processing.workers.member import Member
from bdap_hub.processing.workers.order import SIDE, Order, region
from bdap_hub.processing.workers.routing import BEHIND, choose
from bdap_hub.processing.workers.team import Team
from bdap_hub.settings import ProcessingSettings, Settings

from .conftest import DATES, X, Y, Z, make_collection
from .engines import compiled, engine_on
from .graphs import arg, band, call, load, ndvi_median, node, of

GRAYS = json.dumps({"colormap": "gray", "min": 0, "max": 1})


class Drawing:
    """A team over a store, and the graphs that it is asked for. `told` counts how often a plan was asked for."""

    def __init__(self, store: Path, described: Any, items: Any, count: int = 2, **processing: Any) -> None:
        settings = Settings(environment="demo", store={"root": store}, processing={"port": 1, **processing})
        self.team = Team(count, Limits(settings.store, settings.processing))
        self.described, self.items, self.told = described, items, Counter[str]()
        self.plans: dict[str, tuple[Any, Compiled]] = {}
        self.team.start()

    def order(self, raw: Any, x: int = X, y: int = Y, form: str = "PNG", date: str = "", style: str = "") -> Order:
        made = compiled(raw, [self.described], self.items)
        self.plans[made.plan.id] = (raw, made)
        return Order(made.plan.id, style, Z, x, y, 256, form, date)

    def ask(self, order: Order) -> bytes:
        """As the service does."""
        raw, made = self.plans[order.plan]

        def stored() -> tuple[str, str]:
            self.told[order.plan] += 1
            return json.dumps(raw), made.plan.dump()

        return self.team.image(order, region(("fields",), order), stored)

    def here(self, order: Order) -> bytes:
        """The same, drawn in this process."""
        _, made = self.plans[order.plan]
        shown = drawable(made.result, json.loads(order.style)) if order.style else made.drawable
        form = next(form for form in FORMATS if form.name == order.form)
        engine = engine_on(self.team_root)
        try:
            return image(engine, alone(made, order.date), shown, Grid.tile(Z, order.x, order.y), form, order.date)
        finally:
            engine.close()

    @property
    def team_root(self) -> Path:
        return Path(json.loads(self.team._settings)["store"]["root"])

    def owner(self, order: Order) -> int:
        return choose(region(("fields",), order), dict.fromkeys(self.team.members, 0))

    def pids(self) -> list[int]:
        """Of the workers, once all are there."""
        until(lambda: sum(each.ready and not each.gone for each in self.team.members.values()) == self.team.count)
        return [self.team.members[slot].pid for slot in range(self.team.count)]

    def drawn(self) -> list[int]:
        return [self.team.members[slot].drawn for slot in range(self.team.count)]


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def drawing(fields: Any) -> Iterator[Drawing]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BDAP_SECRET_OF_THE_SERVICE", "never-to-be-seen")
        made = Drawing(*fields)
        made.pids()
    yield made
    made.team.close()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


INDEX = {"data": load(bands=["B04", "B08"]), "ndvi": node("ndvi", True, data=of("data"), nir="B08", red="B04")}


@pytest.mark.parametrize(
    ("graph", "form", "date", "style"),
    [
        (ndvi_median(), "PNG", "", ""),
        (ndvi_median(), "WEBP", "", GRAYS),
        (INDEX, "PNG", f"{DATES[1]}T10:00:00Z", GRAYS),
        (INDEX, "NPY", f"{DATES[0]}T10:00:00Z", ""),
        (ndvi_median(), "GTIFF", "", ""),
    ],
)
def test_a_worker_draws_what_the_service_would(drawing: Drawing, graph: Any, form: str, date: str, style: str) -> None:
    order = drawing.order(graph, form=form, date=date, style=style)
    got = drawing.ask(order)
    assert got == drawing.here(order)
    assert got != drawing.here(replace(order, x=X + 1))


def test_neighbours_go_to_one_worker_whatever_is_computed(drawing: Drawing) -> None:
    for x, y in ((X, Y), (X + (1 << SIDE), Y), (X, Y + (1 << SIDE)), (X + (5 << SIDE), Y)):
        left, top = x >> SIDE << SIDE, y >> SIDE << SIDE
        before = drawing.drawn()
        for graph in (ndvi_median(), band("B04")):
            for dx, dy in ((0, 0), (1, 0), (1, 1), ((1 << SIDE) - 1, (1 << SIDE) - 1)):
                drawing.ask(order := drawing.order(graph, left + dx, top + dy))
        more = [now - then for now, then in zip(drawing.drawn(), before, strict=True)]
        assert sorted(more) == [0, 8] and more[drawing.owner(order)] == 8


def test_a_plan_is_told_to_each_worker_once(drawing: Drawing) -> None:
    graph = band("B08")
    orders = [drawing.order(graph, X + (i << SIDE)) for i in range(12)]
    assert {drawing.owner(order) for order in orders} == {0, 1}
    for order in (*orders, *orders):
        drawing.ask(order)
    assert drawing.told[orders[0].plan] == 2


def test_an_error_comes_through_whole(tmp_path: Path) -> None:
    drawing = Drawing(tmp_path, *make_collection(tmp_path, "fields", "public", ""))
    try:
        order = drawing.order(band("B04"))
        assert drawing.ask(order)
        (tmp_path / f"data/fields/{DATES[0]}/B04.tif").unlink()
        with pytest.raises(BdapError) as caught:
            drawing.ask(order)
        error = caught.value
        assert (error.status, error.code) == (503, "FileUnavailable")
        assert error.message == f"/eos/data/fields/{DATES[0]}/B04.tif cannot be opened" and error.remedy
        assert str(tmp_path) not in str(error.public())
    finally:
        drawing.team.close()


def test_workers_know_no_secret(drawing: Drawing) -> None:
    mother = drawing.team._mother
    assert mother is not None and os.environ["PATH"]
    allowed = {*KEPT, *SET, "PYTHONPATH", "LC_CTYPE"}
    drawing.ask(drawing.order(ndvi_median()))
    for pid in (mother.pid, *drawing.pids()):
        proc = Path(f"/proc/{pid}")
        given = (proc / "environ").read_bytes()
        names = {part.partition(b"=")[0].decode() for part in given.split(b"\0") if part}
        assert "PATH" in names and names <= allowed
        assert b"never-to-be-seen" not in given + (proc / "cmdline").read_bytes()
        held = {str(path.readlink()) for path in (proc / "fd").iterdir() if int(path.name) > 2}
        of_the_store = str(drawing.team_root)
        strange = {name for name in held if not name.startswith((of_the_store, "socket:")) and "proj.db" not in name}
        assert not strange - {"/dev/null"}
        assert sum(name.startswith("socket:") for name in held) <= 1


def long_order(drawing: Drawing, thread: ThreadPoolExecutor) -> tuple[Future[bytes], Cancel, Member]:
    """An order that takes many seconds, under way; with what ends it, and its worker."""
    order, cancel = replace(drawing.order(long_chain()), size=1024), Cancel()
    asked = thread.submit(lambda: cancel.run(lambda: drawing.ask(order)))
    worker = drawing.team.members[drawing.owner(order)]
    until(lambda: worker.load == 1)
    return asked, cancel, worker


def test_who_has_gone_ends_the_evaluation_in_the_worker(drawing: Drawing, thread: ThreadPoolExecutor) -> None:
    asked, cancel, worker = long_order(drawing, thread)
    drawn = worker.drawn
    cancel.now(CallerGone())
    with pytest.raises(CallerGone):
        asked.result(60)
    until(lambda: worker.load == 0)
    assert worker.drawn == drawn and not worker.gone
    assert drawing.ask(drawing.order(band("B04")))


def long_chain() -> dict[str, Any]:
    """A chain of steps that takes many seconds on a large tile."""
    sine, count = call("sin", x=arg("x")), 240
    steps = {f"s{n}": node("apply", data=of(f"s{n - 1}" if n else "data"), process=sine) for n in range(count)}
    median = call("median", data=arg("data"))
    flat = node("reduce_dimension", True, data=of(f"s{count - 1}"), dimension="t", reducer=median)
    return {"data": load(bands=["B04"]), **steps, "flat": flat}


def test_a_short_order_does_not_wait_for_a_long_one(drawing: Drawing, thread: ThreadPoolExecutor) -> None:
    asked, cancel, worker = long_order(drawing, thread)
    before = worker.drawn
    assert drawing.ask(drawing.order(band("B04"))) and worker.drawn == before + 1 and not asked.done()
    cancel.now(CallerGone())
    with pytest.raises(CallerGone):
        asked.result(60)
    until(lambda: worker.load == 0)


def stopped(drawing: Drawing, order: Order, thread: ThreadPoolExecutor) -> tuple[Future[bytes], int]:
    """An order in a worker that stands still; with its pid."""
    slot = drawing.owner(order)
    pid = drawing.pids()[slot]
    os.kill(pid, signal.SIGSTOP)
    asked = thread.submit(drawing.ask, order)
    until(lambda: drawing.team.members[slot].load == 1)
    return asked, pid


def test_what_a_killed_worker_was_drawing_is_drawn_again(drawing: Drawing, thread: ThreadPoolExecutor) -> None:
    order = drawing.order(ndvi_median())
    asked, pid = stopped(drawing, order, thread)
    other = drawing.order(ndvi_median(), next(x for x in range(X, X + 99) if not same(drawing, order, x)))
    assert drawing.ask(other) == drawing.here(other)  # meanwhile
    os.kill(pid, signal.SIGKILL)
    assert asked.result(60) == drawing.here(order)
    until(lambda: pid not in drawing.pids())
    assert drawing.ask(order) == drawing.here(order)


def same(drawing: Drawing, order: Order, x: int) -> bool:
    return drawing.owner(order) == drawing.owner(replace(order, x=x))


def test_a_tile_that_ends_two_workers_is_refused(drawing: Drawing, thread: ThreadPoolExecutor) -> None:
    order = drawing.order(band("SCL"))
    pids = drawing.pids()
    asked, first = stopped(drawing, order, thread)
    second = next(pid for pid in pids if pid != first)
    os.kill(second, signal.SIGSTOP)
    os.kill(first, signal.SIGKILL)
    until(lambda: any(each.pid == second and each.alone and each.load for each in drawing.team.members.values()))
    os.kill(second, signal.SIGKILL)
    with pytest.raises(Unavailable, match="ended its process twice") as caught:
        asked.result(60)
    assert caught.value.remedy
    until(lambda: not {first, second} & set(drawing.pids()))
    before = drawing.pids()
    with pytest.raises(Unavailable, match="ended its process twice"):
        drawing.ask(order)
    assert drawing.ask(replace(order, x=X + 1)) and drawing.pids() == before


def test_a_worker_that_stands_still_is_replaced(
    drawing: Drawing, thread: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = drawing.order(ndvi_median(), X + 1)
    asked, pid = stopped(drawing, order, thread)
    monkeypatch.setattr(member, "PING", 0.1)
    monkeypatch.setattr(team, "STUCK", 10.0)
    assert asked.result(60) == drawing.here(order)
    until(lambda: pid not in drawing.pids())


def test_without_the_mother_all_start_anew(drawing: Drawing) -> None:
    order, before = drawing.order(ndvi_median()), drawing.pids()
    assert drawing.team._mother is not None
    drawing.team._mother.kill()
    until(lambda: all(member.gone or member.pid not in before for member in drawing.team.members.values()))
    assert drawing.ask(order) == drawing.here(order)


def test_nothing_is_left_at_the_end(fields: Any) -> None:
    drawing = Drawing(*fields)
    pids = drawing.pids()
    mother = drawing.team._mother
    assert mother is not None
    for pid in (*pids, mother.pid):
        os.kill(pid, signal.SIGTERM)  # as systemd does to all of a unit, of which the service ends first
    assert drawing.ask(drawing.order(band("B04"))) and drawing.pids() == pids
    drawing.team.close()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (*pids, mother.pid)))
    with pytest.raises(Unavailable):
        drawing.ask(drawing.order(band("B04")))


CHILD = """
import json, sys, time
from bdap_hub.processing.engine.limits import Limits
from bdap_hub.processing.workers.team import Team
from bdap_hub.settings import Settings
settings = Settings(environment="demo", store={"root": sys.argv[1]}, processing={"port": 1})
team = Team(2, Limits(settings.store, settings.processing))
team.start()
while sum(member.ready for member in list(team.members.values())) < 2:
    time.sleep(0.02)
print(json.dumps([team._mother.pid, *(member.pid for member in team.members.values())]), flush=True)
time.sleep(600)
"""


def test_a_service_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    service = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        pids = json.loads(service.stdout.readline())
        assert len(pids) == 3 and all(Path(f"/proc/{pid}").exists() for pid in pids)
    finally:
        service.kill()
        service.wait()
        service.stdout.close()  # type: ignore[union-attr]
    until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


REGIONS = [f"fields {Z}/{x}/{y}" for x in range(30) for y in range(30)]


def test_regions_are_spread_and_only_a_missing_ones_move() -> None:
    owners = {each: choose(each, dict.fromkeys(range(4), 0)) for each in REGIONS}
    assert all(150 < count < 300 for count in Counter(owners.values()).values())
    without = {each: choose(each, dict.fromkeys((0, 1, 3), 0)) for each in REGIONS}
    assert all(without[each] == owners[each] for each in REGIONS if owners[each] != 2)
    assert {without[each] for each in REGIONS if owners[each] == 2} == {0, 1, 3}


@pytest.mark.parametrize(
    ("own", "other", "spilt"),
    [(0, 0, False), (BEHIND - 1, 0, False), (BEHIND, 0, True), (BEHIND, BEHIND - 1, True), (9, BEHIND, False)],
)
def test_a_worker_that_is_not_behind_helps_one_that_is(own: int, other: int, spilt: bool) -> None:
    owner = choose(REGIONS[0], {0: 0, 1: 0})
    assert (choose(REGIONS[0], {owner: own, 1 - owner: other}) != owner) is spilt


@pytest.mark.parametrize(
    ("given", "count", "whole", "front", "each"),
    [(0, 1, 512, 512, 512), (1, 1, 512, 512, 512), (2, 2, 512, 64, 224), (4, 4, 100, 20, 20)],
)
def test_the_processes_share_what_is_set_for_all(given: int, count: int, whole: int, front: int, each: int) -> None:
    section = ProcessingSettings(port=1, processes=given, block_cache_mb=whole)
    assert processes(section) == count
    assert tuple(share.block_cache_mb for share in shares(section)) == (front, each)


def test_by_default_there_is_a_process_for_each_processor() -> None:
    assert processes(ProcessingSettings(port=1)) == len(os.sched_getaffinity(0))
