"""The collection.json of a collection: announced before its items, summarised from them afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..access import Visibility
from ..settings import Settings
from .disk import read_json, write_bytes, write_json
from .items import EXTENSIONS, STAC_VERSION
from .thumbnail import draw

GIVEN = ("description", "license", "providers", "keywords")
ASSET_KEYS = ("title", "type", "roles", "gsd", "bands", "raster:bands", "eo:bands")


@dataclass(frozen=True)
class Head:
    """What the operator says of a collection. `folder` is the href of the folder it was ingested from."""

    id: str
    title: str
    visibility: Visibility
    project: str
    folder: str


def announce(home: Path, head: Head) -> None:
    """Write who may see the collection before any item of it appears."""
    path = home / "collection.json"
    known = read_json(path) if path.is_file() else _empty(head)
    write_json(path, known | _access(head))


def summarise(settings: Settings, home: Path, head: Head, folder: Path) -> None:
    """Rewrite the collection from its items: extent, summaries, assets, thumbnail."""
    items = [read_json(path) for path in sorted((home / "items").glob("*.json"))]
    collection = _empty(head) | _given(folder) | _access(head)
    if items:
        collection |= {
            "extent": _extent(items),
            "summaries": _summaries(items),
            "item_assets": _item_assets(items),
            "bdap:items": len(items),
        }
        if picture := draw(settings.store, items):
            write_bytes(home / "thumbnail.png", picture)
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


def _extent(items: list[dict[str, Any]]) -> dict[str, Any]:
    boxes = list(zip(*(item["bbox"] for item in items), strict=True))
    days = sorted(item["properties"]["datetime"] for item in items)
    whole = [min(boxes[0]), min(boxes[1]), max(boxes[2]), max(boxes[3])]
    return {"spatial": {"bbox": [whole]}, "temporal": {"interval": [[days[0], days[-1]]]}}


def _summaries(items: list[dict[str, Any]]) -> dict[str, Any]:
    properties = [item["properties"] for item in items]
    found: dict[str, Any] = {}
    for key in ("platform", "constellation", "gsd", "proj:code"):
        if values := _distinct(p.get(key) for p in properties):
            found[key] = values
    clouds = [p["eo:cloud_cover"] for p in properties if "eo:cloud_cover" in p]
    if clouds:
        found["eo:cloud_cover"] = {"minimum": min(clouds), "maximum": max(clouds)}
    return found


def _distinct(values: Iterable[Any]) -> list[Any]:
    return sorted({value for value in values if value is not None})


def _item_assets(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Every asset that any item has, as the newest item that has it describes it."""
    found: dict[str, Any] = {}
    for item in sorted(items, key=lambda i: str(i["properties"]["datetime"])):
        for key, asset in item["assets"].items():
            found[key] = {k: asset[k] for k in ASSET_KEYS if k in asset}
    return dict(sorted(found.items()))
