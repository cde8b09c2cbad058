"""Routes of publishing from git: the setting of one dashboard, its webhook, and the forms of its page."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from ...access import EditDashboard, Person, decide
from ...errors import BadRequest, NotAllowed, NotFound, TooMuch
from ...web import MOST_BYTES
from ...web.audit_request import client_address
from ..bundles.remote import place
from ..pages.cards import ago, shown_once
from ..tables import Dashboard
from .git_sources import GitSource
from .vault import Vault

if TYPE_CHECKING:
    from ..app import Doors

router = APIRouter(prefix="/api/dashboards/{project}/{slug}/git", tags=["dashboards"], max_body_size=MOST_BYTES)
hooks = APIRouter(prefix="/api/hooks", tags=["dashboards"])
forms = APIRouter(include_in_schema=False)
ACTION = "dashboard.git"
MOST_BODY = 5 * 2**20
EVENTS = {"x-gitlab-event": ("Push Hook", "Tag Push Hook"), "x-gitea-event": ("push",), "x-github-event": ("push",)}


class WantedSource(BaseModel):
    """A repository's https address, a branch or tag, a folder or notebook, and the project's secret that holds a token
    to read it, if it needs one."""

    model_config = ConfigDict(extra="forbid")

    url: str
    ref: str = "main"
    folder: str = "."
    secret: str = ""


class Setting:
    """What those who edit a dashboard may do with where it is published from."""

    def __init__(self, doors: Doors) -> None:
        self.doors, self.queue = doors, doors.from_git
        self.sources = self.queue.sources

    async def told(self, request: Request, project: str, slug: str) -> dict[str, Any]:
        """Where it is published from, and what came of the last push."""
        row = await self._edited(request, project, slug)
        return self.model(await self._of(row))

    async def set(self, request: Request, project: str, slug: str, wanted: WantedSource) -> dict[str, Any]:
        """Publish it from there; with the webhook's token the first time."""
        who, row = await self._published(request, project, slug)
        there = place(self.doors.settings, wanted.url, wanted.ref, wanted.folder)
        if wanted.secret:
            await run_in_threadpool(Vault(self.doors.settings).path, project, wanted.secret)
        token = await run_in_threadpool(self.sources.set, row, there, wanted.secret, who)
        await self.doors.note(request, who, ACTION, row.name, True, f"{there.url} {there.ref} {there.folder}")
        return {**self.model(await self._of(row)), **({"token": token} if token else {})}

    async def renew(self, request: Request, project: str, slug: str) -> dict[str, Any]:
        """A new token for the webhook; the old one is refused from now on."""
        who, row = await self._published(request, project, slug)
        source = await self._of(row)
        token = await run_in_threadpool(self.sources.renew, row)
        await self.doors.note(request, who, ACTION, row.name, True, "a new token of its webhook")
        return {**self.model(source), "token": token}

    async def publish(self, request: Request, project: str, slug: str) -> dict[str, Any]:
        """As a push would."""
        who, row = await self._published(request, project, slug)
        source = await self._of(row)
        await self.queue.allow(source, row)
        await self.queue.ask(row.id)
        await self.doors.note(request, who, ACTION, row.name, True, "publish now")
        return {"status": "waiting"}

    async def remove(self, request: Request, project: str, slug: str) -> None:
        """No push publishes it any more."""
        row = await self._edited(request, project, slug)
        await self._of(row)
        await run_in_threadpool(self.sources.remove, row)
        who = (await self.doors.author(request)).person.name
        await self.doors.note(request, who, ACTION, row.name, True, "removed")

    def model(self, source: GitSource) -> dict[str, Any]:
        """As the API gives it."""
        names = ("url", "ref", "folder", "secret", "person", "state", "told", "commit", "happened")
        base = f"{self.doors.settings.hub.public_url.rstrip('/')}{self.doors.login.prefix}"
        return {**{name: getattr(source, name) for name in names}, "hook": f"{base}api/hooks/{source.hook}"}

    async def _of(self, row: Dashboard) -> GitSource:
        found = await run_in_threadpool(self.sources.of, row)
        if found is None:
            raise NotFound(f"{row.name} is not published from git", "say from where first")
        return found

    async def _published(self, request: Request, project: str, slug: str) -> tuple[str, Dashboard]:
        """For who may publish it as widely as it is seen now."""
        principal = await self.doors.author(request)
        row = await self.doors.seen(request, principal, f"{project}/{slug}", ACTION)
        await self.doors.allow_publish(request, principal, project, row.visibility, row)  # type: ignore[arg-type]
        return principal.person.name, row

    async def _edited(self, request: Request, project: str, slug: str) -> Dashboard:
        principal = await self.doors.author(request)
        row = await self.doors.seen(request, principal, f"{project}/{slug}", ACTION)
        await self.doors.ask(request, principal, EditDashboard(row.project, row.owner, row.granted), ACTION, row)
        return row


