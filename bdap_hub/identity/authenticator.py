"""JupyterHub's authenticator for EU Login and its like: OpenID Connect where MFA has to be proven.

Who is let in: whoever a valid id_token of the lowest level or more names, and whose account stands well.
What they may use, `access` decides later.
"""

from __future__ import annotations

import dataclasses
import time
from functools import cached_property
from typing import Any

from jupyterhub.user import User
from oauthenticator.generic import GenericOAuthenticator
from tornado.web import RequestHandler
from traitlets import Float, Instance

from .. import audit, database
from ..errors import Unavailable
from ..settings import Settings
from . import people, routes, sessions
from .assurance import Level, Levels
from .client import Client
from .client_auth import ClientAuth
from .discovery import Provider
from .handlers import CallbackHandler, LoginHandler, address_of
from .claims import display_name, email, groups
from .id_token import Expected, IdToken, LoginRefused, key_id
from .id_token import validate as validate_id_token
from .logout import LogoutHandler
from .tables import Account, aware


class EULoginAuthenticator(GenericOAuthenticator):
    """Configured from the section `identity` of the settings; all else the provider says itself (Discovery 1.0)."""

    login_handler = LoginHandler
    callback_handler = CallbackHandler
    logout_handler = LogoutHandler

    settings = Instance(Settings, help="The platform's settings tree.").tag(config=True)
    # So short that every request is looked at: a session that has ended must not live on beside another's. What is
    # looked at each time is our own table; the provider is asked every `identity.recheck_seconds`.
    auth_refresh_age = Float(1e-6, config=True, help="Seconds for which an answer of `refresh_user` serves.")

    @cached_property
    def levels(self) -> Levels:
        """The assurance levels, lowest first."""
        stated = self.settings.identity.levels
        return Levels(
            tuple(Level(lv.name, frozenset(lv.acr), tuple(map(frozenset, lv.amr)), lv.two_kinds) for lv in stated)
        )

    @cached_property
    def expected(self) -> Expected:
        """What every id_token is measured by."""
        identity = self.settings.identity
        return Expected(
            issuer=identity.issuer,
            client_id=identity.client_id,
            algorithms=frozenset(identity.algorithms),
            levels=self.levels,
            username_claim=identity.username_claim,
            display_name_claim=identity.display_name_claim,
            email_claim=identity.email_claim,
            groups_claim=identity.groups_claim,
        )

    @cached_property
    def client(self) -> Client:
        """Our side of the conversation with the provider."""
        identity = self.settings.identity
        auth = ClientAuth(identity.client_authentication, identity.client_id, self.client_secret)
        return Client(identity.issuer, auth, self.http_client, **self.http_request_kwargs)

    @property
    def provider(self) -> Provider:
        """The provider's addresses and keys."""
        return self.client.provider

    @cached_property
    def store(self) -> Any:
        """The platform's database."""
        return database.connect(self.settings.database)

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """The login's pages, and identity's own."""
        return [*super().get_handlers(app), *routes.HANDLERS]

    def record(
        self, handler: RequestHandler | None, action: str, person: str, refused: LoginRefused | None, subject: str = ""
    ) -> None:
        """One audit event. Never a token, a code or a claim set."""
        audit.record(
            self.store,
            person=person,
            action=action,
            subject=subject or self.settings.identity.issuer,
            allowed=refused is None,
            reason=refused.reason if refused else "",
            address=address_of(handler) if handler else "",
        )

    async def authenticate(self, handler: CallbackHandler, data: Any = None, **kwargs: Any) -> dict[str, Any]:
        """The person behind the code that the provider sent this browser back with; LoginRefused otherwise."""
        metadata = await self.provider.metadata()
        if metadata.states_issuer and not handler.get_argument("iss", ""):
            raise LoginRefused("missing-issuer", "the answer does not say which login provider it comes from")
        login = handler.login_state
        tokens = await self.client.redeem(handler.get_argument("code"), login.code_verifier, self.oauth_callback_url)
        proven = await self._proven(tokens, nonce=login.nonce)
        standing = "pending" if self.settings.registration.required else "approved"
        account = people.recognise(self.store, self.settings.identity.issuer, proven, standing=standing)
        handler.proven = proven
        if refused := people.refusal_at_login(self.settings, people.admit(self.settings, self.store, account)):
            raise refused
        return self._model(account, self._state(proven, tokens))

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Whoever has proven the lowest level and stands well; without a project they find nothing to start."""
        proven = (auth_model or {}).get("auth_state") or {}
        reached = self.levels.reaches(proven.get("level", ""), self.levels.lowest)
        return reached and people.refusal(self.settings, people.find(self.store, username)) is None

    async def refresh_user(self, user: User, handler: RequestHandler | None = None, **kwargs: Any) -> Any:
        """JupyterHub asks at every request: False where the person has to log in again, else True or the groups now."""
        if handler is not None and not self._session_lives(user, handler):
            return False
        account = people.find(self.store, user.name)
        if account is None or people.refusal(self.settings, account):
            return False
        if _age(account) < self.settings.identity.recheck_seconds:
            return True
        try:
            return await self.confirm(user, account)
        except LoginRefused as refused:
            self.record(handler, "refresh", user.name, refused)
            return False

    async def confirm(self, user: User, account: Account) -> Any:
        """Ask the provider about a person now: their model, or True where it cannot say; LoginRefused for its no.

        It cannot say while it does not answer (for `provider_grace`), or where it has nothing to ask, neither a
        refresh token nor UserInfo (for `unproven_hours`).
        """
        identity = self.settings.identity
        state = await user.get_auth_state()
        if not state:
            raise LoginRefused("session-ended", "nothing is known of this login any more")
        try:
            claims, state = await self._claims_now(state)
        except Unavailable as error:
            self.log.warning("%s", error.message)
            if _age(account) < identity.provider_grace:
                return True
            raise LoginRefused("provider-down", "the login provider has not answered for too long") from None
        if claims is None:
            if _age(account) < identity.unproven_hours * 3600:
                return True
            raise LoginRefused("not-confirmed", "your login has not been confirmed for too long")
        if not claims:
            raise LoginRefused("session-ended", "the login provider no longer confirms this login")
        if claims.get("sub") != account.subject:
            raise LoginRefused("other-person", "the login provider now names somebody else")
        people.confirmed(self.store, account.name, groups(claims, self.expected))
        return self._model(people.find(self.store, account.name) or account, state)

    async def _proven(self, tokens: dict[str, Any], nonce: str | None) -> IdToken:
        """The person whom these tokens prove, with names and groups from where the settings want them."""
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        keys = await self.provider.keys(key_id(id_token))
        access = access_token if isinstance(access_token, str) else None
        proven = validate_id_token(id_token, keys, self.expected, nonce=nonce, access_token=access)
        if self.settings.identity.claims_from == "id_token" or not access:
            return proven
        claims = await self.client.userinfo(access)
        if claims is None and self.settings.identity.claims_from == "both":
            return proven
        if not claims:
            raise LoginRefused("no-userinfo", "the login provider did not say who you are")
        if claims.get("sub") != proven.subject:
            raise LoginRefused("other-person", "the login provider names two different people")
        return dataclasses.replace(
            proven,
            display_name=display_name({**claims, self.expected.username_claim: proven.username}, self.expected),
            email=email(claims, self.expected),
            groups=groups(claims, self.expected),
        )

    async def _claims_now(self, state: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """(claims now, state with renewed tokens): claims are empty for the provider's no, None if not to be had."""
        if self.settings.identity.claims_from == "id_token":
            return None, state
        return await self.client.userinfo(state["access_token"]), state

    def _session_lives(self, user: User, handler: RequestHandler) -> bool:
        """Whether the login behind this request goes on; a token that belongs to no login needs none."""
        token = handler.get_token()
        session_id = token.session_id if token is not None else handler.get_session_cookie()
        if token is not None and not session_id:
            return True
        found = sessions.live(self.store, sessions.digest(session_id or ""))
        return found is not None and found.person == user.name

    def _state(self, proven: IdToken, tokens: dict[str, Any]) -> dict[str, Any]:
        """What is kept, encrypted, to ask the provider again."""
        life = tokens.get("expires_in")
        return {
            "level": proven.level,
            "auth_time": proven.auth_time,
            "access_token": tokens.get("access_token") or "",
            "access_until": time.time() + life if isinstance(life, int | float) else None,
            "refresh_token": tokens.get("refresh_token") or "",
        }

    def _model(self, account: Account, state: dict[str, Any]) -> dict[str, Any]:
        member_of = people.groups_now(self.settings, self.store, account)
        return {
            "name": account.name,
            "admin": people.is_admin(self.settings.policy(), member_of),
            "groups": sorted(member_of),
            "user_info": {"display_name": account.display_name},
            "auth_state": state,
        }


def _age(account: Account) -> float:
    """Seconds since the provider last said yes."""
    checked = aware(account.checked)
    return time.time() - checked.timestamp() if checked else float("inf")
