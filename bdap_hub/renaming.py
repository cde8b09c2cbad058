"""A project's new name in all rooms at once: each changes its own rows, in one transaction, and the folder goes along.

Rooms never import one another; this is composed above them, as the hub is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .catalogue.store import open_catalogue
from .dashboards.records import Records
from .dashboards.releases.vault import Vault
from .entitlements import edit
from .errors import Conflict
from .identity import members
from .settings import Settings
from .spawning import uids


def rename(settings: Settings, store: Any, editor: edit.Editor, name: str, new: str) -> list[str]:
    """Carry it out, all or nothing; the collections that still bear the former name, which nobody reads by it."""

    def follow(whole: Any) -> None:
        members.rename(whole, name, new)
        uids.rename_project(whole, name, new)
        Records(whole).rename_project(name, new)
        Vault(settings).rename_project(name, new)
        _move(settings.store.projects / name, settings.store.projects / new)

    edit.rename(settings, store, editor, name, new, follow)
    found = open_catalogue(settings).collections()
    return sorted(key for key, one in found.items() if one.stac.get("bdap:project") == name)


def _move(old: Path, new: Path) -> None:
    """Last: what fails before it undoes the rest, and it undoes the rest when it fails."""
    if new.exists() or new.is_symlink():
        raise Conflict(f"there is a folder {new} already", "move it away, or choose another name")
    if old.is_symlink():
        raise Conflict(f"{old} is a link", "put the folder itself there")
    try:
        if old.exists():
            old.rename(new)
    except OSError as error:
        raise Conflict(f"{old} cannot be renamed: {error.strerror}", "rename as who owns the store's folders") from None
