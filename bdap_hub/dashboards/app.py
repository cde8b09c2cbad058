"""The dashboards service on the hub's origin: publish API, gallery, a dashboard's page, and the door to private ones.

Every answer about who may what comes from access; every refusal and every change is audited.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from ..access import Administer, Decision, Person, Publish, ViewDashboard, decide
from ..access import Request as Wanted
from ..database import connect
from ..errors import NotAllowed, NotFound, NotLoggedIn
from ..settings import Settings
from ..web import HubLogin, Principal, create_service, note
from .publish import Publisher
from .records import Records
from .runtime import Runtime, make_runtime
from .tables import Dashboard


def create_app(settings: Settings) -> FastAPI:
    """The service under /services/dashboards/. Needs the secrets `service-dashboards` and `signing`."""
    from . import api, pages

    app, login = create_service(settings, "dashboards", "Dashboards")
    app.state.sessions = connect(settings.database)
    app.state.records = Records(app.state.sessions)
    app.state.doors = Doors(settings, login, app.state.records)
    for router in (api.router, pages.router):
        _include(app, router, login)
    return app


def _include(app: FastAPI, router: APIRouter, login: HubLogin) -> None:
    app.include_router(router, prefix=login.prefix.rstrip("/"))


class Doors:
    """What the routes share: who may do what (with its audit record), and the publisher."""

    def __init__(self, settings: Settings, login: HubLogin, records: Records) -> None:
        self.settings, self.login, self.records = settings, login, records
        self._runtime: Runtime | None = None

    def publisher(self) -> Publisher:
        """Made at first use: the gallery also works while the engine is down."""
        if self._runtime is None:
            self._runtime = make_runtime(self.settings)
        return Publisher(self.settings, self.records, self._runtime, self.login)

    async def author(self, request: Request) -> Principal:
        """The person who calls; a dashboard's release reads data, it never publishes."""
        principal = await self.login.require(request)
        if principal.kind != "person":
            await self.note(request, principal.person.name, "dashboard.publish", "", False, "a release is no person")
            raise NotAllowed("a dashboard cannot publish or change dashboards", "use a person's token")
        return principal

    async def allow_publish(self, request: Request, who: Principal, project: str, dashboard: Dashboard | None) -> None:
        """Raises NotAllowed, audited, unless access lets the person publish there."""
        live = dashboard if dashboard is not None and dashboard.status == "live" else None
        wanted = Publish(project, "project", live.owner if live else "")
        subject = live.name if live else project
        await self._ask(request, who.person, wanted, "dashboard.publish", subject)

    async def allow_change(self, request: Request, who: Principal, dashboard: Dashboard, action: str) -> None:
        """Owner (still a member) or administrator; one who may not even see it is told that it does not exist."""
        if not self.sees(who.person, dashboard):
            await self.note(request, who.person.name, action, dashboard.name, False, "may not see it")
            raise NotFound(f"there is no dashboard {dashboard.name}", "look in the gallery for its address")
        if not self.changes(who.person, dashboard):
            wanted = Publish(dashboard.project, dashboard.visibility, dashboard.owner)  # type: ignore[arg-type]
            await self._ask(request, who.person, wanted, action, dashboard.name)

    async def take_down(self, request: Request, project: str, slug: str) -> None:
        """Nobody can open it any more. For its owner and administrators; audited."""
        principal = await self.author(request)
        row = self.records.get(project, slug)
        await self.allow_change(request, principal, row, "dashboard.take-down")
        await run_in_threadpool(self.publisher().take_down, row)
        await self.note(request, principal.person.name, "dashboard.take-down", row.name, True, "")

    def changes(self, person: Person | None, dashboard: Dashboard) -> bool:
        """Whether the person may take it down or change who sees it."""
        policy = self.settings.policy()
        wanted = Publish(dashboard.project, dashboard.visibility, dashboard.owner)  # type: ignore[arg-type]
        return bool(decide(policy, person, wanted)) or bool(decide(policy, person, Administer()))

    def sees(self, person: Person | None, dashboard: Dashboard) -> bool:
        """Whether it stands in the person's gallery: those one may open, and for administrators all."""
        return bool(self.view(person, dashboard)) or bool(decide(self.settings.policy(), person, Administer()))

    def view(self, person: Person | None, dashboard: Dashboard) -> Decision:
        """Whether the person may open it, with the reason."""
        wanted = ViewDashboard(dashboard.name, dashboard.visibility, dashboard.project)  # type: ignore[arg-type]
        return decide(self.settings.policy(), person, wanted)

    async def visitor(self, request: Request) -> Principal | None:
        """Who looks; None for nobody. A session that the hub forgot counts as nobody."""
        try:
            return await self.login.principal(request)
        except NotLoggedIn:
            if request.headers.get("authorization"):
                raise
            return None

    async def note(self, request: Request, who: str, action: str, subject: str, allowed: bool, reason: str) -> None:
        """One audit record."""
        await note(request, who, action, subject, allowed, reason)

    async def _ask(self, request: Request, person: Person, wanted: Wanted, action: str, subject: str) -> None:
        decision = decide(self.settings.policy(), person, wanted)
        if not decision:
            await self.note(request, person.name, action, subject, False, decision.reason)
            raise NotAllowed(decision.reason, "ask the project's owner or an administrator")
