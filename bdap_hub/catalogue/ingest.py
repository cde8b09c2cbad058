"""Describes a folder of GeoTIFFs in the store as a STAC collection under <var>/catalogue.

Idempotent: what has not changed is skipped; each file is written whole or not at all; a damaged raster is
reported and its acquisition left out; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .. import entitlements
from ..access import Visibility
from ..database import shared
from ..errors import BadRequest, BdapError
from ..settings import Settings
from . import collections, headers, items, scan
from .disk import read_json, write_json

VERSION = 1
THREADS = 8
COLLECTION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
Progress = Callable[[str], None]


@dataclass
class Report:
    """What an ingest did: counts of items, and one sentence for each acquisition that was left out."""

    added: int = 0
    updated: int = 0
    skipped: int = 0
    errors: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.added} added, {self.updated} updated, {self.skipped} unchanged, {len(self.errors)} with errors"
        notes = [f"\n  error: {text}" for text in self.errors]
        if self.gone:
            notes.append(f"\n  note: the files of {len(self.gone)} items are gone, such as {self.gone[0]}")
        return counts + "".join(notes)


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
    prune: bool = False,
) -> Report:
    """Add or update the collection; BadRequest where the request itself is wrong, Report.errors per acquisition.

    `datetime` dates what names no date, `scale` and `offset` are for integer bands without any of their own, `nodata`
    for bands that declare none,
    `pattern` is a regular expression with the groups band and date, `prune` drops items whose files are gone.
    """
    folder = _checked(settings, folder, collection_id, visibility, project)
    found = scan.find(folder, collection_id, pattern)
    if not found:
        raise BadRequest(f"there is no GeoTIFF below {folder}", "name the folder that holds .tif files")
    _date(found, datetime)
    home = settings.var.resolve() / "catalogue" / collection_id
    with _locked(home):
        head = collections.Head(
            collection_id, title or collection_id, visibility, project, settings.store.href_of(folder)
        )
        collections.announce(home, head)
        work = _Work(settings, folder, collection_id, home, items.Scaling(scale, offset, nodata))
        report = _all(work, found, progress)
        _prune(work, {a.id for a in found}, report, prune)
        collections.summarise(settings, home, head, folder)
    progress(f"{collection_id}: {report}")
    return report


@dataclass(frozen=True)
class _Work:
    settings: Settings
    folder: Path
    collection: str
    home: Path
    scaling: items.Scaling


def _checked(settings: Settings, folder: Path, collection: str, visibility: str, project: str) -> Path:
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
    if not any(folder.is_relative_to(place) for place in own):
        raise BadRequest(
            f"the files in {folder} would be seen from servers of other projects",
            f"move them to {own[0]} or below {own[1]}",
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


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One ingest of a collection at a time."""
    (home / "items").mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadRequest(f"another ingest of {home.name} is running", "wait until it has ended") from None
        yield


def _all(work: _Work, found: list[scan.Acquisition], progress: Progress) -> Report:
    report = Report()
    seen: set[str] = set()
    with ThreadPoolExecutor(THREADS) as pool:
        for number, (acquisition, outcome) in enumerate(
            zip(found, pool.map(lambda a: _one(work, a), found), strict=True), 1
        ):
            if acquisition.id in seen:
                outcome = f"{acquisition.id}: there are two acquisitions of this name"
            seen.add(acquisition.id)
            if outcome in ("added", "updated", "skipped"):
                setattr(report, outcome, getattr(report, outcome) + 1)
            else:
                report.errors.append(outcome)
            if number % 25 == 0:
                progress(f"{work.collection}: {number} of {len(found)} acquisitions")
    return report


def _one(work: _Work, acquisition: scan.Acquisition) -> str:
    """Ingest one acquisition: 'added', 'updated', 'skipped', or the sentence that says what is wrong with it."""
    path = items.path_of_item(work.home, acquisition.id)
    try:
        _inside(work.folder, acquisition)
        fingerprint = _fingerprint(work, acquisition)
        known = read_json(path) if path.is_file() else None
        if known and known["properties"].get("bdap:fingerprint") == fingerprint:
            return "skipped"
        read = {band: headers.read(file, band) for band, file in sorted(acquisition.files.items())}
        item = items.build(acquisition, read, work.collection, work.settings.store, work.scaling)
        item["properties"]["bdap:fingerprint"] = fingerprint
        write_json(path, item)
        return "updated" if known else "added"
    except BdapError as error:
        return (
            f"{acquisition.id}: {error.message}; {error.remedy}"
            if error.remedy
            else f"{acquisition.id}: {error.message}"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{acquisition.id}: {type(error).__name__}: {error}"


def _inside(folder: Path, acquisition: scan.Acquisition) -> None:
    """A link or a `..` in an item must not publish files from elsewhere in the store."""
    for path in acquisition.files.values():
        if not path.resolve().is_relative_to(folder):
            raise BadRequest(f"{path.name} leads out of the folder", "copy the file into the folder")


def _fingerprint(work: _Work, acquisition: scan.Acquisition) -> str:
    """Changes with the files, the item beside them and the options."""
    stats = {band: (str(p), p.stat().st_size, p.stat().st_mtime_ns) for band, p in sorted(acquisition.files.items())}
    text = json.dumps([VERSION, stats, str(acquisition.when), acquisition.stac, repr(work.scaling)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _prune(work: _Work, present: set[str], report: Report, prune: bool) -> None:
    """Items whose files are no more: reported, and dropped only if asked."""
    for path in sorted((work.home / "items").glob("*.json")):
        item = read_json(path)
        if item["id"] in present:
            continue
        hrefs = [asset["href"] for asset in item["assets"].values()]
        if all(work.settings.store.path_of(href).exists() for href in hrefs):
            continue
        report.gone.append(item["id"])
        if prune:
            path.unlink()
