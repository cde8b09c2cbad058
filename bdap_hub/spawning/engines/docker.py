"""The engine of one host: a server is a container on its Docker engine."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from ... import errors
from ..plan import SpawnPlan
from . import docker_arguments
from .claimed import KIND, WAITS, Claimed
from .client import connect
from .contract import (
    ABSENT,
    Engine,
    File,
    Found,
    ImageFacts,
    ImageMissing,
    Node,
    Phase,
    State,
    Tell,
    exited,
    for_people,
)
from .lane import Lane
from .layers import Layers
from .login import Login

LOOK = 0.1  # seconds between two looks at what ends
WAITING = {"bdap.kind": KIND}
PHASES: Mapping[str, Phase] = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "removing": "ending",
    "exited": "ended",
    "dead": "ended",
}


class DockerEngine(Engine):
    """Containers by their names. `node`: what this host is called among the nodes.

    `claimed`: whose the containers are that waited for a person.
    """

    def __init__(
        self,
        node: str = "local",
        lane: Lane | None = None,
        claimed: Claimed | None = None,
        login: Login = Login(),  # noqa: B008  frozen: that of nobody
    ) -> None:
        self._node, self._login = node, login
        self.claimed = claimed
        self._lane = lane or Lane(node, connect)
        self._pulls = ThreadPoolExecutor(4, thread_name_prefix="pull")

    @property
    def lane(self) -> Lane:
        """The way to the engine, for what is Docker's alone: containers that wait."""
        return self._lane

    async def prepare(self, network: str, labels: Mapping[str, str]) -> str:
        """The bridge, made unless it exists; its gateway."""
        from ..network import ensure_network  # which gets its client from this package

        return await asyncio.to_thread(ensure_network, network, False, dict(labels))

    async def create(
        self,
        plan: SpawnPlan,
        command: Sequence[str],
        environment: Mapping[str, str],
        port: int,
        files: Sequence[File] = (),
    ) -> str:
        """Create the container, and put `files` in it before anything in it runs."""

        def work(client: Any) -> str:
            arguments = docker_arguments.create(plan, list(command), dict(environment), port)
            host = client.create_host_config(**docker_arguments.host_config(plan))
            found = client.create_container(**arguments, host_config=host)
            if files:
                client.put_archive(plan.name, "/", archive(files))
            return str(found["Id"])

        try:
            return str(await self._lane.run(work))
        except ImageNotFound:
            raise missing(plan.image, self._node) from None
        except APIError as error:
            if error.status_code == 409:
                raise errors.Conflict(f"there is a container {plan.name!r} already", "remove it first") from None
            raise failed(error) from None

    async def start(self, name: str) -> None:
        """Start the container."""
        try:
            await self._lane.call("start", name)
        except NotFound as error:
            raise errors.NotFound(f"there is no container {name!r}: {error.explanation}") from None
        except APIError as error:
            raise failed(error) from None

    async def state(self, name: str) -> State:
        """By the container's own state."""
        try:
            found = await self._lane.call("inspect_container", name)
        except NotFound:
            return ABSENT
        except APIError as error:
            raise failed(error) from None
        return state_of(found["State"], self._node)

    async def address(self, name: str, port: int) -> tuple[str, int]:
        """The container's own address on its network, which this host reaches."""
        try:
            found = await self._lane.call("inspect_container", name)
        except APIError:
            found = {}
        networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
        address = next((one["IPAddress"] for one in networks.values() if one.get("IPAddress")), "")
        if not address:
            raise errors.NotFound(f"the container {name!r} does not run")
        return address, port

    async def give(self, name: str, files: Sequence[File]) -> None:
        """All at once, in their order."""
        try:
            await self._lane.call("put_archive", name, "/", archive(files))
        except NotFound as error:
            raise errors.NotFound(f"there is no container {name!r}: {error.explanation}") from None
        except APIError as error:
            raise failed(error) from None

    async def stop(self, name: str, grace: float = 10) -> None:
        """The image's own stop signal; the engine would hold a thread for each that takes its time."""
        try:
            found = await self._lane.call("inspect_container", name)
            await self._lane.call("kill", name, signal=found["Config"].get("StopSignal") or "SIGTERM")
            if not await self._ends(name, grace):
                await self._lane.call("kill", name, signal="SIGKILL")
                await self._ends(name, 10)
        except APIError as error:
            if error.status_code not in (404, 409):  # gone, or not running
                raise failed(error) from None

    async def _ends(self, name: str, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while (await self.state(name)).phase == "running":
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(LOOK)
        return True

    async def remove(self, name: str) -> None:
        """Also one that still runs because an earlier hub lost sight of it."""
        for _ in range(100):
            try:
                return await self._lane.call("remove_container", name, v=True, force=True)
            except NotFound:
                return None
            except APIError as error:
                if error.status_code != 409:
                    raise failed(error) from None
            await asyncio.sleep(LOOK)  # somebody else is removing it: its name is not free yet
        raise errors.Unavailable(f"the container {name!r} cannot be removed", "look at it with `docker ps -a`")

    async def logs(self, name: str, lines: int = 15) -> str:
        """What the container wrote last."""
        try:
            return str((await self._lane.call("logs", name, tail=lines, seconds=1)).decode(errors="replace"))
        except (APIError, errors.Unavailable):
            return ""

    async def cpu_seconds(self, name: str) -> float | None:
        """By the container's control group; nought is the engine's word for one that it cannot read."""
        try:
            found = await self._lane.call("stats", name, stream=False, one_shot=True)
        except APIError as error:
            raise failed(error) from None
        if used := float(found["cpu_stats"]["cpu_usage"]["total_usage"]):
            return used / 1e9
        raise errors.Unavailable(
            f"the Docker engine cannot read what {name} uses",
            "look for `cgroup` in its log: it needs all of the kernel's control groups mounted",
        )

    async def find(self, labels: Mapping[str, str]) -> list[Found]:
        """By the engine's list, which knows each container's phase but not why it ended."""
        try:
            found = await self._with(labels)
            if self.claimed:  # their own labels are those of waiting
                waited = [one for one in await self._with(WAITING) if one["Names"] and WAITS not in one["Names"][0]]
                waited = [{**one, "Labels": self.claimed.labels(one["Id"])} for one in waited]
                found += [one for one in waited if one["Labels"] and labels.items() <= one["Labels"].items()]
        except APIError as error:
            raise failed(error) from None
        rows = [
            Found(
                one["Names"][0].removeprefix("/"),
                one["Labels"],
                State(PHASES.get(one["State"], "running"), node=self._node),
                float(one["Created"]),
            )
            for one in found
            if one["Names"]
        ]
        return sorted(rows, key=lambda row: row.name)

    async def _with(self, labels: Mapping[str, str]) -> list[Any]:
        wanted = [f"{key}={value}" for key, value in labels.items()]
        return list(await self._lane.call("containers", all=True, filters={"label": wanted}))

    async def nodes(self) -> list[Node]:
        """This host."""
        found = await self._lane.call("info")
        return [Node(self._node, "ready", found["NCPU"], found["MemTotal"])]

    async def has_image(self, reference: str, node: str = "") -> bool:
        """Asked of the engine."""
        try:
            await self._lane.call("inspect_image", reference)
        except NotFound:
            return False
        return True

    async def image(self, reference: str) -> ImageFacts:
        """As the engine inspects it."""
        try:
            found = await self._lane.call("inspect_image", reference)
        except APIError as error:
            raise errors.NotFound(f"nothing is known of the image {reference}: {error.explanation}") from None
        return ImageFacts((found.get("Config") or {}).get("Labels") or {}, int(found["Size"]))

    async def pull(self, reference: str, node: str = "", tell: Tell = lambda pull: None) -> None:
        """From its registry, in a thread of its own: it takes as long as it takes."""
        await asyncio.wrap_future(self._pulls.submit(self._pull, reference, tell))

    def _pull(self, reference: str, tell: Tell) -> None:
        layers = Layers()
        try:
            for event in connect(timeout=600).pull(
                reference, stream=True, decode=True, auth_config=self._login.of(reference)
            ):
                if event.get("error"):
                    raise missing(reference, self._node, str(event["error"]))
                tell(layers.after(event))
        except APIError as error:
            raise missing(reference, self._node, str(error.explanation)) from None
        except (DockerException, RequestException, HTTPError, OSError) as error:
            raise errors.Unavailable(f"the Docker engine went away while it pulled {reference}: {error}") from None


def state_of(found: Mapping[str, Any], node: str) -> State:
    """From a container's `State` to ours. PURE."""
    phase = PHASES.get(found["Status"], "running")
    if phase != "ended":
        return State(phase, "it is being stopped" if phase == "ending" else "", node=node)
    code, memory = found.get("ExitCode"), bool(found.get("OOMKilled"))
    return State("ended", ended(code, memory, found.get("Error") or ""), code, memory, node)


def ended(code: int | None, memory: bool, error: str) -> str:
    """How a server ended, for people. PURE.

    >>> ended(137, True, "")
    'it ran out of memory'
    """
    if memory:
        return "it ran out of memory"
    if error:
        return f"it could not be started: {error[:200]}"
    return exited(code)


def archive(files: Sequence[File]) -> bytes:
    """A tar of these files and the folders that they need. PURE."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(str(PurePosixPath(file.path).relative_to("/")))
            entry.size, entry.mode, entry.uid, entry.gid = len(file.content), file.mode, file.uid, file.gid
            tar.addfile(entry, io.BytesIO(file.content))
    return out.getvalue()


def missing(reference: str, node: str, why: str = "") -> ImageMissing:
    """The image is not there."""
    reason = f": {why[:200]}" if why else ""
    return ImageMissing(f"the image {reference} is not on {node}{reason}", "ask the operator to run `make images`")


def failed(error: APIError) -> errors.Unavailable:
    """What the engine refused, in its own words; a full disk in ours."""
    if "no space left on device" in str(error.explanation).lower():
        return errors.Unavailable("the disk of the machine that runs servers is full", "tell the operator")
    words = for_people(str(error.explanation))[:300]
    return errors.Unavailable(f"the Docker engine refused: {words}", "try again in a moment")
