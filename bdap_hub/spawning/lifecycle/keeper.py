"""Looks again and again whether engine, proxy and hub agree about people's servers, and makes them agree.

One per hub, in its event loop: `start` is called while JupyterHub reads its configuration.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from ... import audit
from ...errors import Unavailable
from ...settings import Settings
from ..engines import engine_of
from ..gpu.wait import WaitsForGpus
from ..recheck import sessions
from .idleness import Idleness
from .orphans import Orphans

log = logging.getLogger(__name__)
LOOK = 5.0  # seconds
REST = 30.0
NOTED = "Server at "  # how JupyterHub notes the token that it gives to a server
_running: list[asyncio.Task[None]] = []


class Keeper:
    """`app` is JupyterHub's own; its spawners are ours."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._store = sessions(settings.database)
        self._engine = engine_of(settings) if settings.spawning.engine != "process" else None
        self._orphans = Orphans(self._engine, self._store) if self._engine else None
        self._idleness = Idleness(settings, self._engine)
        self._pace = min(REST, max(1.0, (settings.spawning.idle_timeout or REST) / 4))

    async def run(self) -> None:
        """Until the hub ends. Beside each other: a proxy that is away must not delay the look at the engine."""
        await self.app._start_future
        looks = ((self._engine_agrees, LOOK), (self._proxy_agrees, LOOK), (self._rest, self._pace))
        await asyncio.gather(*(self._again(look, pace) for look, pace in looks))

    async def _again(self, look: Callable[[], Awaitable[None]], pace: float) -> None:
        """What goes wrong is logged, and done again the next time."""
        while True:
            try:
                await look()
            except Unavailable as error:
                log.debug("%s", error)  # the engine's lane has said so already
            except Exception:
                log.exception("a look at people's servers failed")
                self.app.db.rollback()
            await asyncio.sleep(pace)

    async def _engine_agrees(self) -> None:
        """What has ended is seen at once, not at JupyterHub's next turn; what nobody knows goes."""
        if self._engine is None or self._orphans is None:
            return
        labels = {"bdap.hub": self.settings.install_id, "bdap.kind": "server"}
        found = await self._engine.find(labels)
        alive = {one.name for one in found if one.state.alive}
        for _, spawner in list(self._spawners()):
            if spawner.ready and spawner.object_name not in alive:
                await spawner.poll_and_notify()
        known = {spawner.object_name for _, spawner in self._spawners()}
        await self._orphans.look(found, known)
        pool = WaitsForGpus.pool_of(self.settings)
        if pool.clock.jumped() or any(one.holder not in known for one in pool.held):
            await pool.tidy()

    async def _proxy_agrees(self) -> None:
        """A proxy that was restarted knows no route, not even that of the hub."""
        await self.app.proxy.check_routes(self.app.users, self.app._service_map)

    async def _rest(self) -> None:
        """Stop what nobody uses; forget the tokens of servers that are no more."""
        running = [(user, spawner) for user, spawner in self._spawners() if spawner.ready]
        self._idleness.keep([(user.name, spawner.name) for user, spawner in running])
        for user, spawner in running:
            if (why := await self._idleness.why_stop(user, spawner)) and spawner.ready:
                await self._stop(user, spawner, why)
        self._drop_tokens()

    def _spawners(self) -> Iterator[tuple[Any, Any]]:
        """(user, spawner) of all servers that run, start or stop."""
        for user in list(self.app.users.values()):
            for spawner in list(user.spawners.values()):
                if spawner.active:
                    yield user, spawner

    async def _stop(self, user: Any, spawner: Any, why: str) -> None:
        options = spawner.user_options or {}
        subject = f"{options.get('project', '')}/{options.get('image', '')}"
        await asyncio.to_thread(
            audit.record, self._store, person=user.name, action="stop-server", subject=subject, reason=why
        )
        log.info("Stopping %s: %s", spawner._log_name, why)
        await spawner.tell_end(why)
        spawner._stop_pending = True
        try:
            await self.app.proxy.delete_user(user, spawner.name)
            await user.stop(spawner.name)
        finally:
            spawner._stop_pending = False

    def _drop_tokens(self) -> None:
        """JupyterHub forgets which token it gave to a server when it is restarted, and then leaves it valid."""
        live = {f"{NOTED}{spawner.server.base_url}" for _, spawner in self._spawners() if spawner.server}
        starting = {user.name for user, spawner in self._spawners() if not spawner.ready}
        for row in self.app.db.query(orm.APIToken).filter(orm.APIToken.note.startswith(f"{NOTED}/")):
            if row.note not in live and row.user is not None and row.user.name not in starting:
                self.app.db.delete(row)
        self.app.db.commit()


def start(settings: Settings) -> None:
    """Keep the servers of the hub that reads its configuration just now; none runs where that is only looked at."""
    if not JupyterHub.initialized():
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # such as `jupyterhub upgrade-db`
        return
    _running.append(loop.create_task(Keeper(JupyterHub.instance(), settings).run()))
