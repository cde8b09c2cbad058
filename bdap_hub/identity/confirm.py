"""What the provider says of a person: at the login, and again and again while they are logged in.

Its answer is a yes (with the groups of now), a no (LoginRefused), or that it cannot say.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jupyterhub.user import User

from ..access import Requirement
from ..errors import Unavailable
from . import kept, people, sessions
from .claims import display_name, email, groups
from .id_token import NOTHING_MORE, Earlier, IdToken, LoginRefused, key_id, validate
from .kept import Login
from .patience import Patience
from .tables import Account

if TYPE_CHECKING:
    from .authenticator import EULoginAuthenticator

DOWN_SECONDS = 15.0
"""After a failure no request of that person waits for the provider for so long, and never longer than an answer serves.
"""
DOWN_PEOPLE = 3
"""After the failures of so many people nobody waits at all: one alone may have tokens that the provider fails at."""
EARLY_SECONDS = 5.0
"""An access token counts as expired so long before it is."""
_OVER = "session-ended"
_ENDED = "ended by the login provider"
# Why a login is over about which the provider's no counts. Of one that its person has ended, only a yes says anything.
_ASKED_ABOUT = ("", "expired", _ENDED)


class Confirmation:
    """One per hub, in its event loop."""

    def __init__(self, authenticator: EULoginAuthenticator) -> None:
        self.authenticator = authenticator
        self.identity = authenticator.settings.identity
        self.patience = Patience(self.identity, authenticator.store)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failed: dict[str, float] = {}

    async def login(
        self, tokens: Mapping[str, Any], nonce: str, session: str, demand: Requirement = NOTHING_MORE
    ) -> tuple[IdToken, Login]:
        """(the person whom the tokens of a login prove, what to keep of it); LoginRefused where they prove nobody."""
        proven = await self._validated(tokens, nonce=nonce, demand=demand)
        stated = await self._at_login(tokens, proven)
        by_token = bool(proven.groups) and (stated is None or self._only_in_token(stated))
        login = kept.new(proven, tokens, nonce, session=session, groups_by_token=by_token)
        return (proven if stated is None else self._with(proven, stated)), login

    def keeping(self, name: str) -> asyncio.Lock:
        """Held from when what is kept of somebody's logins is read until it is written.

        A login and an answer of the provider come at the same time: none may write over what the other has just kept.
        """
        return self._writing.setdefault(name, asyncio.Lock())

    async def beside(self, login: Login, user: User | None) -> dict[str, Any]:
        """The authentication state of a new login, with those that the person has in other browsers."""
        earlier = kept.split(await user.get_auth_state()) if user is not None else []
        return kept.joined([login, *(other for other in earlier if self._session(other)[0])])

    async def confirm(self, user: User, account: Account) -> list[str] | None:
        """Their groups as of now, or None where the provider cannot say; LoginRefused for its no.

        It cannot say while it does not answer (for `provider_grace`), or where nothing can be asked, neither with a
        refresh token nor at UserInfo (for `unproven_hours`; `logged_out_hours` where the person has ended all logins).
        Where they are logged in with several browsers, those that it says no to are logged out, and one yes is enough.
        Of requests in parallel, one asks.
        """
        lock = self._locks.setdefault(account.name, asyncio.Lock())
        async with lock:
            latest = people.find(self.authenticator.store, account.name) or account
            if latest.checked != account.checked:
                return None
            return await self._ask(user, latest)

    async def _ask(self, user: User, account: Account) -> list[str] | None:
        state = await user.get_auth_state()
        if not state:
            raise LoginRefused(_OVER, "nothing is known of this login any more")
        logins = kept.split(state)
        current = [login for login in logins if self._counts(login)]
        try:
            found = await self._ask_each(user, account, current)
            if found is None:
                found = await self._ask_ended(user, account, [login for login in logins if login not in current])
        except Unavailable as error:
            self.authenticator.log.warning("%s", error.message)
            self.patience.silent(account)
            return None
        except LoginRefused:
            self.patience.answered(account)
            raise
        if found is None:
            self.patience.unproven(account, logged_out=not current)
            return None
        self.patience.answered(account)
        account = people.confirmed(self.authenticator.store, account, found) or account
        return self.authenticator.member_of(account)

    async def _ask_each(self, user: User, account: Account, logins: list[Login]) -> frozenset[str] | None:
        """The groups of the latest login with a yes; None where none can say. LoginRefused if all that can say no."""
        answers: list[frozenset[str] | None] = []
        over: list[Login] = []
        for login in logins:
            try:
                answers.append(await self._groups_now(user, account, login))
            except LoginRefused as refused:
                if refused.reason != _OVER:
                    raise
                if self._counts(login):  # it was not ended meanwhile
                    over.append(login)
        if over and not answers:  # whoever asked ends and records it all
            raise LoginRefused(_OVER, "the login provider no longer confirms this login")
        if sessions.end(self.authenticator.store, [login.get("session", "") for login in over], _ENDED):
            self.authenticator.record(None, "revoke", account.name, None, reason=_OVER)
        for login in over:
            await self._replace(user, login, [])
        return next((found for found in answers if found is not None), None)

    async def _ask_ended(self, user: User, account: Account, logins: list[Login]) -> frozenset[str] | None:
        """The same, with logins that their person has ended. Those that it says no to are of no more use."""
        for login in logins:
            try:
                found = await self._groups_now(user, account, login)
            except LoginRefused:
                await self._replace(user, login, [])
                continue
            if found is not None:
                return found
        return None

    def _counts(self, login: Login) -> bool:
        """Whether the provider's no to this login would be a no to its person."""
        return self._session(login)[1] in _ASKED_ABOUT

    async def _groups_now(self, user: User, account: Account, login: Login) -> frozenset[str] | None:
        """Groups by this login; None where nothing can be asked. LoginRefused (session-ended) if it is over."""
        if self._pauses(account.name):
            raise Unavailable("the login provider did not answer a moment ago", "try again in a moment")
        try:
            proven = None
            if login.get("refresh_token"):
                login, proven = await self._refreshed(user, account, login)
            stated = await self._userinfo(account, login)
        except Unavailable:
            self._failed[account.name] = time.monotonic() + min(DOWN_SECONDS, self.identity.recheck_seconds)
            raise
        self._failed.clear()
        if stated is not None and not self._only_in_token(stated):
            return groups(stated, self.authenticator.expected)
        if proven is not None and self.identity.claims_from != "userinfo":
            return proven.groups
        return None if stated is None or login.get("groups_by_token") else frozenset()

    def _pauses(self, name: str) -> bool:
        self._failed = {failed: until for failed, until in self._failed.items() if until > time.monotonic()}
        return name in self._failed or len(self._failed) >= DOWN_PEOPLE

    async def _refreshed(self, user: User, account: Account, login: Login) -> tuple[Login, IdToken | None]:
        """New tokens for the refresh token, kept before they are looked at: the provider may honour the old no more."""
        tokens = await self.authenticator.client.refresh(login["refresh_token"])
        if tokens is None:
            raise LoginRefused(_OVER, "the login provider no longer confirms this login")
        renewed = kept.renewed(login, tokens)
        await self._replace(user, login, [renewed])
        if not tokens.get("id_token"):
            return renewed, None
        earlier = Earlier(account.subject, login.get("level", ""), login.get("auth_time"), login.get("nonce", ""))
        try:
            return renewed, await self._validated(tokens, nonce=None, earlier=earlier)
        except LoginRefused as refused:
            if refused.reason != "unknown-key":
                raise
            # Its keys may be newer than ours, which are asked for only so often.
            raise Unavailable("the login provider's new key is not known here yet", "try again in a moment") from None

    async def _replace(self, user: User, login: Login, by: list[Login]) -> None:
        """In what is kept now: another login may have come in between, and stays."""
        async with self.keeping(user.name):
            logins = kept.split(await user.get_auth_state())
            same = [n for n, other in enumerate(logins) if kept.same(login, other)]
            if same:
                logins[same[0] : same[0] + 1] = by
                await user.save_auth_state(kept.joined(logins))

    def _session(self, login: Login) -> tuple[bool, str]:
        """(whether the session of that login is live, why it ended); (False, '') where none is known."""
        found = sessions.find(self.authenticator.store, login.get("session", ""))
        return (sessions.is_live(found), found.ended_why) if found else (False, "")

    async def _at_login(self, tokens: Mapping[str, Any], proven: IdToken) -> dict[str, Any] | None:
        """What UserInfo says; None where the settings or the provider have none of it."""
        access = tokens.get("access_token")
        if self.identity.claims_from == "id_token":
            return None
        stated = await self.authenticator.client.userinfo(access) if isinstance(access, str) and access else None
        if stated is None and self.identity.claims_from == "both":
            return None
        if not stated:
            raise LoginRefused("no-userinfo", "the login provider did not say who you are")
        _check_subject(stated, proven.subject)
        return stated

    async def _userinfo(self, account: Account, login: Login) -> dict[str, Any] | None:
        """What UserInfo says now; None where it is not to be asked, or the access token has run out."""
        until = login.get("access_until")
        expired = until is not None and time.time() > until - EARLY_SECONDS
        if self.identity.claims_from == "id_token" or expired or not login.get("access_token"):
            return None
        stated = await self.authenticator.client.userinfo(login["access_token"])
        if stated is None:
            return None
        if not stated:
            raise LoginRefused(_OVER, "the login provider no longer confirms this login")
        _check_subject(stated, account.subject)
        return stated

    async def _validated(self, tokens: Mapping[str, Any], **demands: Any) -> IdToken:
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        keys = await self.authenticator.provider.keys(key_id(id_token))
        access = access_token if isinstance(access_token, str) else None
        return validate(id_token, keys, self.authenticator.expected, access_token=access, **demands)

    def _only_in_token(self, stated: Mapping[str, Any]) -> bool:
        return self.identity.claims_from == "both" and self.authenticator.expected.groups_claim not in stated

    def _with(self, proven: IdToken, stated: dict[str, Any]) -> IdToken:
        """UserInfo goes before; what it does not state, the id_token does where the settings want both."""
        expected = self.authenticator.expected
        named = {**stated, expected.username_claim: proven.username}
        both = self.identity.claims_from == "both"
        keep = {claim for claim in (expected.display_name_claim, expected.email_claim, expected.groups_claim) if both}
        keep -= stated.keys()
        return dataclasses.replace(
            proven,
            display_name=proven.display_name if expected.display_name_claim in keep else display_name(named, expected),
            email=proven.email if expected.email_claim in keep else email(stated, expected),
            groups=proven.groups if expected.groups_claim in keep else groups(stated, expected),
        )


def _check_subject(stated: Mapping[str, Any], subject: str) -> None:
    if stated.get("sub") != subject:
        raise LoginRefused("other-person", "the login provider names two different people")
