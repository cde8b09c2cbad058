"""Jobs of the service in a real HTCondor pool: queued, cancelled, stopped; their machine, pool or service lost."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pystac
import pytest

from bdap_hub.batch.handover import HandOver
from bdap_hub.batch.pool import Pool
from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.database import connect
from bdap_hub.processing.app import create_app
from bdap_hub.processing.jobs.contract import Event, Outcome, Wish
from bdap_hub.processing.jobs.dispatcher import Dispatcher, folder_of
from bdap_hub.processing.jobs.htcondor import CondorRunner
from bdap_hub.processing.jobs.tables import Jobs, StoredJob, status_of
from bdap_hub.settings import Settings
from tests.condor import CondorPool

from .client import Client
from .conftest import make_collection, write_catalogue
from .engines import compiled
from .graphs import ndvi_median, node, of
from .test_runners import task

pytestmark = pytest.mark.docker
DEADLINE = 240
GRAPH = {**ndvi_median(), "save": node("save_result", True, data=of("median"), format="GTiff")}


@pytest.fixture(scope="module")
def settings(condor: CondorPool, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return condor.settings(tmp_path_factory.mktemp("pool"), answer_seconds=3, lost_seconds=10)


@pytest.fixture(scope="module")
def fields(settings: Settings) -> Any:
    return settings.store.root, *make_collection(settings.store.root, "fields", "public", "")


@pytest.fixture(autouse=True)
def _clear(condor: CondorPool) -> Iterator[None]:
    """What a test that failed left behind is not in the way of the next."""
    yield
    condor.clear()


@pytest.fixture(scope="module")
def jobs(settings: Settings) -> Jobs:
    return Jobs(connect(settings.database))


@pytest.fixture(scope="module")
def runner(settings: Settings) -> Iterator[CondorRunner]:
    found = CondorRunner(settings)
    yield found
    found.pool.close()


class Run:
    """A task that a runner runs in a thread: what it told, and how it ended."""

    def __init__(self, runner: CondorRunner, made: Any) -> None:
        self.events: list[Event] = []
        self.wish = Wish.GO_ON
        self.outcome: Outcome | None = None
        self.thread = threading.Thread(target=self._run, args=(runner, made))
        self.thread.start()

    def _run(self, runner: CondorRunner, made: Any) -> None:
        self.outcome = runner.run(made, self.events.append, lambda: self.wish)

    def told(self, kind: str, words: str = "") -> bool:
        return any(e.kind == kind and words in json.dumps(dict(e.values)) for e in list(self.events))

    def end(self) -> Outcome:
        self.thread.join(DEADLINE)
        assert self.outcome is not None, self.events
        return self.outcome


def wait(until: Callable[[], Any], told: Callable[[], Any] = lambda: "") -> Any:
    last = time.monotonic() + DEADLINE
    while not (found := until()):
        assert time.monotonic() < last, told()
        time.sleep(0.2)
    return found


def test_a_job_whose_machine_is_lost_comes_to_another(
    fields: Any, settings: Settings, runner: CondorRunner, condor: CondorPool
) -> None:
    made = task(fields, settings.store.results / "lost")
    with condor.pause():
        run = Run(runner, made)
        wait(lambda: run.told("started"), lambda: run.events)
        condor.lose_machine()
        wait(lambda: run.told("log", "was lost"), lambda: run.events)
    assert run.end().status == "finished"
    assert [event.kind for event in run.events].count("started") == 2
    assert pystac.Collection.from_file(f"{made.folder}/collection.json").id == "j1"
    assert [path.name for path in Path(made.folder).parent.iterdir()] == ["j1"]


def test_a_job_that_an_operator_stops_says_so(
    fields: Any, settings: Settings, runner: CondorRunner, condor: CondorPool
) -> None:
    made = task(fields, settings.store.results / "held")
    with condor.pause():
        run = Run(runner, made)
        wait(lambda: run.told("started"), lambda: run.events)
        condor.command("condor_hold", "-reason", f"wrong {made.folder}", "-all")
        outcome = run.end()
    assert (outcome.status, outcome.code) == ("error", "JobHeld") and "an operator" in outcome.message
    assert made.folder not in outcome.message
    wait(lambda: made.run not in condor.queue())
    assert not list(Path(made.folder).parent.iterdir())


def test_a_job_that_an_operator_removes_says_so(
    fields: Any, settings: Settings, runner: CondorRunner, condor: CondorPool
) -> None:
    with condor.no_matches():
        run = Run(runner, task(fields, settings.store.results / "removed"))
        wait(lambda: run.told("waiting"), lambda: run.events)
        condor.command("condor_rm", "-all")
        assert run.end().code == "JobRemoved"


def test_a_pool_that_is_away_for_some_time_changes_nothing(
    fields: Any, settings: Settings, runner: CondorRunner, condor: CondorPool
) -> None:
    with condor.pause():
        run = Run(runner, task(fields, settings.store.results / "away"))
        wait(lambda: run.told("started"), lambda: run.events)
        condor.container.pause()
        try:
            wait(lambda: run.told("log", "does not answer"), lambda: run.events)
        finally:
            condor.container.unpause()
        wait(lambda: run.told("log", "answers again"), lambda: run.events)
    assert run.end().status == "finished"


@asynccontextmanager
async def service(settings: Settings, jobs: Jobs) -> Any:
    """A dispatcher that serves, as the service's process has one; its log is what is yielded."""
    told: list[str] = []
    runner = CondorRunner(settings)

    async def permit(row: StoredJob) -> None:
        return None

    dispatcher = Dispatcher(settings, jobs, runner, permit, lambda row, message, *rest: told.append(message))
    serving = asyncio.create_task(dispatcher.serve())
    try:
        yield told
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        runner.pool.close()


