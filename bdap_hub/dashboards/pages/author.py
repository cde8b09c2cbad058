"""What a dashboard's authors see on its page: how it is used, its last error, and its log while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from ...access import EditDashboard, Person, decide
from ...errors import BadRequest, BdapError, Busy, NotFound
from ..records import release_name
from ..running.faults import WORDS
from ..running.logs import clean
from ..tables import Dashboard
from .charts import charts
from .shelf import Entry

router = APIRouter(include_in_schema=False)
PERIODS = {30: "30 days", 90: "90 days", 365: "a year"}
PACE = 2.0
LASTS = 60.0
MOST = 100
"""Logs that are followed at once; each asks the engine every PACE seconds."""


def view(request: Request, entry: Entry, period: int, version: int) -> dict[str, Any]:
    """Usage, last error and the log of a version for the page. An engine that does not answer costs the log only."""
    row = entry.row
    versions = sorted({*entry.waiting, *entry.drafts, *([row.version] if row.version else [])}, reverse=True)
    shown = version if version in versions else row.version or max(versions, default=0)
    doors = request.app.state.doors
    days = doors.usage.days(row.id, period if period in PERIODS else 30)
    fault = doors.faults.last(row.id)
    try:
        log = read_log(request, row, shown)
    except BdapError as error:
        log = f"The log cannot be read now: {error.message}."
    return {
        "charts": charts(days),
        "days": [day for day in reversed(days) if any((day.visits, day.sessions, day.peak_mb, day.start_ms))],
        "period": len(days),
        "periods": PERIODS,
        "fault": fault,
        "what": WORDS.get(fault.reason, "") if fault else "",
        "log": log,
        "version": shown,
        "versions": versions,
    }


def read_log(request: Request, row: Dashboard, version: int) -> str:
    """The end of what a version writes; '' where it does not run."""
    log = request.app.state.doors.runtime().logs(release_name(row.project, row.slug, version))
    return clean(log)


@router.get("/d/{project}/{slug}/log")
async def log(request: Request, project: str, slug: str, version: int = 0) -> Response:
    """The end of a version's log (the live one's unless said otherwise): as text, or followed as server-sent events."""
    doors = request.app.state.doors
    row = await _authored(request, project, slug)
    wanted = version or row.version
    if wanted not in {release.version for release in await run_in_threadpool(doors.records.releases, row)}:
        raise BadRequest(f"there is no version {wanted} of {row.name}", "its page lists the versions")
    headers = {"Cache-Control": "no-store"}
    if "text/event-stream" not in request.headers.get("accept", ""):
        return PlainTextResponse(await run_in_threadpool(read_log, request, row, wanted), headers=headers)
    if doors.following >= MOST:
        raise Busy(f"{MOST} logs are being followed already", "try again in a minute", retry_after=60)
    return StreamingResponse(_follow(request, row, wanted), media_type="text/event-stream", headers=headers)


async def _authored(request: Request, project: str, slug: str) -> Dashboard:
    """The dashboard, for its authors alone; for others it is not there."""
    doors = request.app.state.doors
    principal = await doors.author(request)
    row = await run_in_threadpool(doors.records.find, project, slug)
    if row is None or not is_author(doors, principal.person, row):
        raise NotFound(f"there is no log of {project}/{slug} for you", "ask the dashboard's owner")
    return row


def is_author(doors: Any, person: Person | None, row: Dashboard) -> bool:
    """Whether somebody looks after the dashboard now, and so may read what it writes."""
    wanted = EditDashboard(row.project, row.owner, row.granted)
    return person is not None and bool(decide(doors.policy, person, wanted))


async def _follow(request: Request, row: Dashboard, version: int) -> AsyncIterator[str]:
    """The log whenever it has changed. It ends after a while: the browser asks again, and so is looked at again."""
    doors, loop = request.app.state.doors, asyncio.get_running_loop()
    doors.following += 1
    until, before = loop.time() + LASTS, None
    yield "retry: 1000\n\n"
    try:
        while loop.time() < until and not await request.is_disconnected():
            try:
                now = await run_in_threadpool(read_log, request, row, version)
            except BdapError as error:
                now = f"The log cannot be read now: {error.message}."
            yield _event(now) if now != before else ": still here\n\n"
            before = now
            await asyncio.sleep(PACE)
    finally:
        doors.following -= 1


def _event(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.split("\n")) + "\n"
