"""JupyterHub's authenticator for EU Login and its like: OpenID Connect where MFA has to be proven.

Who is let in: whoever the provider names in a valid id_token with MFA. What they may use, `access` decides later.
"""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from jupyterhub.user import User
from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.web import RequestHandler
from traitlets import Float, List, TraitError, Unicode, default, validate

from .. import audit, database
from ..errors import Unavailable
from .discovery import Metadata, Provider
from .handlers import CallbackHandler, LoginHandler, LoginState, LogoutHandler
from .id_token import Expected, IdToken, LoginRefused, algorithms_allowed, display_name, groups, key_id, username
from .id_token import validate as validate_id_token

REQUEST_SECONDS = 10.0


class EULoginAuthenticator(GenericOAuthenticator):
    """Configured from an issuer alone; everything else the provider says itself (OpenID Connect Discovery)."""

    login_handler = LoginHandler
    callback_handler = CallbackHandler
    logout_handler = LogoutHandler

    issuer = Unicode(config=True, help="The provider's issuer, exactly as its discovery document states it.")
    algorithms = List(Unicode(), config=True, help="Accepted signing algorithms; never none, never HS*.")
    required_amr = List(Unicode(), ["mfa"], config=True, help="All of these must stand in the claim amr (RFC 8176).")
    display_name_claim = Unicode("name", config=True, help="The claim with the name to show.")
    groups_claim = Unicode("groups", config=True, help="The claim with the list of groups.")
    admin_group = Unicode(config=True, help="Its members administer the hub; nobody else does.")
    post_logout_url = Unicode(config=True, help="Where the provider sends people back after logging out.")
    database_url = Unicode(config=True, help="Where audit events go (SQLAlchemy URL).")
    provider_grace = Float(
        3600, config=True, help="Seconds for which a session outlives a provider that does not answer."
    )

    @default("algorithms")
    def _default_algorithms(self) -> list[str]:
        return ["PS512", "PS256", "RS256", "ES256"]

    @validate("algorithms")
    def _check_algorithms(self, proposal: Any) -> list[str]:
        try:
            return sorted(algorithms_allowed(proposal["value"]))
        except ValueError as error:
            raise TraitError(f"EULoginAuthenticator.algorithms: {error}") from None

    @validate("required_amr")
    def _check_required_amr(self, proposal: Any) -> list[str]:
        if not proposal["value"]:
            raise TraitError("EULoginAuthenticator.required_amr is empty: MFA would not be proven")
        return list(proposal["value"])

    @cached_property
    def expected(self) -> Expected:
        """What every id_token is measured by."""
        return Expected(
            issuer=self.issuer,
            client_id=self.client_id,
            algorithms=frozenset(self.algorithms),
            required_amr=frozenset(self.required_amr),
            username_claim=self.username_claim,
            display_name_claim=self.display_name_claim,
            groups_claim=self.groups_claim,
        )

    @cached_property
    def provider(self) -> Provider:
        """The provider's addresses and keys."""
        return Provider(self.issuer, self._fetch)

    @cached_property
    def _sessions(self) -> Any:
        return database.connect(self.database_url)

    def record(self, handler: RequestHandler | None, action: str, person: str, refused: LoginRefused | None) -> None:
        """One audit event. Never a token, a code or a claim set."""
        audit.record(
            self._sessions,
            person=person,
            action=action,
            subject=self.issuer,
            allowed=refused is None,
            reason=refused.reason if refused else "",
            address=(handler.request.remote_ip or "") if handler else "",
        )

    async def authenticate(self, handler: CallbackHandler, data: Any = None, **kwargs: Any) -> dict[str, Any]:
        """The person behind the code that the provider sent this browser back with; LoginRefused otherwise."""
        metadata = await self.provider.metadata()
        if metadata.states_issuer and not handler.get_argument("iss", ""):
            raise LoginRefused("missing-issuer", "the answer does not say which login provider it comes from")
        tokens = await self._redeem(metadata, handler.get_argument("code"), handler.login_state)
        id_token = tokens.get("id_token")
        keys = await self.provider.keys(key_id(id_token))
        access_token = tokens.get("access_token")
        proven = validate_id_token(
            id_token, keys, self.expected, nonce=handler.login_state.nonce, access_token=access_token
        )
        return self._auth_model(proven, access_token if isinstance(access_token, str) else "")

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Everybody whose MFA is proven may log in; without a project they find nothing they could start."""
        proven = (auth_model or {}).get("auth_state") or {}
        return self.expected.required_amr <= set(proven.get("amr", ()))

    async def refresh_user(self, user: User, handler: RequestHandler | None = None, **kwargs: Any) -> Any:
        """Ask the provider again (UserInfo): False where the person is no longer let in, else the groups as of now.

        Without a UserInfo endpoint only a new login can tell; the cookie's life bounds the session then.
        """
        state = await user.get_auth_state()
        if not state or not await self.check_allowed(user.name, {"auth_state": state}):
            return False
        try:
            claims = await self._userinfo(state["access_token"])
        except Unavailable as error:
            self.log.warning("%s", error.message)
            return time.time() - state["checked_at"] < self.provider_grace
        if claims is None:
            return True
        try:
            return self._refreshed(user.name, claims, state)
        except LoginRefused as refused:
            self.record(handler, "refresh", user.name, refused)
            return False

    def _auth_model(self, proven: IdToken, access_token: str) -> dict[str, Any]:
        state = {
            "subject": proven.subject,
            "amr": list(proven.amr),
            "auth_time": proven.auth_time,
            "access_token": access_token,
            "checked_at": time.time(),
        }
        return self._model(proven.username, proven.display_name, proven.groups, state)

    def _model(self, name: str, shown: str, member_of: frozenset[str], state: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "admin": bool(self.admin_group) and self.admin_group in member_of,
            "groups": sorted(member_of),
            "user_info": {"display_name": shown},
            "auth_state": state,
        }

    def _refreshed(self, name: str, claims: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        if not claims:
            raise LoginRefused("session-ended", "the login provider no longer confirms this login")
        if claims.get("sub") != state["subject"] or username(claims, self.expected) != name:
            raise LoginRefused("other-person", "the login provider now names somebody else")
        shown, member_of = display_name(claims, self.expected), groups(claims, self.expected)
        return self._model(name, shown, member_of, {**state, "checked_at": time.time()})

    async def _redeem(self, metadata: Metadata, code: str, state: LoginState) -> dict[str, Any]:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.oauth_callback_url,
            "code_verifier": state.code_verifier,
        }
        options: dict[str, Any] = {}
        if metadata.basic_auth:  # RFC 6749 section 2.3.1: both parts are form-encoded first
            options = {"auth_username": quote(self.client_id), "auth_password": quote(self.client_secret, safe="")}
        else:
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
        answer = await self._request(metadata.token_endpoint, method="POST", body=urlencode(fields), **options)
        if answer.code >= 500:
            raise Unavailable("the login provider does not answer", "try again in a moment")
        tokens = _json_object(answer) if answer.code == 200 else None
        if tokens is None:
            raise LoginRefused("code-refused", "the login provider did not confirm this login")
        return tokens

    async def _userinfo(self, access_token: str) -> dict[str, Any] | None:
        """The claims now; an empty dictionary if the token is no longer good, None if there is no such endpoint."""
        metadata = await self.provider.metadata()
        if not metadata.userinfo_endpoint:
            return None
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        answer = await self._request(metadata.userinfo_endpoint, headers=headers)
        if answer.code >= 500 or answer.code == 429:
            raise Unavailable(f"the login provider {self.issuer} does not answer", "try again in a moment")
        return (_json_object(answer) if answer.code == 200 else None) or {}

    async def _fetch(self, url: str) -> bytes:
        answer = await self._request(url)
        if answer.code != 200:
            raise Unavailable(f"the login provider answered {answer.code} at {url}", "try again in a moment")
        return bytes(answer.body)

    async def _request(self, url: str, **options: Any) -> HTTPResponse:
        request = HTTPRequest(
            url,
            connect_timeout=REQUEST_SECONDS,
            request_timeout=REQUEST_SECONDS,
            follow_redirects=False,
            **{**self.http_request_kwargs, **options},
        )
        try:
            return await self.http_client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError):
            raise Unavailable(f"the login provider {self.issuer} cannot be reached", "try again later") from None


def _json_object(answer: HTTPResponse) -> dict[str, Any] | None:
    try:
        value = json.loads(answer.body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
