"""Gives running servers the store back whose mount has died under them, without a new start.

A bind of a folder inside a network mount stays with the mount that died, whatever the propagation: it is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from docker.errors import APIError

from ...errors import Unavailable
from ...settings import Settings
from ..engines.claimed import Claimed
from ..engines.client import client
from ..node import namespaces
from . import children, mounts

log = logging.getLogger(__name__)
AT_ONCE = 4


@dataclass(frozen=True)
class Running:
    """A person's container on this host: `pid` is its first process."""

    name: str
    container: str
    pid: int
    mounts: tuple[mounts.Mount, ...]


async def running(settings: Settings) -> list[Running]:
    """The servers of this install that the engine of this host runs; Unavailable where it does not answer."""
    return await asyncio.to_thread(_running, settings.install_id, Claimed(settings.var.resolve() / "warm"))


def _running(install: str, claimed: Claimed) -> list[Running]:
    engine, found = client(), []
    for row in engine.containers(filters={"label": f"bdap.hub={install}", "status": "running"}):
        labels = claimed.labels(row["Id"]) or row["Labels"]
        wanted = mounts.read(labels.get(mounts.LABEL, ""))
        if not wanted:
            continue
        try:
            pid = engine.inspect_container(row["Id"])["State"]["Pid"]
        except APIError as error:  # gone meanwhile
            log.info("%s: %s", row["Names"], error)
            continue
        if pid:
            found.append(Running(row["Names"][0].lstrip("/"), row["Id"], pid, wanted))
    return found


def sources(servers: Iterable[Running]) -> list[str]:
    """The folders of the host that lie at the servers' mounts."""
    return sorted({top.source for server in servers for top in mounts.tops(server.mounts)})


async def heal(servers: Iterable[Running], devices: Mapping[str, str], seconds: float) -> dict[str, str]:
    """Replace what is dead; by server, why it could not be."""
    gate, failed = asyncio.Semaphore(AT_ONCE), dict[str, str]()

    async def one(server: Running) -> None:
        async with gate:
            try:
                await _heal(server, devices, seconds)
            except (OSError, Unavailable) as error:
                failed[server.name] = getattr(error, "message", str(error))
                log.error("The store could not be given back to %s: %s", server.name, failed[server.name])

    await asyncio.gather(*map(one, servers))
    return failed


async def _heal(server: Running, devices: Mapping[str, str], seconds: float) -> None:
    mountinfo = Path(f"/proc/{server.pid}/mountinfo").read_text()  # noqa: ASYNC240  the kernel's, at once
    dead = mounts.stale(server.mounts, mountinfo, devices)
    if not dead:
        return
    wanted: dict[str, Any] = {"pid": server.pid, "container": server.container, "replace": True}
    await children.ask(namespaces, {**wanted, "mounts": [asdict(mount) for mount in dead]}, seconds)
    log.warning("The store is back in %s: %s", server.name, ", ".join(mount.target for mount in dead))
