"""Items in PostgreSQL with PostGIS by pgstac, for production: the same contract as the embedded store.

pgstac's own functions search, page and filter; they get checked CQL2-JSON and the collections one may read, never text.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from ..errors import BadRequest, Unavailable
from . import deadline
from .aggregation import Aggregate
from .contract import MANY, NEWEST, Item, Page
from .geometry import geojson_of
from .moments import EVER, OPEN, rfc3339
from .search import Search

PLAN = """WITH asked AS (SELECT %(asked)s::jsonb AS this)
SELECT pgstac.stac_search_to_where(this), pgstac.sort_sqlorderby(this, FALSE, '{collection,id}', %(names)s)"""
GO_ON = (
    """, pgstac.get_token_filter(this->'sortby', (pgstac.get_token_record(%(token)s)).item, FALSE, FALSE, %(names)s)"""
)
FROM_ASKED = " FROM asked"
# Few lie at a place: they are looked at once, to be counted and put in order.
BY_PLACE = """WITH fit AS (
  SELECT collection, id, count(*) OVER () AS matched, row_number() OVER (ORDER BY {order}) AS place, {rest} AS later
  FROM {among}),
page AS (SELECT * FROM fit WHERE later ORDER BY place LIMIT {limit})
SELECT matched, pgstac.content_hydrate(items) FROM page JOIN pgstac.items USING (collection, id) ORDER BY place"""
# Of all others an index gives the page.
BY_ORDER = """SELECT NULL, pgstac.content_hydrate(page) FROM (
  SELECT * FROM {among} ORDER BY {order} LIMIT {limit}) AS page"""
COUNT = "SELECT count(*) FROM {among}"
GUESS = "EXPLAIN (FORMAT JSON) SELECT 1 FROM {among}"
ALL = "pgstac.items WHERE {where}"
GOING_ON = "pgstac.items WHERE {where} AND {rest}"
FEW = "(SELECT * FROM pgstac.items WHERE {where} LIMIT {few}) AS items"
NEWEST_OF_ALL = """(
  SELECT * FROM pgstac.items WHERE {everywhere} AND {rest} ORDER BY {order} LIMIT {newest}) AS items WHERE {where}"""
LOCK = 0x73746163  # any number that nobody else uses in this database
PAGE = 500
# Of a wide place most items are clouded: by this index of pgstac's only those are looked at that are not.
INDEXED = """INSERT INTO pgstac.queryables (name, definition, property_wrapper, property_index_type)
SELECT 'eo:cloud_cover', '{"type": "number"}'::jsonb, 'to_float', 'BTREE'
WHERE NOT EXISTS (SELECT FROM pgstac.queryables WHERE name = 'eo:cloud_cover') RETURNING name"""
SESSION = """SET search_path TO pgstac, public; SET timezone TO 'UTC';
SET max_parallel_workers_per_gather = 0"""
"""Helpers of a query take longer to start than a search takes, and others search at the same time."""


class PgstacItems:
    """The items in a database. Safe from several threads and processes."""

    def __init__(self, url: str) -> None:
        self.dsn = _dsn(url)
        self._local = threading.local()
        self._ready = False
        self._lock = threading.Lock()

    def search(self, collections: Sequence[str], search: Search) -> Page:
        """What is asked for, newest first unless it says otherwise."""
        if not collections or search.ids == ():
            return Page([], 0)
        with self._bounded():
            return self._search(collections, search)

    def _search(self, collections: Sequence[str], search: Search) -> Page:
        plan = self._plan(collections, search)
        many = self._seem(plan) > 5 * MANY
        if not (search.bbox or search.intersects):
            rows = self._rows(BY_ORDER, GOING_ON, plan)
        else:
            rows = self._newest(collections, search, plan, many) if search.newest_first else None
            rows = self._rows(BY_PLACE, ALL, plan) if rows is None else rows
        more, matched = len(rows) > search.limit, rows[0][0] if rows else None
        if matched is None and not more and not search.token:
            matched = len(rows)
        elif matched is None and not many:
            counted = self._rows(COUNT, FEW, plan)[0][0]
            matched = counted if counted <= MANY else None
        items = [item for _, item in rows[: search.limit]]
        return Page(items, matched, _token(items[-1]) if more else "")

    def _seem(self, plan: dict[str, str]) -> int:
        """How many the database believes that there are: it counts none for that."""
        [(said,)] = self._rows(GUESS, ALL, plan)
        return int(said[0]["Plan"]["Plan Rows"])

    def _newest(self, collections: Sequence[str], search: Search, plan: dict[str, str], many: bool) -> list[Any] | None:
        """The newest at a place; None where many lie there and the newest of all do not fill the page."""
        rows = [] if many else self._rows(BY_PLACE, FEW, plan)
        if not many and (rows or not search.token) and (not rows or rows[0][0] <= MANY):
            return rows
        until = (EVER[0], search.period[1])  # an index bounds what began later, not what ended earlier
        everywhere = self._where(collections, replace(search, bbox=None, intersects=None, filter=None, period=until))
        rows = self._rows(BY_ORDER, NEWEST_OF_ALL, {**plan, "everywhere": everywhere})
        return rows if len(rows) > search.limit else None

    def _rows(self, text: str, among: str, plan: dict[str, str]) -> list[Any]:
        with self._connection() as connection:
            self._tell(connection)
            return connection.execute(text.format(**plan, among=among.format(**plan))).fetchall()

    def _where(self, collections: Sequence[str], search: Search) -> str:
        """The condition that a search is, as pgstac writes and quotes it."""
        found: str = self._one("SELECT pgstac.stac_search_to_where(%s::jsonb)", json.dumps(_body(collections, search)))
        return found

    def _plan(self, collections: Sequence[str], search: Search) -> dict[str, str]:
        """Condition, order and where to go on, as pgstac's own functions write and quote them.

        Its search() asks the same, after it has written the search down, explained it and cut it up by months.
        """
        asked = json.dumps({**_body(collections, search), "sortby": _sortby(search)})
        values: dict[str, Any] = {"asked": asked, "names": list(collections)}
        if search.token:
            values["token"] = _readable(search.token, collections)
        try:
            where, order, *rest = self._row((PLAN + GO_ON if search.token else PLAN) + FROM_ASKED, values)
        except psycopg.errors.RaiseException:  # what pgstac says of a token that names no item
            raise _gone() from None
        going_on = f"({rest[0]})" if rest and rest[0] else "TRUE"
        limits = {"limit": str(search.limit + 1), "few": str(MANY + 1), "newest": str(NEWEST)}
        return {"where": where, "order": order, "rest": going_on, **limits}

    def get(self, collection: str, identifier: str) -> Item | None:
        """One item."""
        found: Item | None = self._one("SELECT pgstac.get_item(%s, %s)", identifier, collection)
        return found

    def aggregate(self, collections: Sequence[str], search: Search, wanted: Aggregate) -> list[tuple[Any, int]]:
        """Keys and numbers of the items a search finds."""
        if not collections or search.ids == ():
            return [(None, 0)] if wanted.plain else []
        with self._bounded() as connection:
            where = self._where(collections, search)
            text = f"SELECT {_counted(wanted)}, count(*) FROM pgstac.items WHERE {where}"  # noqa: S608
            if not wanted.plain:
                text += " GROUP BY 1 ORDER BY 1 LIMIT 1000"
            self._tell(connection)
            return [(key, number) for key, number in connection.execute(text.replace("%", "%%"), ())]

    def put(self, collection: dict[str, Any], items: Sequence[Item]) -> None:
        """Add or replace items of a collection, all or none."""
        name = str(collection["id"])
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pgstac.upsert_collection(%s::jsonb)", (json.dumps(_bare(collection)),))
            if items:
                rows = [{**item, "collection": name} for item in items]
                connection.execute("SELECT pgstac.upsert_items(%s::jsonb)", (json.dumps(rows, allow_nan=False),))

    def drop(self, collection: str, identifiers: Sequence[str]) -> None:
        """Take items away."""
        with self._connection() as connection:
            connection.execute(
                "DELETE FROM pgstac.items WHERE collection = %s AND id = ANY(%s)", (collection, list(identifiers))
            )

    def forget(self, collection: str) -> None:
        """Take a collection away, with all of its items."""
        with self._connection() as connection:
            connection.execute("DELETE FROM pgstac.collections WHERE id = %s", (collection,))

    def fingerprints(self, collection: str) -> dict[str, str]:
        """What each item was made from."""
        text = "SELECT id, content->'properties'->>'bdap:fingerprint' FROM pgstac.items WHERE collection = %s"
        with self._connection() as connection:
            return {identifier: found or "" for identifier, found in connection.execute(text, (collection,))}

    def every(self, collection: str) -> Iterator[Item]:
        """All items of a collection, the newest last."""
        token = ""
        while True:
            page = self._search([collection], Search(limit=PAGE, token=token, sortby=(("datetime", False),)))
            yield from page.items
            if not (token := page.following):
                return

    def counts(self) -> dict[str, int]:
        """The number of items by collection."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT collection, count(*) FROM pgstac.items GROUP BY 1").fetchall())

    def _one(self, text: str, *values: Any) -> Any:
        row = self._row(text, values)
        return row[0] if row else None

    def _row(self, text: str, values: Any) -> Any:
        with self._connection() as connection:
            self._tell(connection)
            return connection.execute(text, values).fetchone()

    @contextmanager
    def _bounded(self) -> Iterator[psycopg.Connection[Any]]:
        """A search, as a transaction: what the database is told of its time holds for nothing else."""
        with deadline.bounded(), self._connection() as connection, connection.transaction():
            self._local.told = float("inf")
            yield connection

    def _tell(self, connection: psycopg.Connection[Any]) -> None:
        """How long the next statement of a search may take; not again where hardly any time has gone since."""
        left = deadline.left()
        if left < float("inf") and self._local.told - left > 0.5:
            deadline.check()
            connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(int(left * 1000) or 1))
            self._local.told = left

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """This thread's; made anew when the server has been away."""
        found: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        try:
            if found is None or found.closed:
                self._migrate()
                found = self._local.connection = psycopg.connect(self.dsn, autocommit=True)
                found.execute(SESSION)
            yield found
        except psycopg.errors.QueryCanceled:
            if deadline.left() < float("inf"):
                raise deadline.TooLate from None
            raise Unavailable("the database ended what was asked of it", "try again in a moment") from None
        except psycopg.DataError:  # its message may name values of other people's collections
            raise BadRequest(
                "the search compares a property with a value of another kind", "look at the queryables"
            ) from None
        except psycopg.OperationalError:
            if found is not None:
                found.close()
            raise Unavailable("the catalogue's database does not answer", "try again in a moment") from None

    def _migrate(self) -> None:
        """pgstac's tables and functions in the version of the library, made by one process at a time."""
        with self._lock:
            if self._ready:
                return
            from pypgstac.db import PgstacDB
            from pypgstac.migrate import Migrate

            with psycopg.connect(self.dsn, autocommit=True) as guard:
                guard.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
                for name in ("postgis", "btree_gist", "unaccent"):
                    guard.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))
                with PgstacDB(dsn=self.dsn) as database:
                    Migrate(database).run_migration()
                with suppress(psycopg.DataError):  # an item there has a word for its clouds: no index then
                    guard.execute("SET search_path TO pgstac, public")
                    if guard.execute(INDEXED).fetchone():
                        guard.execute("SELECT pgstac.maintain_partitions()")
            self._ready = True


