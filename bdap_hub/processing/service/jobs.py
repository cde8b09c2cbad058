"""Routes of batch jobs as the openEO API has them: make, look at, change, start, cancel, delete; logs and estimate."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from ...errors import BadRequest, BdapError, Conflict, NotAllowed
from ...web import Principal
from ..engine.evaluate import Compiled
from ..graphs.graph import GraphError, holds_code
from ..jobs.dispatcher import folder_of
from ..jobs.tables import ACTIVE, JobNotFound, Jobs, StoredJob, expires, moment_text, status_of
from ..results.export import check, extent_of
from ..results.formats import wanted
from ..results.pixels import Evaluator
from .bodies import body_of
from .logs import LEVELS, Asked
from .posting import refusals_audited
from .quotas import QuotaExceeded, room_for_one
from .result import check_terms
from .room import Room

LOGS = "job:{}"
FIELDS = ("title", "description", "process", "plan", "budget", "log_level")


def add_jobs(app: FastAPI, prefix: str, room: Room) -> None:
    base = f"{room.settings.hub.public_url}{prefix}/jobs"

    def shown(row: StoredJob) -> dict[str, Any]:
        return document(row, room.settings.processing.jobs.keep_days)

    @app.post(f"{prefix}/jobs")
    async def create(request: Request) -> Response:
        principal = await owner_of(room, request)
        body = await body_of(request)
        fields = await _fields(room, principal, body)
        if "process" not in fields:
            raise GraphError("ProcessGraphMissing", "there is no process", 'post {"process": {"process_graph": {…}}}')
        await asyncio.to_thread(_one_more, room, principal.person.name)
        row = await asyncio.to_thread(room.jobs.add, principal.person.name, **fields)
        return Response(status_code=201, headers={"Location": f"{base}/{row.id}", "OpenEO-Identifier": row.id})

    @app.get(f"{prefix}/jobs")
    async def listed(request: Request, limit: int = Query(1000, ge=1, le=1000)) -> dict[str, Any]:
        principal = await owner_of(room, request)
        rows = await asyncio.to_thread(room.jobs.of, principal.person.name, limit)
        return {"jobs": [shown(row) for row in rows], "links": []}

    @app.get(f"{prefix}/jobs/{{identifier}}")
    async def job(request: Request, identifier: str) -> dict[str, Any]:
        row = await mine(room, request, identifier)
        return {**shown(row), "process": json.loads(row.process), "log_level": row.log_level}

    @app.patch(f"{prefix}/jobs/{{identifier}}", status_code=204)
    async def change(request: Request, identifier: str) -> Response:
        row = await mine(room, request, identifier)
        principal = await owner_of(room, request)
        fields = await _fields(room, principal, await body_of(request))
        if "process" in fields:
            fields = {**fields, "process": json.dumps(fields["process"]), "status": "created", "progress": 0.0}
        if not await asyncio.to_thread(lambda: room.jobs.change(row.id, **fields)):
            raise _locked(row)
        return Response(status_code=204)

    @app.delete(f"{prefix}/jobs/{{identifier}}", status_code=204)
    async def remove(request: Request, identifier: str) -> Response:
        row = await mine(room, request, identifier)
        await asyncio.to_thread(_removed, room, row)
        return Response(status_code=204)

    @app.get(f"{prefix}/jobs/{{identifier}}/estimate")
    async def estimate(request: Request, identifier: str) -> dict[str, Any]:
        row = await mine(room, request, identifier)
        principal = await owner_of(room, request)
        compiled, _ = await _planned(room, request, principal, row)
        extent = await room.heavy.run(
            lambda: extent_of(Evaluator(room.settings, compiled, room.native)), person=row.owner
        )
        return {
            "costs": 0,
            "size": extent.bytes_written,
            "width": extent.width,
            "height": extent.height,
            "values_read": extent.values_read,
        }

    @app.get(f"{prefix}/jobs/{{identifier}}/logs")
    async def logs(request: Request, identifier: str, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
        row = await mine(room, request, identifier)
        return await asyncio.to_thread(room.logs.answer, LOGS.format(row.id), row.owner, asked)

    @app.post(f"{prefix}/jobs/{{identifier}}/results", status_code=202)
    async def start(request: Request, identifier: str) -> Response:
        row = await mine(room, request, identifier)
        principal = await owner_of(room, request)
        if row.status in ACTIVE:
            return Response(status_code=202)  # openEO: no error
        await asyncio.to_thread(_quota, room, row.owner)
        compiled, raw = await _planned(room, request, principal, row)
        await room.heavy.run(_check_size, room, compiled, person=row.owner)
        planned = (json.dumps(raw), compiled.plan.dump())
        if await asyncio.to_thread(moved, room, row, "queued", lambda jobs: jobs.queue(row.id, *planned, row.process)):
            await asyncio.to_thread(shutil.rmtree, folder_of(room.settings, row), True)
            room.dispatcher.wake.set()
        elif (await mine(room, request, identifier)).status not in ACTIVE:
            raise Conflict("the job was changed while it was planned", "start it again")
        return Response(status_code=202)

    @app.delete(f"{prefix}/jobs/{{identifier}}/results", status_code=204)
    async def cancel(request: Request, identifier: str) -> Response:
        row = await mine(room, request, identifier)
        await asyncio.to_thread(moved, room, row, "canceled", lambda jobs: jobs.cancel(row.id))
        return Response(status_code=204)


async def owner_of(room: Room, request: Request) -> Principal:
    """Who asks; only people have jobs."""
    principal: Principal = await room.login.require(request)
    if principal.kind != "person":
        raise NotAllowed("a dashboard has no jobs", "make the job in a notebook, and show its result")
    return principal


async def mine(room: Room, request: Request, identifier: str) -> StoredJob:
    """The caller's own job; JobNotFound otherwise."""
    principal = await owner_of(room, request)
    row = await asyncio.to_thread(room.jobs.get, identifier, principal.person.name)
    if row is None:
        raise JobNotFound(f"you have no job {identifier!r:.80}", "GET /jobs lists yours")
    return row


