"""The engine of many hosts: a server is a service of a Docker Swarm, its one task pinned to the node that we chose.

Only the manager is asked, never a node: one that hangs or is gone holds up nobody. Its own waits are not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, NotFound

from ... import errors
from ..plan import Limits, SpawnPlan
from . import place, swarm_arguments, swarm_states
from .client import connect
from .contract import ABSENT, Engine, File, Found, Node, State
from .docker import failed
from .lane import Lane
from .links import Link, Parts, written
from .login import Login
from .swarm_calls import HOLDER, forget, name_of, promised, scale, secrets_of, service_of
from .swarm_images import SwarmImages
from .swarm_setup import image_of, ready

log = logging.getLogger(__name__)
LOOK = 0.1  # seconds between two looks at what starts or ends
PATIENCE = swarm_arguments.GRACE + 15.0  # seconds for a task to end
CPU_SECONDS = 1.0
SETTLE = 30.0  # a node that was away gets no new GPU server before it has ended what it was to end meanwhile


@dataclass(frozen=True)
class Placed:
    """A running server: `container` is the whole id of its container on `node`."""

    name: str
    container: str
    labels: Mapping[str, str]
    node: Node


class SwarmEngine(SwarmImages, Engine):
    """Services by their names. `lane` leads to a manager of the swarm, `parts` to root's part on its machines."""

    def __init__(
        self,
        lane: Lane | None = None,
        logs: Lane | None = None,
        login: Login | None = None,
        parts: Parts | None = None,
    ) -> None:
        self._lane = lane or Lane("swarm", connect)
        self._logs = logs or Lane("swarm-logs", connect, threads=4)  # the manager asks the node: that may take time
        self._pulls = Lane("swarm-pulls", connect, threads=4)
        self._login, self._parts = login or Login(), parts
        self._placing = threading.Lock()
        self._away: dict[str, float] = {}  # when a node was last seen not to answer
        self._has: set[tuple[str, str]] = set()  # images that are known to be on a node

    async def prepare(self, network: str, labels: Mapping[str, str]) -> str:
        """Nothing to make: each node has a bridge of its own; but the swarm must be one to rely on."""
        await self.ask(ready)
        return ""

    async def create(
        self,
        plan: SpawnPlan,
        command: Sequence[str],
        environment: Mapping[str, str],
        port: int,
        files: Sequence[File] = (),
    ) -> str:
        """Choose a node, and make the service with no task yet. Unavailable, with the reasons, where no node fits.

        ImageMissing names the node where it is known to lack the image: then one can see how far its pull is.
        """
        await self._there(plan)

        def work(client: Any) -> str:
            image = image_of(client, plan.image)
            with self._placing:  # so that two who start at once see each other
                node = self._choose(client, plan)
                secrets = secrets_of(client, plan.name, files)
                arguments = swarm_arguments.service(plan, image, node, command, environment, port, secrets)
                if account := self._login.of(image):  # which the nodes are shown, to pull it
                    client._auth_configs.add_auth(image.partition("/")[0], account)
                try:
                    return str(client.create_service(**arguments)["ID"])
                except APIError as error:
                    if "name conflicts" in str(error.explanation):
                        message = f"there is a service {plan.name!r} already"
                        raise errors.Conflict(message, "remove it first") from None
                    forget(client, [one["SecretID"] for one in secrets])
                    raise

        return str(await self.ask(work))

    def _choose(self, client: Any, plan: SpawnPlan) -> tuple[str, str]:
        """(the swarm's id, name) of the node for it. Conflict where the name is taken by one that was claimed."""
        said, used = client.nodes(), self._used(client, plan.name)
        node = place.choose(self._nodes(said), used, plan)
        return next(one["ID"] for one in said if one["Description"]["Hostname"] == node.name), node.name

    def _used(self, client: Any, name: str = "") -> dict[str, int]:
        used: dict[str, int] = {}
        for one in client.services(filters={"label": "bdap.kind=server"}):
            node, memory = promised(one)
            used[node] = used.get(node, 0) + memory
            if name and name_of(one) == name:
                raise errors.Conflict(f"there is a service {name!r} already", "remove it first")
        return used

    async def order(self, plan: SpawnPlan) -> list[Node]:
        """The nodes where that server may run, the one where it would be started first."""

        def work(client: Any) -> list[Node]:
            return place.ranked(self._nodes(client.nodes()), self._used(client), plan)

        found: list[Node] = await self.ask(work)
        return found

    def _nodes(self, said: Sequence[Mapping[str, Any]]) -> list[Node]:
        """By name. One that was away names no GPUs until it has had time to end what was taken from it."""
        now = time.monotonic()
        found = [swarm_states.node_of(one) for one in said]
        self._away.update({node.name: now for node in found if node.state == "down"})
        return sorted((_settled(node, self._away.get(node.name), now) for node in found), key=lambda one: one.name)

    async def start(self, name: str) -> None:
        """One task instead of none."""
        await self.ask(lambda client: scale(client, name, 1))

    async def state(self, name: str) -> State:
        """By its last task and that task's node."""

        def work(client: Any) -> State:
            try:
                service = service_of(client, name)
            except NotFound:
                return ABSENT
            tasks = client.tasks(filters={"service": service["ID"]})
            state = swarm_states.state_of(service, tasks, self._by_id(client, tasks))
            if state.phase == "running":
                self._has.add((state.node, service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]))
            return state

        found: State = await self.ask(work)
        return found

    def _by_id(self, client: Any, tasks: Sequence[Mapping[str, Any]]) -> dict[str, Node]:
        """The nodes, where a task is not as it should be."""
        if all(task["DesiredState"] == "running" for task in tasks):
            return {}
        said = client.nodes()
        self._nodes(said)
        return {one["ID"]: swarm_states.node_of(one) for one in said}

    async def address(self, name: str, port: int) -> tuple[str, int]:
        """The node's address, and the port there that leads to the container."""

        def work(client: Any) -> tuple[str, int]:
            with contextlib.suppress(NotFound):
                service = service_of(client, name)["ID"]
                for task in client.tasks(filters={"service": service, "desired-state": "running"}):
                    for one in (task["Status"].get("PortStatus") or {}).get("Ports") or ():
                        if one["TargetPort"] == port and one.get("PublishedPort"):
                            node = swarm_states.node_of(client.inspect_node(task["NodeID"]))
                            return node.address, int(one["PublishedPort"])
            raise errors.NotFound(f"the service {name!r} does not run")

        found: tuple[str, int] = await self.ask(work)
        return found

    async def give(self, name: str, files: Sequence[File]) -> None:
        """By root's part of its node."""
        container, link = await self._at(name)
        await link.ask("put", container=container, files=written(files))

    async def hold(self, name: str, limits: Limits) -> None:
        """By root's part of its node; without, Docker allows as much swap as memory."""
        if self._parts is None:
            return
        try:
            container, link = await self._at(name)
            await link.ask("limit", container=container, limits=swarm_arguments.exact(limits))
        except errors.BdapError as error:
            log.warning("%s may use swap on top of its memory: %s", name, error)

    async def cpu_seconds(self, name: str) -> float | None:
        """As root's part of its node counts; None where nodes have none."""
        if self._parts is None:
            return None
        container, link = await self._at(name)
        return float(await link.ask("cpu", seconds=CPU_SECONDS, container=container))

    async def _at(self, name: str) -> tuple[str, Link]:
        """(the whole id of its container, the link to its node)."""

        def work(client: Any) -> tuple[str, Node]:
            for task in client.tasks(filters={"service": service_of(client, name)["ID"], "desired-state": "running"}):
                if container := (task["Status"].get("ContainerStatus") or {}).get("ContainerID"):
                    return container, swarm_states.node_of(client.inspect_node(task["NodeID"]))
            raise errors.NotFound(f"the service {name!r} does not run")

        container, node = await self.ask(work)
        return container, self._part(node)

    async def placed(self, labels: Mapping[str, str]) -> list[Placed]:
        """Running servers with these labels, and where they are."""

        def work(client: Any) -> list[Placed]:
            services = client.services(filters={"label": [f"{key}={value}" for key, value in labels.items()]})
            of = {one["ID"]: one for one in services}
            nodes = {one["ID"]: swarm_states.node_of(one) for one in client.nodes()} if services else {}
            running = client.tasks(filters={"desired-state": "running"}) if services else []
            found = []
            for task in running:
                container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
                node, runs = nodes.get(task.get("NodeID", "")), task["Status"]["State"] == "running"
                if runs and container and node and node.state != "down" and (one := of.get(task.get("ServiceID", ""))):
                    found.append(Placed(name_of(one), container, one["Spec"]["Labels"], node))
            return found

        found: list[Placed] = await self.ask(work)
        return found

    def part_of(self, node: Node) -> Link:
        """Root's part of that node; Unavailable where nodes have none."""
        return self._part(node)

    async def stop(self, name: str, grace: float = 10) -> None:
        """No task instead of one: the node ends it, after the grace that was fixed when it was made."""
        with contextlib.suppress(errors.NotFound):
            if (await self.state(name)).phase in ("created", "waiting", "running"):
                await self.ask(lambda client: scale(client, name, 0))
            await self._until_finished(name)

    async def _until_finished(self, name: str) -> bool:
        """False where it still runs after all patience. Of a lost one there is nothing to wait for."""

        def unfinished(client: Any) -> bool:
            with contextlib.suppress(NotFound):
                service = service_of(client, name)["ID"]
                tasks = swarm_states.unfinished(client.tasks(filters={"service": service}))
                up = {one["ID"] for one in client.nodes() if one["Status"]["State"] == "ready"} if tasks else ()
                return any(task.get("NodeID") in up for task in tasks)  # one that has no node yet ends at once
            return False

        deadline = time.monotonic() + PATIENCE
        while await self.ask(unfinished):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(LOOK)
        return True

    async def remove(self, name: str) -> None:
        """Not before its task has ended: a service that is gone says nothing of a container that still holds a GPU."""
        with contextlib.suppress(errors.NotFound):
            await self.ask(lambda client: scale(client, name, 0))
            if not await self._until_finished(name):
                raise errors.Unavailable(f"the service {name!r} does not end", "look at it with `docker service ps`")

        def work(client: Any) -> None:
            with contextlib.suppress(NotFound):
                client.remove_service(service_of(client, name)["ID"])
            forget(client, [one["ID"] for one in client.secrets(filters={"label": f"{HOLDER}={name}"})])

        await self.ask(work)

    async def logs(self, name: str, lines: int = 15) -> str:
        """What its container wrote last."""

        def work(client: Any) -> bytes:
            service = service_of(client, name)["ID"]
            parts = client.service_logs(service, stdout=True, stderr=True, tail=lines, is_tty=False)
            return b"".join(parts)

        try:
            return str((await self._logs.run(work, 1)).decode(errors="replace"))
        except (APIError, errors.BdapError):
            return ""

    async def find(self, labels: Mapping[str, str]) -> list[Found]:
        """Services with these labels, and what became of their tasks."""

        def work(client: Any) -> list[Found]:
            services = client.services(filters={"label": [f"{key}={value}" for key, value in labels.items()]})
            tasks: dict[str, list[Any]] = {}
            for task in client.tasks() if services else ():
                tasks.setdefault(task.get("ServiceID", ""), []).append(task)
            nodes = self._by_id(client, [task for one in services for task in tasks.get(one["ID"], ())])
            return [
                Found(
                    name_of(one),
                    one["Spec"].get("Labels") or {},
                    swarm_states.state_of(one, tasks.get(one["ID"], ()), nodes),
                    swarm_states.created(one),
                )
                for one in services
            ]

        return sorted(await self.ask(work), key=lambda one: one.name)

    async def nodes(self) -> list[Node]:
        """The machines of the swarm."""
        found: list[Node] = await self.ask(lambda client: self._nodes(client.nodes()))
        return found

    async def ask(self, work: Callable[[Any], Any]) -> Any:
        """What the manager says; its errors as ours."""
        try:
            return await self._lane.run(work)
        except NotFound as error:
            raise errors.NotFound(f"the swarm has no such thing: {error.explanation}") from None
        except APIError as error:
            raise failed(error) from None


def _settled(node: Node, away: float | None, now: float) -> Node:
    if away is None or node.state == "down" or now - away > SETTLE:
        return node
    return Node(node.name, node.state, node.cpus, node.memory, node.address, node.engine, node.labels)
