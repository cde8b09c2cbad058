"""What the platform's services ask the hub about logins: GET /hub/api/bdap/sessions/<digest>."""

from __future__ import annotations

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from . import sessions


class SessionAPIHandler(APIHandler):
    """A login by the SHA-256 of its session id, which `/hub/api/user` gives for a token that belongs to one."""

    @needs_scope("read:users:name")
    async def get(self, key: str) -> None:
        """{"person", "level", "auth_time" (seconds since 1970, 0: not stated), "groups"} of a live one; else 404."""
        found = sessions.live(self.authenticator.store, key)
        user = self.find_user(found.person) if found is not None else None
        if found is None or user is None:
            raise web.HTTPError(404, "there is no such login, or it has ended")
        groups = sorted(group.name for group in user.groups)
        self.write({"person": found.person, "level": found.level, "auth_time": found.auth_time, "groups": groups})