def _dsn(url: str) -> str:
    """libpq's own form of an SQLAlchemy URL."""
    parsed = make_url(url).set(drivername="postgresql")
    return parsed.render_as_string(hide_password=False)


def _body(collections: Sequence[str], search: Search) -> dict[str, Any]:
    """A search as pgstac takes it."""
    asked: dict[str, Any] = {"collections": list(collections)}
    if search.ids is not None:
        asked["ids"] = list(search.ids)
    if search.period != EVER:
        asked["datetime"] = "/".join(_end(at) for at in search.period)
    if place := search.intersects or (geojson_of(search.bbox) if search.bbox else None):
        asked["intersects"] = place.get("geometry", place) if place.get("type") == "Feature" else place
    if search.filter:
        asked |= {"filter": search.filter, "filter-lang": "cql2-json"}
    return asked


def _token(item: Item) -> str:
    """Where the next page begins, as pgstac's get_token_record reads it."""
    return f"next:{item['collection'].encode().hex()}:{item['id'].encode().hex()}"


def _readable(token: str, collections: Sequence[str]) -> str:
    """The token of an item in one of these collections: pgstac goes on after any, and so would tell of hidden ones."""
    if not token.startswith(tuple(f"next:{name.encode().hex()}:" for name in collections)):
        raise _gone()
    return token


