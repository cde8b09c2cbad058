"""Gives running servers the store back whose mount has died under them, without a new start, by root's part.

A bind of a folder inside a network mount stays with the mount that died, whatever the propagation: it is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from ...errors import BdapError, Unavailable
from ...settings import Settings
from ..engines import engine_of, links
from ..engines.claimed import Claimed
from ..engines.client import client
from ..engines.swarm import SwarmEngine
from . import mounts

log = logging.getLogger(__name__)
SECONDS = 30.0  # for all servers of a machine
OTHER_RELEASE = "root's part there is of another release: bring it the present one"


@dataclass(frozen=True)
class Running:
    """A person's server; `container` is its whole id, `link` leads to root's part of its machine."""

    name: str
    container: str
    mounts: tuple[mounts.Mount, ...]
    link: links.Link


async def running(settings: Settings) -> list[Running]:
    """The servers of this install that have the store; Unavailable where the engine does not answer."""
    engine = engine_of(settings)
    if isinstance(engine, SwarmEngine):
        placed = await engine.placed({"bdap.hub": settings.install_id, "bdap.kind": "server"})
        found = [(one.name, one.container, one.labels, engine.part_of(one.node)) for one in placed]
    else:
        here = await asyncio.to_thread(_here, settings.install_id, Claimed(settings.var.resolve() / "warm"))
        found = [(*one, link(settings)) for one in here]
    wanted = [(name, container, mounts.read(labels.get(mounts.LABEL, "")), to) for name, container, labels, to in found]
    return [Running(*one) for one in wanted if one[2]]


def _here(install: str, claimed: Claimed) -> list[tuple[str, str, Mapping[str, str]]]:
    rows = client().containers(filters={"label": f"bdap.hub={install}", "status": "running"})
    return [(row["Names"][0].lstrip("/"), row["Id"], claimed.labels(row["Id"]) or row["Labels"]) for row in rows]


async def possible(settings: Settings) -> bool:
    """Whether root's part is there to do it."""
    if settings.spawning.engine == "swarm":
        return settings.spawning.swarm.node_port > 0
    try:
        said = await link(settings).ask("hello")
    except BdapError:
        return False
    return bool(said["install"] == settings.install_id and not said["lacks"])


def link(settings: Settings) -> links.Link:
    """To root's part of this host, beside that of starts: a store that hangs holds up none."""
    if settings.install_id not in _links:
        _links[settings.install_id] = links.here(settings)
    return _links[settings.install_id]


_links: dict[str, links.Link] = {}


@dataclass(frozen=True)
class Told:
    """What root's part of a machine says of these servers; nothing is `known` where it does not answer.

    `away`: why the store does not answer there, '' where it does; `failed`: by server, why it could not be mended.
    """

    machine: str
    servers: tuple[str, ...]
    known: bool = True
    away: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)


async def heal(servers: Sequence[Running], folders: Sequence[str] = (), file_system: str = "") -> list[Told]:
    """Replace what is dead, and look whether the store's `folders` answer on each machine."""
    by_link: dict[links.Link, list[Running]] = {}
    for server in servers:
        by_link.setdefault(server.link, []).append(server)
    return await asyncio.gather(*(_heal(to, of, folders, file_system) for to, of in by_link.items()))


async def _heal(to: links.Link, servers: Sequence[Running], folders: Sequence[str], file_system: str) -> Told:
    wanted = [{"container": one.container, "mounts": [asdict(mount) for mount in one.mounts]} for one in servers]
    names = tuple(one.name for one in servers)
    try:
        said = await to.ask("mend", SECONDS, servers=wanted, folders=list(folders), file_system=file_system)
    except Unavailable as error:
        log.warning("What %s has of the store is not known: %s", to.name, error.message)
        return Told(to.name, names, known=False)
    told = said.get("servers") or {one.container: OTHER_RELEASE for one in servers}
    failed = {one.name: why for one in servers if isinstance(why := told[one.container], str)}
    for server in servers:
        if server.name in failed:
            log.error("The store could not be given back to %s: %s", server.name, failed[server.name])
        elif mended := told[server.container]:
            log.warning("The store is back in %s: %s", server.name, ", ".join(mended))
    return Told(to.name, names, away=str(said.get("away", "")), failed=failed)
