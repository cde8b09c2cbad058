"""What a person may keep: results for so long, so many jobs, services and processes; each refusal says the number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bdap_hub import audit
from bdap_hub.database import connect
from bdap_hub.processing.jobs.dispatcher import folder_of
from bdap_hub.processing.jobs.expiry import Expiry
from bdap_hub.processing.jobs.tables import Jobs, StoredJob, expires
from bdap_hub.processing.service.quotas import TooMany
from bdap_hub.processing.service.stored_processes import UserProcesses
from bdap_hub.processing.service.tables import Posted, Services
from bdap_hub.settings import Settings

from .client import Client
from .graphs import band
from .test_jobs import finished
from .test_load_result import written

OWN = {"process_graph": {"a": {"process_id": "pi", "arguments": {}, "result": True}}}


def with_jobs(settings: Settings, root: Path | None = None, **changed: Any) -> Settings:
    """The settings with other limits of jobs."""
    jobs = settings.processing.jobs.model_copy(update=changed)
    made = {"processing": settings.processing.model_copy(update={"jobs": jobs})}
    if root is not None:
        made["store"] = settings.store.model_copy(update={"root": root})
    return settings.model_copy(update=made)


def aged(jobs: Jobs, row: StoredJob, days: float, status: str = "finished") -> StoredJob:
    """The job as if it had been changed so many days ago."""
    with jobs.sessions.begin() as session:
        values = {"status": status, "updated": datetime.now(UTC) - timedelta(days=days), "size": 5}
        session.execute(update(StoredJob).where(StoredJob.id == row.id).values(**values))
    found = jobs.get(row.id)
    assert found is not None
    return found


@pytest.fixture
def old(settings: Settings) -> tuple[Settings, Jobs, dict[str, StoredJob]]:
    """Jobs of several ages and states, each with a file."""
    settings = with_jobs(settings, settings.var, keep_days=30)
    jobs = Jobs(connect(settings.database))
    cases = {"old": (31, "finished"), "new": (29, "finished"), "failed": (31, "error"), "runs": (31, "running")}
    rows = {name: aged(jobs, jobs.add("ana", OWN), *case) for name, case in cases.items()}
    for row in rows.values():
        folder_of(settings, row).mkdir(parents=True)
        (folder_of(settings, row) / "result.tif").write_bytes(b"x")
    return settings, jobs, rows


def test_old_results_go_and_all_else_stays(old: Any) -> None:
    settings, jobs, rows = old
    told: list[tuple[str, str]] = []
    sweeper = Expiry(settings, jobs, lambda row, sentence: told.append((row.id, sentence)))
    assert (sweeper.sweep(), sweeper.sweep()) == (1, 0)
    sentence = "the results were deleted, as they were 30 days old: start the job again"
    assert told == [(rows["old"].id, sentence)]
    there = {name: folder_of(settings, row).exists() for name, row in rows.items()}
    assert there == {"old": False, "new": True, "failed": True, "runs": True}
    states = {name: jobs.get(row.id).status for name, row in rows.items()}
    assert states == {"old": "created", "new": "finished", "failed": "error", "runs": "running"}
    assert jobs.stored("ana") == 15 and len(list(folder_of(settings, rows["old"]).parent.iterdir())) == 3


def test_nothing_goes_unless_the_operator_says_so(old: Any) -> None:
    settings, jobs, rows = old
    assert Expiry(with_jobs(settings, keep_days=0), jobs, lambda *said: None).sweep() == 0
    assert all(folder_of(settings, row).exists() for row in rows.values())
    assert expires(rows["old"], 0) is None and expires(rows["failed"], 30) is None
    assert expires(rows["old"], 30) < datetime.now(UTC) < expires(rows["new"], 30)


def test_a_job_that_is_started_at_this_moment_keeps_its_folder(old: Any) -> None:
    settings, jobs, rows = old
    stale = rows["old"]
    assert jobs.queue(stale.id, "{}", "{}", stale.process) and not jobs.expire(stale)
    assert Expiry(settings, jobs, lambda *said: None).sweep() == 0 and folder_of(settings, stale).exists()


def test_people_are_told_before_and_after(ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = platform.processing.state.room
    limited = with_jobs(platform.settings, keep_days=7)
    for holder in (room, room.dispatcher):
        monkeypatch.setattr(holder, "settings", limited)
    job = finished(ana, written())
    shown = ana.http.get(f"/jobs/{job}").json()
    end = datetime.fromisoformat(shown["expires"])
    assert abs(end - datetime.now(UTC) - timedelta(days=7)) < timedelta(hours=1)
    listed = {one["id"]: one for one in ana.http.get("/jobs").json()["jobs"]}
    assert listed[job]["expires"] == shown["expires"]
    assert ana.http.get(f"/jobs/{job}/results").json()["expires"] < shown["expires"]  # its addresses end earlier
    said = [one["message"] for one in ana.http.get(f"/jobs/{job}/logs").json()["logs"]]
    assert said[-1] == f"the results are deleted after {shown['expires']}: load down what you need longer"
    aged(room.jobs, room.jobs.get(job), 6.99)
    soon = ana.http.get(f"/jobs/{job}/results").json()["expires"]
    assert datetime.fromisoformat(soon) - datetime.now(UTC) < timedelta(hours=1)
    aged(room.jobs, room.jobs.get(job), 8)
    assert platform.processing.state.expiry.sweep() == 0  # as it was made, it keeps all
    monkeypatch.setattr(platform.processing.state.expiry, "settings", limited)
    assert platform.processing.state.expiry.sweep() == 1
    refused = ana.http.get(f"/jobs/{job}/results").json()
    assert refused["code"] == "JobNotStarted" and "expires" not in ana.http.get(f"/jobs/{job}").json()
    assert "as they were 7 days old" in ana.http.get(f"/jobs/{job}/logs").text
    (event,) = audit.query(room.sessions, audit.Filter(action="expire-results", subject=job))
    assert event.person == "ana" and "7 days" in event.reason
    assert ana.http.post(f"/jobs/{job}/results").status_code == 202  # it can be started again


def test_jobs_are_bounded(ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = platform.processing.state.room
    body = {"process": {"process_graph": written()}}
    count = room.jobs.count("ana")
    monkeypatch.setattr(room, "settings", with_jobs(platform.settings, most=count + 1))
    made = ana.http.post("/jobs", json=body)
    assert made.status_code == 201
    refused = ana.http.post("/jobs", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "QuotaExceeded")
    said = refused.json()
    assert f"you have {count + 1} jobs; the limit is {count + 1}" in said["message"] and "delete some" in said["remedy"]
    assert Client(platform, "ben").http.post("/jobs", json=body).status_code == 201  # another's do not count
    assert ana.http.delete(f"/jobs/{made.headers['openeo-identifier']}").status_code == 204
    assert ana.http.post("/jobs", json=body).status_code == 201


def test_services_are_bounded_over_http(ana: Client, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    services = platform.processing.state.room.services
    monkeypatch.setattr(services, "most", len(services.of("ana")) + 1)
    first = ana.service(band("B02"))
    refused = ana.post(band("B08"))
    assert (refused.status_code, refused.json()["code"]) == (
        400,
        "QuotaExceeded",
    ) and "DELETE /services" in refused.text
    assert ana.service(band("B02"), title="other")["id"] == first["id"]  # it is the same one
    assert ana.http.delete(f"/services/{first['id']}").status_code == 204
    assert ana.post(band("B08")).status_code == 201


def test_services_and_processes_are_bounded(settings: Settings) -> None:
    sessions = connect(settings.database)
    services, processes = Services(sessions, 2), UserProcesses(sessions, 2)
    for plan in ("a", "b"):
        services.add(plan, "{}", "{}", "ana")
        processes.put("ana", plan, OWN)
    with pytest.raises(TooMany, match="you have 2 web services; the limit is 2"):
        services.add("c", "{}", "{}", "ana")
    with pytest.raises(TooMany, match="you have 2 user-defined processes; the limit is 2"):
        processes.put("ana", "c", OWN)
    with pytest.raises(TooMany):
        services.add("a", "{}", "{}", "ana", posted=Posted(kind="WMTS"))  # the same graph as another kind
    services.add("a", "{}", "{}", "ana", title="other")
    processes.put("ana", "a", OWN)
    services.add("a", "{}", "{}", "ben")
    assert services.remove("a", "ana") and processes.remove("ana", "a")
    services.add("c", "{}", "{}", "ana")
    processes.put("ana", "c", OWN)
