"""The catalogue: collections as files in <var>/catalogue, which other rooms read too; items in a store of items.

Knows nothing of people: callers say which collections may be looked at.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BdapError
from ..settings import Settings
from .contract import Items
from .disk import read_json, write_json
from .embedded import SqliteItems
from .sums import PROPERTIES, kinds_of

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Collection:
    """A collection as its file says."""

    id: str
    stac: dict[str, Any]
    stamp: Stamp


class Catalogue:
    """All collections below a folder, and their items. Cheap to ask often: a stat a collection."""

    def __init__(self, folder: Path, items: Items) -> None:
        self.folder, self.items = folder, items
        self._loaded: dict[str, Collection] = {}
        self._lock = threading.Lock()

    def collections(self) -> dict[str, Collection]:
        """Every collection by id, as it is on disk now."""
        with self._lock:
            names = sorted(p.parent.name for p in self.folder.glob("*/collection.json"))
            self._loaded = {name: self._adopted(found) for name in names if (found := self._current(name))}
            return dict(self._loaded)

    def thumbnail(self, collection: str) -> Path:
        """Where the picture of a collection lies, if it has one."""
        return self.folder / collection / "thumbnail.png"

    def picture(self, item: dict[str, Any]) -> Path:
        """Where the picture of an item is kept; another one once the item has changed."""
        made_of = json.dumps([item["id"], item["properties"].get("bdap:fingerprint"), item["assets"]], sort_keys=True)
        name = hashlib.sha256(made_of.encode()).hexdigest()[:32]
        return self.folder / str(item["collection"]) / "pictures" / f"{name}.png"

    def _current(self, name: str) -> Collection | None:
        path, known = self.folder / name / "collection.json", self._loaded.get(name)
        try:
            stamp = _stamp(path)
            return known if known and known.stamp == stamp else Collection(name, read_json(path), stamp)
        except (OSError, ValueError):
            return known

    def _adopted(self, collection: Collection) -> Collection:
        """Items that lie there as files, as in earlier versions, go into the store; odd ones stay where they are."""
        home = self.folder / collection.id
        if not (home / "items").is_dir():
            return collection
        paths, kinds = sorted((home / "items").glob("[!.]*.json")), dict(collection.stac.get(PROPERTIES, {}))
        for path in paths:
            kinds = self._taken(collection, path) | kinds
        if kinds == collection.stac.get(PROPERTIES, {}):
            return collection
        write_json(home / "collection.json", {**collection.stac, PROPERTIES: dict(sorted(kinds.items()))})
        return self._current(collection.id) or collection

    def _taken(self, collection: Collection, path: Path) -> dict[str, str]:
        """Move an item into the store; the kinds of its properties, none if it is odd."""
        try:
            item = read_json(path)
            self.items.put({**collection.stac, "id": collection.id}, [item])
            kinds = kinds_of(item)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BdapError):
            return {}
        path.unlink(missing_ok=True)
        return kinds


def open_catalogue(settings: Settings) -> Catalogue:
    """The catalogue of an install."""
    folder = settings.var.resolve() / "catalogue"
    if settings.catalogue.database_url:
        from .pgstac import PgstacItems

        return Catalogue(folder, PgstacItems(settings.catalogue.database_url))
    return Catalogue(folder, SqliteItems(folder / "items.sqlite"))


def _stamp(path: Path) -> Stamp:
    """Changes whenever the file is replaced."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
