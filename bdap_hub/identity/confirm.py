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
from . import people
from .claims import display_name, email, groups
from .id_token import NOTHING_MORE, Earlier, IdToken, LoginRefused, key_id, validate
from .tables import Account, aware

if TYPE_CHECKING:
    from .authenticator import EULoginAuthenticator

DOWN_SECONDS = 15.0
"""After a failure nobody's request waits for the provider for so long, and never longer than an answer serves."""
EARLY_SECONDS = 5.0
"""An access token counts as expired so long before it is."""


class Confirmation:
    """One per hub, in its event loop."""

    def __init__(self, authenticator: EULoginAuthenticator) -> None:
        self.authenticator = authenticator
        self.identity = authenticator.settings.identity
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._down_until = float("-inf")

    async def login(
        self, tokens: Mapping[str, Any], nonce: str, demand: Requirement = NOTHING_MORE
    ) -> tuple[IdToken, dict[str, Any]]:
        """(the person whom the tokens of a login prove, what to keep encrypted to ask again); LoginRefused for a no."""
        proven = await self._validated(tokens, nonce=nonce, demand=demand)
        stated = await self._at_login(tokens, proven)
        kept = {"level": proven.level, "auth_time": proven.auth_time, "nonce": nonce, "refresh_token": ""}
        by_token = stated is None or self._only_in_token(stated)
        kept["groups_by_token"] = by_token and bool(proven.groups)
        return (proven if stated is None else self._with(proven, stated)), _renewed(kept, tokens)

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

    def _only_in_token(self, stated: Mapping[str, Any]) -> bool:
        return self.identity.claims_from == "both" and self.authenticator.expected.groups_claim not in stated

    async def confirm(self, user: User, account: Account) -> dict[str, Any] | bool:
        """Their model as of now, or True where the provider cannot say; LoginRefused for its no.

        It cannot say while it does not answer (for `provider_grace`), or where nothing can be asked, neither with a
        refresh token nor at UserInfo (for `unproven_hours`). Of requests in parallel, one asks.
        """
        lock = self._locks.setdefault(account.name, asyncio.Lock())
        async with lock:
            latest = people.find(self.authenticator.store, account.name) or account
            if latest.checked != account.checked:
                return True
            return await self._ask(user, latest)

    async def _ask(self, user: User, account: Account) -> dict[str, Any] | bool:
        state = await user.get_auth_state()
        if not state:
            raise LoginRefused("session-ended", "nothing is known of this login any more")
        try:
            found, state = await self._groups_now(user, account, state)
        except Unavailable as error:
            self.authenticator.log.warning("%s", error.message)
            return self._meanwhile(account, self.identity.provider_grace, "provider-down", "has not answered")
        if found is None:
            patience = self.identity.unproven_hours * 3600
            return self._meanwhile(account, patience, "not-confirmed", "has not confirmed your login")
        store = self.authenticator.store
        people.confirmed(store, account.name, found)
        return self.authenticator.model(people.find(store, account.name) or account, state)

    def _meanwhile(self, account: Account, patience: float, reason: str, what: str) -> bool:
        if age(account) < patience:
            return True
        raise LoginRefused(reason, f"the login provider {what} for too long")

    async def _groups_now(
        self, user: User, account: Account, state: dict[str, Any]
    ) -> tuple[frozenset[str] | None, dict[str, Any]]:
        """(groups, state with renewed tokens): None where nothing can be asked. LoginRefused for a no."""
        if time.monotonic() < self._down_until:
            raise Unavailable("the login provider did not answer a moment ago", "try again in a moment")
        try:
            proven = None
            if state.get("refresh_token"):
                state, proven = await self._refreshed(user, account, state)
            stated = await self._userinfo(account, state)
        except Unavailable:
            self._down_until = time.monotonic() + min(DOWN_SECONDS, self.identity.recheck_seconds)
            raise
        return self._groups(stated, proven, state), state

    async def _refreshed(
        self, user: User, account: Account, state: dict[str, Any]
    ) -> tuple[dict[str, Any], IdToken | None]:
        """New tokens for the refresh token, kept before they are looked at: the provider may honour the old no more."""
        tokens = await self.authenticator.client.refresh(state["refresh_token"])
        if tokens is None:
            raise LoginRefused("session-ended", "the login provider no longer confirms this login")
        renewed = _renewed(state, tokens)
        kept = await user.get_auth_state()
        if kept and kept.get("refresh_token") == state["refresh_token"]:  # no other login has come in between
            await user.save_auth_state(renewed)
        if not tokens.get("id_token"):
            return renewed, None
        earlier = Earlier(account.subject, state.get("level", ""), state.get("auth_time"), state.get("nonce", ""))
        return renewed, await self._validated(tokens, nonce=None, earlier=earlier)

    async def _userinfo(self, account: Account, state: dict[str, Any]) -> dict[str, Any] | None:
        """What UserInfo says now; None where it is not to be asked, or the access token has run out."""
        until = state.get("access_until")
        expired = until is not None and time.time() > until - EARLY_SECONDS
        if self.identity.claims_from == "id_token" or expired or not state.get("access_token"):
            return None
        stated = await self.authenticator.client.userinfo(state["access_token"])
        if stated is None:
            return None
        if not stated:
            raise LoginRefused("session-ended", "the login provider no longer confirms this login")
        _check_subject(stated, account.subject)
        return stated

    def _groups(
        self, stated: dict[str, Any] | None, proven: IdToken | None, state: dict[str, Any]
    ) -> frozenset[str] | None:
        """The groups of now, from where the settings want them; None where neither answer can say."""
        if stated is not None and not self._only_in_token(stated):
            return groups(stated, self.authenticator.expected)
        if proven is not None and self.identity.claims_from != "userinfo":
            return proven.groups
        return None if stated is None or state.get("groups_by_token") else frozenset()

    async def _validated(self, tokens: Mapping[str, Any], **demands: Any) -> IdToken:
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        keys = await self.authenticator.provider.keys(key_id(id_token))
        access = access_token if isinstance(access_token, str) else None
        return validate(id_token, keys, self.authenticator.expected, access_token=access, **demands)

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


def age(account: Account) -> float:
    """Seconds since the provider last said yes."""
    checked = aware(account.checked)
    return time.time() - checked.timestamp() if checked else float("inf")


def _renewed(state: dict[str, Any], tokens: Mapping[str, Any]) -> dict[str, Any]:
    life = tokens.get("expires_in")
    counted = isinstance(life, int | float) and not isinstance(life, bool)
    fresh = tokens.get("refresh_token")
    return {
        **state,
        "access_token": tokens.get("access_token") or "",
        "access_until": time.time() + life if counted else None,
        "refresh_token": fresh if isinstance(fresh, str) and fresh else state["refresh_token"],
    }


def _check_subject(stated: Mapping[str, Any], subject: str) -> None:
    if stated.get("sub") != subject:
        raise LoginRefused("other-person", "the login provider names two different people")
