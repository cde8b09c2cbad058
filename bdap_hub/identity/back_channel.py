"""The provider says that a login is over: OpenID Connect Back-Channel Logout 1.0, POST /hub/backchannel_logout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from sqlalchemy.exc import IntegrityError

from ..errors import BdapError
from . import people, sessions
from .id_token import Expected, LoginRefused
from .signed_token import Keys, bad, key_id, verified_claims
from .tables import SeenLogoutToken

EVENT = "http://schemas.openid.net/event/backchannel-logout"
ACTION, WHY = "back-channel-logout", "logged out at the provider"
MAX_BYTES = 16 * 1024
_REQUIRED = ("iss", "aud", "iat", "exp", "jti", "events")
_TYPES = frozenset({"", "jwt", "logout+jwt"})


@dataclass(frozen=True)
class LogoutToken:
    """Which login is over: the provider's session `sid`, or all of `subject`; one may be ''. `jti` serves once."""

    subject: str
    sid: str
    jti: str


def validate(token: Any, keys: Keys, expected: Expected) -> LogoutToken:
    """The login that a logout token ends (section 2.6); LoginRefused otherwise. PURE: `jti` is for the caller."""
    claims, _ = verified_claims(token, keys, expected, required=_REQUIRED, types=_TYPES)
    events = claims["events"]
    if not isinstance(events, Mapping) or not isinstance(events.get(EVENT), Mapping):
        raise bad("no-logout-event", "it is not about a logout")
    if "nonce" in claims:
        raise bad("nonce-present", "it has a nonce, as id_tokens have and logout tokens must not")
    named = {name: _text(claims, name) for name in ("sub", "sid")}
    if not any(named.values()):
        raise bad("nobody-named", "it names neither a person nor a session")
    if not (jti := _text(claims, "jti")):
        raise bad("missing-jti", "it has no identifier")
    return LogoutToken(named["sub"], named["sid"], jti)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > 255:
        raise bad(f"bad-{name}", f"its {name} is not a short text")
    return value


class BackChannelLogoutHandler(BaseHandler):  # type: ignore[misc]
    """No cookie, no XSRF token, no page: the provider's signature is all that counts."""

    _accept_cookie_auth = False
    _accept_token_auth = False

    def check_xsrf_cookie(self) -> None:
        """The caller is no browser."""

    async def post(self) -> None:
        """200 when the login is over, also where it was before; 400 and why for anything else."""
        self.set_header("Cache-Control", "no-store")
        try:
            token = await self._token()
            self._check_unused(token.jti)
            self._end(token)  # before it is used up: where this fails, the provider may send it again
            self._use_up(token.jti)
        except LoginRefused as refused:
            self.authenticator.record(self, ACTION, "", refused)
            return self._refuse("invalid_request", refused.message)
        except BdapError as error:  # the provider's keys are not to be had: it may try again
            return self._refuse("temporarily_unavailable", error.message)
        self.set_status(200)
        self.finish()

    async def _token(self) -> LogoutToken:
        if len(self.request.body) > MAX_BYTES:
            raise bad("too-large", "it is too large")
        stated = self.get_body_arguments("logout_token")
        if len(stated) != 1:
            raise bad("no-logout-token", "there is no logout token, or more than one")
        keys = await self.authenticator.provider.keys(key_id(stated[0]), stranger=True)
        return validate(stated[0], keys, self.authenticator.expected)

    def _check_unused(self, jti: str) -> None:
        with self.authenticator.store() as session:
            if session.get(SeenLogoutToken, _digest(jti)) is not None:
                raise _replayed()

    def _use_up(self, jti: str) -> None:
        """The database lets only one of several at once have it. To end a login twice does no harm."""
        try:
            with self.authenticator.store.begin() as session:
                session.add(SeenLogoutToken(jti=_digest(jti)))
        except IntegrityError:
            raise _replayed() from None

    def _end(self, token: LogoutToken) -> None:
        """The named login, or all of a person where none is named. One that has ended already, or is unknown: nothing.

        Logins of which the provider never told us its name for the session may be meant by any name.
        """
        store = self.authenticator.store
        account = people.find_subject(store, self.authenticator.settings.identity.issuer, token.subject)
        known = sessions.by_sid(store, token.sid)
        if account is not None:
            known = [row for row in known if row.person == account.name]
            if not known:
                known = [row for row in sessions.live_of(store, account.name) if not (token.sid and row.sid)]
        elif token.subject:
            known = []
        for name in {row.person for row in known}:
            self._end_logins(name, {row.id for row in known if row.person == name})
        if account is not None and not token.sid:
            self._revoke(account.name)

    def _end_logins(self, name: str, keys: set[str]) -> None:
        """These; everything, where no other login of the person remains."""
        live = {row.id for row in sessions.live_of(self.authenticator.store, name)}
        if live and live <= keys:
            self._revoke(name)
        elif self.authenticator.revoker(self.app).end(name, sorted(keys), WHY):
            self.authenticator.record(self, ACTION, name, None, reason="one of several logins")

    def _revoke(self, name: str) -> None:
        self.authenticator.revoker(self.app).revoke(name, WHY, handler=self, action=ACTION)

    def _refuse(self, error: str, message: str) -> None:
        self.set_status(400)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"error": error, "error_description": message}))


def _digest(jti: str) -> str:
    return hashlib.sha256(jti.encode()).hexdigest()


def _replayed() -> LoginRefused:
    return bad("replayed", "it was used before")


HANDLERS = [(r"/backchannel_logout", BackChannelLogoutHandler)]
