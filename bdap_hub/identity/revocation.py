"""Takes back what a person holds: logins, tokens, groups, servers with their open connections.

Works inside the hub, on JupyterHub's own objects; what failed to stop is tried again by the sweeper.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from jupyterhub import orm, roles
from jupyterhub.user import User
from tornado.web import RequestHandler

from . import sessions
from .tables import Account, now

if TYPE_CHECKING:
    from .authenticator import EULoginAuthenticator

log = logging.getLogger(__name__)
LOOK_AGAIN_SECONDS = 0.1


class Revoker:
    """One per hub, in its event loop. Everything here may be done twice; the second time does nothing."""

    def __init__(self, app: Any, authenticator: EULoginAuthenticator) -> None:
        self.app = app
        self.authenticator = authenticator
        self.store = authenticator.store
        self._stopping: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._refusing: set[tuple[str, str]] = set()

    def revoke(
        self, name: str, why: str, *, handler: RequestHandler | None = None, action: str = "revoke"
    ) -> list[asyncio.Task[None]]:
        """Everything of a person: logins, tokens and groups now, servers at once; the tasks that stop those.

        Recorded as `action` where it took something away. They can log in again if the provider and we let them.
        """
        ended = sessions.end_all(self.store, name, why)
        user = self.user(name)
        deleted = self._strip(user) if user is not None else 0
        servers = [key for key in self._servers(user) if key not in self._refusing and key not in self._stopping]
        self._mark(name)
        if ended or deleted or servers:
            self.authenticator.record(handler, action, name, None, reason=why)
        return [self.stop(user, server) for server in self._active(user)]

    def end(self, name: str, keys: list[str], why: str) -> int:
        """These logins of a person, and the tokens that services were given through them; how many were live.

        After the last one, no copy of the hub's cookie is worth anything.
        """
        ended = sessions.end(self.store, keys, why)
        if (user := self.user(name)) is not None:
            self.drop_tokens(user)
            if not sessions.live_of(self.store, name):
                user.orm_user.cookie_id = orm.new_token()
                self.app.db.commit()
        return ended

    def drop_tokens(self, user: User) -> None:
        """Delete a person's tokens, and codes for tokens, that belong to a login which has ended."""
        live = {row.id for row in sessions.live_of(self.store, user.name)}
        bound = [row for row in self._issued(user) if row.session_id]
        self._delete([row for row in bound if sessions.digest(row.session_id) not in live])

    def stop(self, user: User, server_name: str = "", why: str = "") -> asyncio.Task[None]:
        """Stop a server, also one that is still starting. The same task while it is being stopped already.

        With `why`, which is not part of a revocation, the first attempt is recorded.
        """
        key = (user.name, server_name)
        if (task := self._stopping.get(key)) is None:
            if why and key not in self._refusing:
                subject = self._options(user, server_name)
                self.authenticator.record(None, "stop-server", user.name, None, subject, reason=why)
            task = self._stopping[key] = asyncio.create_task(self._stop(user, server_name, why))
            task.add_done_callback(lambda _: self._stopping.pop(key, None))
        return task

    def user(self, name: str) -> User | None:
        """JupyterHub's person of that name."""
        found = orm.User.find(self.app.db, name=name)
        return self.app.users[found] if found is not None else None

    def _mark(self, name: str) -> None:
        with self.store.begin() as session:
            if (found := session.get(Account, name)) is not None:
                found.revoked = now()

    def _strip(self, user: User) -> int:
        """Tokens, groups, rights, cookies and what was kept to ask the provider; how many tokens there were."""
        deleted = self._delete(self._issued(user))
        user.orm_user.cookie_id = orm.new_token()
        user.orm_user.encrypted_auth_state = None
        user.admin = False
        roles.assign_default_roles(self.app.db, entity=user.orm_user)
        user.sync_groups([])
        self.app.db.commit()
        return deleted

    def _issued(self, user: User) -> list[Any]:
        codes = self.app.db.query(orm.OAuthCode).filter_by(user_id=user.id)
        return [*user.orm_user.api_tokens, *codes]

    def _delete(self, rows: list[Any]) -> int:
        for row in rows:
            self.app.db.delete(row)
        if rows:
            self.app.db.commit()
        return len(rows)

    def _options(self, user: User, server_name: str) -> str:
        options = user.spawners[server_name].user_options or {}
        return f"{options.get('project', '')}/{options.get('image', '')}"

    def _active(self, user: User | None) -> list[str]:
        return [name for name, spawner in user.spawners.items() if spawner.active] if user is not None else []

    def _servers(self, user: User | None) -> list[tuple[str, str]]:
        return [(user.name, name) for name in self._active(user)] if user is not None else []

    async def _stop(self, user: User, server_name: str, why: str) -> None:
        key = (user.name, server_name)
        try:
            await self._until_stopped(user, server_name, why)
            self._refusing.discard(key)
        except Exception:
            self._refusing.add(key)
            log.exception("the server of %s could not be stopped; it is tried again", user.name)

    async def _until_stopped(self, user: User, server_name: str, why: str) -> None:
        """No waiting for kernels to say goodbye. Failing that, the server stays known, and is stopped the next time.

        JupyterHub's own way forgets a server whose stop failed: so it is asked only once the server has ended.
        """
        spawner = user.spawners[server_name]
        while spawner.pending:
            if spawner._waiting_for_response:  # it runs already, and nobody can reach it yet
                await self._end(spawner)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        if not spawner.active:
            return
        spawner._stop_pending = True
        spawner.stop_polling()
        try:
            await self._close(user, server_name)
            if why and hasattr(spawner, "tell_end"):  # its page says so
                await spawner.tell_end(f"Your server was stopped: {why}. Your files are where you left them.")
            token = spawner.api_token
            await self._end(spawner)
            spawner.api_token = token  # some spawners forget it, and it is deleted by the following
            await user.stop(server_name)
        finally:
            spawner._stop_pending = False

    async def _close(self, user: User, server_name: str) -> None:
        try:
            await self.app.proxy.delete_user(user, server_name)
        except Exception:  # the server has to end also where the proxy is away
            log.exception("the proxy's route to the server of %s could not be removed", user.name)

    async def _end(self, spawner: Any) -> None:
        if await spawner.poll() is None:
            await spawner.stop(now=True)
        if await spawner.poll() is None:
            raise RuntimeError(f"{spawner._log_name} still runs")
