"""What the start page asks of the engine: the images' facts, and what is free.

A page shows what was known before rather than wait for an engine that is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Coroutine, Mapping
from functools import lru_cache
from typing import Any

from ...access import Size
from ...errors import BdapError
from ...settings import Settings
from ..engines import Engine, engine_of
from .choosing import Facts, memory_of

CONTENTS, VERSION = "bdap.contents", "org.opencontainers.image.version"
FRESH = 30.0  # seconds for which an answer serves
PATIENCE = 1.0  # seconds for which a page waits for a new one


def looks_of(settings: Settings) -> Looks:
    """What the engine of these settings said; one object for the whole process."""
    return _looks(engine_of(settings), settings.install_id)


@lru_cache
def _looks(engine: Engine, install: str) -> Looks:
    return Looks(engine, install)


class Looks:
    """The answers of one engine. Nothing is known of what it never answered."""

    def __init__(self, engine: Engine, install: str) -> None:
        self._engine, self._install = engine, install
        self._facts: dict[str, Facts] = {}
        self._free = ""
        self._looked: dict[str, float] = {}

    async def at(self, references: Collection[str], sizes: Collection[Size]) -> tuple[Mapping[str, Facts], str]:
        """(facts by reference, a sentence on what is free)."""
        wanted: dict[str, Coroutine[Any, Any, None]] = {}
        for reference in references:
            if self._stale(reference):
                wanted[reference] = self._look_at(reference)
        if self._stale(""):
            wanted[""] = self._count({size.name: size for size in sizes})
        if wanted:
            await asyncio.wait([asyncio.create_task(look) for look in wanted.values()], timeout=PATIENCE)
        return {name: self._facts[name] for name in references if name in self._facts}, self._free

    def _stale(self, key: str) -> bool:
        """Whether it is time to ask; who asks says so at once, so that not every page does."""
        now = time.monotonic()
        if now - self._looked.get(key, float("-inf")) < FRESH:
            return False
        self._looked[key] = now
        return True

    async def _look_at(self, reference: str) -> None:
        with contextlib.suppress(BdapError):
            found = await self._engine.image(reference)
            inside = tuple(filter(None, found.labels.get(CONTENTS, "").split(", ")))
            self._facts[reference] = Facts(found.labels.get(VERSION, ""), found.bytes, inside)

    async def _count(self, sizes: Mapping[str, Size]) -> None:
        with contextlib.suppress(BdapError):
            nodes = [node for node in await self._engine.nodes() if node.state == "ready"]
            servers = await self._engine.find({"bdap.hub": self._install, "bdap.kind": "server"})
            named = [one.labels.get("bdap.size", "") for one in servers if one.state.alive]
            running = [sizes[name] for name in named if name in sizes]
            self._free = free(sum(node.cpus for node in nodes), sum(node.memory for node in nodes), running)


def free(cpus: float, memory: int, running: Collection[Size]) -> str:
    """What of a platform of so many CPUs and bytes is promised to nobody. PURE.

    >>> free(8, 64 * 2**30, [Size("s", "S", 2, 16 * 2**30)])
    'Free now: 6 of 8 CPUs, 48 GB of 64 GB of memory.'
    """
    if not cpus:
        return ""
    free_cpus, free_memory = cpus - sum(one.cpus for one in running), memory - sum(one.memory for one in running)
    if free_cpus <= 0 or free_memory <= 0:
        return "All CPUs and memory are promised to servers that run: a new one shares them, and may be slow."
    return f"Free now: {free_cpus:g} of {cpus:g} CPUs, {memory_of(free_memory)} of {memory_of(memory)} of memory."
