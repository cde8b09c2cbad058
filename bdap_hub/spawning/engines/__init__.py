"""Engines that run people's servers. The spawner knows the contract only, and gets its engine from here."""

from __future__ import annotations

from pathlib import Path

from ...settings import Settings
from .claimed import Claimed
from .contract import ABSENT, Engine, File, Found, ImageFacts, ImageMissing, Node, Pull, State, now
from .docker import DockerEngine
from .links import Parts
from .login import Login
from .swarm import SwarmEngine

__all__ = [
    "ABSENT",
    "Engine",
    "File",
    "Found",
    "ImageFacts",
    "ImageMissing",
    "Node",
    "Pull",
    "State",
    "engine_of",
    "now",
]


def engine_of(settings: Settings) -> Engine:
    """The engine of these settings; one object for the whole process."""
    spawning, var = settings.spawning, settings.var.resolve()
    key = (spawning.engine, spawning.node, var, spawning.registry, spawning.swarm.node_port)
    if key not in _engines:
        _engines.setdefault(key, _made(settings, var))
    return _engines[key]


_engines: dict[tuple[object, ...], Engine] = {}


def _made(settings: Settings, var: Path) -> Engine:
    login = Login(settings.spawning.registry, var / "secrets")
    if settings.spawning.engine == "swarm":
        return SwarmEngine(login=login, parts=Parts(settings) if settings.spawning.swarm.node_port else None)
    return DockerEngine(settings.spawning.node, claimed=Claimed(var / "warm"), login=login)
