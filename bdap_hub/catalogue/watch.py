"""Keeps collections in step with the folders they were made of: looks again and again, reads only what has changed.

By looking and not by the kernel's events, which a mounted store does not send for what others write.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import BadRequest, BdapError
from ..settings import Settings
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
            report = _again(settings, catalogue.folder / name, found[name].stac, prune)
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


def _again(settings: Settings, home: Path, stac: dict[str, Any], prune: bool) -> Report:
    try:
        options = read_json(home / OPTIONS)
    except (OSError, json.JSONDecodeError):
        options = {}
    folder = settings.store.path_of(str(stac.get("bdap:folder") or ""))
    return ingest(
        settings,
        folder,
        home.name,
        title=str(stac.get("title") or home.name),
        visibility=stac.get("bdap:visibility", "project"),
        project=str(stac.get("bdap:project") or ""),
        prune=prune,
        only_changes=True,
        **options,
    )
