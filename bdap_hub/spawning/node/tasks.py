"""What root's part does, each after its own check: for one caller, who says one thing after the other."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import look, namespaces
from .dockerd import Engine
from .rules import SERVER, WAITING, Refused, Rules, identity, limits, reference
from .stale import Mount, inside, stale, there, tops

VERSION = 2  # of what is said between hub and part
SOCKET = "run/bdap/claim"
HANDS_OVER, LOOKS = 2.0, 5.0  # seconds
LARGEST = 2**22
Say = Callable[[Any], None]


@dataclass(frozen=True)
class Container:
    """One of this platform's, running. What is known of it stays so: a process is not moved, labels are fixed."""

    id: str
    pid: int
    kind: str

    def at(self, path: str) -> int:
        """A descriptor of what lies there in its own root; no link on the way is followed. OSError: nothing."""
        found = namespaces.beneath(f"/proc/{self.pid}/root", path)
        if self.id not in Path(f"/proc/{self.pid}/cgroup").read_text():
            os.close(found)
            raise OSError(0, f"process {self.pid} is none of container {self.id[:12]}")
        return found

    @property
    def waits(self) -> bool:
        """Whether it is ready to be claimed, and was not yet."""
        try:
            os.close(self.at(SOCKET))
        except OSError:
            return False
        return True


class Tasks:
    """By the names of `OPERATIONS`."""

    def __init__(self, rules: Rules, engine: Engine) -> None:
        self._rules, self._engine = rules, engine
        self._known: dict[str, Container] = {}

    def answer(self, line: str, say: Say) -> None:
        """Carry out what one line asks for, and `say` what came of it: {"done": …} or {"failed": …}."""
        try:
            wanted = json.loads(line)
            task = OPERATIONS[wanted.pop("op")]
            for said in task(self, **wanted):
                say(said)
        except Refused as error:
            say({"failed": f"refused: {error}"})
        except OSError as error:
            say({"failed": str(error) or repr(error)})
        except (KeyError, TypeError, ValueError) as error:
            say({"failed": f"not understood: {error!r}"[:300]})

    def hello(self) -> Iterator[Any]:
        """Who this is, and how much memory the machine has left."""
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
        yield {"done": {"version": VERSION, "install": self._rules.install, "free": free, "lacks": lacks()}}

    def waits(self, container: str) -> Iterator[Any]:
        """Whether it waits; null: it does not run at all."""
        found = self._container(container, WAITING)
        yield {"done": found.waits if Path(f"/proc/{found.pid}").exists() else None}

    def put(
        self,
        container: str,
        mounts: list[dict[str, Any]] | tuple[()] = (),
        files: list[dict[str, Any]] | tuple[()] = (),
        hostname: str = "",
        limits: Mapping[str, int] | None = None,
    ) -> Iterator[Any]:
        """Give one that waits what its server will have; to a server that runs, only files."""
        claims = bool(mounts or hostname or limits)
        found = self._container(container, *((WAITING,) if claims else (WAITING, SERVER)))
        if claims and not found.waits:
            raise Refused("the container does not wait: it is somebody's")
        for file in files:
            self._rules.file(file, begins=found.kind == WAITING)
        wanted = {
            "pid": found.pid,
            "container": found.id,
            "mounts": [self._rules.mount(mount) for mount in mounts],
            "files": list(files),
            "hostname": hostname,
        }
        if limits:
            self._limit(found, limits)
        _carried_out(wanted)
        yield {"done": None}

    def mend(
        self, servers: list[dict[str, Any]], folders: list[str] | tuple[()] = (), file_system: str = ""
    ) -> Iterator[Any]:
        """Give servers the store back whose mounts have died: {container: places that were mended, or what is wrong}.

        Each with the mounts that it is to have; nothing is mounted where nothing was. `away`: why those of the store's
        `folders` that are this platform's do not answer here, '' where they do.
        """
        told: dict[str, Any] = {}
        wanted = [(one["container"], [self._rules.mount(mount) for mount in one["mounts"]]) for one in servers]
        every = {mount["source"]: mount for _, mounts in wanted for mount in mounts}
        own = [one for one in folders if one in self._rules.write]
        try:
            devices, away = json.loads(namespaces.in_child(lambda: _looked(every.values(), own, file_system), LOOKS))
        except OSError as error:
            devices, away = {}, f"no answer: {error.strerror}"
        for container, mounts in wanted:
            try:
                told[container] = self._mend(container, mounts, devices)
            except (OSError, Refused) as error:
                told[container] = str(error)
        yield {"done": {"servers": told, "away": away}}

    def _mend(self, container: str, mounts: list[dict[str, Any]], devices: Mapping[str, str]) -> list[str]:
        found = self._container(container, WAITING, SERVER)
        info = Path(f"/proc/{found.pid}/mountinfo").read_text()
        known = tuple(Mount(one["source"], one["target"], one["read_only"], one["propagation"]) for one in mounts)
        places = there(info)
        # with all that covers parts of it, whether that was there or not: a place that was only held had no covers
        held = [top.target for top in tops(known) if top.target in places]
        dead = [one.target for one in stale(known, info, devices) if inside(one.target, held)]
        if dead:
            again = [mount for mount in mounts if mount["target"] in dead]
            _carried_out({"pid": found.pid, "container": found.id, "mounts": again, "replace": True})
        return dead

    def _limit(self, found: Container, wanted: Mapping[str, int]) -> None:
        limits(wanted)
        self._engine.limit(found.id, wanted)

    def limit(self, container: str, limits: Mapping[str, int]) -> Iterator[Any]:
        """Give a server that runs those limits for which its engine has no words."""
        self._limit(self._container(container, SERVER), limits)
        yield {"done": None}

    def hand(self, container: str, claim: dict[str, Any]) -> Iterator[Any]:
        """Tell one that waits whose server it is from now on."""
        self._rules.claim(claim)
        found = self._container(container, WAITING)
        place = found.at(SOCKET)
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(HANDS_OVER)
            door.connect(f"/proc/self/fd/{place}")
            os.close(place)
            door.sendall(json.dumps(claim).encode() + b"\n")
            if door.makefile("rb").readline() != b"claimed\n":
                raise OSError(0, "it did not take the claim")
        yield {"done": None}

    def cpu(self, container: str) -> Iterator[Any]:
        """How much of a CPU's time it has used, in seconds."""
        yield {"done": cpu_seconds(self._container(container, WAITING, SERVER).pid)}

    def image(self, image: str) -> Iterator[Any]:
        """Whether the machine has it."""
        yield {"done": self._engine.image(reference(image)) is not None}

    def pull(self, image: str, login: str = "") -> Iterator[Any]:
        """Fetch it, telling each event as {"news": …}."""
        for event in self._engine.pull(reference(image), login):
            if event.get("error"):
                raise OSError(0, str(event["error"])[:300])
            yield {"news": event}
        yield {"done": None}

    def _container(self, container: str, *kinds: str) -> Container:
        known = self._known.get(container)
        if known is None or not Path(f"/proc/{known.pid}").exists():
            found = self._engine.container(identity(container))
            labels = found["Config"].get("Labels") or {}
            self._rules.container(labels, (WAITING, SERVER))
            if not found["State"]["Pid"]:
                raise OSError(0, f"the container {container[:12]} does not run")
            known = self._known[container] = Container(found["Id"], found["State"]["Pid"], labels["bdap.kind"])
        self._rules.container({"bdap.hub": self._rules.install, "bdap.kind": known.kind}, kinds)
        return known


