"""The platform's spawner, which stops at a phase of a start for as long as the test wants: see `Phases`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdap_hub.spawning.spawner import BdapDockerSpawner

CONFIG = """
from pathlib import Path
from bdap_hub.spawning.lifecycle import keeper
keeper.LOOK = 1.0  # seconds: what the hub notices by its look is noticed sooner
from tests.faults.pausing import Phases, PausingSpawner
PausingSpawner.phases = Phases(Path({folder!r}))
c.JupyterHub.spawner_class = PausingSpawner
"""
PHASES = ("asked", "placed", "created", "started", "listening")


@dataclass(frozen=True)
class Phases:
    """Files by which a test and the hub agree: `hold-<phase>` is the test's, `at-<phase>` the hub's."""

    folder: Path

    def hold(self, phase: str) -> None:
        (self.folder / f"hold-{phase}").touch()

    def reached(self, phase: str) -> bool:
        return (self.folder / f"at-{phase}").exists()

    def release(self) -> None:
        for path in (*self.folder.glob("hold-*"), *self.folder.glob("at-*")):
            with suppress(FileNotFoundError):
                path.unlink()

    async def at(self, phase: str) -> None:
        """Called by the hub."""
        hold = self.folder / f"hold-{phase}"
        if hold.exists():
            (self.folder / f"at-{phase}").touch()
        while hold.exists():  # noqa: ASYNC110  a file of another process
            await asyncio.sleep(0.02)


class PausingEngine:
    """The real engine, with a stop before `create` and `start`, and before it says where a server listens."""

    BEFORE = {"create": "placed", "start": "created", "address": "started"}

    def __init__(self, engine: Any, phases: Phases) -> None:
        self._engine, self._phases = engine, phases

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._engine, name)

        async def paused(*arguments: Any, **named: Any) -> Any:
            if name in self.BEFORE:
                await self._phases.at(self.BEFORE[name])
            return await call(*arguments, **named)

        return paused


class PausingSpawner(BdapDockerSpawner):
    """Nothing else differs from the platform's own."""

    phases: Phases

    @property
    def engine(self) -> Any:
        return PausingEngine(super().engine, self.phases)

    async def start(self) -> tuple[str, int]:
        await self.phases.at("asked")
        found = await super().start()
        await self.phases.at("listening")
        return found
