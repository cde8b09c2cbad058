"""The dashboards service on the hub's origin: publish API, gallery, a dashboard's page, and the door to private ones.

Every answer about who may what comes from access; every refusal and every change is audited.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import APIRouter, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from .. import entitlements
from ..access import (
    WIDTH,
    Administer,
    ChangeDashboard,
    Decision,
    MakeLive,
    Person,
    Policy,
    PreviewRelease,
    Publish,
    ViewDashboard,
    Visibility,
    decide,
)
from ..access import Request as Wanted
from ..database import connect
from ..errors import BadRequest, BdapError, NotAllowed, NotFound, NotLoggedIn
from ..settings import Settings
from ..web import HubLogin, Principal, create_service, form_of, note
from .records import Records
from .releases.from_git import FromGit
from .releases.means import Layers, without_packages
from .releases.places import Publications
from .releases.publish import Publisher
from .releases.review import Reviews
from .running.faults import Faults
from .running.runtime import Runtime, make_runtime
from .sharing.shares import Sharing
from .tables import Dashboard
from .usage import Usage

log = logging.getLogger("bdap.dashboards")
IN_THE_BROWSER = (
    "publish it for the project's members; then open it to everybody on its page in the browser, which lets you log in"
)


def create_app(settings: Settings, layers: Layers = without_packages) -> FastAPI:
    """The service under /services/dashboards/. Needs the secrets `service-dashboards` and `signing`.

    `layers` makes images with what manifests require: another room's work, given by whoever starts the service.
    """
    from .bundles import uploads_api
    from .pages import author, gallery
    from .pages import dashboard as pages
    from .releases import api, git_api, review_api
    from .sharing import sharing_api

    app, login = create_service(settings, "dashboards", "Dashboards")
    app.state.sessions = connect(settings.database)
    app.state.records = Records(app.state.sessions)
    app.state.doors = Doors(settings, login, app.state.records, layers)
    for router in (
        api.router,
        uploads_api.router,
        review_api.router,
        review_api.forms,
        git_api.router,
        git_api.hooks,
        git_api.forms,
        sharing_api.router,
        sharing_api.forms,
        author.router,
        gallery.router,
        pages.router,
    ):
        _include(app, router, login)
    app.router.lifespan_context = _alive
    return app


@asynccontextmanager
async def _alive(app: FastAPI) -> AsyncIterator[None]:
    """What goes on beside the requests."""
    from .bundles import housekeeping

    doors: Doors = app.state.doors
    async with housekeeping.tidied(app), doors.from_git.working():
        yield


def _include(app: FastAPI, router: APIRouter, login: HubLogin) -> None:
    app.include_router(router, prefix=login.prefix.rstrip("/"))


class Doors:
    """What the routes share: who may do what (with its audit record), and the publisher."""

    def __init__(
        self, settings: Settings, login: HubLogin, records: Records, layers: Layers = without_packages
    ) -> None:
        self.settings, self.login, self.records, self.layers = settings, login, records, layers
        self.usage, self.faults = Usage(records.sessions), Faults(records.sessions)
        self.following = 0
        self.reviews, self.sharing = Reviews(self), Sharing(records.sessions)
        self.from_git, self.places = FromGit(self), Publications()
        self._runtime: Runtime | None = None

    def runtime(self) -> Runtime:
        """Made at first use: the gallery also works while the engine is down."""
        if self._runtime is None:
            self._runtime = make_runtime(self.settings, publishes=True)
        return self._runtime

    def publisher(self) -> Publisher:
        """What publishes, starts and ends releases."""
        return Publisher(self.settings, self.records, self.runtime(), self.login, self.layers)

    @property
    def policy(self) -> Policy:
        """What access decides by."""
        return entitlements.policy(self.settings, self.records.sessions)

    async def author(self, request: Request) -> Principal:
        """The person who calls; a dashboard's release reads data, it never publishes."""
        principal = await self.login.require(request)
        if principal.kind != "person":
            await self.note(request, principal.person.name, "dashboard.publish", "", False, "a release is no person")
            raise NotAllowed("a dashboard cannot publish or change dashboards", "use a person's token")
        await entitlements.ready(self.settings, self.records.sessions)
        return replace(principal, person=await self.login.assured(principal))

    async def form(self, request: Request) -> FormData:
        """What the person who calls sent by a form: read once it is known who that is."""
        await self.author(request)
        return await form_of(request)

    async def allow_publish(
        self, request: Request, who: Principal, project: str, visibility: Visibility, dashboard: Dashboard | None
    ) -> None:
        """Raises NotAllowed or StepUp, audited, unless access lets the person publish there for all those."""
        there = dashboard if dashboard is not None and dashboard.status != "retired" else None
        wanted = Publish(project, visibility)
        if there is not None:
            wanted = Publish(project, visibility, there.owner, there.granted, there.visibility)  # type: ignore[arg-type]
        await self._ask(request, who, wanted, "dashboard.publish", there.name if there else project, there)

    async def allow_change(
        self, request: Request, who: Principal, dashboard: Dashboard, action: str, visibility: Visibility = "project"
    ) -> None:
        """Owner (still a member) or administrator; one who may not even see it is told that it does not exist."""
        await self.seen(request, who, dashboard.name, action)
        await self.ask(request, who, _change(dashboard, visibility), action, dashboard)

    async def seen(self, request: Request, who: Principal, name: str, action: str) -> Dashboard:
        """The dashboard of that name, a draft too; one who may not see it is told that it does not exist."""
        row = await run_in_threadpool(self.records.find, *name.split("/", 1))
        if row is not None and row.status != "retired" and self.sees(who.person, row):
            return row
        await self.note(request, who.person.name, action, name, False, "may not see it, or it does not exist")
        raise NotFound(f"there is no dashboard {name}", "look in the gallery for its address")

    async def ask(self, request: Request, who: Principal, wanted: Wanted, action: str, dashboard: Dashboard) -> None:
        """Raises NotAllowed or StepUp, audited, unless access lets the person do it."""
        await self._ask(request, who, wanted, action, dashboard.name, dashboard)

    async def change_visibility(self, request: Request, project: str, slug: str, visibility: str) -> None:
        """Let those see it. For owners, where nobody must approve or the live version was approved for as many."""
        principal = await self.author(request)
        row = await self.seen(request, principal, f"{project}/{slug}", "dashboard.visibility")
        if visibility not in WIDTH:
            raise BadRequest(f"visibility: {visibility!r:.40} is unknown", "use project, people or public")
        await self.allow_change(request, principal, row, "dashboard.visibility", visibility)  # type: ignore[arg-type]
        release = await run_in_threadpool(self.records.release, row, row.version)
        wanted = MakeLive(row.project, row.owner, visibility, release.approved, row.granted)  # type: ignore[arg-type]
        await self.ask(request, principal, wanted, "dashboard.visibility", row)
        await run_in_threadpool(self.records.show, row, visibility)
        await self.note(request, principal.person.name, "dashboard.visibility", row.name, True, visibility)

    async def take_down(self, request: Request, project: str, slug: str) -> None:
        """Nobody can open it any more. For its owner and administrators; audited."""
        principal = await self.author(request)
        row = await self.seen(request, principal, f"{project}/{slug}", "dashboard.take-down")
        await self.allow_change(request, principal, row, "dashboard.take-down")
        await run_in_threadpool(self.records.retire, row)  # first what counts, then what may fail
        await run_in_threadpool(self.sharing.withdraw_all, row)
        await run_in_threadpool(self.from_git.sources.remove, row)
        await self.note(request, principal.person.name, "dashboard.take-down", row.name, True, "")
        await run_in_threadpool(self._end, row)

    def _end(self, row: Dashboard) -> None:
        try:
            self.publisher().stop_all(row)
        except BdapError as error:  # the gateway's next round ends what it can
            log.warning("the versions of %s still run: %s", row.name, error.message)

    def change(self, person: Person | None, dashboard: Dashboard, visibility: Visibility = "project") -> Decision:
        """Whether the person may take it down, or let all those see it."""
        return decide(self.policy, person, _change(dashboard, visibility))

    def sees(self, person: Person | None, dashboard: Dashboard) -> bool:
        """Whether its page is theirs: of one they may open or edit, and for administrators all."""
        seen = dashboard.status == "live" and bool(self.view(person, dashboard))
        return seen or bool(self.preview(person, dashboard)) or bool(decide(self.policy, person, Administer()))

    def preview(self, person: Person | None, dashboard: Dashboard) -> Decision:
        """Whether the person may open versions that are not live."""
        wanted = PreviewRelease(dashboard.project, dashboard.owner, dashboard.granted)
        return decide(self.policy, person, wanted)

    def view(self, person: Person | None, dashboard: Dashboard) -> Decision:
        """Whether the person may open it, with the reason."""
        return decide(
            self.policy,
            person,
            ViewDashboard(dashboard.name, dashboard.visibility, dashboard.project, dashboard.granted),  # type: ignore[arg-type]
        )

    async def visitor(self, request: Request) -> Principal | None:
        """Who looks; None for nobody. A session that the hub forgot counts as nobody."""
        try:
            principal = await self.login.principal(request)
        except NotLoggedIn:
            if request.headers.get("authorization"):
                raise
            return None
        return principal and replace(principal, person=await self.login.assured(principal))

    async def note(self, request: Request, who: str, action: str, subject: str, allowed: bool, reason: str) -> None:
        """One audit record."""
        await note(request, who, action, subject, allowed, reason)

    async def _ask(
        self, request: Request, who: Principal, wanted: Wanted, action: str, subject: str, dashboard: Dashboard | None
    ) -> None:
        decision = decide(self.policy, who.person, wanted)
        if decision:
            return
        await self.note(request, who.person.name, action, subject, False, decision.reason)
        if decision.step_up is None:
            raise NotAllowed(decision.reason, "ask the project's owner or an administrator")
        back = f"{self.login.prefix}d/{dashboard.name}" if dashboard else self.login.prefix
        raise self.login.step_up(request, decision, "log in again" if who.session else IN_THE_BROWSER, back)


def _change(dashboard: Dashboard, visibility: Visibility) -> ChangeDashboard:
    return ChangeDashboard(dashboard.project, dashboard.owner, visibility, dashboard.granted)