def _carried_out(wanted: dict[str, Any]) -> None:
    if said := namespaces.in_child(lambda: namespaces.problem(wanted)):
        raise OSError(0, said)


def _devices(mounts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """major:minor, as mountinfo writes it, of what lies at each source; nothing of those that are not there."""
    found = {}
    for mount in mounts:
        with suppress(OSError):
            place = namespaces.beneath(mount["root"], mount["rest"])
            number = os.fstat(place).st_dev
            os.close(place)
            found[mount["source"]] = f"{os.major(number)}:{os.minor(number)}"
    return found


def _looked(mounts: Iterable[Mapping[str, Any]], folders: Iterable[str], file_system: str) -> str:
    """JSON of the devices at the mounts' sources, and why a folder does not answer. It hangs where the store does."""
    try:
        for folder in folders:
            look.answers(Path(folder), file_system)
    except OSError as error:
        return json.dumps([_devices(mounts), str(error.strerror or error)])
    return json.dumps([_devices(mounts), ""])


def cpu_seconds(pid: int, groups: str = "/sys/fs/cgroup") -> float:
    """Of all processes in that one's control group, by the kernel's own count: version 1 or 2."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    of = {controller: path for _, names, path in lines for controller in names.split(",")}
    if "cpuacct" in of:
        return int(Path(f"{groups}/cpuacct{of['cpuacct']}/cpuacct.usage").read_text()) / 1e9
    used = dict(line.split() for line in Path(f"{groups}{of['']}/cpu.stat").read_text().splitlines())
    return int(used["usage_usec"]) / 1e6


def lacks() -> str:
    """Why this machine's Linux can give running containers no folders; '' where it can."""
    release = os.uname().release
    numbers = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in release.split(".")[:2])
    return "" if numbers >= (5, 12) else f"Linux {release} is older than 5.12"


OPERATIONS: Mapping[str, Callable[..., Iterator[Any]]] = {
    "hello": Tasks.hello,
    "waits": Tasks.waits,
    "put": Tasks.put,
    "hand": Tasks.hand,
    "mend": Tasks.mend,
    "limit": Tasks.limit,
    "cpu": Tasks.cpu,
    "image": Tasks.image,
    "pull": Tasks.pull,
}