def queued(jobs: Jobs, fields: Any) -> str:
    job = jobs.add("ana", {"process_graph": GRAPH})
    plan = compiled(GRAPH, [fields[1]], fields[2], whole=True).plan.dump()
    assert jobs.queue(job.id, json.dumps(GRAPH), plan, job.process)
    return job.id


def row_of(jobs: Jobs, job: str) -> StoredJob:
    row = jobs.get(job)
    assert row is not None
    return row


async def soon(found: Callable[[], Any]) -> None:
    last = time.monotonic() + DEADLINE
    while not found():
        assert time.monotonic() < last
        await asyncio.sleep(0.2)


async def until(jobs: Jobs, job: str, wanted: Callable[[StoredJob], bool], told: list[str]) -> StoredJob:
    last = time.monotonic() + DEADLINE
    while not wanted(row := row_of(jobs, job)):
        assert time.monotonic() < last, (status_of(row), told)
        await asyncio.sleep(0.2)
    return row


def read_by_another_service(settings: Settings) -> None:
    """A service ended after it had read all and before it could say so."""
    pool = Pool(settings)
    for standing in pool.standings().values():
        assert HandOver(Path(standing.folder)).lines(standing.start)
    pool.close()


async def test_jobs_are_queued_until_they_start_and_survive_the_service(
    settings: Settings, jobs: Jobs, fields: Any, condor: CondorPool
) -> None:
    with condor.pause():
        with condor.no_matches():
            async with service(settings, jobs) as told:
                first = queued(jobs, fields)
                await soon(lambda: len(condor.queue()) == 1)
                second = queued(jobs, fields)
                await until(jobs, second, lambda row: row.ahead == 1 and status_of(row) == "queued", told)
                assert status_of(row_of(jobs, first)) == "queued" and row_of(jobs, first).ahead == 0
                await soon(lambda: "waits in the batch system; before it: 1" in told)
            runs = condor.queue()
            assert len(runs) == 2 and row_of(jobs, first).status == "queued"
            assert told.count("the service ends: the job goes on in the batch system") == 2
        async with service(settings, jobs) as told:
            await until(jobs, first, lambda row: status_of(row) == "running", told)
            assert status_of(row_of(jobs, second)) == "queued"  # the machine has one processor
    wait(lambda: not condor.queue("JobStatus != 4"))  # both end while there is no service
    assert sorted(condor.queue()) == sorted(runs)
    assert condor.command("condor_q", "-allusers", "-af", "NumJobStarts").split() == ["1", "1"]
    read_by_another_service(settings)
    async with service(settings, jobs) as told:
        for job in (first, second):
            row = await until(jobs, job, lambda row: row.status not in ("queued", "running"), told)
            assert row.status == "finished" and json.loads(row.usage)["cpu"]["value"] > 0, told
            assert (folder_of(settings, row) / "collection.json").is_file()
    wait(lambda: not condor.queue())
    assert not list(settings.store.results_of("ana").glob("*.batch"))


async def test_what_is_cancelled_leaves_the_pool_whether_the_service_runs_or_not(
    settings: Settings, jobs: Jobs, fields: Any, condor: CondorPool
) -> None:
    with condor.pause():
        async with service(settings, jobs) as told:
            first = queued(jobs, fields)
            await until(jobs, first, lambda row: status_of(row) == "running", told)
            second = queued(jobs, fields)
            await soon(lambda: len(condor.queue()) == 2)
            assert jobs.cancel(first)
            await until(jobs, second, lambda row: status_of(row) == "running", told)
        assert len(condor.queue()) == 1
        assert jobs.cancel(second)  # while there is no service
        async with service(settings, jobs):
            await soon(lambda: not condor.queue())
    assert not list(settings.store.results_of("ana").glob(f"{second}*"))


def test_a_job_over_http(hub: Any, settings: Settings, fields: Any, condor: CondorPool) -> None:
    batch, jobs = settings.batch, settings.processing.jobs
    processing = hub.settings.processing.model_copy(update={"jobs": jobs})
    shaped = hub.settings.model_copy(update={"batch": batch, "store": settings.store, "processing": processing})
    token = settings.var / "secrets" / "htcondor-token"
    (shaped.var / "secrets" / token.name).write_text(token.read_text())
    (shaped.var / "secrets" / token.name).chmod(0o600)
    write_catalogue(shaped.var, fields[1], fields[2])
    hub.serve(create_catalogue(shaped), shaped.catalogue.port)
    hub.serve(create_app(shaped), shaped.processing.port)
    ana = Client(hub, "ana")
    answer = ana.http.post("/jobs", json={"process": {"process_graph": GRAPH}})
    job = answer.headers["openeo-identifier"]
    with condor.no_matches():
        assert ana.http.post(f"/jobs/{job}/results").status_code == 202
        shown = wait(lambda: (found := ana.http.get(f"/jobs/{job}").json()).get("bdap:ahead") is not None and found)
        assert shown["status"] == "queued" and shown["bdap:ahead"] == 0
        early = ana.http.get(f"/jobs/{job}/results").json()
        assert early["code"] == "JobNotFinished" and "is queued" in early["message"]
    logs = f"/jobs/{job}/logs"
    wait(lambda: ana.http.get(f"/jobs/{job}").json()["status"] == "finished", lambda: ana.http.get(logs).text)
    (asset,) = ana.http.get(f"/jobs/{job}/results").json()["assets"].values()
    assert asset["file:size"] > 1000
