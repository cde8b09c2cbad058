"""Containers that wait on this host's Docker engine: made, claimed once, or thrown away.

The claim gives one its folders and files, and hands it ids, environment and command, by root's part of this host; the
plan's limits and name come from the engine.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from docker.errors import APIError, NotFound

from ...errors import Unavailable
from ..engines import File
from ..engines.claimed import CAPABILITIES, KIND, WAITS, Claimed
from ..engines.docker import archive
from ..engines.docker_arguments import PERIOD, host_config
from ..engines.lane import Lane
from ..engines.links import Link
from ..node.tasks import VERSION
from ..plan import SpawnPlan
from .waits import FOLDER, PATIENCE, READY, Kind, Slot, Waits

LABEL = "bdap.warm"  # of an image whose containers can wait: the program in it that does
LOW, NORMAL = 64, 1024  # shares of the CPU: while it imports, and as a server


class DockerSlots(Waits):
    """`link`: to root's part of this host, called `node`."""

    def __init__(
        self, lane: Lane, claimed: Claimed, install: str, link: Link, node: str = "local", patience: float = PATIENCE
    ) -> None:
        super().__init__(install, patience)
        self._lane, self._claimed, self._part, self._node = lane, claimed, link, node

    def _link(self, node: str) -> Link:
        return self._part

    @property
    def prefix(self) -> str:
        return f"bdap-{self._install}{WAITS}"

    async def places(self, template: SpawnPlan) -> Mapping[str, str]:
        """This host."""
        return {self._node: await lacking(self._part, self._install)}

    async def order(self, plan: SpawnPlan) -> Sequence[str]:
        """This host."""
        return [self._node]

    async def free(self, node: str) -> int:
        """As its kernel says."""
        return int((await self._part.ask("hello"))["free"])

    async def kind(self, image: str) -> Kind:
        """By the engine's id, and the image's label."""
        try:
            found = await self._lane.call("inspect_image", image)
        except APIError:
            return Kind("", "")
        return Kind(str(found["Id"]), ((found.get("Config") or {}).get("Labels") or {}).get(LABEL, ""))

    async def make(self, template: SpawnPlan, program: str, port: int, node: str) -> Slot:
        """A container that has imported everything; Unavailable where it does not get there."""
        name, secret = self.prefix + secrets.token_hex(6), secrets.token_hex(32)
        found = await self._lane.run(lambda client: self._start(client, name, secret, template, program, port))
        networks = found["NetworkSettings"]["Networks"].values()
        address = next((one["IPAddress"] for one in networks if one.get("IPAddress")), "")
        container = found["Id"]
        slot = Slot(container, container, name, self._node, template, found["Image"], address, secret)
        with suppress(Unavailable):  # which says that it ended
            for _ in range(int(READY / 0.1)):
                if await self.lives(slot):
                    await self._lane.call("update_container", container, cpu_shares=NORMAL)
                    return slot
                await asyncio.sleep(0.1)
        words = (await self._lane.call("logs", container, tail=3, seconds=2)).decode(errors="replace").strip()
        await self.discard(container)
        raise Unavailable(f"a container of {template.image} did not get ready to wait: {words[-300:]}")

    def _start(self, client: Any, name: str, secret: str, template: SpawnPlan, program: str, port: int) -> Any:
        host = {**host_config(template), "cap_add": list(CAPABILITIES), "cpu_shares": LOW, "init": False}
        client.create_container(
            template.image,
            [program],
            name=name,
            user="0:0",
            working_dir="/",
            labels={"bdap.hub": self._install, "bdap.kind": KIND},
            ports=[port],
            host_config=client.create_host_config(**host),
        )
        client.put_archive(name, "/", archive([File(f"{FOLDER}/secret", secret.encode(), 0, 0)]))
        client.start(name)
        return client.inspect_container(name)

    async def _settle(self, slot: Slot, plan: SpawnPlan) -> None:
        """Its limits and its name; the labels first, so that it is never nobody's."""
        self._claimed.write(slot.container, plan.labels)
        wanted = {
            "Memory": plan.limits.memory,
            "MemorySwap": plan.limits.memory,
            "CpuPeriod": PERIOD,
            "CpuQuota": int(plan.limits.cpus * PERIOD),
            "PidsLimit": plan.limits.pids,
        }

        def work(client: Any) -> None:
            # docker-py's own update_container does not know of processes
            address = client._url("/containers/{0}/update", slot.container)
            client._raise_for_status(client._post_json(address, data=wanted))
            client.rename(slot.container, plan.name)

        await self._lane.run(work)

    async def close(self) -> None:
        """Nothing is claimed any more."""
        await self._part.close()

    async def discard(self, slot: str) -> None:
        """Remove it, whatever it is doing."""
        try:
            await self._lane.call("remove_container", slot, v=True, force=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # somebody else removes it
                raise Unavailable(f"{slot[:12]} is not removed: {error.explanation}") from None
        self._claimed.forget(slot)

    async def left_behind(self) -> list[str]:
        """Those of an earlier hub, too: nobody knows their secrets."""
        labels = [f"bdap.hub={self._install}", f"bdap.kind={KIND}"]
        found = await self._lane.call("containers", all=True, filters={"label": labels})
        self._claimed.keep_only({one["Id"] for one in found})
        return [one["Id"] for one in found if one["Names"][0].startswith(f"/{self.prefix}")]


async def lacking(link: Link, install: str) -> str:
    """Why no container can wait on the machine of that link; '' where one can."""
    try:
        said = await link.ask("hello")
    except Unavailable as error:
        return error.message
    if said["install"] != install:
        return f"root's part on {link.name} is another platform's"
    if said["version"] != VERSION:
        return f"root's part on {link.name} is of another release: bring it the present one"
    return str(said["lacks"])


def elsewhere(environment: Mapping[str, str] = os.environ) -> str:
    """Why the engine is not this host's; '' where it is."""
    if (host := environment.get("DOCKER_HOST", "")) and not host.startswith("unix://"):
        return f"the engine is at {host.split('://')[0]}://, not on this host"
    return ""
