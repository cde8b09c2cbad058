"""Batch jobs over HTTP with a real worker process: states, results as STAC with signed files, and who gets them."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pystac
import pytest
import rasterio

from bdap_hub.database import connect
from bdap_hub.processing.jobs.contract import Event, Outcome, Task, Wish
from bdap_hub.processing.jobs.dispatcher import Dispatcher
from bdap_hub.processing.jobs.tables import Jobs
from bdap_hub.processing.service import jobs as service_jobs
from bdap_hub.processing.service.logs import Logs
from bdap_hub.settings import Settings

from .client import Client
from .conftest import DATES, make_collection, write_catalogue
from .graphs import load, ndvi_median, node, of
from .test_exports import BANDS, saved, want

DEADLINE = 240


def make(client: Client, graph: Any, **more: Any) -> str:
    answer = client.http.post("/jobs", json={"process": {"process_graph": graph}, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith(f"/jobs/{answer.headers['openeo-identifier']}")
    return answer.headers["openeo-identifier"]


def ended(client: Client, job: str) -> str:
    """The state in which a started job ends."""
    until = time.monotonic() + DEADLINE
    while (state := client.http.get(f"/jobs/{job}").json()["status"]) in ("queued", "running"):
        assert time.monotonic() < until, client.http.get(f"/jobs/{job}/logs").json()
        time.sleep(0.2)
    return str(state)


def finished(client: Client, graph: Any, **more: Any) -> str:
    job = make(client, graph, **more)
    assert client.http.post(f"/jobs/{job}/results").status_code == 202
    assert ended(client, job) == "finished", client.http.get(f"/jobs/{job}/logs").json()
    return job


@pytest.fixture(scope="module")
def done(platform: Any) -> str:
    """A finished job of ana."""
    return finished(Client(platform, "ana"), saved("GTiff"), title="Two bands", description="of three dates")


def test_the_results_are_stac_with_files_that_equal_the_sources(ana: Client, done: str) -> None:
    found = ana.http.get(f"/jobs/{done}/results")
    assert found.status_code == 200 and found.headers["openeo-costs"] == "0"
    collection = found.json()
    assert collection["openeo:status"] == "finished" and collection["title"] == "Two bands"
    assert pystac.Collection.from_dict(collection).extent.temporal.intervals[0][0].isoformat()[:10] == DATES[0]
    assert list(collection["assets"]) == [f"result_{d}.tif" for d in DATES]
    for number, asset in enumerate(collection["assets"].values()):
        content = httpx.get(asset["href"], timeout=60).content
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
        assert asset["file:size"] == len(content) and "cloud-optimized" in asset["type"]
        with rasterio.open(io.BytesIO(content)) as file:
            for band, name in enumerate(BANDS):
                np.testing.assert_array_equal(file.read(band + 1), want(number, name))
                statistics = asset["raster:bands"][band]["statistics"]
                assert statistics["maximum"] == np.nanmax(want(number, name))
    items = [link["href"] for link in collection["links"] if link["rel"] == "item"]
    item = httpx.get(items[1], timeout=60).json()
    assert item["properties"]["datetime"] == f"{DATES[1]}T10:00:00Z" and item["properties"]["proj:code"] == "EPSG:3857"
    assert item["properties"]["processing:expression"]["expression"] == saved("GTiff")
    assert httpx.get(item["assets"][f"result_{DATES[1]}.tif"]["href"]).status_code == 200


def test_what_is_on_the_store_is_whole_and_its_owners(ana: Client, platform: Any, done: str) -> None:
    folder = platform.settings.store.results_of("ana") / done
    assert pystac.Collection.from_file(str(folder / "collection.json")).id == done
    assert {path.name for path in folder.iterdir()} >= {"collection.json", *(f"result_{d}.tif" for d in DATES)}
    assert folder.stat().st_mode & 0o077 == 0


def test_a_job_tells_what_it_is_and_what_it_took(ana: Client, done: str) -> None:
    job = ana.http.get(f"/jobs/{done}").json()
    assert (job["title"], job["description"], job["progress"]) == ("Two bands", "of three dates", 100)
    assert job["process"]["process_graph"] == saved("GTiff")
    assert job["usage"]["cpu"]["value"] > 0 and job["usage"]["memory"]["value"] > 10
    assert done in [row["id"] for row in ana.http.get("/jobs").json()["jobs"]]
    logs = [entry["message"] for entry in ana.http.get(f"/jobs/{done}/logs").json()["logs"]]
    assert logs[0] == "queued" and "512 x 512 pixels, 6 layers read for each" in logs and logs[-1] == "finished"
    assert ana.http.get(f"/jobs/{done}/estimate").json()["size"] == 6 * 512 * 512 * 4


def test_results_are_loaded_by_who_made_them(ana: Client, platform: Any, done: str) -> None:
    graph = {"data": node("load_result", id=done), "save": node("save_result", True, data=of("data"), format="GTiff")}
    answer = ana.http.post("/result", json={"process": {"process_graph": graph}})
    assert answer.status_code == 200, answer.text
    with rasterio.open(io.BytesIO(answer.content)) as file:
        np.testing.assert_array_equal(file.read(1), want(0, "B04"))
    refused = Client(platform, "ben").http.post("/result", json={"process": {"process_graph": graph}})
    assert (refused.status_code, refused.json()["code"]) == (404, "JobNotFound")


def test_nobody_else_gets_anything(ana: Client, platform: Any, done: str) -> None:
    other = finished(ana, {**ndvi_median(), "save": node("save_result", True, data=of("median"), format="netCDF")})
    ben = Client(platform, "ben")
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/logs"), ("GET", "/estimate"),
        ("GET", "/results"), ("POST", "/results"), ("DELETE", "/results"),
    ):  # fmt: skip
        refused = ben.http.request(method, f"/jobs/{done}{path}", json={} if method == "PATCH" else None)
        assert (refused.status_code, refused.json()["code"]) == (404, "JobNotFound")
        assert Client(platform, "", "forged").http.request(method, f"/jobs/{done}{path}").status_code == 401
    address = next(iter(ana.http.get(f"/jobs/{done}/results").json()["assets"].values()))["href"]
    foreign = next(iter(ana.http.get(f"/jobs/{other}/results").json()["assets"].values()))["href"]
    plain, _, signature = address.partition("?sig=")
    assert httpx.get(address).headers["cache-control"] == "private, no-cache"
    assert httpx.get(plain).status_code == 401 and httpx.get(address[:-3]).status_code == 401
    assert httpx.get(f"{plain}?sig={foreign.partition('?sig=')[2]}").status_code == 403
    folder = plain.rpartition("/")[0]
    for name in ("nothing.tif", "..%2F..%2Fx"):
        assert httpx.get(f"{folder}/{name}?sig={signature}").status_code == 404


def test_results_close_with_their_collection(ana: Client, platform: Any) -> None:
    settings = platform.settings
    described, items = make_collection(settings.store.root, "dune", "public", "")
    write_catalogue(settings.var, described, items)
    graph = {**saved("GTiff"), "data": load("dune", bands=["B04"], temporal_extent=[DATES[0], DATES[1]])}
    job = finished(ana, graph)
    (asset,) = ana.http.get(f"/jobs/{job}/results").json()["assets"].values()
    assert httpx.get(asset["href"]).status_code == 200
    write_catalogue(settings.var, {**described, "bdap:visibility": "project", "bdap:project": "forest"}, items)
    assert httpx.get(asset["href"]).status_code == 403
    assert ana.http.get(f"/jobs/{job}/results").status_code == 403
    again = ana.http.post(f"/jobs/{job}/results")  # which asks the catalogue anew: there is none for her
    assert (again.status_code, again.json()["code"]) == (404, "CollectionNotFound")


def test_states_and_their_errors(ana: Client) -> None:
    job = make(ana, saved("GTiff"), title="a")
    assert ana.http.get(f"/jobs/{job}").json()["status"] == "created"
    early = ana.http.get(f"/jobs/{job}/results")
    assert (early.status_code, early.json()["code"]) == (400, "JobNotStarted")
    assert ana.http.patch(f"/jobs/{job}", json={"title": "b"}).status_code == 204
    assert ana.http.get(f"/jobs/{job}").json()["title"] == "b"
    assert ana.http.patch(f"/jobs/{job}", json={"plan": "gold"}).json()["code"] == "BillingPlanInvalid"
    broken = {"process": {"process_graph": {"a": node("nothing", True)}}}
    assert ana.http.patch(f"/jobs/{job}", json=broken).json()["code"] == "ProcessUnsupported"
    assert ana.http.post("/jobs", json={"title": "x"}).json()["code"] == "ProcessGraphMissing"
    assert ana.http.delete(f"/jobs/{job}").status_code == 204
    assert ana.http.get(f"/jobs/{job}").status_code == 404


def test_a_job_that_fails_says_why(ana: Client) -> None:
    job = make(ana, {"data": load(bands=["B04"]), "save": node("save_result", True, data=of("data"), format="PNG")})
    assert ana.http.post(f"/jobs/{job}/results").status_code == 202
    assert ended(ana, job) == "error"
    failed = ana.http.get(f"/jobs/{job}/results")
    assert failed.status_code == 424 and "3 dates" in failed.json()["message"]
    last = ana.http.get(f"/jobs/{job}/logs", params={"level": "error"}).json()["logs"][-1]
    assert last["level"] == "error" and "3 dates" in last["message"]


class Fake:
    """A runner that only says how tasks end (a fake at the edge: nothing is computed)."""

    survives = False

    def __init__(self, outcome: Outcome) -> None:
        self.outcome, self.tasks = outcome, list[Task]()

    def run(self, task: Task, report: Callable[[Event], None], wish: Callable[[], Wish]) -> Outcome:
        self.tasks.append(task)
        return self.outcome

    def tidy(self, wanted: Callable[[], set[str]]) -> None:
        return None


async def _allowed(row: Any) -> None:
    return None


async def test_jobs_that_the_last_service_left_running_start_again_once(settings: Settings) -> None:
    jobs, logs = Jobs(connect(settings.database)), list[str]()
    row = jobs.add("ana", {"process_graph": {}})
    runner = Fake(Outcome("error", "Internal", "as told"))
    writer = lambda row, message, *rest: logs.append(message)  # noqa: E731
    for attempt in (1, 2):
        if attempt == 1:
            jobs.queue(row.id, "{}", "{}", row.process)
        claimed = jobs.claim()
        assert claimed is not None and claimed.attempts == attempt and claimed.status == "running"
        assert jobs.claim() is None  # nobody gets it twice
        found = Dispatcher(settings, jobs, runner, _allowed, writer, lost=-1)  # the service that ran it has gone
        found._recover()
        state = jobs.get(row.id)
        assert state is not None and state.status == ("queued" if attempt == 1 else "error")
    assert logs == [
        "the service ended while the job ran: it starts again",
        "the service ended 2 times while the job ran",
    ]


def run_folder(settings: Settings, row: Any) -> Path:
    """Where a run writes, with a file."""
    folder = settings.store.results_of("ana") / f"{row.id}-{row.claimed}"
    folder.mkdir(parents=True)
    (folder / "result.tif").write_text(row.claimed)
    return folder


def on_own_store(settings: Settings) -> Settings:
    return settings.model_copy(update={"store": settings.store.model_copy(update={"root": settings.var})})


def test_nothing_half_written_is_left(settings: Settings) -> None:
    settings = on_own_store(settings)
    jobs = Jobs(connect(settings.database))
    found = Dispatcher(settings, jobs, Fake(Outcome("error")), _allowed, lambda *said: None)
    jobs.queue(identifier := jobs.add("ana", {}).id, "{}", "{}", "{}")
    first = jobs.claim()
    assert first is not None and first.id == identifier and jobs.cancel(identifier)
    jobs.queue(identifier, "{}", "{}", "{}")
    second = jobs.claim()
    parts = [run_folder(settings, row) for row in (first, second)]
    found._end(first, Outcome("canceled"))
    assert [part.exists() for part in parts] == [False, True]  # the other is another run's


def test_what_an_earlier_run_says_does_not_count_for_the_next(settings: Settings) -> None:
    """A job is canceled and started again before who runs it has heard of the first."""
    settings, said = on_own_store(settings), list[str]()
    jobs = Jobs(connect(settings.database))
    found = Dispatcher(settings, jobs, Fake(Outcome("error")), _allowed, lambda row, *what: said.append(what[0]))
    identifier = jobs.add("ana", {}).id
    jobs.queue(identifier, "{}", "{}", "{}")
    first = jobs.claim()
    assert first is not None and jobs.beat(first, 5.0)
    assert jobs.cancel(identifier) and jobs.queue(identifier, "{}", "{}", "{}")
    assert not jobs.beat(first, 6.0)
    second = jobs.claim()
    assert second is not None and second.claimed != first.claimed
    folders = [run_folder(settings, row) for row in (first, second)]
    for outcome in (Outcome("finished"), Outcome("error", "Internal", "as told"), Outcome("lost")):
        assert not jobs.beat(first, 7.0)
        found._end(first, outcome)
        state = jobs.get(identifier)
        assert state is not None and (state.status, state.progress, state.size) == ("running", 0.0, 0)
    published = settings.store.results_of("ana") / identifier
    assert said == [] and [folder.exists() for folder in folders] == [False, True] and not published.exists()
    assert jobs.beat(second, 8.0)
    found._end(second, Outcome("finished"))
    state = jobs.get(identifier)
    assert state is not None and state.status == "finished" and said == ["finished"]
    assert (published / "result.tif").read_text() == second.claimed and state.size == len(second.claimed)


def test_a_job_has_ended_once_its_log_says_why(settings: Settings) -> None:
    """Who sees that it failed asks the log at once."""

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    jobs, outcome = Jobs(connect(settings.database)), Outcome("error", "Internal", "as told")
    jobs.queue(jobs.add("ana", {}).id, "{}", "{}", "{}")
    row = jobs.claim()
    assert row is not None
    with pytest.raises(OSError, match="full"):
        Dispatcher(settings, jobs, Fake(outcome), _allowed, full)._end(row, outcome)
    assert (now := jobs.get(row.id)) is not None and now.status == "running"
    logs, seen = Logs(jobs.sessions), list[str]()

    def written(row: Any, message: str, level: Any, code: str, store: Any) -> None:
        logs.write("log", "ana", message, level, code, store)
        seen.append(jobs.get(row.id).status)  # type: ignore[union-attr]  # by others, who see neither yet

    Dispatcher(settings, jobs, Fake(outcome), _allowed, written)._end(row, outcome)
    assert (now := jobs.get(row.id)) is not None and now.status == "error" and seen == ["running"]
    assert [line.message for line in logs.of("log", "ana", "debug", 0, 9)] == ["as told"]


def test_a_job_taken_for_lost_is_published_once(settings: Settings) -> None:
    """Two services run the same job, since one was silent for long: the later claim counts."""
    settings, said = on_own_store(settings), list[str]()
    jobs = Jobs(connect(settings.database))
    found = Dispatcher(
        settings, jobs, Fake(Outcome("error")), _allowed, lambda row, *what: said.append(what[0]), lost=-1
    )
    jobs.queue(identifier := jobs.add("ana", {}).id, "{}", "{}", "{}")
    first = jobs.claim()
    found._recover()
    second = jobs.claim()
    assert first is not None and second is not None and second.attempts == 2
    for row in (second, first):
        run_folder(settings, row)
        found._end(row, Outcome("finished"))
    published = settings.store.results_of("ana") / identifier
    assert (published / "result.tif").read_text() == second.claimed
    assert said == ["the service ended while the job ran: it starts again", "finished"]


def test_canceled_and_started_again_with_another_graph(ana: Client) -> None:
    job = make(ana, saved("GTiff"))
    for _ in range(3):
        assert ana.http.post(f"/jobs/{job}/results").status_code == 202
        assert ana.http.delete(f"/jobs/{job}/results").status_code == 204
    assert ana.http.patch(f"/jobs/{job}", json={"process": {"process_graph": saved("netCDF")}}).status_code == 204
    assert ana.http.post(f"/jobs/{job}/results").status_code == 202
    assert ended(ana, job) == "finished"
    assert list(ana.http.get(f"/jobs/{job}/results").json()["assets"]) == ["result.nc"]
    logs = [entry["message"] for entry in ana.http.get(f"/jobs/{job}/logs").json()["logs"]]
    assert logs.count("finished") == 1 and logs[-1] == "finished"


def test_a_job_that_is_changed_while_it_is_planned_does_not_start(
    ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, jobs, check = make(ana, saved("GTiff")), platform.processing.state.room.jobs, service_jobs._check_size

    def changed(*arguments: Any) -> None:
        check(*arguments)
        assert jobs.change(job, process=json.dumps({"process_graph": saved("netCDF")}))

    with monkeypatch.context() as patch:
        patch.setattr(service_jobs, "_check_size", changed)
        answer = ana.http.post(f"/jobs/{job}/results")
    assert (answer.status_code, answer.json()["code"]) == (409, "Conflict")
    assert ana.http.get(f"/jobs/{job}").json()["status"] == "created"
    assert ana.http.post(f"/jobs/{job}/results").status_code == 202 and ended(ana, job) == "finished"
    assert list(ana.http.get(f"/jobs/{job}/results").json()["assets"]) == ["result.nc"]


@pytest.mark.parametrize("deleted", [True, False])
def test_a_job_that_is_deleted_as_it_ends_leaves_no_results(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    settings = on_own_store(settings)
    jobs = Jobs(connect(settings.database))
    found = Dispatcher(settings, jobs, Fake(Outcome("error")), _allowed, lambda *said: None)
    jobs.queue(jobs.add("ana", {}).id, "{}", "{}", "{}")
    row = jobs.claim()
    assert row is not None
    run_folder(settings, row)
    publish = found._publish

    def meanwhile(row: Any) -> int | None:
        size = publish(row)
        if deleted:
            jobs.remove(row.id)
        return size

    monkeypatch.setattr(found, "_publish", meanwhile)
    found._end(row, Outcome("finished"))
    assert (settings.store.results_of("ana") / row.id).exists() is not deleted


def test_who_has_none_running_comes_first(settings: Settings) -> None:
    jobs = Jobs(connect(settings.database))
    order = [jobs.add(owner, {}).id for owner in ("ana", "ana", "ben")]
    for identifier in order:
        assert jobs.queue(identifier, "{}", "{}", "{}")
    claimed = [jobs.claim() for _ in range(3)]
    assert [row.id for row in claimed if row] == [order[0], order[2], order[1]]
    assert not jobs.change(order[0], title="x")  # running: locked
    assert jobs.cancel(order[0]) and not jobs.beat(claimed[0], 1.0) and jobs.change(order[0], title="x")
