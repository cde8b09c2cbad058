"""What all pages of dashboards show: a dashboard as a card, and the person who looks."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from ...access import Administer, Person, decide, decides_on_members
from ...web import Principal, page
from ..tables import Dashboard

SEEN_BY = {"project": "Project members", "people": "Everybody logged in", "public": "Public"}


@dataclass(frozen=True)
class Viewer:
    """The person who looks, as the page's header names them."""

    name: str
    display_name: str
    admin: bool
    decides: bool


def card(request: Request, row: Dashboard, person: Person | None) -> dict[str, Any]:
    """A dashboard as templates show it; who owns it, for who is logged in."""
    doors = request.app.state.doors
    found = doors.policy.project(row.project)
    return {
        "row": row,
        "project": found.title if found else row.project,
        "owner": row.owner if person else "",
        "url": doors.settings.dashboards.address(row.project, row.slug),
        "page": f"{doors.login.prefix}d/{row.name}",
        "seen_by": SEEN_BY.get(row.visibility, row.visibility),
        "updated": ago(row.updated),
        "tone": zlib.crc32(row.name.encode()) % 6,
        "initials": "".join(word[0] for word in row.title.replace("-", " ").split()[:2]).upper(),
    }


def viewer(request: Request, visitor: Principal | None) -> Viewer | None:
    """Who looks, for the header; None for nobody."""
    if visitor is None:
        return None
    policy, person = request.app.state.doors.policy, visitor.person
    admin, decides = decide(policy, person, Administer()).entitled, decides_on_members(policy, person)
    return Viewer(person.name, visitor.display_name or person.name, admin, decides)


def ago(when: datetime) -> str:
    """How long ago, in the largest whole unit, in words."""
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - when).total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (count := int(seconds // size)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


async def shown_once(request: Request, template: str, made: dict[str, Any], back: str) -> HTMLResponse:
    """The only page that shows a secret that was made: no browser keeps it."""
    who = await request.app.state.doors.visitor(request)
    answer = page(request, template, person=viewer(request, who), made=made, back=back)
    answer.headers["Cache-Control"] = "no-store"
    return answer
