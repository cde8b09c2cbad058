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

from docker.errors import NotFound

from ...errors import BdapError, Unavailable
from ..engines import File, Node, swarm_arguments, swarm_calls, swarm_setup
from ..engines.claimed import KIND, WAITS
from ..engines.links import Link, Parts, written
from ..engines.swarm import SwarmEngine
from ..plan import SpawnPlan
from .slots import LABEL, lacking
from .waits import FOLDER, PATIENCE, READY, FilesAt, Kind, Slot, Waits

LOOK = 0.1
SOON = 1.0  # seconds for an answer of a machine: one that hangs delays nobody


class SwarmSlots(Waits):
    """`parts`: root's part on each machine, by connections that stay."""

    answers = SOON

    def __init__(self, engine: SwarmEngine, install: str, parts: Parts, patience: float = PATIENCE) -> None:
        super().__init__(install, patience)
        self._engine, self._parts = engine, parts
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
        return int((await self._link(node).ask("hello", self.answers))["free"])

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

    @property
    def variables(self) -> Mapping[str, str]:
        """No GPUs."""
        return swarm_arguments.gpu_variables(())

    async def _bring(self, slot: Slot, plan: SpawnPlan, files: FilesAt) -> None:
        await self.lives(slot)  # a machine that is gone is known by that
        await super()._bring(slot, plan, files)

    def _more(self, plan: SpawnPlan) -> dict[str, Any]:
        return {"limits": swarm_arguments.exact(plan.limits)}

    async def _settle(self, slot: Slot, plan: SpawnPlan) -> None:
        """By labels: a service keeps its name."""
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
