"""Servers as processes of the hub's own user, for machines where Docker cannot run.

What it lacks: no isolation between people (same user, all files readable), no limits, no image, no own uid.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import default

from .names import safe_name
from .plan import environment
from .recheck import Recheck
from .store.folders import fill_home

WARNING = (
    "engine: process. People's servers run as the hub's own user: no isolation, no limits, no images. "
    "For demonstrations and tests only; use engine: docker wherever Docker can run."
)


class BdapProcessSpawner(Recheck, SimpleLocalProcessSpawner):  # type: ignore[misc]
    """`jupyterhub-singleuser` of this virtual environment, with the same choice and the same last check."""

    @default("cmd")
    def _cmd_default(self) -> list[str]:
        return [str(Path(sys.executable).parent / "jupyterhub-singleuser")]

    @default("home_dir")
    def _home_dir_default(self) -> str:
        return str(self.settings.var.resolve() / "homes" / safe_name(self.user.name))

    def get_args(self) -> list[str]:
        """Jupyter refuses to run as root unless told."""
        return [*super().get_args(), *(["--allow-root"] if os.geteuid() == 0 else [])]

    async def start(self) -> tuple[str, int]:
        """Decide again, then start; the store is the host's own folder, for there is no /eos here."""
        self.begun()
        choice = self.decide()
        await self.begin()
        home, store = Path(self.home_dir), str(self.settings.store.root.resolve())
        if not home.exists():  # noqa: ASYNC240  one quick call
            fill_home(self.settings, home, store)
        self.environment = {
            **self.environment,
            **environment(self.settings, choice.project.name, self.host_address, store),
        }
        started: tuple[str, int] = await super().start()
        self.remember()
        return started
