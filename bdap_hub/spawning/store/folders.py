"""What a server's mounts need on the host: the person's home, the projects' folders, the collections to hide."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR

from ...access import Person, Policy, ReadCollection, ReadPath, decide
from ...errors import BadSettings
from ...settings import Settings
from ..grants import contained
from ..names import safe_name
from .mounts import AWAY

log = logging.getLogger(__name__)
_filling = threading.Lock()
"""Two servers of one person may be the first at once."""


def ensure_home(settings: Settings, person: str, uid: int, gid: int) -> Path:
    """<var>/homes/<name>, mode 700, owned by the person's uid."""
    homes = settings.var.resolve() / "homes"
    homes.mkdir(mode=0o711, parents=True, exist_ok=True)
    home = homes / safe_name(person)
    with _filling:
        if not home.exists():
            fill_home(settings, home, settings.store.mount, (uid, gid))
    if home.stat().st_uid != uid:
        _own(home, uid, gid)
    home.chmod(0o700)
    return home


def fill_home(settings: Settings, home: Path, store: str, owner: tuple[int, int] | None = None) -> None:
    """A new home: the skeleton's files and a link to the store for file browsers. There whole or not at all."""
    new = home.with_name(f".new-{home.name}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700, parents=True)
    if settings.spawning.skeleton is not None:
        shutil.copytree(settings.spawning.skeleton, new, dirs_exist_ok=True)
        new.chmod(0o700)  # copytree gives it the skeleton's mode
    (new / settings.store.mount.strip("/").replace("/", "-")).symlink_to(store)
    for path in (*new.rglob("*"), new) if owner else ():  # itself last: a hub that is not root may not enter it then
        _own(path, *owner)
    new.rename(home)


def ensure_names(settings: Settings, person: str, uid: int, projects: dict[str, int], gid: int) -> None:
    """The files by which a container shows names instead of numbers (libnss-extrausers); they give no rights."""
    safe = safe_name(person)
    folder = settings.var.resolve() / "names" / safe
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    (folder / "passwd").write_text(f"{safe}:x:{uid}:{gid}::/home/{safe}:/bin/bash\n")
    (folder / "group").write_text("".join(f"{name}:x:{number}:\n" for name, number in sorted(projects.items())))


def ensure_places(settings: Settings) -> None:
    """What covers hidden collections, and what stands where the store is missing."""
    empty, away = settings.var.resolve() / "empty", settings.var.resolve() / AWAY
    empty.mkdir(mode=0o555, parents=True, exist_ok=True)
    away.mkdir(mode=0o755, exist_ok=True)
    (away / "THE-STORE-IS-AWAY.txt").write_text(
        "The data store did not answer when this server was started.\n"
        "It appears here by itself soon after it is back. If it does not, stop this server and start it again.\n"
    )


def ensure_store(settings: Settings, projects: dict[str, int]) -> None:
    """The folders that are mounted exist; a project's is its gid's alone (mode 2770).

    A store that rules by its own rights refuses the change: that is logged and left to the store.
    """
    settings.store.data.mkdir(parents=True, exist_ok=True)
    settings.store.projects.mkdir(parents=True, exist_ok=True)
    for name, gid in projects.items():
        folder = settings.store.projects / name
        if not folder.is_symlink():
            folder.mkdir(exist_ok=True)
        contained(folder, folder, f"{settings.store.mount.rstrip('/')}/projects/{name}")
        found = folder.stat()
        if found.st_gid == gid and found.st_mode & 0o7777 == 0o2770:
            continue
        try:
            os.chown(folder, -1, gid)
            folder.chmod(0o2770)
        except OSError as error:
            log.warning("the rights of %s are left as they are: %s", folder, error.strerror)


def hidden_collections(
    settings: Settings, policy: Policy, person: Person, project: str = "", *, store_lost: bool = False
) -> tuple[str, ...]:
    """Folders below /eos/data that hold collections which `person` may not read, by the catalogue's own records.

    In a server of `project`, whose store grants count, too. Where the store is lost, also those without a folder.
    """
    data, mount = settings.store.data, settings.store.mount.rstrip("/")
    return tuple(
        name
        for name, visibility, owner in collections(settings.var / "catalogue")
        if (store_lost or _is_folder(data / name))
        and not decide(policy, person, ReadCollection(name, visibility, owner))
        and not (project and decide(policy, person, ReadPath(f"{mount}/data/{name}", project, visibility, owner)))
    )


def _is_folder(path: Path) -> bool:
    """OSError where a store does not answer: nothing is shown because nobody could say that it is there."""
    try:
        return S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise


def collections(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(id, visibility, project) of each catalogued collection; one that cannot be read counts as nobody's."""
    for path in sorted(folder.glob("*/collection.json")):
        try:
            found = json.loads(path.read_text())
            yield path.parent.name, found.get("bdap:visibility", "project"), found.get("bdap:project") or ""
        except (OSError, ValueError):
            yield path.parent.name, "project", ""


def _own(path: Path, uid: int, gid: int) -> None:
    try:
        os.chown(path, uid, gid, follow_symlinks=False)
    except PermissionError:
        raise BadSettings(
            f"the hub may not give {path} to uid {uid}",
            "run the hub as root (or with CAP_CHOWN and CAP_FOWNER), or set spawning.engine to process",
        ) from None
