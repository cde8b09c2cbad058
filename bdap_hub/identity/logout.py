"""Logging out: here, then at the provider."""

from __future__ import annotations

from oauthenticator.oauth2 import OAuthLogoutHandler
from tornado.httputil import url_concat

from ..errors import Unavailable
from . import sessions


class LogoutHandler(OAuthLogoutHandler):
    """Log out here, then at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

    async def handle_logout(self) -> None:
        """Remember whether somebody was logged in: only then is there a session at the provider to end."""
        await super().handle_logout()
        self.logged_out = self.current_user.name if self.current_user else ""
        if self.logged_out:
            key = sessions.digest(self.get_session_cookie() or "")
            sessions.end(self.authenticator.store, [key], "logged out")
            self.authenticator.record(self, "logout", self.logged_out, None)

    async def render_logout_page(self) -> None:
        """To the provider's logout where it has one; no token goes along, so it asks the person."""
        end = await self._end_session_endpoint() if self.logged_out else ""
        if not end:
            return await super().render_logout_page()
        parameters = {
            "client_id": self.authenticator.client_id,
            "post_logout_redirect_uri": f"{self.authenticator.settings.hub.public_url.rstrip('/')}/hub/logout",
        }
        self.redirect(url_concat(end, parameters))

    async def _end_session_endpoint(self) -> str:
        try:
            return (await self.authenticator.provider.metadata()).end_session_endpoint
        except Unavailable:
            return ""
