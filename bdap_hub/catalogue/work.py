"""Carries out an ingest: reads headers in parallel, puts items into the store, page by page.

What is in the store stays there when a run is interrupted; the next one skips it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import BadRequest, BdapError
from ..settings import StoreSettings
from . import headers, items, scan
from .contract import Items
from .products import describe

VERSION = 2
THREADS = 8
PAGE = 100
Progress = Callable[[str], None]
Outcome = dict[str, Any] | str | items.Undated | None


@dataclass
class Report:
    """What an ingest did: counts of items, and why acquisitions were left out: a sentence for each, of those without a
    date one for each folder."""

    added: int = 0
    updated: int = 0
    skipped: int = 0
    left_out: int = 0
    errors: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.added} added, {self.updated} updated, {self.skipped} unchanged, {self.left_out} with errors"
        notes = [f"\n  error: {text}" for text in self.errors]
        if self.gone:
            notes.append(f"\n  note: the files of {len(self.gone)} items are gone, such as {self.gone[0]}")
        return counts + "".join(notes)


@dataclass(frozen=True)
class Work:
    """What an ingest works on: `folder` is looked through, `collection` is its STAC document."""

    store: StoreSettings
    folder: Path
    collection: dict[str, Any]
    items: Items
    scaling: items.Scaling
    checksum: bool = False

    @property
    def name(self) -> str:
        """The collection's id."""
        return str(self.collection["id"])


def carry_out(work: Work, found: list[scan.Acquisition], progress: Progress) -> Report:
    """Add and update the items of these acquisitions."""
    report, known = Report(), work.items.fingerprints(work.name)
    seen: set[str] = set()
    page: list[dict[str, Any]] = []
    undated: dict[Path, list[str]] = {}
    for number, (acquisition, outcome) in enumerate(_read(work, found, known), 1):
        if acquisition.id in seen:
            outcome = f"{acquisition.id}: there are two acquisitions of this name"
        seen.add(acquisition.id)
        report.left_out += isinstance(outcome, str | items.Undated)
        if isinstance(outcome, items.Undated):
            for file in acquisition.files.values():
                undated.setdefault(file.parent, []).append(file.name)
        elif isinstance(outcome, str):
            report.errors.append(outcome)
        elif outcome is None:
            report.skipped += 1
        else:
            page.append(outcome)
        if len(page) == PAGE or number == len(found):
            _put(work, page, known, report)
            page = []
        if number % 25 == 0:
            progress(f"{work.name}: {number} of {len(found)} acquisitions")
    report.errors += [_without_date(folder, names) for folder, names in sorted(undated.items())]
    return report


def _without_date(folder: Path, names: list[str]) -> str:
    which = f"{names[0]} in {folder}: not in its name, its folders' names or its header"
    if len(names) > 1:
        which = f"{len(names)} files in {folder}, such as {min(names)}: not in their names, folders' names or headers"
    remedy = "type the command again with --datetime 2025-06-01, which dates all that tell none"
    return f"no date is found for {which}; {remedy}"


def _put(work: Work, page: list[dict[str, Any]], known: dict[str, str], report: Report) -> None:
    work.items.put(work.collection, page)
    report.updated += sum(item["id"] in known for item in page)
    report.added += sum(item["id"] not in known for item in page)


def _read(
    work: Work, found: list[scan.Acquisition], known: dict[str, str]
) -> Iterator[tuple[scan.Acquisition, Outcome]]:
    """Each with its item, what is wrong with it (a sentence, or that it has no date), or None: it is there already.

    A few pages ahead of who takes them, no more: a million items do not fit in memory.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = iter(found)
        ahead: list[tuple[scan.Acquisition, Future[Any]]] = []
        while True:
            ahead += [(one, pool.submit(_one, work, one, known)) for one in islice(waiting, 2 * PAGE - len(ahead))]
            if not ahead:
                return
            acquisition, future = ahead.pop(0)
            yield acquisition, future.result()


def _one(work: Work, acquisition: scan.Acquisition, known: dict[str, str]) -> Outcome:
    try:
        _inside(work.folder, acquisition)
        describe(acquisition)
        fingerprint = _fingerprint(work, acquisition)
        if known.get(acquisition.id) == fingerprint:
            return None
        read = {band: headers.read(file, band, work.checksum) for band, file in sorted(acquisition.files.items())}
        item = items.build(acquisition, read, work.name, work.store, work.scaling)
        item["properties"]["bdap:fingerprint"] = fingerprint
        return item
    except items.Undated as error:
        return error
    except BdapError as error:
        return f"{acquisition.id}: {error.message}" + (f"; {error.remedy}" if error.remedy else "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{acquisition.id}: {type(error).__name__}: {error}"


def _inside(folder: Path, acquisition: scan.Acquisition) -> None:
    """A link or a `..` in an item must not publish files from elsewhere in the store."""
    for path in acquisition.files.values():
        if not path.resolve().is_relative_to(folder):
            raise BadRequest(f"{path.name} leads out of the folder", "copy the file into the folder")


def _fingerprint(work: Work, acquisition: scan.Acquisition) -> str:
    """Changes with the files, the item beside them and the options."""
    stats = {band: (str(path), *_stamp(path)) for band, path in sorted(acquisition.files.items())}
    given = [repr(work.scaling), *(["checksum"] if work.checksum else [])]
    text = json.dumps([VERSION, stats, str(acquisition.when), acquisition.stac, *given], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _stamp(path: Path) -> list[tuple[int, int]]:
    """Size and time of change; of a folder of Zarr those of the files that describe it."""
    known = [path / name for name in ("zarr.json", ".zmetadata", ".zgroup")] if path.is_dir() else [path]
    stats = [each.stat() for each in known if each.exists()]
    return [(stat.st_size, stat.st_mtime_ns) for stat in stats]


def gone(work: Work, present: set[str], report: Report, prune: bool) -> None:
    """Items whose files are no more: reported, and dropped only if asked."""
    for identifier in sorted(work.items.fingerprints(work.name).keys() - present):
        item = work.items.get(work.name, identifier)
        hrefs = [asset["href"] for asset in item["assets"].values()] if item else []
        if not all(_exists(work.store, href) for href in hrefs):
            report.gone.append(identifier)
    if prune and report.gone:
        work.items.drop(work.name, report.gone)


def _exists(store: StoreSettings, href: str) -> bool:
    try:
        return store.path_of(href).exists()
    except ValueError:
        return False
