"""What of the store a server sees, and which of its mounts are dead. PURE: no I/O, no framework."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from ...settings import Settings
from ..node.stale import AWAY, Mount, Propagation, stale, tops

__all__ = ["AWAY", "LABEL", "Mount", "Propagation", "held_places", "read", "stale", "tops", "written"]
LABEL = "bdap.store"


def held_places(settings: Settings, mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The same places while the store is lost: each holds a folder that says so, until the real one replaces it."""
    return tuple(Mount(f"{settings.var.resolve()}/{AWAY}", mount.target) for mount in tops(mounts))


def written(mounts: Iterable[Mount]) -> str:
    """For the container's label: what it is to have, whatever it got at its start."""
    return json.dumps([asdict(mount) for mount in mounts], separators=(",", ":"))


def read(label: str) -> tuple[Mount, ...]:
    """What `written` wrote; nothing where there is no label."""
    return tuple(Mount(**one) for one in json.loads(label)) if label else ()
