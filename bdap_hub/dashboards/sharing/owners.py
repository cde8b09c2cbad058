"""What a dashboard's owners may do with who else sees it: decided by `access`, kept by Sharing, audited."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from ...access import ShareDashboard, Visibility
from ...errors import BadRequest
from ...web import Principal
from ..tables import Dashboard
from .guests import SHARE_PATH
from .shares import MOST_ORIGINS, check_alias, check_grant, check_origin

if TYPE_CHECKING:
    from ..app import Doors


class Owners:
    """The acts, as API and forms take them."""

    def __init__(self, doors: Doors) -> None:
        self.doors, self.sharing = doors, doors.sharing

    async def door(self, request: Request, project: str, slug: str, action: str) -> Dashboard:
        """The dashboard, for its owners and administrators."""
        return (await self._enter(request, project, slug, action))[1]

    def told(self, row: Dashboard) -> dict[str, Any]:
        """All that owners see."""
        return {
            "grants": [{"kind": one.kind, "name": one.name, "role": one.role} for one in row.grants],
            "aliases": [{"alias": one, "url": self._alias_url(one)} for one in self.sharing.aliases(row)],
            "links": [
                {"id": one.id, "note": one.note, "made_by": one.made_by, "created": one.created, "expires": one.expires}
                for one in self.sharing.links(row)
            ],
            "embed": list(row.embed),
        }

    async def grant(self, request: Request, project: str, slug: str, kind: str, name: str, role: str) -> None:
        """Give somebody a part in it. A group can be everybody: it takes what showing it to people does."""
        principal, row = await self._enter(request, project, slug, "dashboard.grant")
        check_grant(kind, name, role)
        if kind == "group":
            await self._allow(request, principal, row, "dashboard.grant", "people")
        elif await self.doors.login.groups_of(name) is None:
            raise BadRequest(f"name: there is no person {name!r:.80}", "ask them to log in once")
        await self._do(self.sharing.grant, row, kind, name, role)
        if kind == "group":
            await self._do(self.doors.records.shared, row, "people")
        await self._note(request, principal, "dashboard.grant", row, f"{kind} {name}: {role}")

    async def revoke(self, request: Request, project: str, slug: str, kind: str, name: str) -> None:
        """Take it away."""
        principal, row = await self._enter(request, project, slug, "dashboard.revoke")
        await self._do(self.sharing.revoke, row, kind, name)
        await self._note(request, principal, "dashboard.revoke", row, f"{kind} {name}")

    async def take_alias(self, request: Request, project: str, slug: str, alias: str) -> None:
        """Let a short name lead to it."""
        principal, row = await self._enter(request, project, slug, "dashboard.alias")
        projects = [one.name for one in self.doors.policy.projects if one.name != row.project]
        check_alias(alias, self.doors.settings.dashboards.reserved_aliases, projects)
        await self._do(self.sharing.take_alias, row, alias)
        await self._note(request, principal, "dashboard.alias", row, alias)

    async def drop_alias(self, request: Request, project: str, slug: str, alias: str) -> None:
        """Let it lead nowhere."""
        principal, row = await self._enter(request, project, slug, "dashboard.alias")
        await self._do(self.sharing.drop_alias, row, alias)
        await self._note(request, principal, "dashboard.alias", row, f"{alias} given up")

    async def make_link(self, request: Request, project: str, slug: str, note: str, days: int) -> dict[str, Any]:
        """A link, with its address, for people without an account."""
        principal = await self.doors.author(request)
        row = await self.doors.seen(request, principal, f"{project}/{slug}", "dashboard.share")
        await self._allow(request, principal, row, "dashboard.share", "public")
        most = self.doors.settings.dashboards.share_link_days
        if not 1 <= days <= most:
            raise BadRequest(f"days: {days} is not between 1 and {most}", "links that last longer are not made here")
        link, secret = await self._do(self.sharing.make_link, row, principal.person.name, note, days)
        await self._do(self.doors.records.shared, row, "public")
        await self._note(request, principal, "dashboard.share", row, f"link {link.id}, {days} days")
        address = self.doors.settings.dashboards.address(row.project, row.slug).rstrip("/")
        return {"id": link.id, "note": note, "expires": link.expires, "url": f"{address}{SHARE_PATH}#{secret}"}

    async def withdraw(self, request: Request, project: str, slug: str, link: int) -> None:
        """It opens nothing any more."""
        principal, row = await self._enter(request, project, slug, "dashboard.share")
        await self._do(self.sharing.withdraw, row, link)
        await self._note(request, principal, "dashboard.share", row, f"link {link} withdrawn")

    async def embed(self, request: Request, project: str, slug: str, origins: list[str]) -> None:
        """Let these sites show it in a frame."""
        principal, row = await self._enter(request, project, slug, "dashboard.embed")
        if len(origins) > MOST_ORIGINS:
            raise BadRequest(f"origins: {len(origins)} of them", f"name at most {MOST_ORIGINS}")
        checked = list(dict.fromkeys(map(check_origin, origins)))
        await run_in_threadpool(lambda: self.doors.records.change(row, embed=checked))
        await self._note(request, principal, "dashboard.embed", row, ", ".join(checked) or "none")

    async def _enter(self, request: Request, project: str, slug: str, action: str) -> tuple[Principal, Dashboard]:
        principal = await self.doors.author(request)
        row = await self.doors.seen(request, principal, f"{project}/{slug}", action)
        await self.doors.allow_change(request, principal, row, action)
        return principal, row

    async def _allow(
        self, request: Request, who: Principal, row: Dashboard, action: str, visibility: Visibility
    ) -> None:
        releases = await run_in_threadpool(self.doors.records.releases, row)
        publisher = next((one.publisher for one in releases if one.version == row.version), "")
        wanted = ShareDashboard(row.project, row.owner, visibility, row.granted, publisher)
        await self.doors.ask(request, who, wanted, action, row)

    async def _do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        return await run_in_threadpool(act, *arguments)

    async def _note(self, request: Request, who: Principal, action: str, row: Dashboard, reason: str) -> None:
        await self.doors.note(request, who.person.name, action, row.name, True, reason)

    def _alias_url(self, alias: str) -> str:
        return self.doors.settings.dashboards.alias_address(alias)
