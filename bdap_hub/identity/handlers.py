"""The browser's part of a login: away to the provider with state, nonce and PKCE; back, checked.

Each login begun has a cookie of its own, so that logins in parallel tabs do not collide.
"""

from __future__ import annotations

import hmac
import re
import secrets
from contextlib import suppress
from functools import cached_property
from typing import Any

from jupyterhub.orm import new_token
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler
from tornado import web
from tornado.httputil import url_concat

from ..access import step_up_path
from ..addresses import caller
from ..errors import BdapError, Unavailable
from . import registration, sessions
from .authorize import anew, authorize_parameters
from .id_token import IdToken, LoginRefused
from .login_state import COOKIE, LoginState, cookie_name
from .logout import OwnSession, at_provider

STATE_MINUTES = 15
MAX_LOGINS_AT_ONCE = 8
_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
# What a provider may answer with (RFC 6749 section 4.1.2.1, OpenID Connect Core 3.1.2.6); its own text is never shown.
_PROVIDER_ERRORS = {
    "access_denied": "you did not agree, or the login provider does not let you in",
    "login_required": "the login provider wants you to log in",
    "unmet_authentication_requirements": "the login provider could not ask for a second factor",
    "temporarily_unavailable": "the login provider is busy",
}


class LoginHandler(OAuthLoginHandler):
    """Send the browser to the provider."""

    async def get(self) -> None:
        """Log in, then go on to `next`; 503 if the provider cannot be found."""
        await self.send_away(LoginState.begin(self.wanted()))

    def wanted(self) -> str:
        """The path in `next`; '' for what is no address at all."""
        try:
            return self._get_next_url() or ""
        except ValueError:
            return ""

    async def send_away(self, login: LoginState) -> None:
        """Redirect with state, nonce, PKCE S256, and what the login is to prove."""
        authenticator = self.authenticator
        try:
            metadata = await authenticator.client.ready()
        except Unavailable as error:
            raise _http_error(error) from None
        self._remember(login)
        parameters = dict(authenticator.extra_authorize_params)
        if self.get_argument("prompt", "") == "login":  # as `anew` asks: it may well be somebody else
            parameters["prompt"] = "login"
            registration.forget(self)
        parameters |= {
            "response_type": "code",
            "client_id": authenticator.client_id,
            "redirect_uri": authenticator.get_callback_url(self),
            "scope": " ".join(authenticator.scope),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
            **authorize_parameters(authenticator.levels, authenticator.asks, login.demand, metadata.acr_values),
        }
        self.redirect(url_concat(metadata.authorization_endpoint, parameters))

    def _remember(self, login: LoginState) -> None:
        prefix = self.authenticator.settings.hub.cookie_prefix
        begun = [name for name in self.request.cookies if name.startswith(f"{prefix}{COOKIE}")]
        if len(begun) >= MAX_LOGINS_AT_ONCE:
            for name in begun:
                self.clear_cookie(name, path=self.hub.base_url)
        days = STATE_MINUTES / 1440
        name = f"{prefix}{cookie_name(login.state)}"
        self._set_cookie(name, login.kept_as, expires_days=days, path=self.hub.base_url, samesite="Lax")


class BeginsSession(OwnSession):
    """A page on which somebody logs in: mixed into the handler that asks the authenticator, which sets `proven`."""

    proven: IdToken

    @cached_property
    def new_session_id(self) -> str:
        """The identifier of the session that this login begins."""
        return secrets.token_hex(16)

    def set_login_cookie(self, user: Any) -> None:
        """A new session with a new identifier: one that was there before the login is worth nothing after it."""
        authenticator = self.authenticator
        if before := self.get_session_cookie():
            sessions.end(authenticator.store, [sessions.digest(before)], "logged in again")
            self.clear_login_cookie()  # with the tokens of that session
        if not sessions.live_of(authenticator.store, user.name):
            user.orm_user.cookie_id = new_token()  # no copy of an old cookie opens anything
            self.db.commit()
        self._session_id = self.new_session_id
        sessions.begin(
            authenticator.store,
            self.set_session_cookie(),
            user.name,
            self.proven,
            authenticator.settings.identity.session_hours,
            address=address_of(self),
            agent=self.request.headers.get("User-Agent", ""),
        )
        super().set_login_cookie(user)
        self.set_hub_cookie(user)  # last: the above removes a cookie whose identifier has just changed


