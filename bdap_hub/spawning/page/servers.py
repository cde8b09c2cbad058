"""A person's servers as their home page lists them, and their end: stop, cancel a start, remove."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import maybe_future
from tornado import web

STATES = {"spawn": "starting", "check": "starting", "stop": "stopping", "rename": "stopping"}
DONE = {
    "stopped": "The server has stopped. Your files are kept.",
    "stopping": "The server was asked to stop.",
    "removed": "The server is removed. Your files are kept.",
}
CANCEL_SECONDS = 10.0


@dataclass(frozen=True)
class ServerRow:
    """A server of a person: running, starting, stopping or stopped. `name` is '' for the default one.

    `end`: how it ended, where its person did not end it.
    """

    name: str
    title: str
    state: str
    project: str
    image: str
    size: str
    since: datetime | None
    activity: datetime | None
    url: str
    spawn: str
    pending: str
    gpu: Any = None
    end: Any = None


def rows(user: Any) -> list[ServerRow]:
    """The default server first, then those with a name, by name."""
    ends = getattr(user.spawner, "last_ends", {})
    return [_row(user, one, ends.get(one.name)) for one in user.all_spawners()]


def names(user: Any) -> list[str]:
    """What the person's running servers are called on the engine."""
    spawners = user.spawners.values() if user is not None else ()
    return [name for spawner in spawners if spawner.active and (name := getattr(spawner, "object_name", ""))]


def _row(user: Any, one: Any, end: Any) -> ServerRow:
    """`one` is a spawner, or only its row in JupyterHub's database where it does not run."""
    spawner = user.spawners.get(one.name)  # a look-up by [] would make one
    stored = spawner.orm_spawner if spawner else one
    options, path = stored.user_options or {}, f"{user.escaped_name}/{one.name}".rstrip("/")
    return ServerRow(
        name=one.name,
        title=stored.display_name or one.name,
        state=state_of(spawner),
        project=str(options.get("project", "")),
        image=str(options.get("image", "")),
        size=str(options.get("size", "")),
        since=_utc(stored.started),
        activity=_utc(stored.last_activity),
        url=user.server_url(one.name),
        spawn=f"/hub/spawn/{path}" if one.name else "/hub/spawn",
        pending=f"/hub/spawn-pending/{path}",
        gpu=getattr(spawner, "gpu_notice", None) if spawner and spawner.active else None,
        end=end,
    )


def state_of(spawner: Any) -> str:
    """In one word for people."""
    if spawner is None or not spawner.active:
        return "stopped"
    return STATES.get(spawner.pending or "", "running" if spawner.ready else "starting")


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at and not at.tzinfo else at


class ServersHandler(BaseHandler):  # type: ignore[misc]
    """POST /hub/servers: end one of one's own servers, also one that is still starting."""

    @web.authenticated
    async def post(self) -> None:
        """`act` is stop or remove, `server` the name; back to the list, which says what came of it."""
        act, server = self.get_body_argument("act", ""), self.get_body_argument("server", "")
        if act not in ("stop", "remove") or (act == "remove" and not server):
            raise web.HTTPError(400, f"{act[:20]!r} cannot be done to a server")
        done = await self._end(user_name=self.current_user.name, server_name=server, remove=act == "remove")
        self.redirect(f"{self.hub.base_url}home?{urlencode({'done': done})}")

    @needs_scope("delete:servers")
    async def _end(self, user_name: str, server_name: str, remove: bool) -> str:
        user = self.find_user(user_name)
        if user is None or (server_name and server_name not in user.orm_spawners):
            raise web.HTTPError(404, f"You have no server {server_name[:30]!r}")
        spawner = user.spawners[server_name]
        await cancel(spawner)
        if not spawner.pending and spawner.active:
            await self.stop_single_user(user, server_name)
        if spawner.active:
            return "stopping"
        if remove:
            await forget(self, user, server_name)
        return "removed" if remove else "stopped"


async def cancel(spawner: Any) -> None:
    """Interrupt a start that is under way. What it has made already is for the stop that follows."""
    future = spawner._spawn_future
    if spawner.pending != "spawn" or future is None:
        return
    future.cancel()
    await asyncio.wait([future], timeout=CANCEL_SECONDS)
    await asyncio.sleep(0)  # JupyterHub's own callback of the future comes first


async def forget(handler: BaseHandler, user: Any, server_name: str) -> None:
    """Remove a named server that does not run from JupyterHub's list, as its own API does."""
    spawner = user.spawners[server_name]
    await maybe_future(user._delete_spawner(spawner))
    handler.db.delete(spawner.orm_spawner)
    user.spawners.pop(server_name, None)
    handler.db.commit()
