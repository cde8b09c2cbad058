"""Containers that are started ahead and wait for a person: what they are made of, how many, and how one is claimed."""

from __future__ import annotations

from ...settings import Settings
from ..engines import engine_of, links
from ..engines.claimed import Claimed
from ..engines.docker import DockerEngine
from ..engines.swarm import SwarmEngine
from .pool import WarmPool
from .slots import DockerSlots, elsewhere
from .swarm_slots import SwarmSlots
from .waits import Waits

__all__ = ["WarmPool", "pool_of"]

_pools: dict[str, WarmPool] = {}


def pool_of(settings: Settings) -> WarmPool:
    """This hub's."""
    if settings.install_id not in _pools:
        _pools[settings.install_id] = WarmPool(settings, waits_of(settings))
    return _pools[settings.install_id]


def waits_of(settings: Settings) -> Waits | None:
    """As the engine can; None where it never can."""
    engine, spawning = engine_of(settings), settings.spawning
    if isinstance(engine, DockerEngine) and not elsewhere():
        claimed = engine.claimed or Claimed(settings.var.resolve() / "warm")
        link = links.here(settings)
        return DockerSlots(engine.lane, claimed, settings.install_id, link, spawning.node, spawning.warm.patience)
    if isinstance(engine, SwarmEngine) and spawning.swarm.node_port:
        return SwarmSlots(engine, settings.install_id, links.Parts(settings, keep=True), spawning.warm.patience)
    return None
