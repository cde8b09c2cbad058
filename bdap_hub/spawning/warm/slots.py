"""One waiting container on this host's Docker engine: made, claimed once, or thrown away.

The claim gives it folders and files by entering it (helper.py), the plan's limits and name by the engine, and ids,
environment and command by a socket in it that only root of this host reaches.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from ...errors import Unavailable
from ..engines.claimed import KIND, WAITS, Claimed
from ..engines.contract import File
from ..engines.docker import archive
from ..engines.docker_arguments import PERIOD, host_config
from ..engines.lane import Lane
from ..plan import SpawnPlan
from .helper import Helper

FOLDER = "/run/bdap"
CAPABILITIES = ("SETUID", "SETGID", "SETPCAP")  # to become somebody, and to give up even these
LOW, NORMAL = 64, 1024  # shares of the CPU: while it imports, and as a server
READY, PATIENCE = 60.0, 2.0  # seconds
AT_ONCE = 4  # claims
FilesAt = Callable[[str], Sequence[File]]
"""What a server is to find there, by the address that it has. Called in a thread."""


def no_files(_: str) -> Sequence[File]:
    """Nothing."""
    return ()


@dataclass(frozen=True)
class Slot:
    """A container that waits. `image`: the engine's id of what it runs."""

    container: str
    name: str
    template: SpawnPlan
    image: str
    pid: int
    address: str
    secret: str = field(repr=False)

    @property
    def alive(self) -> bool:
        """Whether its first process is there."""
        return Path(f"/proc/{self.pid}").exists()

    @property
    def socket(self) -> Path:
        """Where it takes its claim, as this host sees it."""
        return Path(f"/proc/{self.pid}/root{FOLDER}/claim")


class Slots:
    """Makes and claims them. `install`: this platform's, as in the label bdap.hub."""

    def __init__(self, lane: Lane, claimed: Claimed, install: str, patience: float = PATIENCE) -> None:
        self._lane, self._claimed, self._install, self._patience = lane, claimed, install, patience
        self._turn, self._helper = asyncio.Semaphore(AT_ONCE), Helper()

    @property
    def prefix(self) -> str:
        return f"bdap-{self._install}{WAITS}"

    async def make(self, template: SpawnPlan, program: str, port: int) -> Slot:
        """A container that has imported everything; Unavailable where it does not get there."""
        name, secret = self.prefix + secrets.token_hex(6), secrets.token_hex(32)
        found = await self._lane.run(lambda client: self._start(client, name, secret, template, program, port))
        networks = found["NetworkSettings"]["Networks"].values()
        address = next((one["IPAddress"] for one in networks if one.get("IPAddress")), "")
        slot = Slot(found["Id"], name, template, found["Image"], found["State"]["Pid"], address, secret)
        for _ in range(int(READY / 0.1)):
            if slot.socket.exists():
                await self._lane.call("update_container", slot.container, cpu_shares=NORMAL)
                return slot
            if not slot.alive:
                break
            await asyncio.sleep(0.1)
        words = (await self._lane.call("logs", slot.container, tail=3, seconds=2)).decode(errors="replace").strip()
        await self.discard(slot.container)
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
                    self._claimed.write(slot.container, plan.labels)
                    await asyncio.gather(self._inject(slot, plan, files), self._settle(slot, plan))
                    await self._hand_over(slot, plan, command, environment)
            except (OSError, TimeoutError, APIError, Unavailable) as error:
                await self.discard(slot.container)
                raise Unavailable(f"the waiting container {slot.name} was not claimed: {error!r}") from None

    async def _inject(self, slot: Slot, plan: SpawnPlan, files: FilesAt) -> None:
        given = await asyncio.to_thread(files, slot.address)
        wanted = {
            "pid": slot.pid,
            "container": slot.container,
            "hostname": plan.hostname,
            "mounts": [asdict(mount) for mount in plan.mounts],
            "files": [{**asdict(f), "content": base64.b64encode(f.content).decode()} for f in given],
        }
        await self._helper.ask(wanted)

    async def _settle(self, slot: Slot, plan: SpawnPlan) -> None:
        limits = {
            "Memory": plan.limits.memory,
            "MemorySwap": plan.limits.memory,
            "CpuPeriod": PERIOD,
            "CpuQuota": int(plan.limits.cpus * PERIOD),
            "PidsLimit": plan.limits.pids,
        }

        def work(client: Any) -> None:
            # docker-py's own update_container does not know of processes
            address = client._url("/containers/{0}/update", slot.container)
            client._raise_for_status(client._post_json(address, data=limits))
            client.rename(slot.container, plan.name)

        await self._lane.run(work)

    async def _hand_over(
        self, slot: Slot, plan: SpawnPlan, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        claim = {
            "secret": slot.secret,
            "uid": plan.uid,
            "gid": plan.gid,
            "groups": [plan.gid, *plan.groups],
            "umask": plan.umask,
            "folder": plan.working_dir,
            "environment": {
                **environment,
                **plan.environment,
                "HOSTNAME": plan.hostname,
                "PWD": plan.working_dir,
            },
            "command": list(command),
        }
        reader, writer = await asyncio.open_unix_connection(str(slot.socket))
        try:
            writer.write(json.dumps(claim).encode() + b"\n")
            if await reader.readline() != b"claimed\n":
                raise OSError("it did not take the claim")
        finally:
            writer.close()

    async def close(self) -> None:
        """Nothing is claimed any more."""
        await self._helper.close()

    async def discard(self, container: str) -> None:
        """Remove it, whatever it is doing."""
        try:
            await self._lane.call("remove_container", container, v=True, force=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # somebody else removes it
                raise Unavailable(f"{container[:12]} is not removed: {error.explanation}") from None
        self._claimed.forget(container)

    async def left_behind(self) -> list[str]:
        """Ids of containers that wait for a hub that is no more: nobody knows their secrets."""
        labels = [f"bdap.hub={self._install}", f"bdap.kind={KIND}"]
        found = await self._lane.call("containers", all=True, filters={"label": labels})
        self._claimed.keep_only({one["Id"] for one in found})
        return [one["Id"] for one in found if one["Names"][0].startswith(f"/{self.prefix}")]


def why_not(environment: Mapping[str, str] = os.environ) -> str:
    """Why this hub cannot have waiting containers; '' where it can."""
    if os.geteuid() != 0:
        return "the hub does not run as root"
    if (host := environment.get("DOCKER_HOST", "")) and not host.startswith("unix://"):
        return f"the engine is at {host.split('://')[0]}://, not on this host"
    return ""
