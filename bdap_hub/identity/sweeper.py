"""Looks again and again at everybody who holds a login, a server or a token: whoever may not any more loses them.

So the bound `identity.revocation_seconds` holds also for people who never touch the hub again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyterhub import orm, roles
from jupyterhub.user import User
from sqlalchemy import or_
from sqlalchemy.exc import SQLAlchemyError

from .. import entitlements
from ..access import Person, Policy, UseImage, decide, over, role_in
from . import mail, people, reminders, sessions
from .id_token import LoginRefused
from .patience import age
from .revocation import Revoker
from .tables import Account, aware

if TYPE_CHECKING:
    from .authenticator import EULoginAuthenticator

log = logging.getLogger(__name__)
AT_ONCE = 8
PRUNE_SECONDS = 3600.0
REMIND_SECONDS = 86400.0
FORGET_SECONDS = 3600.0


@dataclass(frozen=True)
class Standing:
    """What our own tables say of a person at this moment."""

    account: Account | None
    refused: LoginRefused | None
    groups: frozenset[str]


class Sweeper:
    """One per hub, in its event loop. Our own tables decide at once; the provider is asked `AT_ONCE` at a time."""

    def __init__(self, app: Any, authenticator: EULoginAuthenticator, revoker: Revoker) -> None:
        self.app, self.authenticator, self.revoker = app, authenticator, revoker
        self.settings, self.store = authenticator.settings, authenticator.store
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._pruned = self._reminded = float("-inf")

    async def run(self) -> None:
        """Sweep at the settings' pace until the hub ends. What goes wrong is logged, and done again the next time."""
        await self.app._start_future
        pace = self.settings.identity.sweep_seconds
        while True:
            begun = time.monotonic()
            try:
                await self.sweep()
            except Exception as error:
                self._report(error, "a sweep failed")
            await asyncio.sleep(max(0.0, begun + pace - time.monotonic()))

    async def sweep(self) -> None:
        """Look at everybody once. Returns without waiting for the provider."""
        await asyncio.to_thread(self._tidy)
        if time.monotonic() - self._reminded > REMIND_SECONDS:
            self._reminded = time.monotonic()
            mail.later(reminders.remind, self.settings, self.store)
        names = await asyncio.to_thread(sessions.people_with_live, self.store) | self._holders()
        found = await asyncio.to_thread(lambda: {name: self._standing(name) for name in sorted(names)})
        for name, standing in found.items():
            try:
                self._look(name, standing)
            except Exception as error:  # one person's trouble leaves nobody else unseen
                self._report(error, f"{name} could not be looked at")
        self._forget(names)

    def look(self, name: str) -> None:
        """Look at one person now: for what has just been decided about them in this process."""
        self._look(name, self._standing(name))

    def _look(self, name: str, standing: Standing) -> None:
        user = self.revoker.user(name)
        if standing.refused or (user is not None and {group.name for group in user.groups} != standing.groups):
            standing = self._standing(name)  # they may have logged in since
        if standing.refused or standing.account is None:
            self.revoker.revoke(name, standing.refused.reason if standing.refused else "unknown-person")
            return
        if self._due(standing.account) and name not in self._asking:
            task = self._asking[name] = asyncio.create_task(self._ask(name, standing.account))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        if user is not None:
            self._follow(user, standing.groups)
            self.revoker.drop_tokens(user)

    def _due(self, account: Account) -> bool:
        """Before the next sweep, the provider's last yes would be older than it may be."""
        return age(account) > self.settings.identity.recheck_seconds - self.settings.identity.sweep_seconds

    async def _ask(self, name: str, account: Account) -> None:
        """Ask the provider about one person, and let them be what it says."""
        async with self._places:
            user = self.revoker.user(name)
            if user is None:
                return
            refused = None
            try:
                await self.authenticator.confirm(user, account)
            except LoginRefused as error:
                refused = error
            except Exception:
                log.exception("the login provider could not be asked about %s", name)
            standing = self._standing(name)  # they may have been blocked since, or have logged out
            if standing.account is None or standing.account.logged_in != account.logged_in:
                return  # the answer is about a login before the latest
            if refused := refused or standing.refused:
                self.revoker.revoke(name, refused.reason)
            else:
                self._follow(user, standing.groups)

    def _follow(self, user: User, groups: frozenset[str]) -> None:
        """Groups as they are now, as JupyterHub does at a login; servers that they do not allow end."""
        if user.admin:  # made by an earlier version: nobody is
            user.admin = False
            roles.assign_default_roles(self.app.db, entity=user.orm_user)
            self.app.db.commit()
        user.sync_groups(sorted(groups))
        policy = entitlements.policy(self.settings, self.store)
        for server_name, spawner in list(user.spawners.items()):
            if spawner.active and (why := not_allowed(policy, user.name, groups, spawner.user_options)):
                self.revoker.stop(user, server_name, why)

    def _standing(self, name: str) -> Standing:
        account = people.find(self.store, name)
        groups = people.groups_now(self.settings, self.store, account) if account else frozenset()
        refused = people.refusal(self.settings, account)
        if refused is None and account and people.taken_back(account):
            refused = LoginRefused("revoked", "everything was taken back, and there was no login since")
        return Standing(account, refused, groups)

    def _holders(self) -> set[str]:
        """Everybody with a token, or with a server that runs or is on its way."""
        db = self.app.db
        now = orm.utcnow(with_tz=False)
        good = or_(orm.APIToken.expires_at.is_(None), orm.APIToken.expires_at > now)
        tokens = db.query(orm.User.name).join(orm.APIToken, orm.APIToken.user_id == orm.User.id).filter(good)
        servers = db.query(orm.User.name).join(orm.Spawner).filter(orm.Spawner.server_id.isnot(None))
        starting = {user.name for user in self.app.users.values() if any(s.active for s in user.spawners.values())}
        return {name for (name,) in (*tokens.distinct(), *servers.distinct())} | starting

    def _forget(self, holders: set[str]) -> None:
        """The tokens to ask the provider with, of whoever holds nothing here any more, nor is just logging in."""
        for row in self.app.db.query(orm.User).filter(orm.User.encrypted_auth_state.isnot(None)):
            account = people.find(self.store, row.name) if row.name not in holders else None
            logged_in = aware(account.logged_in) if account else None
            if logged_in is not None and time.time() - logged_in.timestamp() > FORGET_SECONDS:
                row.encrypted_auth_state = None
        self.app.db.commit()

    def _report(self, error: Exception, what: str) -> None:
        log.error(what, exc_info=error)
        if isinstance(error, SQLAlchemyError):
            self.app.db.rollback()

    def _tidy(self) -> None:
        sessions.end_expired(self.store)
        if time.monotonic() - self._pruned > PRUNE_SECONDS:
            sessions.prune(self.store)
            self._pruned = time.monotonic()


def not_allowed(policy: Policy, name: str, groups: frozenset[str], options: Mapping[str, Any] | None) -> str:
    """Why somebody with these groups may no longer run the server they chose by `options`; '' where they may.

    A login that has grown old is no reason, nor is a GPU that this host has lost: the server runs.
    """
    project, image, size = ((options or {}).get(name) or "" for name in ("project", "image", "size"))
    if not (project and isinstance(project, str) and image and isinstance(image, str)):
        member = any(role_in(known, groups) and over(policy, known) is None for known in policy.projects)
        return "" if member else f"{name} is in no project"
    decision = decide(replace(policy, gpus=1), Person(name, groups), UseImage(project, image, str(size)))
    return "" if decision.entitled else decision.reason
