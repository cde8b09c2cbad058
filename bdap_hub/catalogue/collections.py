"""The collection.json of a collection: announced before its items, summarised from them afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..access import Visibility
from ..errors import NotFound
from ..settings import Settings
from .disk import read_json, write_bytes, write_json
from .items import EXTENSIONS, STAC_VERSION
from .sums import Sums
from .thumbnail import draw

EDITED = "bdap:edited"
"""What curators have written over the API: it stays when the files are read again."""
GIVEN = ("description", "license", "providers", "keywords")


@dataclass(frozen=True)
class Head:
    """What the operator says of a collection. `folder` is the href of the folder it was ingested from."""

    id: str
    title: str
    visibility: Visibility
    project: str
    folder: str


def recorded(home: Path) -> dict[str, Any]:
    """The collection.json as it is now, for who writes it: read while it is locked. NotFound where there is none."""
    try:
        return {**read_json(home / "collection.json"), "id": home.name}
    except FileNotFoundError:
        raise NotFound(f"there is no collection {home.name!r} any more", "look at the list of collections") from None


def head_of(name: str, stac: Mapping[str, Any]) -> Head:
    """What a collection.json says; what it does not say counts as most private."""
    return Head(
        name,
        str(stac.get("title") or name),
        stac.get("bdap:visibility") or "project",
        str(stac.get("bdap:project") or ""),
        str(stac.get("bdap:folder") or ""),
    )


def announce(home: Path, head: Head) -> None:
    """Write who may see the collection before any item of it appears."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "collection.json"
    known = read_json(path) if path.is_file() else _empty(head)
    write_json(path, known | _access(head))


def summarise(
    settings: Settings, home: Path, head: Head, folder: Path, items: Iterable[dict[str, Any]], *, picture: bool = True
) -> None:
    """Rewrite the collection from its items (oldest first): extent, summaries, assets, and its picture if asked."""
    known = read_json(home / "collection.json") if (home / "collection.json").is_file() else {}
    edited = {EDITED: known[EDITED], **known[EDITED]} if known.get(EDITED) else {}
    collection = _empty(head) | _given(folder) | _access(head) | edited
    sums = Sums()
    for item in items:
        sums.add(item)
    if sums.count:
        collection |= sums.document()
        if drawn := draw(settings.store, sums.clearest) if picture else None:
            write_bytes(home / "thumbnail.png", drawn)
    write_json(home / "collection.json", collection)


def _empty(head: Head) -> dict[str, Any]:
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": head.id,
        "title": head.title,
        "description": head.title,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[None, None]]},
        },
        "links": [],
        "bdap:items": 0,
    }


def _access(head: Head) -> dict[str, Any]:
    return {
        "title": head.title,
        "bdap:visibility": head.visibility,
        "bdap:project": head.project,
        "bdap:folder": head.folder,
    }


def _given(folder: Path) -> dict[str, Any]:
    """What a collection.json beside the rasters says of licence and origin."""
    for path in (folder / "collection.json", *sorted(folder.glob("*/collection.json"))[:1]):
        try:
            found = read_json(path)
        except (OSError, ValueError):
            continue
        if found.get("type") == "Collection":
            return {key: found[key] for key in GIVEN if found.get(key)}
    return {}
