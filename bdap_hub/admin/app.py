"""The admin service: every route asks access for Administer, every refusal and every action is audited.

A part that is down costs its own table only: the page says so and shows the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import httpx
from fastapi import APIRouter, Depends, FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from .. import audit, certificates, entitlements
from ..access import Administer, Person, decide
from ..database import connect
from ..errors import BdapError, NotAllowed
from ..settings import Settings
from ..web import MOST_BYTES, HubLogin, create_service, note, page
from . import api
from .rows import PersonRow, ago
from .sources import Dashboards, Hub, Parts

EVENTS = 200


@dataclass(frozen=True)
class Viewer:
    """The administrator who looks; `token` is theirs and asks other services on their behalf."""

    person: Person
    display_name: str
    token: str
    admin: bool = True
    decides: bool = True


async def administrator(request: Request) -> Viewer:
    """The caller, if access lets them administer; otherwise NotLoggedIn, or NotAllowed (StepUp) with a record."""
    login: HubLogin = request.app.state.login
    principal = await login.require(request)
    policy = await run_in_threadpool(entitlements.policy, request.app.state.settings, request.app.state.sessions)
    person = await login.assured(principal) if principal.kind == "person" else None
    decision = decide(policy, person, Administer())
    if not decision:
        await record(request, principal.person.name, "administer", request.url.path, False, decision.reason)
        if decision.step_up:
            raise login.step_up(request, decision)
        raise NotAllowed(decision.reason, f"ask an administrator to add you to group {policy.admin_group}")
    header = request.headers.get("authorization", "")
    token = header.partition(" ")[2].strip() or request.cookies.get(login.cookie, "")
    return Viewer(principal.person, principal.display_name, token)


Admin = Annotated[Viewer, Depends(administrator)]
router = APIRouter(dependencies=[Depends(administrator)], include_in_schema=False, max_body_size=MOST_BYTES)


def create_app(settings: Settings) -> FastAPI:
    """The panel under /services/admin/. Needs the secrets `service-admin` and `signing`."""
    app, login = create_service(settings, "admin", "Administration")
    client = httpx.AsyncClient(timeout=15, trust_env=False, verify=certificates.client(settings))
    app.state.sessions = connect(settings.database)
    app.state.hub = Hub(settings, client)
    app.state.dashboards = Dashboards(settings, client)
    app.state.parts = Parts(settings, client)
    app.state.templates.filters["ago"] = ago
    app.include_router(router, prefix=login.prefix.rstrip("/"))
    app.include_router(api.router, prefix=f"{login.prefix}api", max_body_size=MOST_BYTES)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> Any:
        yield
        await client.aclose()

    app.router.lifespan_context = lifespan
    return app


@router.get("/")
async def overview(request: Request, viewer: Admin) -> HTMLResponse:
    """Counts, the parts' health and the latest refusals."""
    notices: list[str] = []
    people = await attempt(notices, lambda: _people(request))
    dashboards = await attempt(notices, lambda: request.app.state.dashboards.all(viewer.token))
    lately = audit.Filter(outcome="refused", since=datetime.now(UTC) - timedelta(days=1))
    refusals = await run_in_threadpool(audit.query, request.app.state.sessions, lately, limit=EVENTS)
    parts = await request.app.state.parts.check()
    found = {"people": people, "dashboards": dashboards, "refusals": refusals, "parts": parts}
    return show(request, viewer, "overview", notices, **found)


@router.get("/people")
async def people_page(request: Request, viewer: Admin) -> HTMLResponse:
    """Everybody with groups, projects, last activity and running servers."""
    notices: list[str] = []
    people = await attempt(notices, lambda: _people(request))
    return show(request, viewer, "people", notices, people=people)


@router.get("/servers")
async def servers_page(request: Request, viewer: Admin, stopped: str = "") -> HTMLResponse:
    """Running servers, each with a button to stop it."""
    notices: list[str] = []
    people = await attempt(notices, lambda: _people(request))
    servers = None if people is None else [server for person in people for server in person.servers]
    return show(request, viewer, "servers", notices, servers=servers, done=stopped)


@router.post("/servers/stop")
async def stop_server(
    request: Request, viewer: Admin, person: Annotated[str, Form()], server: Annotated[str, Form()] = ""
) -> RedirectResponse:
    """Stop somebody's server. What is not saved in it is lost."""
    subject = f"{person}/{server}"
    await acted(request, viewer, "stop-server", subject, request.app.state.hub.stop(person, server))
    return back(request, "servers", stopped=subject)


