"""Who comes in at a dashboard's own origin: which dashboard a host name means, who asks, and what `access` says.

A visitor is a person known at the hub (see tickets), or somebody with a share link (see guests), or nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from ... import entitlements, web
from ...access import Decision, Person, PreviewRelease, ViewDashboard, decide
from ...errors import NotAllowed, NotFound
from ...settings import Settings
from ...web import HubLogin
from ..records import NAME, Live, read_label
from ..running.keeper import Keeper
from ..sharing.guests import Guests
from ..sharing.shares import Sharing
from ..sharing.tickets import Visitor, read_session


@dataclass(frozen=True)
class Caller:
    """Who asks, as the cookies of one dashboard's origin say: `person` while their login at the hub goes on, `invited`
    while the link by which they came counts."""

    visitor: Visitor | None = None
    person: Person | None = None
    link: int | None = None
    invited: bool = False

    @property
    def name(self) -> str:
        """The person's account name, '' for anybody else."""
        return self.person.name if self.person else ""


class Entrance:
    """The gateway's door."""

    def __init__(self, settings: Settings, keeper: Keeper, login: HubLogin) -> None:
        self.settings, self.keeper, self.login = settings, keeper, login
        self.key = settings.secret("signing")
        self.origin = urlsplit(settings.dashboards.origin)
        self.sharing = Sharing(keeper.records.sessions)
        self.guests = Guests(self.key, self.sharing)
        prefix = "__Host-" if self.origin.scheme == "https" else ""
        self.cookie, self.guest_cookie = f"{prefix}bdap-dashboard", f"{prefix}bdap-guest"

    def host(self, connection: HTTPConnection) -> str:
        """The host name that was asked for."""
        return (urlsplit(f"//{connection.headers.get('host', '')}").hostname or "").lower()

    async def live(self, connection: HTTPConnection) -> Live:
        """The dashboard, or the version to preview, that the host name asks for; NotFound for every other name."""
        host = self.host(connection)
        label, _, rest = host.partition(".")
        found = read_label(label) if rest == self.origin.hostname else None
        live = self.keeper.known(*found) if found else None
        if found and live is None:
            live = await run_in_threadpool(self.keeper.live, *found)
        if live is None:
            raise NotFound(f"there is no dashboard at {host}", "look in the gallery for its address")
        return live

    async def caller(self, connection: HTTPConnection, live: Live) -> Caller:
        """Who asks. Nobody is looked for where everybody may come in."""
        visitor = self.visitor(connection, live)
        if live.open:
            return Caller(visitor)
        link = None if live.preview else self.guests.link(live.key, _cookies(connection, self.guest_cookie))
        return Caller(visitor, await self._person(visitor), link, await self._counts(live, link))

    async def check(self, connection: HTTPConnection, live: Live, caller: Caller) -> None:
        """NotAllowed, audited, unless they may open it now."""
        decision = await self._decide(live, caller.person, caller.invited)
        if not decision.entitled:
            await web.note(connection, caller.name, "dashboard.open", live.key, False, decision.reason)
            raise NotAllowed(f"you have no access to the dashboard {live.name}", "ask its owner to let you see it")

    async def still_allowed(self, live: Live, caller: Caller) -> bool:
        """For open websockets: the dashboard is still up, the login goes on, and the person may still see it."""
        now = await run_in_threadpool(self.keeper.live, live.project, live.slug, live.version if live.preview else None)
        if now is None:
            return False
        person = None if now.open else await self._person(caller.visitor)
        return (await self._decide(now, person, await self._counts(now, caller.link))).entitled

    async def alias(self, connection: HTTPConnection) -> tuple[str, str] | None:
        """(project, slug) that a short name, or `/project/slug/` at the dashboards' own address, leads to."""
        host = self.host(connection)
        if host == self.origin.hostname:
            project, _, slug = connection.scope["path"].strip("/").partition("/")
            found = read_label(f"{project}--{slug}")
            return (found.project, found.slug) if found and found.version is None else None
        label, _, rest = host.partition(".")
        if rest != self.origin.hostname or not NAME.fullmatch(label):
            return None
        return await run_in_threadpool(self.sharing.alias, label)

    def visitor(self, connection: HTTPConnection, live: Live) -> Visitor | None:
        """The person whom the dashboard's cookie names."""
        return read_session(self.key, live.key, list(_cookies(connection, self.cookie)))

    async def _counts(self, live: Live, link: int | None) -> bool:
        return link is not None and await run_in_threadpool(self.guests.counts, live.id, link)

    async def _decide(self, live: Live, person: Person | None, invited: bool) -> Decision:
        """A preview's stronger login was asked for at the hub's door, where logins are known."""
        sessions = self.keeper.records.sessions
        await entitlements.ready(self.settings, sessions)
        policy = entitlements.policy(self.settings, sessions)
        if live.preview:
            return decide(policy, person, PreviewRelease(live.project, live.owner, live.grants))
        return decide(policy, person, ViewDashboard(live.name, live.visibility, live.project, live.grants, invited))

    async def _person(self, visitor: Visitor | None) -> Person | None:
        """The person while their login at the hub goes on, as the hub says (cached for seconds)."""
        return await self.login.logged_in(visitor.person, visitor.session) if visitor else None


def _cookies(connection: HTTPConnection, name: str) -> Iterator[str]:
    """All values: siblings can set cookies of the same name."""
    pairs = (part.strip().partition("=") for part in connection.headers.get("cookie", "").split(";"))
    return (value for key, _, value in pairs if key == name)