def moved(room: Room, row: StoredJob, message: str, move: Callable[[Jobs], bool]) -> bool:
    """Change a job's state and say so in its log."""
    return room.jobs.explained(move, lambda jobs: write_log(room, row, message, store=jobs.sessions))


def write_log(room: Room, row: StoredJob, message: str, level: Any = "info", code: str = "", store: Any = None) -> None:
    """An entry of a job's log, if its level is wanted. `store`: what it is kept with."""
    if LEVELS.index(level) <= LEVELS.index(next(known for known in LEVELS if known == row.log_level)):
        room.logs.write(LOGS.format(row.id), row.owner, message, level, code, store)


def document(row: StoredJob, keep_days: int) -> dict[str, Any]:
    """A job as lists show it, with the moment at which its results are deleted where they are not kept."""
    made: dict[str, Any] = {
        "id": row.id,
        "title": row.title or None,
        "description": row.description or None,
        "status": status_of(row),
        "progress": 100 if row.status == "finished" else round(row.progress, 1),
        "created": row.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "updated": row.updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "budget": row.budget,
    }
    if (end := expires(row, keep_days)) is not None:
        made["expires"] = moment_text(end)
    if row.status == "running" and row.ahead is not None:
        made["bdap:ahead"] = row.ahead
    if usage := json.loads(row.usage):
        made |= {"usage": usage, "costs": 0}
    return made


async def _fields(room: Room, principal: Principal, body: dict[str, Any]) -> dict[str, Any]:
    """What of a posted body a job keeps; the process graph is checked."""
    check_terms(body)
    made: dict[str, Any] = {}
    for name, most in (("title", 255), ("description", 10_000)):
        if name in body:
            if not isinstance(body[name], str | None):
                raise BadRequest(f"the {name} {body[name]!r:.60} is no text")
            made[name] = (body[name] or "")[:most]
    if body.get("log_level"):
        made["log_level"] = body["log_level"]
    if "budget" in body:
        made["budget"] = body["budget"]
    if "process" in body:
        process = body["process"]
        if not isinstance(process, dict):
            raise GraphError(
                "ProcessGraphMissing", "the process is no object", 'post {"process": {"process_graph": {…}}}'
            )
        raw = await room.expanded(principal, process.get("process_graph"))
        wanted(await room.parsed(raw, principal))
        made["process"] = process
    return made


async def _planned(room: Room, request: Request, principal: Principal, row: StoredJob) -> tuple[Compiled, Any]:
    """The plan of a job's graph as things are now, and the graph with the owner's own processes put in."""
    raw = await room.expanded(principal, json.loads(row.process).get("process_graph"))
    graph = await room.parsed(raw, principal)
    if holds_code(graph):
        raise GraphError("UdfNotAvailable", "code does not run in batch jobs", "use POST /result, or a web service")
    return await refusals_audited(room, request, principal, graph, whole=True), raw


def _check_size(room: Room, compiled: Compiled) -> None:
    extent = extent_of(Evaluator(room.settings, compiled, room.native))
    check(
        extent, room.settings.processing.jobs.most_mb, "choose a smaller extent, fewer dates, or a coarser resolution"
    )


def _quota(room: Room, owner: str) -> None:
    limits = room.settings.processing.jobs
    if (stored := room.jobs.stored(owner)) >= limits.quota_mb << 20:
        raise QuotaExceeded(
            f"your results take {stored >> 20} MB; the limit is {limits.quota_mb} MB",
            "delete jobs that you do not need",
        )
    if (count := room.jobs.waiting(owner)) >= limits.queued:
        raise QuotaExceeded(f"{count} of your jobs wait or run; the limit is {limits.queued}", "wait, or cancel some")


def _one_more(room: Room, owner: str) -> None:
    most, remedy = room.settings.processing.jobs.most, "delete some that you do not need (DELETE /jobs/{id})"
    room_for_one(room.jobs.count(owner), most, "jobs", remedy)


def _locked(row: StoredJob) -> BdapError:
    return GraphError("JobLocked", f"the job {row.id} is {row.status}: it cannot be changed now", "cancel it first")


def _removed(room: Room, row: StoredJob) -> None:
    room.jobs.cancel(row.id)
    room.jobs.remove(row.id)
    room.logs.remove(LOGS.format(row.id), row.owner)
    folder = folder_of(room.settings, row)
    for one in (folder, *folder.parent.glob(f"{row.id}[-.]*")):  # and what its runs were writing
        shutil.rmtree(one, True)
