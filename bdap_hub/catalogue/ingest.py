"""Describes a folder of rasters in the store as a STAC collection under <var>/catalogue.

Idempotent: what has not changed is skipped; each file is written whole or not at all; a damaged raster is
reported and its acquisition left out; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .. import entitlements
from ..access import Visibility
from ..database import shared
from ..errors import BadRequest, Busy, Conflict
from ..settings import Settings
from . import collections, items, scan
from .disk import read_json, write_json
from .store import open_catalogue
from .work import Progress, Report, Work, carry_out, gone

OPTIONS = "ingest.json"
"""How a collection was ingested, beside its collection.json: watching repeats it."""
COLLECTION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def ingest(
    settings: Settings,
    folder: Path,
    collection_id: str,
    title: str = "",
    visibility: Visibility = "people",
    project: str = "",
    datetime: str | None = None,
    progress: Progress = lambda _: None,
    *,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
    pattern: str = "",
    checksum: bool = False,
    prune: bool = False,
    only_changes: bool = False,
) -> Report:
    """Add or update the collection; BadRequest where the request itself is wrong, Report.errors per acquisition.

    `datetime` dates what names no date, `scale` and `offset` are for integer bands without any of their own, `nodata`
    for bands that declare none,
    `checksum` reads each file whole for its SHA-256,
    `pattern` is a regular expression with the groups band and date, `prune` drops items whose files are gone.
    `only_changes` is for a collection that is there: who sees it and its title stay as they are recorded, its summary
    too where no item came, changed or went; NotFound or Conflict where it was taken away or has another folder by now.
    """
    folder = checked(settings, folder, collection_id, visibility, project)
    found = scan.find(folder, collection_id, pattern)
    if not found:
        raise BadRequest(
            f"there is no GeoTIFF, JPEG 2000, NetCDF or Zarr below {folder}", "name the folder of the files"
        )
    _date(found, datetime)
    scaling = items.Scaling(scale, offset, nodata)
    given = {"datetime": datetime, "scale": scale, "offset": offset, "nodata": nodata, "pattern": pattern}
    given |= {"checksum": True} if checksum else {}
    home = settings.var.resolve() / "catalogue" / collection_id
    head = collections.Head(collection_id, title or collection_id, visibility, project, settings.store.href_of(folder))
    with locked(home):
        if only_changes:
            head = _as_recorded(settings, home, folder)
        collections.announce(home, head)
        catalogue = open_catalogue(settings)
        catalogue.collections()  # takes over the items of earlier versions
        work = Work(settings.store, folder, read_json(home / "collection.json"), catalogue.items, scaling, checksum)
        report = carry_out(work, found, progress)
        gone(work, {a.id for a in found}, report, prune)
        write_json(home / OPTIONS, {k: v for k, v in given.items() if v is not None and v != ""})
        if not only_changes or report.added or report.updated or (prune and report.gone):
            collections.summarise(settings, home, head, folder, catalogue.items.every(collection_id))
    progress(f"{collection_id}: {report}")
    return report


def checked(settings: Settings, folder: Path, collection: str, visibility: str, project: str) -> Path:
    """The folder, resolved, of a collection that may be as it is said to be; BadRequest otherwise."""
    if not COLLECTION_ID.fullmatch(collection):
        raise BadRequest(
            f"{collection!r} cannot be a collection's id",
            "use small letters, digits, dots, hyphens and underscores, at most 64, as in sentinel-2-l2a",
        )
    if visibility not in ("project", "people", "public"):
        raise BadRequest(f"unknown visibility {visibility!r}", "choose project, people or public")
    known = entitlements.projects(settings, shared(settings.database)) if project else ()
    if project and project not in {p.name for p in known}:
        names = ", ".join(p.name for p in known) or "none"
        raise BadRequest(f"there is no project {project!r}", f"choose one of: {names}")
    if visibility == "project" and not project:
        raise BadRequest("a collection of visibility 'project' needs a project", "name it with --project")
    if not folder.is_dir():
        raise BadRequest(f"there is no folder {folder}", "check the path")
    try:
        settings.store.href_of(folder)
    except ValueError:
        raise BadRequest(
            f"{folder} is not in the store, where people's servers could see it",
            f"move it below {settings.store.data}, or let BDAP_STORE__DATA_ROOT name the folder your imagery lies in",
        ) from None
    if visibility == "project":
        _hideable(settings, folder.resolve(), collection, project)
    return folder.resolve()


def _hideable(settings: Settings, folder: Path, collection: str, project: str) -> None:
    """Servers of other projects leave out /eos/data/<collection> and other projects' folders, nothing else."""
    own = (settings.store.data / collection, settings.store.projects / project)
    mount = settings.store.mount.rstrip("/")
    if not any(folder.is_relative_to(place) for place in own):
        raise BadRequest(
            f"the files in {settings.store.href_of(folder)} would be seen from servers of other projects",
            f"move them to {mount}/data/{collection} or below {mount}/projects/{project}",
        )


def _date(found: list[scan.Acquisition], text: str | None) -> None:
    """Date the acquisitions whose names tell none."""
    if not text:
        return
    given = scan.read_date(text)
    if given is None:
        raise BadRequest(f"{text!r} is no date", "write it as 2025-06-01 or 2025-06-01T10:20:31")
    for acquisition in found:
        if acquisition.when is None:
            acquisition.when, acquisition.day_only = given[0], False


def _as_recorded(settings: Settings, home: Path, folder: Path) -> collections.Head:
    """What is said of the collection by now: it may have been changed while its folder was looked through."""
    now = collections.head_of(home.name, collections.recorded(home))
    if settings.store.path_of(now.folder) != folder:
        raise Conflict(f"{home.name} has another folder by now", "look at it once more")
    return replace(now, folder=settings.store.href_of(folder))


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One change of a collection at a time, in all processes; Busy while there is another, also of the same thread.

    What is written must have been read within. The file lies beside the collection, so that it outlives it.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f".{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another ingest of {home.name} is running, or it is being changed"
            raise Busy(message, "wait until that has ended") from None
        yield