class CallbackHandler(BeginsSession, OAuthCallbackHandler):
    """The browser comes back from the provider."""

    login_state = LoginState("", "", "", "")

    async def auth_to_user(self, authenticated: dict[str, Any], user: Any = None) -> Any:
        """As usual, but what is kept of logins in other browsers stays: their tokens may have changed just now."""
        name, confirmation = authenticated["name"], self.authenticator.confirmation
        async with confirmation.keeping(name):
            known = self.find_user(name)
            state = await confirmation.beside(authenticated["auth_state"], known)
            return await super().auth_to_user({**authenticated, "auth_state": state}, user)

    async def get(self) -> None:
        """Let the person in, or show why not (403) and record it; a session that there is stays as it was then."""
        try:
            self.check_arguments()
            user = await self.login_user()
            if user is None:
                raise LoginRefused("not-allowed", "this account may not log in", "ask the platform's operators")
        except LoginRefused as refused:
            applicant = registration.hand_over(self, refused)
            self.authenticator.record(self, self.login_state.purpose, applicant or self.login_state.person, refused)
            if self._finished:
                return
            raise await self._refusal(refused) from None
        except BdapError as error:
            raise _http_error(error) from None
        self.authenticator.record(self, self.login_state.purpose, user.name, None)
        registration.forget(self)
        self.redirect(self.get_next_url(user))

    def check_arguments(self) -> None:
        """State first: nothing that a stranger sent is looked at before it is known to be this browser's."""
        self.login_state = self._recall()
        self._check_issuer()
        self._check_error()
        self._check_person()
        if not self.get_argument("code", ""):
            raise LoginRefused("no-code", "the login provider sent no answer")

    def get_next_url(self, user: Any = None) -> str:
        """Where the person wanted to go: only ever a path, kept in our signed cookie."""
        return self.login_state.next_url or super(OAuthCallbackHandler, self).get_next_url(user)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """As usual, but without the address: its query holds the code and the state."""
        if isinstance(value, web.HTTPError):
            self.log.warning("login refused (%s): %s", value.status_code, value.log_message)
        else:
            self.log.error("login failed", exc_info=(typ, value, tb))

    async def _refusal(self, refused: LoginRefused) -> web.HTTPError:
        """The page, with ways out of the provider's own session, which would answer the same again."""
        login, shown = self.login_state, _http_error(refused)
        path = step_up_path(login.demand, login.next_url) if login.person else f"{self.hub.base_url}oauth_login"
        shown.again = anew(path, "" if login.person else login.next_url)
        shown.provider_logout = await at_provider(self.authenticator)
        return shown

    def _recall(self) -> LoginState:
        state = self.get_argument("state", "")
        if not _STATE.fullmatch(state):
            raise LoginRefused("state-missing", "this is not the answer to a login that you began here")
        name = f"{self.authenticator.settings.hub.cookie_prefix}{cookie_name(state)}"
        kept = self.get_secure_cookie(name, max_age_days=STATE_MINUTES / 1440)
        if not kept:
            raise LoginRefused("state-unknown", "this login was begun in another browser, or too long ago")
        self.clear_cookie(name, path=self.hub.base_url)
        login = LoginState.read(kept)
        if not hmac.compare_digest(login.state, state):
            raise LoginRefused("state-mismatch", "this login was begun in another browser")
        return login

    def _check_issuer(self) -> None:
        """RFC 9207: the answer names its issuer where the provider says that it does."""
        stated = self.get_argument("iss", "")
        if stated and stated != self.authenticator.settings.identity.issuer:
            raise LoginRefused("other-issuer", "the answer came from another login provider")

    def _check_person(self) -> None:
        """A step-up is of the session that began it, not of one that somebody else has begun in this browser since."""
        began, now = self.login_state.person, self.current_user
        if began and now is not None and now.name != began:
            raise LoginRefused("other-person", f"this was begun by {began}, and {now.name} is logged in here now")

    def _check_error(self) -> None:
        error = self.get_argument("error", "")
        if error:
            known = error if error in _PROVIDER_ERRORS else "other"
            sentence = _PROVIDER_ERRORS.get(error, "the login provider reported an error")
            raise LoginRefused(f"provider-{known}", sentence)


def address_of(handler: Any) -> str:
    """The caller's address, as the hub's proxy names it. What callers say (X-Real-Ip) does not count."""
    peer = here = "127.0.0.1"  # the proxy's, where the connection has ended meanwhile
    stream = getattr(handler.request.connection, "stream", None)
    with suppress(OSError, AttributeError):
        peer, here = stream.socket.getpeername()[0], stream.socket.getsockname()[0]
    fronts = handler.authenticator.settings.hub.fronts
    return caller(peer, here, handler.request.headers.get("X-Forwarded-For", ""), fronts=fronts)


def _http_error(error: BdapError) -> web.HTTPError:
    """As JupyterHub's error page shows it: `reason` is its title, `jupyterhub_message` its text."""
    refused = isinstance(error, LoginRefused)
    title = "Login refused" if refused else "Login not possible now"
    shown = web.HTTPError(error.status, error.reason if refused else error.code, reason=title)
    sentence = f"{error.message[:1].upper()}{error.message[1:]}."
    shown.jupyterhub_message = f"{sentence} What you can do: {error.remedy}." if error.remedy else sentence
    return shown
