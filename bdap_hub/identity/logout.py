"""Logging out: here, then at the provider. Another site cannot make it happen; it gets a page that asks."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.handlers.base import SESSION_COOKIE_NAME, BaseHandler
from tornado.httputil import HTTPServerRequest, url_concat

from ..errors import Unavailable
from . import sessions


class OwnSession(BaseHandler):  # type: ignore[misc]
    """The session's cookie at the hub's own host alone: JupyterHub's would be sent to everybody's server, too."""

    def set_session_cookie(self) -> str:
        """Begin a session, unless this request has; its identifier."""
        if not hasattr(self, "_session_id"):
            self._session_id = secrets.token_hex(16)
        self._set_cookie(SESSION_COOKIE_NAME, self._session_id, encrypted=False, path=self.base_url)
        return self._session_id

    def clear_login_cookie(self, name: str | None = None) -> None:
        """Also that one."""
        super().clear_login_cookie(name)
        self.clear_cookie(SESSION_COOKIE_NAME, path=self.base_url)


class EndsSession(OwnSession):
    """A page that ends the login of the browser before it."""

    async def log_out(self) -> None:
        """End this login, then show that, at the provider where it has a page for it (RP-Initiated Logout 1.0)."""
        user = self.current_user
        if user is None:
            return await self.show_logged_out()
        key = sessions.digest(self.get_session_cookie() or "")
        self.clear_login_cookie()
        self.authenticator.revoker(self.app).end(user.name, [key], "logged out")
        self.authenticator.record(self, "logout", user.name, None)
        await self.go_to_provider()

    async def go_to_provider(self) -> None:
        """To the provider's own logout; no token goes along, so it may ask the person."""
        if not (address := await at_provider(self.authenticator)):
            return await self.show_logged_out()
        self.redirect(address)

    async def show_logged_out(self) -> None:
        """The page of somebody who is not logged in (any more)."""
        self._jupyterhub_user = None
        self.finish(await self.render_template("logout.html"))


class LogoutHandler(EndsSession):
    """Log out of this browser."""

    async def get(self) -> None:
        """At once where one of our own pages, or the person, asked for it; else a page with a button."""
        if self.current_user is None or asked_by_ourselves(self.request, self.authenticator.settings.hub.public_url):
            return await self.log_out()
        self.finish(await self.render_template("logout_confirm.html"))

    async def post(self) -> None:
        """The page's button. JupyterHub has checked the form's XSRF token before."""
        await self.log_out()


async def at_provider(authenticator: Any) -> str:
    """The address of the provider's own logout, from which it leads back to ours; '' where it has none just now."""
    try:
        end = (await authenticator.provider.metadata()).end_session_endpoint
    except Unavailable:
        return ""
    parameters = {
        "client_id": authenticator.client_id,
        "post_logout_redirect_uri": f"{authenticator.settings.hub.public_url.rstrip('/')}/hub/logout",
    }
    return str(url_concat(end, parameters)) if end else ""


def asked_by_ourselves(request: HTTPServerRequest, public_url: str) -> bool:
    """Whether this navigation came from a page of ours or from the address bar, as far as the browser says.

    Fetch Metadata decides where the browser sends it; else the page that it names must be ours. Nothing named: no.
    """
    if site := request.headers.get("Sec-Fetch-Site", ""):
        return site in ("same-origin", "none")
    named = request.headers.get("Origin") or request.headers.get("Referer") or ""
    return _origin(named) == _origin(public_url)


def _origin(url: str) -> tuple[Any, ...]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:  # no address at all
        return ()
