"""People's credentials for the store, as EOS's client looks for them in the caller's container; renewed while it runs.

`/tmp/oauthtk_<uid>` and `/tmp/krb5cc_<uid>`: files, as it follows no link, of mode 600, the person's own. They
lie in memory (a tmpfs of the host), a folder a server, and are never logged.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import HasTraits

from ...database import shared as sessions
from ...errors import Unavailable
from ...settings import Settings
from .. import uids
from ..node.look import kind_of
from . import children
from .mounts import Mount

log = logging.getLogger(__name__)
HELPER_SECONDS = 20.0
LOOK_SECONDS = 20.0  # how old a new access token of the login may be before a server has it
FILES = {"oauth2": "oauthtk", "kerberos": "krb5cc"}


def folder_of(settings: Settings, server: str) -> Path:
    """The folder of a server's credentials on the host."""
    return settings.store.credentials_folder / settings.install_id / server


def mounts_of(settings: Settings, server: str, uid: int) -> tuple[Mount, ...]:
    """Where a server finds them; nothing unless the settings say so. PURE."""
    folder = folder_of(settings, server)
    return tuple(
        Mount(f"{folder}/{FILES[kind]}", f"/tmp/{FILES[kind]}_{uid}")  # noqa: S108  the container's own
        for kind in settings.store.credentials
    )


def write(path: Path, content: bytes, uid: int, gid: int) -> None:
    """Into the same file, which is bound into the container: a new one would not be seen there.

    One write; a reader in that moment may find a mixture once, and looks again when the time of change is another.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o600)
    except PermissionError:  # a hub that may give files away, and not write into others'
        os.chown(path, os.geteuid(), -1, follow_symlinks=False)
        file = os.open(path, flags, 0o600)
    try:
        os.fchown(file, uid, gid)
        os.fchmod(file, 0o600)
        os.pwrite(file, content, 0)
        os.ftruncate(file, len(content))
    finally:
        os.close(file)


class HasCredentials(HasTraits):
    """Mixin of the spawner. `access_token_of` is identity's: the token of a person's authentication state, or ''."""

    access_token_of = AnyTrait(None, allow_none=True, help="From an auth_state to an access token.").tag(config=True)
    settings: Any
    user: Any
    object_name: Any
    _renewing: asyncio.Task[None] | None = None

    async def credentials_ready(self, uid: int, gid: int) -> None:
        """Before the container is made: the files are there, with what can be had now."""
        if not self.settings.store.credentials:
            return
        folder = folder_of(self.settings, self.object_name)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if kind_of(folder.resolve()) != "tmpfs":
            log.warning(
                "people's credentials lie on a disk: let store.credentials_folder (%s) be a tmpfs", folder.parent
            )
        for kind in self.settings.store.credentials:
            write(folder / FILES[kind], b"", uid, gid)
            await self._renew(kind, uid, gid)

    def credentials_renewed(self) -> None:
        """For as long as the server runs, also after the hub was restarted."""
        if self.settings.store.credentials and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._keep())

    def credentials_gone(self) -> None:
        """Nothing is left on the host."""
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        if self.settings.store.credentials:
            shutil.rmtree(folder_of(self.settings, self.object_name), ignore_errors=True)

    async def _keep(self) -> None:
        store = self.settings.store
        first, database = self.settings.spawning.first_uid, sessions(self.settings.database)
        uid = await asyncio.to_thread(uids.uid_of, database, self.user.name, first)
        pauses = {
            "oauth2": min(LOOK_SECONDS, 60 * store.credentials_minutes),
            "kerberos": 60 * store.credentials_minutes,
        }

        async def one(kind: str) -> None:
            while True:
                await asyncio.sleep(pauses[kind])
                await self._renew(kind, uid, -1)

        await asyncio.gather(*(one(kind) for kind in store.credentials))

    async def _renew(self, kind: str, uid: int, gid: int) -> None:
        """What cannot be had is logged, without its content; what was there stays until it ends by itself."""
        try:
            content = await (self._oauth() if kind == "oauth2" else self._kerberos(uid))
            path = folder_of(self.settings, self.object_name) / FILES[kind]
            if content and path.exists() and await asyncio.to_thread(path.stat):
                write(path, content, uid, gid)
        except (OSError, Unavailable) as error:
            log.warning("No %s credential for %s: %s", kind, self.user.name, getattr(error, "message", error))

    async def _oauth(self) -> bytes:
        state = await self.user.get_auth_state()
        token = self.access_token_of(state) if self.access_token_of else ""
        if not token:
            raise Unavailable("there is no login with an access token that still counts")
        return f"oauth2:{token}:{self.settings.store.oauth_url}".encode()

    async def _kerberos(self, uid: int) -> bytes:
        command = [
            part.replace("{person}", self.user.name).replace("{uid}", str(uid))
            for part in self.settings.store.kerberos_command
        ]
        code, out, _ = await children.run(command, HELPER_SECONDS)
        if code or not out:
            raise Unavailable(f"store.kerberos_command ended with {code} and {len(out)} bytes")
        return out
