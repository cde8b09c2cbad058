"""Containers that wait on the machines of a swarm: each is a service, pinned to its machine; claimed it is a server's.

A service keeps its name and its limits for good, so a claimed one has the server's in labels, and the container's own
limits are set by root's part of its machine, which does all that is done there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from docker.errors import APIError, NotFound

from ...errors import BdapError, Unavailable
from ..engines import File, Node, swarm_arguments, swarm_calls, swarm_setup
from ..engines.claimed import KIND, WAITS
from ..engines.links import Link, Parts, written
from ..engines.swarm import SwarmEngine
from ..plan import SpawnPlan
from .slots import AT_ONCE, LABEL, lacking
from .waits import FOLDER, PATIENCE, READY, FilesAt, Kind, Slot, Waits, claim_of, folders, no_files

LOOK = 0.1
SOON = 1.0  # seconds for an answer of a machine: one that hangs delays nobody


class SwarmSlots(Waits):
    """`parts`: root's part on each machine, by connections that stay."""

    def __init__(self, engine: SwarmEngine, install: str, parts: Parts, patience: float = PATIENCE) -> None:
        self._engine, self._install, self._parts, self._patience = engine, install, parts, patience
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._nodes: dict[str, Node] = {}

    async def _ranked(self, plan: SpawnPlan) -> list[Node]:
        found = await self._engine.order(plan)
        self._nodes.update({node.name: node for node in found})
        return found

    def _link(self, node: str) -> Link:
        return self._parts.of(self._nodes[node])

    async def places(self, template: SpawnPlan) -> Mapping[str, str]:
        """Machines without GPUs, if there are any: the others are last for who needs none."""
        found = await self._ranked(template)
        plain = [node.name for node in found if not node.resources] or [node.name for node in found]
        return dict(zip(plain, await asyncio.gather(*(self._lacks(node, template) for node in plain)), strict=True))

    async def _lacks(self, node: str, template: SpawnPlan) -> str:
        if why := await lacking(self._link(node), self._install):
            return why
        there = await self._engine.has_image(template.image, node)
        return "" if there else f"the image {template.image} is not there"

    async def order(self, plan: SpawnPlan) -> Sequence[str]:
        """As a server that is started cold is placed."""
        return [node.name for node in await self._ranked(plan)]

    async def free(self, node: str) -> int:
        """As root's part says."""
        return int((await self._link(node).ask("hello", SOON))["free"])

    async def kind(self, image: str) -> Kind:
        """As the manager has it."""

        def work(client: Any) -> Kind:
            try:
                labels = (client.inspect_image(image).get("Config") or {}).get("Labels") or {}
                return Kind(swarm_setup.image_of(client, image), labels.get(LABEL, ""))
            except (NotFound, BdapError):
                return Kind("", "")

        found: Kind = await self._engine.ask(work)
        return found

    async def make(self, template: SpawnPlan, program: str, port: int, node: str) -> Slot:
        """A service with one task; its secret comes by root's part once it runs."""
        name, secret = f"bdap-{self._install}{WAITS}{secrets.token_hex(6)}", secrets.token_hex(32)
        arguments = (name, template, program, port, node)
        service, image = await self._engine.ask(lambda client: self._create(client, *arguments))
        deadline = time.monotonic() + READY
        try:
            container = await self._runs(service, deadline)
            link, address = self._link(node), self._nodes[node].address
            files = [File(f"{FOLDER}/{one}", text.encode(), 0, 0) for one, text in (("secret", secret), ("go", ""))]
            await link.ask("put", container=container, files=written(files))
            slot = Slot(service, container, name, node, template, image, address, secret)
            while not await self.lives(slot):
                if time.monotonic() > deadline:
                    raise Unavailable("it takes too long")
                await asyncio.sleep(LOOK)
            return slot
        except BdapError as error:
            words = (await self._engine.logs(name, 3)).strip()
            await self.discard(service)
            raise Unavailable(
                f"a container of {template.image} did not get ready to wait on {node}: {words[-300:] or error.message}"
            ) from None

    def _create(
        self, client: Any, name: str, template: SpawnPlan, program: str, port: int, node: str
    ) -> tuple[str, str]:
        identity = next(one["ID"] for one in client.nodes() if one["Description"]["Hostname"] == node)
        image = swarm_setup.image_of(client, template.image)
        place = (identity, node)
        wanted = swarm_arguments.waiting(template, name, image, place, program, port, self._install)
        return str(client.create_service(**wanted)["ID"]), image

    async def _runs(self, service: str, deadline: float) -> str:
        """The whole id of its container, as soon as there is one."""
        while time.monotonic() < deadline:
            for task in await self._engine.ask(lambda client: client.tasks(filters={"service": service})):
                if task["Status"]["State"] == "running":
                    return str(task["Status"]["ContainerStatus"]["ContainerID"])
                if task["Status"]["State"] in ("failed", "rejected", "complete", "shutdown"):
                    raise Unavailable(f"it ended: {task['Status'].get('Err', '')}"[:200])
            await asyncio.sleep(LOOK)
        raise Unavailable("the swarm does not start it")

    async def lives(self, slot: Slot) -> bool:
        """Whether its socket is there; Unavailable where it has ended."""
        found = await self._link(slot.node).ask("waits", SOON, container=slot.container)
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
                    await asyncio.gather(self._bring(slot, plan, files), self._label(slot, plan))
                    variables = {**environment, **swarm_arguments.gpu_variables(())}
                    given = claim_of(slot.secret, plan, command, variables)
                    await self._link(slot.node).ask("hand", SOON, container=slot.container, claim=given)
            except (OSError, TimeoutError, APIError, BdapError) as error:
                await self.discard(slot.id)
                raise Unavailable(f"the waiting container {slot.name} was not claimed: {error!r}") from None

    async def _bring(self, slot: Slot, plan: SpawnPlan, files: FilesAt) -> None:
        link = self._link(slot.node)
        await link.ask("waits", SOON, container=slot.container)  # a machine that is gone is known by that
        given = written(await asyncio.to_thread(files, slot.address))
        wanted = {"mounts": folders(plan), "files": given, "hostname": plan.hostname, "limits": _limits(plan)}
        await link.ask("put", container=slot.container, **wanted)

    async def _label(self, slot: Slot, plan: SpawnPlan) -> None:
        labels = {
            **plan.labels,
            swarm_arguments.NODE: slot.node,
            swarm_arguments.NAME: plan.name,
            swarm_arguments.MEMORY: str(plan.limits.memory),
        }
        await self._engine.ask(lambda client: swarm_calls.label(client, slot.id, labels))

    async def discard(self, slot: str) -> None:
        """Its container ends at once: it has nothing to save."""

        def work(client: Any) -> None:
            with suppress(NotFound):
                client.remove_service(slot)

        await self._engine.ask(work)

    async def left_behind(self) -> list[str]:
        """All services that wait for this install."""
        labels = [f"bdap.hub={self._install}", f"bdap.kind={KIND}"]
        found = await self._engine.ask(lambda client: client.services(filters={"label": labels}))
        return [one["ID"] for one in found]

    async def close(self) -> None:
        """Nothing is claimed any more."""
        await self._parts.close()


def _limits(plan: SpawnPlan) -> dict[str, int]:
    """As a swarm sets them; and no swap on top, which it cannot say. PURE."""
    limits = plan.limits
    return {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "NanoCpus": int(limits.cpus * swarm_arguments.BILLION),
        "PidsLimit": limits.pids,
    }
