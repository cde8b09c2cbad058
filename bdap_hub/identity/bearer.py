"""Whose access token a program sends: asked of the provider, and held against the same rules as a browser's login."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from tornado.web import RequestHandler

from . import introspection, people
from .claims import groups
from .id_token import LoginRefused
from .introspection import Granted, bad
from .patience import age
from .tables import Account, aware, now

if TYPE_CHECKING:
    from .authenticator import EULoginAuthenticator

AT_ONCE = 8
MOST_KEPT = 10_000
LONGEST = 8192


@dataclass(frozen=True)
class Caller:
    """A person who may be here, with the groups of now."""

    account: Account
    groups: frozenset[str]


class Bearer:
    """One per hub. A yes of the provider serves for `recheck_seconds`, our own tables are asked always."""

    def __init__(self, authenticator: EULoginAuthenticator) -> None:
        self.authenticator = authenticator
        self.settings, self.store = authenticator.settings, authenticator.store
        self._kept: dict[str, tuple[float, Granted]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def caller(self, token: str, handler: RequestHandler | None = None) -> Caller:
        """Who sends this access token; LoginRefused where it proves nobody who may be here now.

        Recorded are a token's first use, and every refusal of one that the provider honours.
        """
        granted, asked, is_new = await self._granted(token)
        account = people.find_subject(self.store, self.settings.identity.issuer, granted.subject)
        refused = self._refusal(account, granted)
        if is_new or refused:
            name = account.name if account else granted.subject[:64]
            self.authenticator.record(handler, "access-token", name, refused)
        if refused or account is None:
            raise refused or bad("unknown-person", "there is no such account")
        if granted.groups is not None and asked is not None:  # an earlier answer may be older than another's
            account = people.stated_groups(self.store, account, granted.groups, asked) or account
        return Caller(account, people.groups_now(self.settings, self.store, account))

    def _refusal(self, account: Account | None, granted: Granted) -> LoginRefused | None:
        if account is None:
            return LoginRefused(
                "unknown-person",
                "you have no account here yet",
                f"log in once with a browser at {self.settings.hub.public_url}",
            )
        return people.refusal_at_login(self.settings, account) or self._over(account, granted)

    def _over(self, account: Account, granted: Granted) -> LoginRefused | None:
        """Everything was taken back since, or nobody has confirmed this person for too long."""
        revoked, logged_in = aware(account.revoked), aware(account.logged_in)
        if revoked and (logged_in is None or logged_in < revoked or granted.since <= revoked.timestamp()):
            return bad(
                "revoked", "everything was taken back after it was given; log in with a browser, then here again"
            )
        if granted.groups is None and age(account) > self.settings.identity.unproven_hours * 3600:
            return bad("not-confirmed", "the login provider has not confirmed you for too long; log in with a browser")
        return None

    async def _granted(self, token: str) -> tuple[Granted, datetime | None, bool]:
        """(what it proves, when that was asked, whether it is new here); for when, None if an earlier answer serves."""
        if not self.settings.identity.public_client_id:
            raise bad("not-offered", "programs do not log in at the login provider here")
        if not token or len(token) > LONGEST or not token.isascii() or not token.isprintable():
            raise bad("malformed", "it is none")
        key = hashlib.sha256(token.encode()).hexdigest()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > time.time():
            return kept[1], None, False
        self._kept.pop(key, None)
        async with self._places:
            asked, granted = now(), await self._asked(token)
        self._keep(key, (min(time.time() + self.settings.identity.recheck_seconds, granted.until), granted))
        return granted, asked, kept is None

    def _keep(self, key: str, value: tuple[float, Granted]) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept = {k: v for k, v in self._kept.items() if v[0] > time.time()}
        if len(self._kept) < MOST_KEPT:
            self._kept[key] = value

    async def _asked(self, token: str) -> Granted:
        """The provider's introspection; and UserInfo for the groups, where these stand there."""
        client, identity = self.authenticator.client, self.settings.identity
        expected = self.authenticator.expected
        stated = await client.introspect(token)
        granted = introspection.read(stated, expected, identity.public_client_id)
        if granted.groups is not None or identity.claims_from == "id_token":
            return granted
        told = await client.userinfo(token)
        if told is None:
            return granted
        if told.get("sub") != granted.subject:  # also an empty answer: the token is no longer good
            raise bad("other-person", "the login provider does not confirm whose it is")
        if identity.claims_from == "both" and expected.groups_claim not in told:
            return granted
        return replace(granted, groups=groups(told, expected))
