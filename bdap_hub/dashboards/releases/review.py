"""What becomes of a version: draft, submitted, approved or rejected, live, retired.

`access` decides who may, Records keep it, and each step is audited. No step stops what somebody looks at.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from ...access import EditDashboard, MakeLive, Person, Policy, ReviewRelease, approver, decide
from ...access import Request as Wanted
from ...errors import BadRequest, Conflict, NotFound
from ...web import Principal
from ..records import Records, wider
from ..tables import Dashboard, Release

if TYPE_CHECKING:
    from ..app import Doors

FROM = {
    "submit": ("draft", "rejected"),
    "approve": ("submitted",),
    "reject": ("submitted", "approved"),
    "promote": ("draft", "submitted", "approved", "retired"),
}
MAX_COMMENT = 2000
HOUR = 3600.0


def settle(records: Records, policy: Policy, dashboard: Dashboard, release: Release) -> None:
    """A version that works goes live, or to those who must approve it first."""
    beyond = records.beyond(dashboard)
    if approver(policy, dashboard.project, wider(release.visibility, beyond)) == "nobody":
        records.make_live(dashboard, release.version, beyond)
    else:
        records.move(release, FROM["submit"], status="submitted", comment="", reviewer="")


def shown_to(dashboard: Dashboard, release: Release) -> str:
    """Who will see the version once it is live: of one that was live before, those who see the dashboard now."""
    return dashboard.visibility if release.status in ("live", "retired") else release.visibility


def wanted(policy: Policy, verb: str, dashboard: Dashboard, release: Release, beyond: str) -> Wanted:
    """What `access` is asked before somebody does that with a version. `beyond`: see `Records.beyond`.

    Where nobody must approve, to submit it is to show it.
    """
    if verb == "submit" and approver(policy, dashboard.project, wider(release.visibility, beyond)) != "nobody":
        return EditDashboard(dashboard.project, dashboard.owner, dashboard.granted)
    seen: Any = wider(shown_to(dashboard, release), beyond)
    if verb in ("submit", "promote"):
        approved: Any = release.approved
        return MakeLive(dashboard.project, dashboard.owner, seen, approved, dashboard.granted)
    return ReviewRelease(dashboard.project, seen, release.publisher)


@dataclass(frozen=True)
class Act:
    """Somebody does something with a version; what they may is decided already."""

    who: str
    dashboard: Dashboard
    release: Release
    beyond: str
    comment: str = ""
    live: bool = True


class Reviews:
    """The steps, as API and forms take them."""

    def __init__(self, doors: Doors) -> None:
        self.doors, self.records = doors, doors.records
        self._told: dict[int, float] = {}

    async def tell(self, dashboard: Dashboard, release: Release) -> None:
        """Write to those who may approve the version, if it waits for that: at most once an hour for a dashboard."""
        if release.status != "submitted" or self._told.get(dashboard.id, 0.0) > time.monotonic() - HOUR:
            return
        beyond = await run_in_threadpool(self.records.beyond, dashboard)
        seen = {"visibility": wider(release.visibility, beyond), "publisher": release.publisher}
        if await self.doors.login.ask_hub("/bdap/letters", {"dashboard": dashboard.name, "reason": "review", **seen}):
            self._told[dashboard.id] = time.monotonic()

    async def act(
        self, request: Request, verb: str, name: str, version: int, comment: str = "", live: bool = True
    ) -> Dashboard:
        """Carry out `submit`, `approve`, `reject` or `promote` for version of the dashboard of that name.

        `live`: what is approved goes live at once. A comment is the reviewer's to the author.
        """
        principal, row = await self._door(request, f"dashboard.{verb}", name)
        return await self._carry_out(request, verb, principal, row, version, comment, live)

    async def roll_back(self, request: Request, name: str) -> Dashboard:
        """Back to the version that was live before this one; NotFound where there is none."""
        principal, row = await self._door(request, "dashboard.promote", name)
        releases = await run_in_threadpool(self.records.releases, row)
        earlier = [one.version for one in releases if one.status == "retired" and one.version < row.version]
        if row.status != "live" or not earlier:
            raise NotFound(f"{name} has no earlier version to go back to", "promote another version")
        return await self._carry_out(request, "promote", principal, row, max(earlier))

    def offers(self, person: Person | None, dashboard: Dashboard, release: Release) -> list[str]:
        """What a page offers this person for a version."""
        verbs = [verb for verb, states in FROM.items() if release.status in states]
        policy, beyond = self.doors.policy, self.records.beyond(dashboard) if verbs else ""
        asked = {verb: wanted(policy, verb, dashboard, release, beyond) for verb in verbs}
        return [verb for verb, request in asked.items() if decide(policy, person, request).entitled]

    def waiting(self, person: Person | None) -> list[tuple[Dashboard, Release]]:
        """Submitted versions that this person may approve or reject."""
        found = self.records.submitted() if person else []
        return [(row, one) for row, one in found if "approve" in self.offers(person, row, one)]

    async def _door(self, request: Request, action: str, name: str) -> tuple[Principal, Dashboard]:
        principal = await self.doors.author(request)
        return principal, await self.doors.seen(request, principal, name, action)

    async def _carry_out(
        self,
        request: Request,
        verb: str,
        principal: Principal,
        row: Dashboard,
        version: int,
        comment: str = "",
        live: bool = True,
    ) -> Dashboard:
        release = await run_in_threadpool(self.records.release, row, version)
        beyond = await run_in_threadpool(self.records.beyond, row)
        asked = wanted(self.doors.policy, verb, row, release, beyond)
        await self.doors.ask(request, principal, asked, f"dashboard.{verb}", row)
        if release.status not in FROM[verb]:
            states = " or ".join(FROM[verb])
            raise Conflict(f"version {version} is {release.status}", f"{verb} works for one that is {states}")
        if len(comment) > MAX_COMMENT:
            raise BadRequest(f"comment: {len(comment)} characters", f"use at most {MAX_COMMENT}")
        if verb == "reject" and not comment.strip():
            raise BadRequest("comment: a rejection without a reason", "say what its author should change")
        act = Act(principal.person.name, row, release, beyond, comment.strip(), live)
        steps: dict[str, Callable[[Act], Awaitable[str]]] = {
            "submit": self._submit, "approve": self._approve, "reject": self._reject, "promote": self._promote,
        }  # fmt: skip
        told = await steps[verb](act)
        await self.doors.note(request, act.who, f"dashboard.{verb}", row.name, True, f"version {version}{told}")
        found = await run_in_threadpool(self.records.find, row.project, row.slug)
        assert found is not None
        return found

    async def _submit(self, act: Act) -> str:
        await run_in_threadpool(settle, self.records, self.doors.policy, act.dashboard, act.release)
        release = await run_in_threadpool(self.records.release, act.dashboard, act.release.version)
        await self.tell(act.dashboard, release)
        return f", for {act.release.visibility}"

    async def _approve(self, act: Act) -> str:
        seen = wider(shown_to(act.dashboard, act.release), act.beyond)
        values = {"status": "approved", "approved": seen, "comment": act.comment, "reviewer": act.who}
        await run_in_threadpool(lambda: self.records.move(act.release, FROM["approve"], **values))
        if act.live:
            await run_in_threadpool(self.records.make_live, act.dashboard, act.release.version, act.beyond)
        return f" for {seen}{', live' if act.live else ''}"

    async def _reject(self, act: Act) -> str:
        values = {"status": "rejected", "approved": "", "comment": act.comment, "reviewer": act.who}
        await run_in_threadpool(lambda: self.records.move(act.release, FROM["reject"], **values))
        return ""

    async def _promote(self, act: Act) -> str:
        await run_in_threadpool(self.records.make_live, act.dashboard, act.release.version, act.beyond)
        return ""
