"""Labels of containers that waited and were claimed: Docker cannot change a container's own.

A file a container in `<var>/warm`, so that any process of this install, and the next hub, finds whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

KIND = "warm"  # in the label bdap.kind, of those that wait and those that waited
CAPABILITIES = ("SETUID", "SETGID", "SETPCAP")  # of those that wait: to become somebody, and to give up even these
WAITS = "--warm-"  # in the name of those that wait


class Claimed:
    """What is written of each, by its id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self._folder.is_dir() and any(self._folder.iterdir())

    def write(self, container: str, labels: Mapping[str, str]) -> None:
        """Before it becomes somebody's, so that it is never nobody's."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f".{container}"
        part.write_text(json.dumps(dict(labels)))
        part.rename(self._folder / container)

    def labels(self, container: str) -> dict[str, str]:
        """The labels of the plan that it serves; empty: it serves none."""
        try:
            return dict(json.loads((self._folder / container).read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def forget(self, container: str) -> None:
        """It is gone."""
        (self._folder / container).unlink(missing_ok=True)

    def keep_only(self, containers: set[str]) -> None:
        """Forget all others."""
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if path.name not in containers:
                path.unlink(missing_ok=True)
