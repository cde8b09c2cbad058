"""JupyterHub's authenticator for EU Login and its like: OpenID Connect where MFA has to be proven.

Who is let in: whoever a valid id_token of the lowest level or more names, and whose account stands well.
What they may use, `access` decides later.
"""

from __future__ import annotations

import asyncio
import json
from functools import cached_property
from typing import Any

from jupyterhub.user import User
from oauthenticator.generic import GenericOAuthenticator
from sqlalchemy.exc import OperationalError
from tornado.web import RequestHandler
from traitlets import Float, Instance, List

from .. import audit, database
from ..access import Assurance
from ..settings import Settings
from . import people, routes, sessions
from .assurance import Level, Levels
from .bearer import Bearer
from .client import Client
from .client_auth import ClientAuth
from .confirm import Confirmation
from .discovery import Provider
from .handlers import CallbackHandler, LoginHandler, address_of
from .id_token import Expected, IdToken, LoginRefused
from .kept import Login
from .logout import LogoutHandler
from .patience import age
from .revocation import Revoker
from .sweeper import Sweeper
from .tables import Account, Session

AUDIT_WAIT = 5.0


class EULoginAuthenticator(GenericOAuthenticator):
    """Configured from the section `identity` of the settings; all else the provider says itself (Discovery 1.0)."""

    login_handler = LoginHandler
    callback_handler = CallbackHandler
    logout_handler = LogoutHandler

    settings = Instance(Settings, help="The platform's settings tree.").tag(config=True)
    further_handlers = List(help="Pages of other rooms that come before JupyterHub's own of that path.").tag(
        config=True
    )
    _revoker: Revoker | None = None
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
        kept = self.settings.var / "identity" / "provider.json"
        return Client(
            identity.issuer,
            self.client_auth,
            self.http_client,
            algorithms=frozenset(identity.algorithms),
            kept=kept,
            **self.http_request_kwargs,
        )

    @property
    def asks(self) -> str:
        """How the provider is asked for a level."""
        return self.settings.identity.ask

    @cached_property
    def client_auth(self) -> ClientAuth:
        """How we prove to the provider who we are."""
        return ClientAuth.from_settings(self.settings)

    @cached_property
    def confirmation(self) -> Confirmation:
        """What the provider says of people."""
        return Confirmation(self)

    @cached_property
    def bearer(self) -> Bearer:
        """Whose access tokens programs send."""
        return Bearer(self)

    @property
    def provider(self) -> Provider:
        """The provider's addresses and keys."""
        return self.client.provider

    @cached_property
    def store(self) -> Any:
        """The platform's database."""
        return database.connect(self.settings.database)

    @cached_property
    def audit_store(self) -> Any:
        """The same for audit events: the hub stands still while one is written, so it does not wait for long."""
        return database.connect(self.settings.database, wait=AUDIT_WAIT)

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """The login's pages, and identity's own. The hub asks once, when it starts: from then on we sweep."""
        self.sweeper = Sweeper(app, self, self.revoker(app))
        self._sweeping = asyncio.create_task(self.sweeper.run())
        return [*super().get_handlers(app), *routes.HANDLERS, *self.further_handlers]

    def revoker(self, app: Any) -> Revoker:
        """The hub's one way to take back what somebody holds."""
        if self._revoker is None:
            self._revoker = Revoker(app, self)
        return self._revoker

    def record(
        self,
        handler: RequestHandler | None,
        action: str,
        person: str,
        refused: LoginRefused | None,
        subject: str = "",
        *,
        reason: str = "",
    ) -> None:
        """One audit event, with the reason of a refusal or another. Never a token, a code or a claim set.

        Where the database does not take it, it is in the log.
        """
        event: dict[str, Any] = {
            "person": person,
            "action": action,
            "subject": subject or self.settings.identity.issuer,
            "allowed": refused is None,
            "reason": refused.reason if refused else reason,
            "address": address_of(handler) if handler else "",
            "session": sessions.digest(cookie) if handler and (cookie := handler.get_session_cookie()) else "",
        }
        try:
            audit.record(self.audit_store, **event)
        except OperationalError:
            event["session"] = event["session"][:12]
            self.log.error("the database takes no audit event now; this one is here alone: %s", json.dumps(event))

    async def authenticate(self, handler: CallbackHandler, data: Any = None, **kwargs: Any) -> dict[str, Any]:
        """The person behind the code that the provider sent this browser back with; LoginRefused otherwise."""
        metadata = await self.provider.metadata()
        if metadata.states_issuer and not handler.get_argument("iss", ""):
            raise LoginRefused("missing-issuer", "the answer does not say which login provider it comes from")
        login = handler.login_state
        tokens = await self.client.redeem(handler.get_argument("code"), login.code_verifier, self.oauth_callback_url)
        session = sessions.digest(handler.new_session_id)
        proven, kept = await self.confirmation.login(tokens, login.nonce, session, login.demand)
        self._check_same(login.person, proven)
        standing = "pending" if self.settings.registration.required else "approved"
        account = people.recognise(self.store, self.settings.identity.issuer, proven, standing=standing)
        handler.proven = proven
        if refused := people.refusal_at_login(self.settings, people.admit(self.settings, self.store, account)):
            raise refused
        return self.model(account, kept)

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Whoever has proven the lowest level and stands well; without a project they find nothing to start."""
        proven = (auth_model or {}).get("auth_state") or {}
        reached = self.levels.reaches(proven.get("level", ""), self.levels.lowest)
        return reached and people.refusal(self.settings, people.find(self.store, username)) is None

    async def refresh_user(self, user: User, handler: RequestHandler | None = None, **kwargs: Any) -> bool:
        """JupyterHub asks at every request: False where the person has to log in again, else True.

        It is not told the groups of now but has them: it would keep the logins beside them as they were when it began.
        """
        if (account := self._stays(user, handler)) is None:
            return False
        if age(account) < self.settings.identity.recheck_seconds:
            return True
        try:
            groups = await self.confirm(user, account)
        except LoginRefused as refused:
            self.record(handler, "refresh", user.name, refused)
            return False
        if self._stays(user, handler) is None:  # while the provider was asked, all may have been taken back
            return False
        if groups is not None:
            user.sync_groups(groups)
        return True

    async def confirm(self, user: User, account: Account) -> list[str] | None:
        """Ask the provider about a person now: their groups, None where it cannot say; LoginRefused for its no."""
        return await self.confirmation.confirm(user, account)

    def assurance(self, name: str, handler: RequestHandler | None) -> Assurance | None:
        """What the login behind this request proves, where it is that person's; None for a token of no login."""
        found = self._session(name, handler) if handler is not None else None
        return sessions.assurance(found)

    def _check_same(self, name: str, proven: IdToken) -> None:
        """A step-up brings back whom it was begun for (`name`; '' for a login)."""
        account = people.find(self.store, name) if name else None
        if account is not None and account.subject != proven.subject:
            raise LoginRefused(
                "other-person",
                f"you are logged in as {name}, and the login provider answered for somebody else",
                f"log in as {name}, or log out first",
            )

    def _stays(self, user: User, handler: RequestHandler | None) -> Account | None:
        """Their account, if our own tables say at this moment that they and the login behind this request may go on."""
        account = people.find(self.store, user.name)
        if account is None or people.refusal(self.settings, account) or people.taken_back(account):
            return None
        return account if handler is None or self._session_lives(user, handler) else None

    def _session_lives(self, user: User, handler: RequestHandler) -> bool:
        """Whether the login behind this request goes on; a token that belongs to no login needs none."""
        token = handler.get_token()
        if token is not None and not token.session_id:
            return True
        return self._session(user.name, handler) is not None

    def _session(self, name: str, handler: RequestHandler) -> Session | None:
        """The live login of that person behind this request, by its token or else its cookie."""
        token = handler.get_token()
        session_id = token.session_id if token is not None else handler.get_session_cookie()
        found = sessions.live(self.store, sessions.digest(session_id)) if session_id else None
        return found if found is not None and found.person == name else None

    def member_of(self, account: Account) -> list[str]:
        """The groups that somebody is in now."""
        return sorted(people.groups_now(self.settings, self.store, account))

    def model(self, account: Account, login: Login) -> dict[str, Any]:
        """Somebody who logs in, as JupyterHub wants to know them: nobody is its administrator.

        Its own admin role acts as anybody, unrecorded, whatever step-up demands: ours act through the admin panel.
        """
        return {
            "name": account.name,
            "admin": False,
            "groups": self.member_of(account),
            "user_info": {"display_name": account.display_name},
            "auth_state": login,
        }
