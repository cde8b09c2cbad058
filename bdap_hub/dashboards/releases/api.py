"""The publish API: POST, GET and DELETE under /services/dashboards/api/dashboards."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from ...access import Person
from ...errors import BadRequest, NotFound, TooMuch
from ...web import allow_form
from ..bundles.bundle import mib, read_bundle
from ..bundles.manifest import read as read_manifest
from ..bundles.manifest import schema
from ..bundles.uploads_api import uploads_of
from ..records import check_slug
from ..steps import NDJSON, Tell, silent
from ..tables import Dashboard, Release
from .progress import lines
from .publish import Wish, completed, present
from .review_api import model as review_model

router = APIRouter(prefix="/api/dashboards", tags=["dashboards"])
FORM_OVERHEAD = 64 * 1024


@router.post("", status_code=201)
async def publish(request: Request) -> Response:
    """Publish a notebook (.ipynb), a page (.html) or a folder (.zip), or replace what is there: multipart form with
    `bundle` (or `upload` and `name`: the SHA-256 of a finished upload), `project`, `slug`, and what is to count before
    the bundle's bdap-dashboard.yaml: `title`, `description`, `visibility` (project, people, public), `entry`, and
    `manifest`, which says all else as that file does. It goes live, or waits for the approval that its project demands
    (status submitted); with `draft` it waits for its author. A new version is seen by those who see the dashboard now,
    and is called as it is, unless that is said.

    With `Accept: application/x-ndjson` the answer is a line of JSON for each step: `{"step": ...}`, and last
    `{"dashboard": ...}` or `{"error": ..., "status": ...}`. Of one person two run at a time, and few in all; what finds
    no place within two minutes is answered 429, and nothing of it was begun.
    """
    doors = request.app.state.doors
    limit = doors.settings.dashboards.max_bundle_mb * 2**20
    _check_length(request, limit)  # first: the check of a form's protection token reads all of it
    allow_form(request, limit + FORM_OVERHEAD)
    principal = await doors.author(request)
    doors.places.check(principal.person.name)
    async with request.form(max_files=1, max_fields=14) as form:
        wish = _wish(form)
        before = await run_in_threadpool(doors.records.find, wish.project, wish.slug)
        await doors.allow_publish(request, principal, wish.project, wish.visibility or present(before), before)
        check_slug(wish.project, wish.slug)
        draft = _text(form, "draft") in ("1", "true", "yes")
        file, content = await _content(doors, form, principal.person.name)
        entry = _text(form, "entry") or wish.manifest.entry or ""
        kind = wish.manifest.kind or ""
        bundle = await run_in_threadpool(read_bundle, file, content, limit, entry, kind)
    wish, who = completed(wish, bundle, before), principal.person

    async def carry_out(tell: Tell) -> dict[str, Any]:
        publish = doors.publisher().publish
        release = await doors.places.run(
            who.name,
            lambda: publish(wish, bundle, who.name, before, draft, tell),
            lambda: tell("waiting until others are published"),
        )
        made = await run_in_threadpool(doors.records.find, wish.project, wish.slug)
        reason = f"version {release.version}, {release.visibility}, {release.status}"
        await doors.note(request, who.name, "dashboard.publish", made.name, True, reason)
        await doors.reviews.tell(made, release)
        told = {**_model(request, made, who), **review_model(request, made, release)}
        return dict(jsonable_encoder(told))

    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(lines("dashboard", carry_out), media_type=NDJSON)
    return JSONResponse(await carry_out(silent), 201)


@router.get("/schema")
async def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of bdap-dashboard.yaml, for editors."""
    return schema()


@router.get("")
async def list_all(request: Request) -> dict[str, list[dict[str, Any]]]:
    """The dashboards that the caller may see; without login, the public ones."""
    doors = request.app.state.doors
    visitor = await doors.visitor(request)
    person = visitor.person if visitor else None
    rows = await run_in_threadpool(doors.records.all)
    return {"dashboards": [_model(request, row, person) for row in rows if doors.sees(person, row)]}


@router.get("/{project}/{slug}")
async def one(request: Request, project: str, slug: str) -> dict[str, Any]:
    """One dashboard with its versions."""
    doors = request.app.state.doors
    visitor = await doors.visitor(request)
    person = visitor.person if visitor else None
    row = await run_in_threadpool(doors.records.find, project, slug)
    if row is None or row.status == "retired" or not doors.sees(person, row):
        raise NotFound(f"there is no dashboard {project}/{slug}", "look in the gallery for its address")
    edits = bool(doors.preview(person, row))
    versions = [
        _version(request, row, release, person, edits)
        for release in await run_in_threadpool(doors.records.releases, row)
        if edits or release.status in ("live", "retired")
    ]
    return {**_model(request, row, person), "versions": versions}


@router.delete("/{project}/{slug}", status_code=204)
async def take_down(request: Request, project: str, slug: str) -> Response:
    """Take a dashboard down: nobody can open it any more. For its owner and administrators."""
    await request.app.state.doors.take_down(request, project, slug)
    return Response(status_code=204)


def _check_length(request: Request, limit: int) -> None:
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise BadRequest("the upload does not say how long it is", "send a Content-Length header")
    if int(length) > limit + FORM_OVERHEAD:
        raise TooMuch(
            f"the upload has {mib(int(length))}; the limit is {mib(limit)}",
            "leave large data out: put it on the store, and name its folder in `data`",
        )


def _wish(form: FormData) -> Wish:
    return Wish(
        project=_text(form, "project"),
        slug=_text(form, "slug"),
        title=_text(form, "title"),
        description=_text(form, "description"),
        visibility=_text(form, "visibility"),  # type: ignore[arg-type]  # checked by check_wish
        manifest=read_manifest(_text(form, "manifest"), "manifest"),
    )


async def _content(doors: Any, form: FormData, person: str) -> tuple[str, bytes]:
    """Name and bytes of what is published: sent along, or uploaded before."""
    file = form.get("bundle")
    if isinstance(file, UploadFile):
        return file.filename or "", await file.read()
    if not (upload := _text(form, "upload")):
        raise BadRequest("the form has no file `bundle`", "send a notebook or a zip archive as `bundle`")
    content = await run_in_threadpool(uploads_of(doors.settings).content, person, upload)
    return _text(form, "name"), content


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(f"{name}: a file was sent", "send it as text")
    return value


def _version(request: Request, row: Dashboard, release: Release, person: Person | None, edits: bool) -> dict[str, Any]:
    told = {name: getattr(release, name) for name in ("version", "status", "entry", "created")}
    told["sha256"] = release.bundle
    if person is not None:  # account names are not for the world
        told["publisher"] = release.publisher
    return {**told, **(review_model(request, row, release) if edits else {})}


def _model(request: Request, row: Dashboard, person: Person | None) -> dict[str, Any]:
    doors = request.app.state.doors
    public = {
        "id": row.name,
        "project": row.project,
        "slug": row.slug,
        "title": row.title,
        "description": row.description,
        "visibility": row.visibility,
        "owner": row.owner,
        "version": row.version,
        "status": row.status,
        "visits": row.visits,
        "created": row.created.isoformat(),
        "updated": row.updated.isoformat(),
        "url": doors.settings.dashboards.address(row.project, row.slug),
    }
    if person is None:  # account names are not for the world
        del public["owner"]
    return public
