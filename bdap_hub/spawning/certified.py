"""A person's server speaks TLS with a certificate of its own, and answers the hub and the proxy alone.

The certificate names the server's address, which is known once it runs: the server waits for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from traitlets import HasTraits

from .. import certificates
from ..errors import NotFound
from ..settings import Settings
from .engines import Engine, File
from .plan import SpawnPlan

READY = f"{certificates.IN_SERVER}/ready"
WAIT_FOR = "BDAP_WAIT_FOR"
LOOK = 0.02


def files_for(settings: Settings, person: str, address: str, uid: int, gid: int) -> list[File]:
    """What the server of `person` at `address` needs, for nobody else to read. The last says that it is all there."""
    pair, paths = certificates.for_server(settings, person, address), certificates.server_paths()
    contents = {
        paths["cafile"]: pair.trusted,
        paths["certfile"]: pair.certificate,
        paths["keyfile"]: pair.key,
        READY: b"",
    }
    return [File(path, content, uid, gid) for path, content in contents.items()]


class Certified(HasTraits):
    """Mixin: in place of JupyterHub's files in a volume. `certify` belongs between the engine's start and the wait."""

    settings: Settings
    engine: Engine
    plan: SpawnPlan
    object_name: str
    internal_ssl: bool
    user: Any
    port: int

    async def create_certs(self) -> dict[str, str]:
        """Where they will be; JupyterHub tells the server so in its environment."""
        return certificates.server_paths()

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Nothing is to be moved."""
        return paths

    @property
    def waits(self) -> dict[str, str]:
        """The environment of a server that is started before its certificate is there."""
        return {WAIT_FOR: READY} if self.internal_ssl else {}

    def files_at(self, address: str) -> list[File]:
        """What the server gets once its address is known; makes a key, so call it in a thread."""
        if not self.internal_ssl:
            return []
        return files_for(self.settings, self.user.name, address, self.plan.uid, self.plan.gid)

    async def certify(self) -> None:
        """Give the started server its certificate. It returns without where the server has ended meanwhile."""
        if not self.internal_ssl or (address := await self._own_ip()) is None:
            return
        await self.engine.give(self.object_name, await asyncio.to_thread(self.files_at, address))

    async def _own_ip(self) -> str | None:
        while (await self.engine.state(self.object_name)).alive:
            try:
                return (await self.engine.address(self.object_name, self.port))[0]
            except NotFound:
                await asyncio.sleep(LOOK)
        return None