def _gone() -> BadRequest:
    return BadRequest(
        "the page you ask for is gone, or its token is not one of ours", "begin with the first page again"
    )


def _end(at: float) -> str:
    return OPEN[1] if at in EVER else rfc3339(at)


def _sortby(search: Search) -> list[dict[str, str]]:
    """What is equal otherwise stands by id and collection, so that pages join."""
    order = dict([*(search.sortby or (("datetime", True),)), *((n, False) for n in ("id", "collection"))][::-1])
    return [{"field": name, "direction": "desc" if order[name] else "asc"} for name in reversed(order)]


def _counted(wanted: Aggregate) -> str:
    match wanted.over:
        case "count":
            return "NULL"
        case "first" | "last":
            return f"extract(epoch FROM {'min' if wanted.over == 'first' else 'max'}(datetime))::float8"
        case "month":
            return "to_char(datetime AT TIME ZONE 'UTC', 'YYYY-MM')"
        case "collection":
            return "collection"
        case name:
            column = f"content->'properties'->>'{name}'"  # of the table of aggregations, never from outside
            return f"{wanted.step} * floor(({column})::float8 / {wanted.step})" if wanted.step else column


def _bare(collection: dict[str, Any]) -> dict[str, Any]:
    """Without item_assets: pgstac would keep items as what differs from these, and give back more than was put in."""
    return {key: value for key, value in collection.items() if key != "item_assets"}
