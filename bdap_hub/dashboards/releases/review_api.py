"""Routes of the states of a version: submit, approve, reject, promote and roll back, by the API and by forms."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ...errors import BadRequest, NotFound
from ...web import MOST_BYTES
from ..tables import Dashboard, Release
from .review import MAX_COMMENT

router = APIRouter(prefix="/api", tags=["dashboards"], max_body_size=MOST_BYTES)
forms = APIRouter(include_in_schema=False)
VERBS = ("submit", "approve", "reject", "promote")


class Review(BaseModel):
    """What a reviewer says. `live`: a version that is approved is live at once."""

    comment: str = Field("", max_length=MAX_COMMENT)
    live: bool = True


@router.get("/reviews")
async def waiting(request: Request) -> dict[str, list[dict[str, Any]]]:
    """Versions that wait for an approval that the caller can give."""
    doors = request.app.state.doors
    principal = await doors.login.require(request)
    found = await run_in_threadpool(doors.reviews.waiting, principal.person)
    return {"versions": [{"id": row.name, "title": one.title, **model(request, row, one)} for row, one in found]}


@router.post("/dashboards/{project}/{slug}/versions/{version}/submit")
async def submit(request: Request, project: str, slug: str, version: int) -> dict[str, Any]:
    """Ask for the approval that the project demands; where it demands none, the version goes live."""
    return await _act(request, "submit", project, slug, version, Review())


@router.post("/dashboards/{project}/{slug}/versions/{version}/approve")
async def approve(
    request: Request, project: str, slug: str, version: int, said: Review | None = None
) -> dict[str, Any]:
    """Approve a submitted version; it goes live at once, unless `live` is false."""
    return await _act(request, "approve", project, slug, version, said or Review())


@router.post("/dashboards/{project}/{slug}/versions/{version}/reject")
async def reject(request: Request, project: str, slug: str, version: int, said: Review) -> dict[str, Any]:
    """Reject a submitted version, with a comment for its author."""
    return await _act(request, "reject", project, slug, version, said)


@router.post("/dashboards/{project}/{slug}/versions/{version}/promote")
async def promote(request: Request, project: str, slug: str, version: int) -> dict[str, Any]:
    """Let visitors get this version from now on; who looks at another keeps it."""
    return await _act(request, "promote", project, slug, version, Review())


@router.post("/dashboards/{project}/{slug}/rollback")
async def roll_back(request: Request, project: str, slug: str) -> dict[str, Any]:
    """Back to the version that was live before."""
    row = await request.app.state.doors.reviews.roll_back(request, f"{project}/{slug}")
    return await _told(request, row, row.version)


@forms.post("/d/{project}/{slug}/versions/{version}/{verb}")
async def act_by_form(request: Request, project: str, slug: str, version: int, verb: str) -> RedirectResponse:
    """The same by the forms of the dashboard's page."""
    if verb not in VERBS:
        raise NotFound(f"versions have no step {verb!r:.20}", f"use {', '.join(VERBS)}")
    doors = request.app.state.doors
    comment = (await doors.form(request)).get("comment", "")
    if not isinstance(comment, str):
        raise BadRequest("comment: a file was sent", "send it as text")
    await doors.reviews.act(request, verb, f"{project}/{slug}", version, comment)
    return RedirectResponse(f"{doors.login.prefix}d/{project}/{slug}#versions", 303)


@forms.post("/d/{project}/{slug}/rollback")
async def roll_back_by_form(request: Request, project: str, slug: str) -> RedirectResponse:
    """The same by one click."""
    doors = request.app.state.doors
    await doors.reviews.roll_back(request, f"{project}/{slug}")
    return RedirectResponse(f"{doors.login.prefix}d/{project}/{slug}#versions", 303)


def model(request: Request, row: Dashboard, release: Release) -> dict[str, Any]:
    """A version as the API tells it to those who edit or review the dashboard."""
    return {
        "version": release.version,
        "status": release.status,
        "visibility": release.visibility,
        "comment": release.comment,
        "reviewer": release.reviewer,
        "publisher": release.publisher,
        "created": release.created,
        "preview": request.app.state.settings.dashboards.address(row.project, row.slug, release.version),
    }


async def _act(request: Request, verb: str, project: str, slug: str, version: int, said: Review) -> dict[str, Any]:
    reviews = request.app.state.doors.reviews
    row = await reviews.act(request, verb, f"{project}/{slug}", version, said.comment, said.live)
    return await _told(request, row, version)


async def _told(request: Request, row: Dashboard, version: int) -> dict[str, Any]:
    doors = request.app.state.doors
    release = await run_in_threadpool(doors.records.release, row, version)
    return {"id": row.name, "live": row.version, **model(request, row, release)}
