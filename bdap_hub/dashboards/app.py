"""The dashboards service on the hub's origin: publish API, gallery, a dashboard's page, and the door to private ones.

Every answer about who may what comes from access; every refusal and every change is audited.
"""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from .. import entitlements
from ..access import Administer, ChangeDashboard, Decision, Person, Policy, Publish, ViewDashboard, Visibility, decide
from ..access import Request as Wanted
from ..database import connect
from ..errors import NotAllowed, NotFound, NotLoggedIn
from ..settings import Settings
from ..web import HubLogin, Principal, create_service, note
from .faults import Faults
from .publish import Publisher
from .records import Records
from .runtime import Runtime, make_runtime
from .tables import Dashboard
from .usage import Usage

IN_THE_BROWSER = (
    "publish it for the project's members; then open it to everybody on its page in the browser, which lets you log in"
)


def create_app(settings: Settings) -> FastAPI:
    """The service under /services/dashboards/. Needs the secrets `service-dashboards` and `signing`."""
    from . import api, author, gallery, pages

    app, login = create_service(settings, "dashboards", "Dashboards")
    app.state.sessions = connect(settings.database)
    app.state.records = Records(app.state.sessions)
    app.state.doors = Doors(settings, login, app.state.records)
    for router in (api.router, author.router, gallery.router, pages.router):
        _include(app, router, login)
    return app


def _include(app: FastAPI, router: APIRouter, login: HubLogin) -> None:
    app.include_router(router, prefix=login.prefix.rstrip("/"))


class Doors:
    """What the routes share: who may do what (with its audit record), and the publisher."""

    def __init__(self, settings: Settings, login: HubLogin, records: Records) -> None:
        self.settings, self.login, self.records = settings, login, records
        self.usage, self.faults = Usage(records.sessions), Faults(records.sessions)
        self.following = 0
        self._runtime: Runtime | None = None

    def runtime(self) -> Runtime:
        """Made at first use: the gallery also works while the engine is down."""
        if self._runtime is None:
            self._runtime = make_runtime(self.settings)
        return self._runtime

    def publisher(self) -> Publisher:
        """What publishes and takes down."""
        return Publisher(self.settings, self.records, self.runtime(), self.login)

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
        return replace(principal, person=await self.login.assured(principal))

    async def allow_publish(
        self, request: Request, who: Principal, project: str, visibility: Visibility, dashboard: Dashboard | None
    ) -> None:
        """Raises NotAllowed or StepUp, audited, unless access lets the person publish there for all those."""
        live = dashboard if dashboard is not None and dashboard.status == "live" else None
        wanted = Publish(project, visibility, live.owner if live else "")
        subject = live.name if live else project
        await self._ask(request, who, wanted, "dashboard.publish", subject, live)

    async def allow_change(
        self, request: Request, who: Principal, dashboard: Dashboard, action: str, visibility: Visibility = "project"
    ) -> None:
        """Owner (still a member) or administrator; one who may not even see it is told that it does not exist."""
        if not self.sees(who.person, dashboard):
            await self.note(request, who.person.name, action, dashboard.name, False, "may not see it")
            raise NotFound(f"there is no dashboard {dashboard.name}", "look in the gallery for its address")
        wanted = ChangeDashboard(dashboard.project, dashboard.owner, visibility)
        await self._ask(request, who, wanted, action, dashboard.name, dashboard)

    async def take_down(self, request: Request, project: str, slug: str) -> None:
        """Nobody can open it any more. For its owner and administrators; audited."""
        principal = await self.author(request)
        row = self.records.get(project, slug)
        await self.allow_change(request, principal, row, "dashboard.take-down")
        await run_in_threadpool(self.publisher().take_down, row)
        await self.note(request, principal.person.name, "dashboard.take-down", row.name, True, "")

    def change(self, person: Person | None, dashboard: Dashboard, visibility: Visibility = "project") -> Decision:
        """Whether the person may take it down, or let all those see it."""
        return decide(self.policy, person, ChangeDashboard(dashboard.project, dashboard.owner, visibility))

    def sees(self, person: Person | None, dashboard: Dashboard) -> bool:
        """Whether it stands in the person's gallery: those one may open, and for administrators all."""
        return bool(self.view(person, dashboard)) or bool(decide(self.policy, person, Administer()))

    def view(self, person: Person | None, dashboard: Dashboard) -> Decision:
        """Whether the person may open it, with the reason."""
        wanted = ViewDashboard(dashboard.name, dashboard.visibility, dashboard.project)  # type: ignore[arg-type]
        return decide(self.policy, person, wanted)

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