@router.get("/dashboards")
async def dashboards_page(request: Request, viewer: Admin, taken: str = "") -> HTMLResponse:
    """All dashboards, each with a button to take it down."""
    notices: list[str] = []
    dashboards = await attempt(notices, lambda: request.app.state.dashboards.all(viewer.token))
    return show(request, viewer, "dashboards", notices, dashboards=dashboards, done=taken)


@router.post("/dashboards/take-down")
async def take_down(
    request: Request, viewer: Admin, project: Annotated[str, Form()], slug: Annotated[str, Form()]
) -> RedirectResponse:
    """Take a dashboard down."""
    subject = f"{project}/{slug}"
    deed = request.app.state.dashboards.take_down(project, slug, viewer.token)
    await acted(request, viewer, "take-down-dashboard", subject, deed)
    return back(request, "dashboards", taken=subject)


def audit_filter(
    person: str = "",
    action: str = "",
    outcome: Literal["", "allowed", "refused"] = "",
    since: str = "",
    until: str = "",
) -> audit.Filter:
    """What the audit page's form asks for. BadRequest where a date is none."""
    begin, end = audit.moment(since), audit.moment(until, end=True)
    return audit.Filter(person.strip(), action.strip(), outcome, since=begin, until=end)


Wanted = Annotated[audit.Filter, Depends(audit_filter)]


@router.get("/audit")
async def audit_page(
    request: Request, viewer: Admin, wanted: Wanted, before: Annotated[int, Query(ge=0, lt=2**63)] = 0
) -> HTMLResponse:
    """The newest events that fit, or those before the event of that id."""
    sessions = request.app.state.sessions
    found = await run_in_threadpool(audit.query, sessions, wanted, before=before, limit=EVENTS)
    asked = {name: request.query_params.get(name, "") for name in ("person", "action", "outcome", "since", "until")}
    query = urlencode({name: value for name, value in asked.items() if value})
    return show(request, viewer, "audit", [], events=found, asked=asked, query=query, before=before)


@router.get("/audit/export")
async def audit_export(request: Request, viewer: Admin, wanted: Wanted) -> StreamingResponse:
    """All events that fit as JSON lines, oldest first. That somebody took them is an event itself."""
    await record(request, viewer.person.name, "export-audit", request.url.query, True, "from the admin panel")
    lines = (f"{audit.line(event)}\n" for event in audit.events(request.app.state.sessions, wanted))
    name = f"audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
    return StreamingResponse(
        map("".join, batched(lines, audit.CHUNK)),
        media_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def show(request: Request, viewer: Viewer, tab: str, notices: list[str], **values: Any) -> HTMLResponse:
    """The page of that tab."""
    return page(request, f"{tab}.html", person=viewer, tab=tab, notices=notices, limit=EVENTS, **values)


def back(request: Request, tab: str, **query: str) -> RedirectResponse:
    """To a tab after a form was carried out, so that a reload does not send it again."""
    return RedirectResponse(f"{request.app.state.login.prefix}{tab}?{urlencode(query)}", 303)


async def attempt[T](notices: list[str], ask: Callable[[], Awaitable[T]]) -> T | None:
    """What `ask` finds; None and a sentence in `notices` where the part it asks fails."""
    try:
        return await ask()
    except BdapError as error:
        notices.append(f"{error.message[:1].upper()}{error.message[1:]}: {error.remedy}.")
        return None


async def acted(request: Request, viewer: Viewer, action: str, subject: str, deed: Awaitable[object]) -> None:
    """Carry out `deed` and record how it went; a failure is recorded, then raised."""
    try:
        await deed
    except BdapError as error:
        await record(request, viewer.person.name, action, subject, False, error.message)
        raise
    await record(request, viewer.person.name, action, subject, True, "from the admin panel")


async def record(request: Request, person: str, action: str, subject: str, allowed: bool, reason: str) -> None:
    """Write one audit event."""
    await note(request, person, action, subject, allowed, reason)


async def _people(request: Request) -> list[PersonRow]:
    state = request.app.state
    return await state.hub.people(await run_in_threadpool(entitlements.policy, state.settings, state.sessions))
