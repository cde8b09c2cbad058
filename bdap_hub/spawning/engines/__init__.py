"""Engines that run people's servers. The spawner knows the contract only, and gets its engine from here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ...settings import Settings
from .claimed import Claimed
from .contract import ABSENT, Engine, File, Found, ImageFacts, ImageMissing, Node, Pull, State, now
from .docker import DockerEngine
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
    spawning = settings.spawning
    return _engine(spawning.engine, spawning.node, settings.var.resolve(), spawning.registry)


@lru_cache
def _engine(kind: str, node: str, var: Path, registry: str) -> Engine:
    login = Login(registry, var / "secrets")
    return (
        SwarmEngine(login=login) if kind == "swarm" else DockerEngine(node, claimed=Claimed(var / "warm"), login=login)
    )
