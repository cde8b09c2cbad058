"""Routes of jobs' results: the STAC collection with signed addresses, its items, and the files themselves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from ... import audit
from ...access import Person
from ...errors import BdapError, NotAllowed, NotFound
from ...web import read_token, sign_token
from ..graphs import plan
from ..graphs.graph import GraphError
from ..jobs.dispatcher import Dispatcher, folder_of
from ..jobs.expiry import Expiry
from ..jobs.htcondor import CondorRunner
from ..jobs.local import LocalRunner
from ..jobs.tables import JobNotFound, StoredJob, expires, moment_text, status_of
from .jobs import LOGS, mine, write_log
from .logs import described
from .room import Room

PURPOSE = "job-result"
PRIVATE = {"Cache-Control": "private, no-cache"}
"""A browser may keep a file, but asks each time whether it may still be read."""


class Failed(BdapError):
    """The job failed, so it has no results (openEO: 424, with what the log says)."""

    status = 424
    code = "JobFailed"


def add_job_results(app: FastAPI, prefix: str, room: Room) -> None:
    base = f"{room.settings.hub.public_url}{prefix}/jobs"
    key = room.settings.secret("signing")
    room.sources.job = partial(result_place, room)

    @app.get(f"{prefix}/jobs/{{identifier}}/results")
    async def results(request: Request, identifier: str, partial_: bool = Query(False, alias="partial")) -> Response:
        row = await mine(room, request, identifier)
        await asyncio.to_thread(_finished, room, row)
        await permitted(room, row)
        seconds = room.settings.processing.tile_url_hours * 3600
        signature = sign_token(key, PURPOSE, seconds, job=row.id, name=row.owner)
        until = datetime.fromtimestamp(time.time() + seconds, UTC)
        deleted = expires(row, room.settings.processing.jobs.keep_days)
        described, at = folder_of(room.settings, row) / "collection.json", f"{base}/{row.id}/results"
        shown = await asyncio.to_thread(_addressed, described, at, signature)
        shown |= {"openeo:status": "finished", "expires": moment_text(min(until, deleted or until))}
        return JSONResponse(shown, headers={"OpenEO-Costs": "0"})

    @app.get(f"{prefix}/jobs/{{identifier}}/results/{{name}}", response_class=FileResponse)
    async def file(identifier: str, name: str, sig: str = "") -> Response:
        claims = read_token(key, PURPOSE, sig)
        if claims.get("job") != identifier:
            raise NotAllowed("this address was signed for another job", "take the address from the job's results")
        row = await asyncio.to_thread(room.jobs.get, identifier, str(claims["name"]))
        if row is None or row.status != "finished":
            raise JobNotFound(f"there is no job {identifier!r:.80} with results", "GET /jobs lists yours")
        await permitted(room, row)
        folder = folder_of(room.settings, row)
        names = await asyncio.to_thread(lambda: {path.name for path in folder.iterdir()} if folder.is_dir() else set())
        if name not in names:
            raise NotFound(f"the job has no file {name!r:.80}", "take the address from the job's results")
        if name.endswith(".json") and name != "result.json":
            shown = await asyncio.to_thread(_addressed, folder / name, f"{base}/{row.id}/results", sig)
            return JSONResponse(shown, headers=PRIVATE, media_type="application/geo+json")
        return FileResponse(folder / name, filename=name, headers=PRIVATE)


def dispatcher(room: Room) -> Dispatcher:
    """What has the jobs of this service run, on this machine or in a pool."""
    pooled = room.settings.processing.jobs.runner == "htcondor"
    runner = CondorRunner(room.settings) if pooled else LocalRunner()
    return Dispatcher(room.settings, room.jobs, runner, partial(permitted, room), partial(write_log, room))


def expiry(room: Room) -> Expiry:
    """What deletes old results: each deletion stands in the job's log and in the audit log."""

    def told(row: StoredJob, sentence: str) -> None:
        write_log(room, row, sentence, "warning")
        audit.record(room.sessions, person=row.owner, action="expire-results", subject=row.id, reason=sentence)

    return Expiry(room.settings, room.jobs, told)


async def permitted(room: Room, row: StoredJob) -> None:
    """NotAllowed unless the job's owner has an account and may read all its collections now."""
    groups = await room.login.groups_of(row.owner)
    if groups is None:
        raise NotAllowed(f"{row.owner} has no account any more", "log in again")
    person = Person(row.owner, groups)
    made = await asyncio.to_thread(plan.restore, row.plan)
    await asyncio.to_thread(room.rights.check, made, person)
    if row.status == "running":  # it begins: what stands in its plan has to be what the files still say
        await asyncio.to_thread(room.engine.reader.unchanged, made.pinned())


def result_files(room: Room, person: Person, job: str) -> Path:
    """The folder with the finished results of somebody's own job: collection.json, items and files. For load_result."""
    row = room.jobs.get(job, person.name)
    if row is None:
        raise JobNotFound(f"you have no job {job!r:.80}", "GET /jobs lists yours")
    _finished(room, row)
    room.rights.check(plan.restore(row.plan), person)
    return folder_of(room.settings, row)


async def result_place(room: Room, job: str, person: Person) -> str:
    """The same folder as people's paths name it, such as /eos/results/ana/0123456789abcdef."""
    return room.settings.store.href_of(await asyncio.to_thread(result_files, room, person, job))


def _finished(room: Room, row: StoredJob) -> None:
    if row.status == "finished":
        return
    if row.status == "error":
        last = room.logs.of(LOGS.format(row.id), row.owner, "error", 0, 1000)
        said = described(last[-1])["message"] if last else "the job failed"
        raise Failed(said, f"GET /jobs/{row.id}/logs says more")
    if row.status == "created":
        raise GraphError("JobNotStarted", f"the job {row.id} was not started", f"POST /jobs/{row.id}/results")
    if row.status == "canceled":
        raise GraphError("JobNotFinished", f"the job {row.id} was canceled", f"POST /jobs/{row.id}/results starts it")
    raise GraphError("JobNotFinished", f"the job {row.id} is {status_of(row)}", "wait until it is finished")


def _document(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except OSError:
        raise NotFound("the files of this job are gone from the store", "start the job again") from None
    return found


def _addressed(path: Path, base: str, signature: str) -> dict[str, Any]:
    """A STAC document of the store with addresses that can be opened, instead of those beside it."""
    document = _document(path)

    def address(link: Mapping[str, Any]) -> dict[str, Any]:
        return {**link, "href": f"{base}/{link['href'].removeprefix('./')}?sig={signature}"}

    links = [address(link) for link in document["links"]]
    links.append({"rel": "canonical", "href": f"{base}/collection.json?sig={signature}", "type": "application/json"})
    assets = {name: address(asset) for name, asset in document["assets"].items()}
    return {**document, "links": links, "assets": assets}
