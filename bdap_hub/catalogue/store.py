"""The catalogue in memory: read from <var>/catalogue, read again where files have changed, searched.

Knows nothing of people: callers say which collections may be looked at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BdapError
from .disk import read_json
from .geometry import bbox_of, meet
from .search import Search, seconds

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Collection:
    """A collection and its items, with boxes and times as arrays for the search."""

    id: str
    stac: dict[str, Any]
    items: tuple[dict[str, Any], ...]
    index: dict[str, int]
    boxes: NDArray[np.float64]
    times: NDArray[np.float64]
    stamp: tuple[Stamp, Stamp]
    files: dict[str, tuple[Stamp, dict[str, Any]]] = field(repr=False)


@dataclass(frozen=True)
class Page:
    """A page of results. `matched` counts all; `following` is where the next page starts, None on the last."""

    items: list[dict[str, Any]]
    matched: int
    following: int | None


class Catalogue:
    """All collections below a folder. Cheap to ask often: two stats a collection unless something changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, Collection] = {}
        self._lock = threading.Lock()

    def collections(self) -> dict[str, Collection]:
        """Every collection by id, as it is on disk now."""
        with self._lock:
            names = sorted(p.parent.name for p in self.folder.glob("*/collection.json"))
            self._loaded = {name: found for name in names if (found := self._current(name))}
            return dict(self._loaded)

    def thumbnail(self, collection: str) -> Path:
        """Where the picture of a collection lies, if it has one."""
        return self.folder / collection / "thumbnail.png"

    def _current(self, name: str) -> Collection | None:
        home, known = self.folder / name, self._loaded.get(name)
        try:
            stamp = (_stamp(home / "collection.json"), _stamp(home / "items"))
            if known and known.stamp == stamp:
                return known
            return _load(home, stamp, known.files if known else {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BdapError):
            return known


def _stamp(path: Path | os.DirEntry[str]) -> Stamp:
    """Changes whenever the file is replaced."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _load(home: Path, stamp: tuple[Stamp, Stamp], known: dict[str, tuple[Stamp, dict[str, Any]]]) -> Collection:
    """Read collection and items; an item whose file has not changed is taken over."""
    files: dict[str, tuple[Stamp, dict[str, Any]]] = {}
    with os.scandir(home / "items") as entries:
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                now = _stamp(entry)
                before = known.get(entry.name)
                files[entry.name] = before if before and before[0] == now else (now, read_json(Path(entry.path)))
    items = tuple(sorted((item for _, item in files.values()), key=lambda i: str(i["id"])))
    return Collection(
        id=home.name,
        stac=read_json(home / "collection.json"),
        items=items,
        index={item["id"]: i for i, item in enumerate(items)},
        boxes=np.array([_flat(item["bbox"]) for item in items]).reshape(-1, 4),
        times=np.array([_times(item["properties"]) for item in items]).reshape(-1, 2),
        stamp=stamp,
        files=files,
    )


def _flat(bbox: list[float]) -> list[float]:
    return bbox if len(bbox) == 4 else [bbox[0], bbox[1], bbox[3], bbox[4]]


def _times(properties: dict[str, Any]) -> tuple[float, float]:
    moment = properties.get("datetime")
    start, end = properties.get("start_datetime") or moment, properties.get("end_datetime") or moment
    return seconds(str(start)), seconds(str(end))


def find(collections: Iterable[Collection], search: Search) -> Page:
    """The items of the given collections that a search asks for, newest first unless it says otherwise."""
    found: list[tuple[float, dict[str, Any]]] = []
    for collection in collections:
        if search.collections is None or collection.id in search.collections:
            found += [(collection.times[i, 0], collection.items[i]) for i in _hits(collection, search)]
    found.sort(key=lambda pair: str(pair[1]["id"]))
    found.sort(key=lambda pair: pair[0], reverse=True)
    for name, descending in reversed(search.sortby):
        found.sort(key=lambda pair: _sort_key(pair[1], name, descending), reverse=descending)
    end = search.start + search.limit
    return Page(
        items=[item for _, item in found[search.start : end]],
        matched=len(found),
        following=end if end < len(found) else None,
    )


def _hits(collection: Collection, search: Search) -> list[int]:
    if search.ids is not None:
        rows = np.array(sorted({collection.index[i] for i in search.ids if i in collection.index}), dtype=np.int64)
    else:
        rows = np.arange(len(collection.items))
    if rows.size == 0:
        return []
    keep = (collection.times[rows, 0] <= search.period[1]) & (collection.times[rows, 1] >= search.period[0])
    box = search.bbox or (bbox_of(search.intersects) if search.intersects else None)
    if box:
        keep &= _overlaps(collection.boxes[rows], box)
    hits = [int(i) for i in rows[keep]]
    if search.intersects:
        hits = [i for i in hits if meet(collection.items[i]["geometry"], search.intersects)]
    if search.query:
        hits = [i for i in hits if _passes(collection.items[i], search.query)]
    return hits


def _overlaps(boxes: NDArray[np.float64], box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """Boxes that touch the box; west > east means that one crosses the antimeridian."""
    west, south, east, north = box
    rows = (boxes[:, 1] <= north) & (boxes[:, 3] >= south)
    if west <= east:
        columns = (boxes[:, 0] <= east) & (boxes[:, 2] >= west)
    else:
        columns = (boxes[:, 2] >= west) | (boxes[:, 0] <= east)
    crossing = boxes[:, 0] > boxes[:, 2]
    columns = np.where(crossing, (boxes[:, 0] <= east) | (boxes[:, 2] >= west) | (west > east), columns)
    return np.asarray(rows & columns)


def _value(item: dict[str, Any], name: str) -> Any:
    return item.get(name) if name in ("id", "collection") else item["properties"].get(name)


def _sort_key(item: dict[str, Any], name: str, descending: bool) -> tuple[bool, bool, Any]:
    """Missing values come last in both directions; numbers before text."""
    value = _value(item, name)
    missing = value is None or isinstance(value, (list, dict))
    text = not isinstance(value, (int, float))
    return missing != descending, text, 0 if missing else str(value) if text else value


def _passes(item: dict[str, Any], query: tuple[tuple[str, str, Any], ...]) -> bool:
    return all(_test(_value(item, name), operator, operand) for name, operator, operand in query)


def _test(value: Any, operator: str, operand: Any) -> bool:
    """A property that is missing, or of another type than the operand, passes no test but neq."""
    if operator in ("eq", "neq"):
        return bool(value == operand) == (operator == "eq")
    if value is None:
        return False
    try:
        match operator:
            case "lt":
                return bool(value < operand)
            case "lte":
                return bool(value <= operand)
            case "gt":
                return bool(value > operand)
            case "gte":
                return bool(value >= operand)
            case "in":
                return value in operand
            case "startsWith":
                return str(value).startswith(str(operand))
            case "endsWith":
                return str(value).endswith(str(operand))
            case _:
                return operand in value
    except TypeError:
        return False