@router.get("")
async def show(request: Request, project: str, slug: str) -> dict[str, Any]:
    """Where it is published from, the address of its webhook, and what came of the last push. Editors and owners."""
    return await _settings(request).told(request, project, slug)


@router.put("")
async def put(request: Request, project: str, slug: str, wanted: WantedSource) -> dict[str, Any]:
    """Publish it from there at every push, in the caller's name, as long as they may. The first time, `token` is the
    webhook's secret, which is told once."""
    return await _settings(request).set(request, project, slug, wanted)


@router.delete("", status_code=204)
async def remove(request: Request, project: str, slug: str) -> Response:
    """No push publishes it any more; its webhook is refused."""
    await _settings(request).remove(request, project, slug)
    return Response(status_code=204)


@router.post("/token")
async def token(request: Request, project: str, slug: str) -> dict[str, Any]:
    """A new secret for its webhook, told once; the old one counts no more."""
    return await _settings(request).renew(request, project, slug)


@router.post("/publish", status_code=202)
async def publish(request: Request, project: str, slug: str) -> dict[str, Any]:
    """Publish now what lies there, as a push would."""
    return await _settings(request).publish(request, project, slug)


@hooks.post("/{hook}", status_code=202)
async def pushed(request: Request, hook: str) -> JSONResponse:
    """A webhook: GitLab's with its secret token in X-Gitlab-Token, others' with `Authorization: Bearer`. 202 and the
    dashboard is published soon; 200 where the event is none that publishes it."""
    doors: Doors = request.app.state.doors
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    said = request.headers.get("x-gitlab-token", "") or (bearer.strip() if scheme.lower() == "bearer" else "")
    source = await run_in_threadpool(doors.from_git.sources.known, hook, said)
    if source is None:
        await doors.note(request, "", "dashboard.hook", hook[:32], False, "no such webhook, or another token")
        raise NotAllowed("there is no such webhook, or its token is another", "copy both from the dashboard's page")
    if why := not_for(source.ref, request, await _body(request)):
        return JSONResponse({"status": "ignored", "reason": why})
    doors.from_git.calls.count(source.dashboard_id, time.monotonic())
    row = await run_in_threadpool(doors.records.by_id, source.dashboard_id)
    try:
        await doors.from_git.allow(source, row)
    except NotAllowed as error:
        await doors.from_git.refused(source, row, error, "refused", client_address(request))
        raise
    await doors.from_git.ask(row.id)
    return JSONResponse({"status": "waiting"}, 202)


def not_for(ref: str, request: Request, body: dict[str, Any]) -> str:
    """Why that event publishes nothing; '' where it does. One that says nothing of itself does."""
    for header, names in EVENTS.items():
        if (event := request.headers.get(header)) is not None and event not in names:
            return f"{event[:40]!r} is no push"
    if (pushed := body.get("ref")) is not None and pushed not in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
        return f"{str(pushed)[:200]!r} is not {ref!r}"
    after = body.get("after")
    return "it was deleted" if isinstance(after, str) and after and not after.strip("0") else ""


@forms.post("/d/{project}/{slug}/git/{what}")
async def by_form(request: Request, project: str, slug: str, what: str) -> Response:
    """The same by the forms of the dashboard's page."""
    settings = _settings(request)
    form = await settings.doors.form(request)
    said = {key: value.strip() for key, value in form.items() if isinstance(value, str)}
    match what:
        case "set":
            given = {key: said[key] for key in WantedSource.model_fields if said.get(key)}
            wanted = WantedSource(**{"url": "", **given})
            made = await settings.set(request, project, slug, wanted)
        case "token":
            made = await settings.renew(request, project, slug)
        case "publish":
            made = await settings.publish(request, project, slug)
        case "remove":
            made = {}
            await settings.remove(request, project, slug)
        case _:
            raise NotFound("there is no such form", "use those of the dashboard's page")
    back = f"{settings.doors.login.prefix}d/{project}/{slug}"
    if "token" not in made:
        return RedirectResponse(f"{back}#git", 303)
    return await shown_once(request, "hook.html", made, f"{back}#git")


def view(request: Request, row: Dashboard, person: Person | None) -> dict[str, Any] | None:
    """What the block of the dashboard's page shows to those who edit it."""
    settings = _settings(request)
    wanted = EditDashboard(row.project, row.owner, row.granted)
    if not decide(settings.doors.policy, person, wanted).entitled:
        return None
    source = settings.sources.of(row)
    return {
        "hosts": settings.doors.settings.dashboards.git_hosts,
        "source": settings.model(source) if source else None,
        "secrets": Vault(settings.doors.settings).names(row.project),
        "ago": ago,
    }


def _settings(request: Request) -> Setting:
    return Setting(request.app.state.doors)


async def _body(request: Request) -> dict[str, Any]:
    """The event; nothing where it says nothing."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BODY:
            raise TooMuch(f"the event has more than {MOST_BODY // 2**20} MiB", "push in smaller steps")
    try:
        found = json.loads(content) if content.strip() else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadRequest("the event is no JSON object", "send it as application/json")
    return found
