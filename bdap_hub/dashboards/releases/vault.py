"""Secrets of projects' dashboards: one file each in `<var>/secrets/dashboards/<project>/`, mounted, never passed on.

The folders are the service's alone (mode 700). The files are readable, because a release's uid is not known here: each
is mounted alone into the containers of releases that name it, and nobody else comes by it.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import BadRequest, Conflict, NotFound, TooMuch
from ...settings import Settings

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
PROJECT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 64 * 1024


class Vault:
    """The secrets of one platform's dashboards."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.var.resolve() / "secrets" / "dashboards"

    def keep(self, project: str, name: str, value: bytes) -> None:
        """Give the secret that value; releases that start from now on read it."""
        if not NAME.fullmatch(name):
            raise BadRequest(f"{name!r:.80} is no name of a secret", "use letters, digits, _ and -, a letter first")
        if not value or len(value) > LONGEST:
            raise TooMuch(f"the secret {name} has {len(value)} bytes", f"give it 1 to {LONGEST}")
        folder = self._folder(project)
        for one in (self.root.parent, self.root, folder):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = folder / f".{name}"
        new.unlink(missing_ok=True)
        new.write_bytes(value)
        new.chmod(0o444)
        new.rename(folder / name)

    def names(self, project: str) -> list[str]:
        """What the project has, by name."""
        folder = self._folder(project)
        return sorted(one.name for one in folder.glob("*") if NAME.fullmatch(one.name)) if folder.is_dir() else []

    def path(self, project: str, name: str) -> Path:
        """Where it lies on this host; NotFound where the project has none of that name."""
        path = self._folder(project) / name
        if not NAME.fullmatch(name) or not path.is_file():
            raise NotFound(
                f"secrets: project {project} has no secret {name!r:.80}",
                f"ask the operator to put it there: bdap dashboards secret set {project} NAME",
            )
        return path

    def remove(self, project: str, name: str) -> None:
        """Forget it; releases that run keep what they were started with until they stop."""
        self.path(project, name).unlink()

    def rename_project(self, project: str, new: str) -> None:
        """Secrets follow their project to its new name."""
        old, target = self._folder(project), self._folder(new)
        if old.is_dir() and target.exists():
            raise Conflict(
                f"there are secrets of a project {new} already", "remove them: bdap dashboards secret remove"
            )
        if old.is_dir():
            old.rename(target)

    def _folder(self, project: str) -> Path:
        if not PROJECT.fullmatch(project):
            raise BadRequest(f"{project!r:.80} is no name of a project", "see `bdap projects list`")
        return self.root / project
