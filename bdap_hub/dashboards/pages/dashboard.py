"""Pages of the dashboards service: a dashboard's page with its forms, and the door to private dashboards."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from ...access import Decision, Person, PreviewRelease, ViewDashboard, decide
from ...errors import NotAllowed, NotFound, NotLoggedIn
from ...web import Principal, page
from ..records import Live
from ..releases import git_api
from ..sharing import sharing_api
from ..sharing.tickets import TICKET_PATH, Visitor, make_ticket, parse_target
from ..tables import Dashboard
from . import author, shelf, words
from .cards import SEEN_BY, ago, card, viewer

router = APIRouter(include_in_schema=False)


@router.get("/d/{project}/{slug}")
async def dashboard(request: Request, project: str, slug: str, days: int = 30, version: int = 0) -> HTMLResponse:
    """One dashboard: address, description, versions and, for who may, the forms to change it."""
    doors = request.app.state.doors
    visitor = await doors.visitor(request)
    person = visitor.person if visitor else None
    row = doors.records.find(project, slug)
    if row is None or row.status == "retired" or not doors.sees(person, row):
        if visitor is None:
            raise NotLoggedIn("log in to see this dashboard's page", "log in")
        raise NotFound(f"there is no dashboard {project}/{slug}", "look in the gallery for its address")
    entry = next(iter(await run_in_threadpool(shelf.entries, doors.records.sessions, project, slug)), shelf.Entry(row))
    changes = doors.change(person, row).entitled
    return page(
        request,
        "dashboard.html",
        person=viewer(request, visitor),
        card=card(request, row, person),
        versions=_versions(request, row, person),
        changes=changes,
        sharing=await run_in_threadpool(sharing_api.view, request, row) if changes else None,
        git=await run_in_threadpool(git_api.view, request, row, person),
        public_asks=row.visibility != "public" and doors.change(person, row, "public").step_up,
        own=await run_in_threadpool(author.view, request, entry, days, version)
        if author.is_author(doors, person, row)
        else None,
        picture=entry.thumbnail,
        mode=entry.mode,
        why=entry.why,
        seen_by=SEEN_BY,
        kinds=words.KINDS,
        modes=words.MODES,
        state=words.state,
        ago=ago,
    )


@router.post("/d/{project}/{slug}/visibility")
async def change_visibility(request: Request, project: str, slug: str) -> RedirectResponse:
    """Change who may open a dashboard."""
    doors = request.app.state.doors
    visibility = str((await doors.form(request)).get("visibility", ""))
    await doors.change_visibility(request, project, slug, visibility)
    return RedirectResponse(f"{doors.login.prefix}d/{project}/{slug}", 303)


@router.post("/d/{project}/{slug}/take-down")
async def take_down(request: Request, project: str, slug: str) -> RedirectResponse:
    """Take a dashboard down from its page."""
    doors = request.app.state.doors
    await doors.take_down(request, project, slug)
    return RedirectResponse(doors.login.prefix, 303)


@router.get("/enter")
async def enter(request: Request, to: str, begun: str) -> RedirectResponse:
    """Whoever may open the dashboard at `to` goes back there with a ticket; others get a readable refusal."""
    doors = request.app.state.doors
    asked, path = parse_target(doors.settings, to)
    principal = await doors.login.require(request)
    if principal.kind != "person":
        raise NotAllowed("a dashboard cannot open dashboards", "use a person's account")
    if not principal.session:
        raise NotAllowed("a token cannot open dashboards", "log in with a browser, and open the dashboard there")
    found = await run_in_threadpool(doors.records.live, *asked)
    name = found.key if found else f"{asked.project}/{asked.slug}"
    decision = await _may_enter(request, principal, found)
    if not decision:
        await doors.note(request, principal.person.name, "dashboard.open", name, False, decision.reason)
        if decision.step_up is not None:
            raise doors.login.step_up(request, decision)
        raise NotAllowed(
            f"you have no access to the dashboard {name}, or it does not exist", "ask its owner to let you see it"
        )
    await doors.note(request, principal.person.name, "dashboard.open", name, True, decision.reason)
    visitor = Visitor(principal.person.name, principal.session)
    query = make_ticket(doors.settings.secret("signing"), name, visitor, begun, path)
    address = doors.settings.dashboards.address(*asked).rstrip("/")
    return RedirectResponse(f"{address}{TICKET_PATH}?{query}", 303, {"Cache-Control": "no-store"})


async def _may_enter(request: Request, principal: Principal, found: Live | None) -> Decision:
    doors = request.app.state.doors
    if found is None:
        return Decision(False, "no such dashboard")
    if found.preview:
        person = await doors.login.assured(principal)
        return decide(doors.policy, person, PreviewRelease(found.project, found.owner, found.grants))
    wanted = ViewDashboard(found.name, found.visibility, found.project, found.grants)
    return decide(doors.policy, principal.person, wanted)


def _versions(request: Request, row: Dashboard, person: Person | None) -> list[dict[str, Any]]:
    """Versions that were ever live, for everybody logged in; the others for those who edit or review."""
    doors = request.app.state.doors
    if person is None:
        return []
    all_ = bool(doors.preview(person, row))
    return [
        {
            "row": release,
            "offers": doors.reviews.offers(person, row, release),
            "preview": doors.settings.dashboards.address(row.project, row.slug, release.version) if all_ else "",
        }
        for release in doors.records.releases(row)
        if all_ or release.status in ("live", "retired")
    ]
