"""What carries out a SpawnPlan: one contract for the engine of one host and for that of many. Nothing of Docker here.

A server is known by its plan's name. No method blocks the loop, and none waits for another server's or node's call.
Every method raises Unavailable, within seconds, where the engine does not answer: then nothing is known, and nothing
may be concluded from it.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from ...errors import NotFound, Unavailable
from ..plan import Limits, SpawnPlan

Phase = Literal["absent", "created", "waiting", "running", "ending", "ended", "lost"]


class ImageMissing(Unavailable):
    """The image is not where the server was to run: on `node`, or '' for no one machine."""

    code = "ImageMissing"
    node = ""


@dataclass(frozen=True)
class State:
    """What became of a server.

    `absent`: there is none. `created`: not started yet. `waiting`: for a node, or for its image there; `words` says
    for what. `running`. `ending`: asked to end, and still there with what it holds. `ended`: with `exit_code`, or
    because it ran `out_of_memory`. `lost`: its node does not answer, and nobody knows whether it runs.

    `words`: a sentence for people, without a full stop; '' where there is nothing to say. `moved`: its machine is no
    place for it any more, and another may be.
    """

    phase: Phase
    words: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    node: str = ""
    moved: bool = False

    @property
    def alive(self) -> bool:
        """Whether it runs or is about to."""
        return self.phase in ("created", "waiting", "running")


ABSENT = State("absent", "the server is gone")


@dataclass(frozen=True)
class Found:
    """A server that the engine has: `created` in seconds since the epoch."""

    name: str
    labels: Mapping[str, str]
    state: State
    created: float


@dataclass(frozen=True)
class Node:
    """A machine that runs servers. `memory` in bytes; `resources`: what it names to be counted, such as GPUs by id;
    `engine`: its version.

    `state`: `ready`; `paused`: takes no new servers; `drained`: runs none; `down`: does not answer.
    """

    name: str
    state: Literal["ready", "paused", "drained", "down"]
    cpus: float
    memory: int
    address: str = ""
    engine: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """A file that a server has from its start on, and nobody else: for certificates and credentials.

    Neither in the image, nor in the environment or labels; gone with the server.
    """

    path: str
    content: bytes = field(repr=False)
    uid: int
    gid: int
    mode: int = 0o400


@dataclass(frozen=True)
class Pull:
    """How far a pull is: bytes, as far as they are known (`total` 0: not yet)."""

    done: int
    total: int
    words: str


@dataclass(frozen=True)
class ImageFacts:
    """What the engine knows of an image: its labels, and its size in bytes."""

    labels: Mapping[str, str]
    bytes: int


Tell = Callable[[Pull], None]
PATH = re.compile(r"(?<![\w.:/-])/[^\s:'\",;)]+")


class Engine(ABC):
    """Runs servers by their plans. One object serves the whole hub; safe from any loop and thread."""

    @abstractmethod
    async def prepare(self, network: str, labels: Mapping[str, str]) -> str:
        """Have the network of people's servers; this host's address in it, '' where it has none there.

        BadSettings where the engine, or a network of that name, cannot keep the promises made here.
        """

    @abstractmethod
    async def create(
        self,
        plan: SpawnPlan,
        command: Sequence[str],
        environment: Mapping[str, str],
        port: int,
        files: Sequence[File] = (),
    ) -> str:
        """Make the server of that plan, not running yet; its id.

        `command` runs as the plan's user and listens on `port`; `environment` (tokens) comes before the plan's own.
        ImageMissing where the image is known not to be there. Conflict where the name is taken: `remove` first.
        """

    @abstractmethod
    async def start(self, name: str) -> None:
        """Let a created server run. It returns at once: `state` tells what became of it. NotFound: there is none."""

    @abstractmethod
    async def state(self, name: str) -> State:
        """What has become of it, now."""

    @abstractmethod
    async def address(self, name: str, port: int) -> tuple[str, int]:
        """(ip, port) at which the hub's host and proxy reach that port of a running server. NotFound: not running."""

    async def give(self, name: str, files: Sequence[File]) -> None:
        """Put files into a running server: what depends on its address. NotFound: there is none."""
        raise Unavailable("this engine gives running servers no files", "set hub.internal_ssl to false")

    async def hold(self, name: str, limits: Limits) -> None:
        """Set what of a running server's limits could not be said when it was made. It fails for nobody."""
        return

    @abstractmethod
    async def stop(self, name: str, grace: float = 10) -> None:
        """Ask it to end; after `grace` seconds it is killed. Returns when it has ended; it stays to be looked at.

        An engine that fixes the grace when the server is made keeps to 10 s. No error where there is nothing to stop.
        """

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Make it absent, running or not, with its files. No error where there is none."""

    @abstractmethod
    async def logs(self, name: str, lines: int = 15) -> str:
        """The last lines that it wrote, not redacted; '' where there are none or they cannot be had within a second."""

    async def cpu_seconds(self, name: str) -> float | None:
        """How much of a CPU's time it has used so far; None from an engine that never says. Unavailable: not now."""
        return None

    @abstractmethod
    async def find(self, labels: Mapping[str, str]) -> list[Found]:
        """All servers with these labels, in whatever phase, by name."""

    @abstractmethod
    async def nodes(self) -> list[Node]:
        """The machines there are, by name; also those that run nothing now."""

    @abstractmethod
    async def has_image(self, reference: str, node: str = "") -> bool:
        """Whether that node ('': any one) has the image, as far as is known without pulling."""

    async def image(self, reference: str) -> ImageFacts:
        """What is known of an image without pulling it. NotFound where nothing is: as of an engine that has none."""
        raise NotFound(f"nothing is known of the image {reference}")

    @abstractmethod
    async def pull(self, reference: str, node: str = "", tell: Tell = lambda pull: None) -> None:
        """Have the image on that node ('': all that run servers). ImageMissing, with the reason, where it fails.

        `tell` is called from another thread, as often as there is news.
        """


def for_people(said: str) -> str:
    """An engine's own words, without paths of its machine.

    >>> for_people('invalid mount config for type "bind": bind source path does not exist: /srv/eos/data')
    'a folder that the server needs is not there: the data store may be away'
    >>> for_people("error creating /var/lib/docker/x: no room on registry.example/bdap/lab")
    'error creating …: no room on registry.example/bdap/lab'
    """
    if "bind source path does not exist" in said:
        return "a folder that the server needs is not there: the data store may be away"
    return PATH.sub("…", said)


def exited(code: int | None) -> str:
    """How it ended, for people.

    >>> exited(137)
    'it was killed, most likely because it ran out of memory'
    """
    if code == 137:
        return "it was killed, most likely because it ran out of memory"
    return f"it ended with the code {code}" if code else "it ended by itself"


def now[T](ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The answer of an asynchronous method, for callers that may block: `now(lambda: engine.nodes())`."""
    with ThreadPoolExecutor(1) as one:  # the caller's own thread may be that of a running loop
        return one.submit(lambda: asyncio.run(ask())).result()
