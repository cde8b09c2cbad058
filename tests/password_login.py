"""The test hub's login: a form with the password `test`, and from there on the platform's own sessions and pages."""

from __future__ import annotations

import time
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler

from bdap_hub.identity import EULoginAuthenticator, IdToken, people, routes
from bdap_hub.identity.handlers import BeginsSession
from bdap_hub.identity.logout import LogoutHandler


class PasswordForm(BeginsSession, LoginHandler):
    """Stands in for the way to the provider and back."""


class PasswordLogin(EULoginAuthenticator):
    """Believes the form: `level` and `age` (seconds since the factors were entered) may be sent with it.

    Groups are those of the hub's own API; a login lives as long as its session.
    """

    auto_login = False
    login_service = ""
    any_allow_config = True
    auth_refresh_strict = True
    login_url = Authenticator.login_url

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        return [("/login", PasswordForm), ("/logout", LogoutHandler), *routes.HANDLERS]

    async def authenticate(self, handler: PasswordForm, data: Any = None, **kwargs: Any) -> dict[str, Any] | None:
        if data["password"] != "test":
            return None
        name, auth_time = data["username"], time.time() - float(data.get("age", 0))
        level = data.get("level", self.levels.lowest)
        handler.proven = IdToken(f"sub-{name}", name, name, frozenset(), ("mfa",), auth_time, level=level)
        people.recognise(self.store, "the test hub", handler.proven, standing="approved")
        return {"name": name}

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        return True

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        return handler is None or self._session_lives(user, handler)
