"""Gives running servers the store back whose mount has died under them, without a new start, by root's part.

A bind of a folder inside a network mount stays with the mount that died, whatever the propagation: it is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ...errors import BdapError, Unavailable
from ...settings import Settings
from ..engines import engine_of, links
from ..engines.claimed import Claimed
from ..engines.client import client
from ..engines.swarm import SwarmEngine
from . import mounts

log = logging.getLogger(__name__)
SECONDS = 30.0  # for all servers of a machine


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


async def heal(servers: Sequence[Running]) -> dict[str, str]:
    """Replace what is dead; by server, why it could not be."""
    by_link: dict[links.Link, list[Running]] = {}
    for server in servers:
        by_link.setdefault(server.link, []).append(server)
    found = await asyncio.gather(*(_heal(to, of) for to, of in by_link.items()))
    return {name: why for failed in found for name, why in failed.items()}


async def _heal(to: links.Link, servers: Sequence[Running]) -> dict[str, str]:
    wanted = [{"container": one.container, "mounts": [asdict(mount) for mount in one.mounts]} for one in servers]
    try:
        told = await to.ask("mend", SECONDS, servers=wanted)
    except Unavailable as error:
        told = {one.container: error.message for one in servers}
    failed = {}
    for server in servers:
        said = told[server.container]
        if isinstance(said, str):
            failed[server.name] = said
            log.error("The store could not be given back to %s: %s", server.name, said)
        elif said:
            log.warning("The store is back in %s: %s", server.name, ", ".join(said))
    return failed
