"""A person's own logins: see them, end one, or log out everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from . import sessions
from .logout import EndsSession
from .tables import Session, aware

DONE = {"ended": "That login has ended.", "gone": "That login had ended already."}
# Names as they stand in User-Agent, the more particular first: Edge and Opera also say Chrome, Chrome also says Safari.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


class LoginsHandler(BaseHandler):  # type: ignore[misc]
    """GET /hub/logins: the list."""

    @web.authenticated
    async def get(self) -> None:
        """All live logins of the person, this one first, then the newest."""
        here = sessions.digest(self.get_session_cookie() or "")
        rows = sorted(
            sessions.live_of(self.authenticator.store, self.current_user.name), key=lambda row: row.id != here
        )
        done = DONE.get(self.get_argument("done", ""), "")
        self.set_header("Cache-Control", "no-store")
        self.finish(await self.render_template("logins.html", logins=[_shown(row, here) for row in rows], done=done))


class EndLoginHandler(EndsSession):
    """POST /hub/logins/end: end the login `login`, one of the person's own."""

    @web.authenticated
    async def post(self) -> None:
        """This one is a logout; another's key ends nothing, for only the person's own are looked through."""
        key = self.get_body_argument("login", "")
        if key == sessions.digest(self.get_session_cookie() or ""):
            return await self.log_out()
        name = self.current_user.name
        own = [row.id for row in sessions.live_of(self.authenticator.store, name) if row.id == key]
        if self.authenticator.revoker(self.app).end(name, own, "ended by its owner"):
            self.authenticator.record(self, "logout", name, None, reason="ended in another browser")
        self.redirect(f"{self.hub.base_url}logins?done={'ended' if own else 'gone'}")


class EverywhereHandler(EndsSession):
    """POST /hub/logins/everywhere: end all of it, this login too."""

    @web.authenticated
    async def post(self) -> None:
        """Logins, tokens and rights at once; servers are being stopped while the person reads that they are out."""
        name = self.current_user.name
        self.clear_login_cookie()
        self.authenticator.revoker(self.app).revoke(
            name, "asked by its owner", handler=self, action="log-out-everywhere"
        )
        await self.go_to_provider()


def _shown(row: Session, here: str) -> dict[str, Any]:
    return {
        "key": row.id,
        "this": row.id == here,
        "browser": browser(row.agent),
        "since": _moment(row.begun),
        "since_iso": _iso(row.begun),
        "ends": _moment(row.ends),
        "ends_iso": _iso(row.ends),
        "address": row.address,
        "level": row.level,
    }


def browser(agent: str) -> str:
    """A browser by its User-Agent, as one would name it to a friend."""
    name = next((shown for mark, shown in BROWSERS if mark in agent), "Another program")
    system = next((shown for mark, shown in SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name


def _moment(value: datetime) -> str:
    return f"{aware(value):%-d %b %Y, %H:%M} UTC"


def _iso(value: datetime) -> str:
    return f"{aware(value):%Y-%m-%dT%H:%M:%SZ}"


HANDLERS = [
    (r"/logins", LoginsHandler),
    (r"/logins/end", EndLoginHandler),
    (r"/logins/everywhere", EverywhereHandler),
]
