"""Routes of a dashboard's owners: who has a part in it, links, short names, and sites that may show it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from ...errors import BadRequest, NotFound
from ...web import MOST_BYTES
from ..pages.cards import shown_once
from ..tables import Dashboard
from .owners import Owners
from .shares import MAX_NOTE, MOST_ORIGINS

router = APIRouter(prefix="/api/dashboards/{project}/{slug}", tags=["dashboards"], max_body_size=MOST_BYTES)
forms = APIRouter(include_in_schema=False)


class Part(BaseModel):
    """What somebody is to be: viewer, editor or owner."""

    role: str


class WantedLink(BaseModel):
    """A link for people without an account, what for, and for how many days."""

    note: str = Field("", max_length=MAX_NOTE)
    days: int = Field(30, ge=1)


class Sites(BaseModel):
    """Origins whose pages may show the dashboard in a frame, as https://www.example.eu."""

    origins: list[str] = Field(max_length=MOST_ORIGINS)


@router.get("/sharing")
async def sharing(request: Request, project: str, slug: str) -> dict[str, Any]:
    """Who has a part in it, its links (without their secrets), short names and sites. For its owners."""
    owners = _owners(request)
    return owners.told(await owners.door(request, project, slug, "dashboard.sharing"))


@router.put("/grants/{kind}/{name}", status_code=204)
async def grant(request: Request, project: str, slug: str, kind: str, name: str, part: Part) -> Response:
    """Give a person or a group a part in it. To name a group takes the approval that showing it to people does."""
    await _owners(request).grant(request, project, slug, kind, name, part.role)
    return Response(status_code=204)


@router.delete("/grants/{kind}/{name}", status_code=204)
async def revoke(request: Request, project: str, slug: str, kind: str, name: str) -> Response:
    """Take it away. Who looks at it by that alone is cut off within the seconds that access is remembered."""
    await _owners(request).revoke(request, project, slug, kind, name)
    return Response(status_code=204)


@router.put("/aliases/{alias}", status_code=204)
async def take_alias(request: Request, project: str, slug: str, alias: str) -> Response:
    """Let the short name lead to it."""
    await _owners(request).take_alias(request, project, slug, alias)
    return Response(status_code=204)


@router.delete("/aliases/{alias}", status_code=204)
async def drop_alias(request: Request, project: str, slug: str, alias: str) -> Response:
    """Let the short name lead nowhere."""
    await _owners(request).drop_alias(request, project, slug, alias)
    return Response(status_code=204)


@router.post("/links", status_code=201)
async def make_link(request: Request, project: str, slug: str, wanted: WantedLink) -> dict[str, Any]:
    """A link that shows it to whoever has it, without an account. Its address is told once."""
    return await _owners(request).make_link(request, project, slug, wanted.note, wanted.days)


@router.delete("/links/{link}", status_code=204)
async def withdraw(request: Request, project: str, slug: str, link: int) -> Response:
    """The link opens nothing any more, and who came by it is cut off."""
    await _owners(request).withdraw(request, project, slug, link)
    return Response(status_code=204)


@router.put("/embed", status_code=204)
async def embed(request: Request, project: str, slug: str, sites: Sites) -> Response:
    """Let pages of these origins, and no others, show it in a frame."""
    await _owners(request).embed(request, project, slug, sites.origins)
    return Response(status_code=204)


@forms.post("/d/{project}/{slug}/sharing/{what}")
async def by_form(request: Request, project: str, slug: str, what: str) -> Response:
    """The same by the forms of the dashboard's page."""
    owners = _owners(request)
    form = await owners.doors.form(request)
    said = {key: value.strip() for key, value in form.items() if isinstance(value, str)}
    match what:
        case "grant":
            kind, name, role = (said.get(key, "") for key in ("kind", "name", "role"))
            await owners.grant(request, project, slug, kind, name, role)
        case "revoke":
            await owners.revoke(request, project, slug, said.get("kind", ""), said.get("name", ""))
        case "alias":
            await owners.take_alias(request, project, slug, said.get("alias", "").lower())
        case "drop-alias":
            await owners.drop_alias(request, project, slug, said.get("alias", ""))
        case "link":
            return await _made(request, project, slug, said)
        case "withdraw":
            await owners.withdraw(request, project, slug, _number(said, "link"))
        case "embed":
            await owners.embed(request, project, slug, said.get("origins", "").split())
        case _:
            raise NotFound("there is no such form", "use those of the dashboard's page")
    return RedirectResponse(f"{owners.doors.login.prefix}d/{project}/{slug}#sharing", 303)


async def _made(request: Request, project: str, slug: str, said: dict[str, str]) -> HTMLResponse:
    made = await _owners(request).make_link(request, project, slug, said.get("note", ""), _number(said, "days"))
    back = f"{request.app.state.doors.login.prefix}d/{project}/{slug}"
    return await shown_once(request, "link.html", made, back)


def view(request: Request, row: Dashboard) -> dict[str, Any]:
    """What the block of the dashboard's page shows."""
    return {**_owners(request).told(row), "most_days": request.app.state.settings.dashboards.share_link_days}


def _owners(request: Request) -> Owners:
    return Owners(request.app.state.doors)


def _number(said: dict[str, str], name: str) -> int:
    if not said.get(name, "").isdecimal() or len(said[name]) > 9:
        raise BadRequest(f"{name}: {said.get(name, '')!r:.20} is no number", "write a whole number")
    return int(said[name])
