"""Where containers may wait, and how one is claimed: one contract for one host and for many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..engines import File
from ..plan import SpawnPlan

FOLDER = "/run/bdap"
READY, PATIENCE = 60.0, 2.0  # seconds
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
    """Makes and claims them. All of it runs on the hub's loop; what fails is Unavailable."""

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
    async def lives(self, slot: Slot) -> bool:
        """Whether it still waits."""

    @abstractmethod
    async def claim(
        self,
        slot: Slot,
        plan: SpawnPlan,
        command: Sequence[str],
        environment: Mapping[str, str],
        files: FilesAt = no_files,
    ) -> None:
        """Make it the server of that plan. Unavailable where anything fails: then the container is gone."""

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
