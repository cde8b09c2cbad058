"""The gallery's pages: of all projects and of one, and the pictures of dashboards. Each shows what one may see."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from ...access import Person, PreviewRelease, decide, role_in
from ...errors import NotFound, NotLoggedIn
from ...web import Principal, page
from .cards import card, viewer
from .shelf import PAGE, SORTS, Entry, Wanted, counted, entries, pick

router = APIRouter(include_in_schema=False)
SHA = re.compile(r"[0-9a-f]{64}")
TAGS = 24
"""So many tags are offered, the most used ones."""
Words = Annotated[str, Query(max_length=200)]
Tags = Annotated[tuple[str, ...], Query(max_length=10)]


@router.get("/")
async def gallery(
    request: Request, q: Words = "", tag: Tags = (), sort: str = "updated", state: str = "", page: int = 1
) -> HTMLResponse:
    """All dashboards that the visitor may open, and for editors and reviewers what is to be."""
    return await _gallery(request, Wanted(q, tag, sort, state, page), "")


@router.get("/p/{project}")
async def of_project(
    request: Request,
    project: str,
    q: Words = "",
    tag: Tags = (),
    sort: str = "updated",
    state: str = "",
    page: int = 1,
) -> HTMLResponse:
    """Those of one project."""
    return await _gallery(request, Wanted(q, tag, sort, state, page), project)


@router.get("/d/{project}/{slug}/picture")
async def picture(request: Request, project: str, slug: str) -> Response:
    """What the dashboard looks like, for those who may see that it is there."""
    doors = request.app.state.doors
    visitor = await doors.visitor(request)
    entry = next(iter(await run_in_threadpool(entries, doors.records.sessions, project, slug)), None)
    if entry is None or not _sees(doors, visitor.person if visitor else None, entry):
        raise NotFound(f"there is no picture of {project}/{slug}", "look in the gallery")
    path = doors.settings.var / "dashboards" / "pictures" / f"{entry.thumbnail}.png"
    if not SHA.fullmatch(entry.thumbnail) or not path.is_file():
        raise NotFound(f"there is no picture of {project}/{slug}", "publish it again")
    headers = {"Cache-Control": "private, max-age=600", "ETag": f'"{entry.thumbnail[:32]}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type="image/png", headers=headers)


async def _gallery(request: Request, wanted: Wanted, project: str) -> HTMLResponse:
    doors = request.app.state.doors
    visitor = await doors.visitor(request)
    person = visitor.person if visitor else None
    all_ = await run_in_threadpool(entries, doors.records.sessions, project)
    seen = [_for(doors, person, entry) for entry in all_ if _sees(doors, person, entry)]
    about = _about(doors, visitor, project, bool(seen)) if project else None
    found = pick(seen, wanted, lambda entry: _names(doors, person, entry))
    last = max(1, -(-len(found) // PAGE))
    number = min(max(1, wanted.page), last)
    return page(
        request,
        "gallery.html",
        person=viewer(request, visitor),
        about=about,
        here=f"{doors.login.prefix}p/{project}" if project else doors.login.prefix,
        cards=[_shown(request, entry, person) for entry in found[(number - 1) * PAGE : number * PAGE]],
        wanted=wanted,
        sorts=SORTS,
        tags=_tags(seen, wanted),
        states=_states(seen, wanted),
        found=len(found),
        total=len(seen),
        number=number,
        last=last,
        link=lambda **changes: _query(wanted, **changes),
    )


def _about(doors: Any, visitor: Principal | None, project: str, any_: bool) -> dict[str, str]:
    """Title and description of a project that has something to show, or whose member looks."""
    found = doors.policy.project(project)
    if found is None or not (any_ or (visitor and role_in(found, visitor.person.groups))):
        if visitor is None:
            raise NotLoggedIn("log in to see this project's dashboards", "log in")
        raise NotFound(f"there are no dashboards of a project {project!r:.40} for you", "look in the gallery")
    return {"title": found.title, "description": found.description, "name": project}


def _sees(doors: Any, person: Person | None, entry: Entry) -> bool:
    """What is live as its rule says; what is to be, those who edit or review it."""
    return doors.sees(person, entry.row) if entry.live else _previews(doors, person, entry)


def _for(doors: Any, person: Person | None, entry: Entry) -> Entry:
    """Without what waits, for those who neither edit nor review it."""
    return entry if _previews(doors, person, entry) else replace(entry, waiting=(), drafts=())


def _previews(doors: Any, person: Person | None, entry: Entry) -> bool:
    wanted = PreviewRelease(entry.row.project, entry.row.owner, entry.row.granted)
    return person is not None and bool(decide(doors.policy, person, wanted))


def _names(doors: Any, person: Person | None, entry: Entry) -> str:
    """What else one finds it by: the project's title; the owner, for whom is logged in."""
    found = doors.policy.project(entry.row.project)
    return f"{found.title if found else ''} {entry.row.owner if person else ''}"


def _shown(request: Request, entry: Entry, person: Person | None) -> dict[str, Any]:
    return {
        **card(request, entry.row, person),
        "live": entry.live,
        "picture": entry.thumbnail,
        "waiting": entry.waiting,
        "drafts": entry.drafts,
        "of_project": f"{request.app.state.login.prefix}p/{entry.row.project}",
    }


def _tags(seen: list[Entry], wanted: Wanted) -> list[dict[str, Any]]:
    """Tags as filters: those that are chosen first."""
    offered = [*((tag, 0) for tag in wanted.tags if tag not in dict(counted(seen))), *counted(seen)]
    offered.sort(key=lambda each: each[0] not in wanted.tags)
    return [
        {
            "name": name,
            "count": count,
            "on": name in wanted.tags,
            "link": _query(wanted, tags=_toggled(wanted.tags, name)),
        }
        for name, count in offered[:TAGS]
    ]


def _states(seen: list[Entry], wanted: Wanted) -> list[dict[str, Any]]:
    """What editors and reviewers look for."""
    counts = {
        "waiting": ("Waiting for review", sum(bool(entry.waiting) for entry in seen)),
        "draft": ("Drafts", sum(bool(entry.drafts) for entry in seen)),
    }
    return [
        {
            "name": text,
            "count": count,
            "on": wanted.state == state,
            "link": _query(wanted, state="" if wanted.state == state else state),
        }
        for state, (text, count) in counts.items()
        if count or wanted.state == state
    ]


def _toggled(tags: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(tag for tag in tags if tag != name) if name in tags else (*tags, name)


def _query(wanted: Wanted, **changes: Any) -> str:
    """The query of the same view but for some changes; without the page, unless that is what changes."""
    new = {"q": wanted.q, "tags": wanted.tags, "sort": wanted.sort, "state": wanted.state, "page": 1, **changes}
    pairs = [("q", new["q"]), *(("tag", tag) for tag in new["tags"]), ("state", new["state"])]
    pairs += [
        ("sort", new["sort"] if new["sort"] != "updated" else ""),
        ("page", new["page"] if new["page"] > 1 else ""),
    ]
    return "?" + urlencode([(name, value) for name, value in pairs if value])
