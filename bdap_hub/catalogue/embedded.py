"""Items in SQLite: an R*Tree over place and time, the rest by columns and JSON. The default; needs no server."""

from __future__ import annotations

import json
import sqlite3
import threading
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely

from ..errors import BadRequest
from . import deadline
from .aggregation import Aggregate
from .contract import MANY, NEWEST, Item, Page
from .geometry import Box, bbox_of, flat, geojson_of, related, shape_of, split
from .moments import EVER, seconds, times_of
from .search import Search, offset
from .sql import Sql, property_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
  key INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, start REAL NOT NULL, "end" REAL NOT NULL,
  west REAL NOT NULL, south REAL NOT NULL, east REAL NOT NULL, north REAL NOT NULL, footprint BLOB NOT NULL,
  fingerprint TEXT, properties TEXT NOT NULL, rest BLOB NOT NULL, UNIQUE (collection, id));
CREATE INDEX IF NOT EXISTS items_time ON items (start DESC, id, collection);
CREATE INDEX IF NOT EXISTS items_collection_time ON items (collection, start DESC, id);
CREATE VIRTUAL TABLE IF NOT EXISTS boxes USING rtree (key, west, east, south, north, start, "end");
"""
COLUMNS = '(collection, id, start, "end", west, south, east, north, footprint, fingerprint, properties, rest)'
NEAR = "boxes CROSS JOIN items ON items.key = boxes.key"
ORDER = "items.start DESC, items.id, items.collection"
NARROW = 0.2  # of the globe: a wider box is faster looked through by time
STEPS = 100_000  # of SQLite, a few milliseconds: so often it asks whether it shall go on
DAY = 86400.0  # the R*Tree keeps 32 bits of a number: days since 1970, rounded outwards


class SqliteItems:
    """The items in a file. Safe from several threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def search(self, collections: Sequence[str], search: Search) -> Page:
        """What is asked for, newest first unless it says otherwise."""
        with _bounded():
            return self._search(collections, search)

    def _search(self, collections: Sequence[str], search: Search) -> Page:
        asked, start = _asked(collections, search), offset(search.token)
        rows = None
        if asked.near[0] and search.newest_first and len(collections) == 1:  # whose items an index has in that order
            rows = self._newest(asked, search.limit + 1, start)
        if rows is None:
            rows = self._ordered(asked, search.sortby, search.limit + 1, start)
        more = len(rows) > search.limit
        matched = rows[0][1] if rows else None
        if matched is None:
            matched = self._counted(asked) if more or (start and not rows) else start + len(rows)
        items = [self._item(key) for key, _ in rows[: search.limit]]
        return Page(items, matched, str(start + search.limit) if more else "")

    def _ordered(self, asked: Asked, sortby: Sequence[tuple[str, bool]], limit: int, start: int) -> list[Any]:
        """Keys in order; with each the number of all, where all of a place were looked at."""
        order = ", ".join(_order(name, descending) for name, descending in sortby)
        order = f"{order}, items.id, items.collection" if order else ORDER
        counted = "count(*) OVER ()" if asked.near[0] else "NULL"
        text = f"SELECT items.key, {counted} FROM {asked.source} WHERE {asked.where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        return self._connection().execute(text, (*asked.values, limit, start)).fetchall()

    def _newest(self, asked: Asked, limit: int, start: int) -> list[Any] | None:
        """The same from the newest items alone; None where few lie at the place, or these do not fill the page."""
        near, values = asked.near
        text = f"SELECT count(*) FROM (SELECT 1 FROM boxes WHERE {near} LIMIT {MANY + 1})"  # noqa: S608
        if self._connection().execute(text, values).fetchone()[0] <= MANY:
            return None
        (among, first), (rest, second) = asked.among, asked.rest
        newest = f"(SELECT * FROM items WHERE {among} ORDER BY {ORDER} LIMIT ?) AS items"  # noqa: S608
        text = f"SELECT items.key, NULL FROM {newest} WHERE {rest} ORDER BY {ORDER} LIMIT ? OFFSET ?"  # noqa: S608
        for number in (NEWEST // 16, NEWEST):  # all that are looked at are put in order: mostly few will do
            rows = self._connection().execute(text, (*first, number, *second, limit, start)).fetchall()
            if len(rows) == limit:
                return rows
        return None

    def _counted(self, asked: Asked) -> int | None:
        """How many there are in all, up to MANY."""
        text = f"SELECT count(*) FROM (SELECT 1 FROM {asked.source} WHERE {asked.where} LIMIT {MANY + 1})"  # noqa: S608
        found: int = self._connection().execute(text, asked.values).fetchone()[0]
        return found if found <= MANY else None

    def get(self, collection: str, identifier: str) -> Item | None:
        """One item."""
        found = (
            self._connection()
            .execute("SELECT key FROM items WHERE collection = ? AND id = ?", (collection, identifier))
            .fetchone()
        )
        return self._item(found[0]) if found else None

    def aggregate(self, collections: Sequence[str], search: Search, wanted: Aggregate) -> list[tuple[Any, int]]:
        """Keys and numbers of the items a search finds."""
        asked = _asked(collections, search)
        text = f"SELECT {_counted(wanted)}, count(*) FROM {asked.source} WHERE {asked.where}"  # noqa: S608
        if not wanted.plain:
            text += " GROUP BY 1 ORDER BY 1 LIMIT 1000"
        with _bounded():
            return [(key, number) for key, number in self._connection().execute(text, asked.values)]

    def put(self, collection: dict[str, Any], items: Sequence[Item]) -> None:
        """Add or replace items of a collection, all or none."""
        name = str(collection["id"])
        rows = [_row(name, item) for item in items]
        with self._writing() as connection:
            self._take_away(connection, name, [row[1] for row in rows])
            for row in rows:
                marks = ", ".join("?" * len(row))
                key = connection.execute(f"INSERT INTO items {COLUMNS} VALUES ({marks})", row).lastrowid  # noqa: S608
                start, end, west, south, east, north = row[2:8]
                if west > east:
                    west, east = -180.0, 180.0
                connection.execute(
                    "INSERT INTO boxes VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (key, west, east, south, north, start / DAY, end / DAY),
                )

    def drop(self, collection: str, identifiers: Sequence[str]) -> None:
        """Take items away."""
        with self._writing() as connection:
            self._take_away(connection, collection, identifiers)

    def forget(self, collection: str) -> None:
        """Take all items of a collection away."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM boxes WHERE key IN (SELECT key FROM items WHERE collection = ?)", (collection,)
            )
            connection.execute("DELETE FROM items WHERE collection = ?", (collection,))

    def fingerprints(self, collection: str) -> dict[str, str]:
        """What each item was made from."""
        rows = self._connection().execute("SELECT id, fingerprint FROM items WHERE collection = ?", (collection,))
        return {identifier: fingerprint or "" for identifier, fingerprint in rows}

    def every(self, collection: str) -> Iterator[Item]:
        """All items of a collection, the newest last."""
        rows = self._connection().execute(
            "SELECT properties, rest FROM items WHERE collection = ? ORDER BY start, id", (collection,)
        )
        return (_whole(*row) for row in rows)

    def counts(self) -> dict[str, int]:
        """The number of items by collection."""
        return dict(self._connection().execute("SELECT collection, count(*) FROM items GROUP BY collection").fetchall())

    def _item(self, key: int) -> Item:
        row = self._connection().execute("SELECT properties, rest FROM items WHERE key = ?", (key,)).fetchone()
        return _whole(*row)

    def _take_away(self, connection: sqlite3.Connection, collection: str, identifiers: Sequence[str]) -> None:
        for identifier in identifiers:
            found = connection.execute(
                "DELETE FROM items WHERE collection = ? AND id = ? RETURNING key", (collection, identifier)
            ).fetchall()
            connection.executemany("DELETE FROM boxes WHERE key = ?", found)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        found = getattr(self._local, "connection", None)
        if found is None or self._local.path != self._identity():
            found = self._local.connection = self._open()
            self._local.path = self._identity()
        return found

    def _identity(self) -> int:
        """Changes when the file is another: one that was taken away is not written to."""
        try:
            return self.path.stat().st_ino
        except OSError:
            return 0

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "case_sensitive_like=ON", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(SCHEMA)
        for name, arguments, function in FUNCTIONS:
            connection.create_function(name, arguments, _timely(function), deterministic=True)
        connection.set_progress_handler(deadline.passed, STEPS)
        return connection


@contextmanager
def _bounded() -> Iterator[None]:
    """A search: SQLite ends it when its time is over, and says no more than that it was interrupted."""
    with deadline.bounded():
        try:
            yield
        except sqlite3.OperationalError:
            deadline.check()
            raise


def _timely(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for SQLite to call, which asks seldom whether it shall go on where its steps are slow ones."""

    def timely(*given: Any) -> Any:
        deadline.check()
        return function(*given)

    return timely


Condition = tuple[str, list[Any]]


@dataclass(frozen=True)
class Asked:
    """A search as conditions with their values: among which items, near where (if an R*Tree helps), and all else."""

    among: Condition
    near: Condition
    rest: Condition

    @property
    def source(self) -> str:
        return NEAR if self.near[0] else "items"

    @property
    def where(self) -> str:
        return " AND ".join(text for text, _ in (self.among, self.near, self.rest) if text)

    @property
    def values(self) -> list[Any]:
        return [*self.among[1], *self.near[1], *self.rest[1]]


def _asked(collections: Sequence[str], search: Search) -> Asked:
    """A search as conditions."""
    among, near, rest = Sql(), Sql(), Sql()
    first, places, others = [_among("items.collection", collections, among)], "", ["TRUE"]
    if search.ids is not None:
        first.append(_among("items.id", search.ids, among))
    if search.period != EVER:
        start, end = search.period
        first.append(f"items.start <= {among.param(end)}")
        others.append(f'items."end" >= {rest.param(start)}')
    if place := search.intersects or (geojson_of(search.bbox) if search.bbox else None):
        boxes = split(search.bbox) if search.bbox else [bbox_of(place)]
        if sum((e - w) * (n - s) for w, s, e, n in boxes) < NARROW * 360 * 180:
            places = _near(boxes, search.period, near)
        others.append(_there(boxes if search.bbox else [], place, rest))
    if search.filter:
        others.append(rest.condition(search.filter))
    return Asked((" AND ".join(first), among.values), (places, near.values), (" AND ".join(others), rest.values))


def _among(column: str, names: Sequence[str], sql: Sql) -> str:
    """One of the names; as JSON, since SQLite takes a limited number of parameters."""
    if len(names) <= 100:
        return f"{column} IN ({', '.join(sql.param(name) for name in names)})"
    return f"{column} IN (SELECT value FROM json_each({sql.param(json.dumps(list(names)))}))"  # noqa: S608


def _near(boxes: list[Box], period: tuple[float, float], sql: Sql) -> str:
    """By the R*Tree: boxes that touch, and times where a period is asked for."""
    places = " OR ".join(
        f"(boxes.west <= {sql.param(e)} AND boxes.east >= {sql.param(w)} "
        f"AND boxes.south <= {sql.param(n)} AND boxes.north >= {sql.param(s)})"
        for w, s, e, n in boxes
    )
    start, end = period
    times = f" AND boxes.start <= {sql.param(end / DAY)}" if end != EVER[1] else ""
    times += f' AND boxes."end" >= {sql.param(start / DAY)}' if start != EVER[0] else ""
    return f"({places}){times}"


def _there(boxes: list[Box], place: dict[str, Any], sql: Sql) -> str:
    """Footprints that touch: those whose box lies within one asked for are not looked at."""
    inside = [
        f"(items.west <= items.east AND items.west >= {sql.param(w)} AND items.east <= {sql.param(e)} "
        f"AND items.south >= {sql.param(s)} AND items.north <= {sql.param(n)})"
        for w, s, e, n in boxes
    ]
    return (
        "(" + " OR ".join([*inside, f"related('s_intersects', items.footprint, {sql.param(json.dumps(place))})"]) + ")"
    )


def _order(name: str, descending: bool) -> str:
    """Missing values come last in both directions."""
    column = property_of(name)
    missing = "" if name in ("id", "collection", "datetime") else f"{column} IS NULL, "
    return f"{missing}{column} {'DESC' if descending else 'ASC'}"


def _counted(wanted: Aggregate) -> str:
    match wanted.over:
        case "count":
            return "NULL"
        case "first" | "last":
            return "min(items.start)" if wanted.over == "first" else "max(items.start)"
        case "month":
            return "strftime('%Y-%m', items.start, 'unixepoch')"
        case _:
            column = property_of(wanted.over)
            return f"{wanted.step} * CAST({column} / {wanted.step} AS INTEGER)" if wanted.step else column


def _row(collection: str, item: Item) -> tuple[Any, ...]:
    properties = item["properties"]
    footprint = shape_of(item["geometry"])
    box = flat(item.get("bbox") or footprint.bounds)
    rest = {key: value for key, value in item.items() if key != "properties"}
    packed = zlib.compress(json.dumps(rest, separators=(",", ":"), allow_nan=False).encode(), 1)
    return (
        collection, str(item["id"]), *times_of(properties), *box, shapely.to_wkb(footprint),
        properties.get("bdap:fingerprint"), json.dumps(properties, separators=(",", ":"), allow_nan=False), packed,
    )  # fmt: skip


def _whole(properties: str, rest: bytes) -> Item:
    item: Item = json.loads(zlib.decompress(rest))
    return {**item, "properties": json.loads(properties)}


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Without accents."""
    if not isinstance(value, str):
        return value
    return "".join(sign for sign in unicodedata.normalize("NFD", value) if not unicodedata.combining(sign))


def _moment(value: Any) -> float | None:
    try:
        return None if value is None else seconds(str(value))
    except BadRequest:
        return None


def _arrays(operator: str, left: Any, right: Any) -> bool | None:
    try:
        a, b = ({json.dumps(each) for each in json.loads(side)} for side in (left, right))
    except (TypeError, ValueError):
        return None
    match operator:
        case "a_equals":
            return a == b
        case "a_contains":
            return a >= b
        case "a_containedBy":
            return a <= b
        case _:
            return bool(a & b)


FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("related", 3, related),
    ("folded", 1, _folded),
    ("plain", 1, _plain),
    ("moment", 1, _moment),
    ("arrays", 3, _arrays),
)
