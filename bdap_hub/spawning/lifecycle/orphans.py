"""Servers that the engine has and no spawner knows: what a hub left behind that lost its memory, or could not stop.

One that a spawner knows is adopted by it: JupyterHub asks the engine for every server of its database when it starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy.orm import sessionmaker

from ... import audit
from ..engines import Engine, Found

log = logging.getLogger(__name__)
WHY = "no server of the hub knows this container"
_going: dict[str, asyncio.Task[None]] = {}


class Orphans:
    """Removes what was an orphan at two looks in a row."""

    def __init__(self, engine: Engine, sessions: sessionmaker[Any]) -> None:
        self._engine, self._sessions = engine, sessions
        self._suspects: frozenset[tuple[str, float]] = frozenset()

    async def look(self, found: Iterable[Found], known: Collection[str]) -> None:
        """`known`: names of the servers that run, start or stop by a spawner's will, asked after `found`."""
        strange = {(one.name, one.created): one for one in found if one.name not in known}
        await asyncio.gather(*(self._remove(strange[key]) for key in strange.keys() & self._suspects))
        self._suspects = frozenset(strange)

    async def _remove(self, one: Found) -> None:
        task = _going[one.name] = asyncio.create_task(self._engine.remove(one.name))
        try:
            await task
        finally:
            del _going[one.name]
        what = f"{one.labels.get('bdap.project', '')}/{one.labels.get('bdap.image', '')}"
        log.warning("Removed the container %s (%s, %s): %s", one.name, what, one.state.phase, WHY)
        person = one.labels.get("bdap.person", "")
        await asyncio.to_thread(
            audit.record, self._sessions, person=person, action="remove-server", subject=what, reason=WHY
        )


async def settled(name: str) -> None:
    """Wait until nobody is removing an orphan of that name: the new server must not go in its stead."""
    if (task := _going.get(name)) is not None:
        await asyncio.wait({task})
