"""Keeps collections in step with the folders they were made of: looks again and again, reads only what has changed.

By looking and not by the kernel's events, which a mounted store does not send for what others write.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import BadRequest, BdapError, NotFound
from ..settings import Settings
from .collections import head_of, recorded
from .disk import read_json
from .ingest import OPTIONS, ingest
from .store import open_catalogue
from .work import Report


def look_once(settings: Settings, names: tuple[str, ...], say: Callable[[str], None], *, prune: bool) -> None:
    """Ingest each collection again, those of `names` or all; what is wrong with one does not hold up the others."""
    catalogue = open_catalogue(settings)
    found = catalogue.collections()
    for name in names or tuple(found):
        if name not in found:
            raise BadRequest(f"there is no collection {name!r}", "ingest it once before it is watched")
        try:
            report = _again(settings, catalogue.folder / name, prune)
        except NotFound:  # taken out of the catalogue since this look began
            continue
        except (BdapError, OSError, ValueError) as error:
            say(f"{name}: {error}")
            continue
        if report.added or report.updated or report.errors or (prune and report.gone):
            say(f"{name}: {report}")


def watch(
    settings: Settings,
    names: tuple[str, ...],
    say: Callable[[str], None],
    *,
    seconds: float,
    prune: bool,
    stop: threading.Event,
) -> None:
    """Look every so many seconds until `stop` is set."""
    while not stop.is_set():
        look_once(settings, names, say, prune=prune)
        stop.wait(seconds)


def _again(settings: Settings, home: Path, prune: bool) -> Report:
    head = head_of(home.name, recorded(home))
    try:
        options = read_json(home / OPTIONS)
    except (OSError, json.JSONDecodeError):
        options = {}
    return ingest(
        settings,
        settings.store.path_of(head.folder),
        home.name,
        title=head.title,
        visibility=head.visibility,
        project=head.project,
        prune=prune,
        only_changes=True,
        **options,
    )
