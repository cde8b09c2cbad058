"""Where containers may wait, and how one is claimed: one contract for one host and for many."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from docker.errors import APIError

from ...errors import BdapError, Unavailable
from ..engines import File
from ..engines.links import ANSWERS, Link, written
from ..plan import SpawnPlan

FOLDER = "/run/bdap"
READY, PATIENCE = 60.0, 2.0  # seconds
AT_ONCE = 4  # claims
FilesAt = Callable[[str], Sequence[File]]
"""What a server is to find there, by the address that it has. Called in a thread."""


def no_files(_: str) -> Sequence[File]:
    """Nothing."""
    return ()


@dataclass(frozen=True)
class Slot:
    """A container that waits on `node`. `image`: what it runs, as the engine names its content; `id`: the engine's
    handle to remove it by; `container`: the container itself."""

    id: str
    container: str
    name: str
    node: str
    template: SpawnPlan
    image: str
    address: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Kind:
    """What an image is now: its content as the engine names it, and the program in it that waits; '' for none."""

    image: str
    program: str


class Waits(ABC):
    """Makes and claims them. All of it runs on the hub's loop; what fails is Unavailable.

    `install`: this platform's, as in the label bdap.hub; `patience`: seconds for a claim.
    """

    answers = ANSWERS  # seconds for an answer of a machine

    def __init__(self, install: str, patience: float = PATIENCE) -> None:
        self._install, self._patience = install, patience
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def lives(self, slot: Slot) -> bool:
        """Whether its socket is there; Unavailable where it has ended."""
        found = await self._link(slot.node).ask("waits", self.answers, container=slot.container)
        if found is None:
            raise Unavailable(f"{slot.name} has ended")
        return bool(found)

    async def claim(
        self,
        slot: Slot,
        plan: SpawnPlan,
        command: Sequence[str],
        environment: Mapping[str, str],
        files: FilesAt = no_files,
    ) -> None:
        """Make it the server of that plan. Unavailable where anything fails: then the container is gone."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    await asyncio.gather(self._bring(slot, plan, files), self._settle(slot, plan))
                    given = claim_of(slot.secret, plan, command, {**environment, **self.variables})
                    await self._link(slot.node).ask("hand", self.answers, container=slot.container, claim=given)
            except (OSError, TimeoutError, APIError, BdapError) as error:
                await self.discard(slot.id)
                raise Unavailable(f"the waiting container {slot.name} was not claimed: {error!r}") from None

    async def _bring(self, slot: Slot, plan: SpawnPlan, files: FilesAt) -> None:
        """What root's part gives it."""
        given = written(await asyncio.to_thread(files, slot.address))
        wanted = {"mounts": folders(plan), "files": given, "hostname": plan.hostname, **self._more(plan)}
        await self._link(slot.node).ask("put", container=slot.container, **wanted)

    @property
    def variables(self) -> Mapping[str, str]:
        """What the engine adds to a server's environment."""
        return {}

    def _more(self, plan: SpawnPlan) -> dict[str, Any]:
        """What root's part sets because the engine has no words for it."""
        return {}

    @abstractmethod
    async def _settle(self, slot: Slot, plan: SpawnPlan) -> None:
        """Let the engine know whose it is."""

    @abstractmethod
    def _link(self, node: str) -> Link:
        """To root's part of that machine."""

    @abstractmethod
    async def places(self, template: SpawnPlan) -> Mapping[str, str]:
        """The machines where servers of that kind may run: '' for those where one can wait, else why none can."""

    @abstractmethod
    async def order(self, plan: SpawnPlan) -> Sequence[str]:
        """The machines where that server may run, the one where it would be started cold first."""

    @abstractmethod
    async def free(self, node: str) -> int:
        """Bytes of memory that the machine has left."""

    @abstractmethod
    async def kind(self, image: str) -> Kind:
        """What the image of that name is now."""

    @abstractmethod
    async def make(self, template: SpawnPlan, program: str, port: int, node: str) -> Slot:
        """A container that has imported everything; Unavailable where it does not get there: then it is gone."""

    @abstractmethod
    async def discard(self, slot: str) -> None:
        """Remove the one with that id, whatever it is doing."""

    @abstractmethod
    async def left_behind(self) -> list[str]:
        """Ids of all that wait, also for a hub that is no more."""

    @abstractmethod
    async def close(self) -> None:
        """Nothing is claimed any more."""


def folders(plan: SpawnPlan) -> list[dict[str, Any]]:
    """Its mounts, as root's part takes them. PURE."""
    return [asdict(mount) for mount in plan.mounts]


def claim_of(secret: str, plan: SpawnPlan, command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """What tells a container whose server it is. PURE."""
    own = {"HOSTNAME": plan.hostname, "PWD": plan.working_dir}
    return {
        "secret": secret,
        "uid": plan.uid,
        "gid": plan.gid,
        "groups": [plan.gid, *plan.groups],
        "umask": plan.umask,
        "folder": plan.working_dir,
        "environment": {**environment, **plan.environment, **own},
        "command": list(command),
    }
