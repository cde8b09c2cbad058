"""One database for the platform's own state: SQLite embedded, PostgreSQL in production.

Each room declares its tables on `Base`; `connect` creates what is missing. What changes a table that exists already
(a column, an index, a trigger) is a numbered `step` of its room, carried out once in each database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Engine, Integer, String, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from sqlalchemy.schema import CreateColumn

LOCK_WAIT = 60  # seconds for which a writer waits for others before "database is locked"
_ADVISORY_LOCK = 0x62646170  # any number that nobody else uses in this database


class Base(DeclarativeBase):
    """Parent of all tables."""


class SchemaStep(Base):
    """A step that this database has been through."""

    __tablename__ = "schema_steps"

    room: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    applied: Mapped[datetime] = mapped_column(DateTime(timezone=True))


Step = Callable[[Connection], None]
_STEPS: dict[tuple[str, int], Step] = {}


def step(room: str, number: int) -> Callable[[Step], Step]:
    """Declare a change of the room's tables. It must do no harm where it is done already: new databases pass it too."""

    def declare(change: Step) -> Step:
        if (room, number) in _STEPS:
            raise ValueError(f"{room} has two steps of number {number}")
        _STEPS[room, number] = change
        return change

    return declare


def add_column(connection: Connection, column: Column[Any]) -> None:
    """Add a declared column to its table if it is not there. It needs a server default unless it may be null."""
    table = column.table.name
    if column.name not in {found["name"] for found in inspect(connection).get_columns(table)}:
        declaration = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {declaration}")


def connect(url: str, *, wait: float = LOCK_WAIT) -> sessionmaker:  # type: ignore[type-arg]
    """A session factory on `url`, with all declared tables in their newest shape. Safe from several processes.

    `wait`: seconds for which its writers wait for others in SQLite.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": wait})
        event.listen(engine, "connect", _sqlite_pragmas)
    else:
        # The server may have been restarted meanwhile; times come back in UTC, whatever its zone.
        engine = create_engine(url, pool_pre_ping=True, connect_args={"options": "-c timezone=utc"})
    upgrade(engine)
    return sessionmaker(engine, expire_on_commit=False)


@lru_cache
def shared(url: str) -> sessionmaker:  # type: ignore[type-arg]
    """One store for all parts of this process that do not keep their own."""
    return connect(url)


@contextmanager
def together(store: sessionmaker) -> Iterator[sessionmaker]:  # type: ignore[type-arg]
    """A store for acts that belong together: what is done through it is kept as a whole at the end, or not at all."""
    with store.kw["bind"].begin() as connection:
        yield sessionmaker(connection, expire_on_commit=False)


def upgrade(engine: Engine) -> None:
    """Create missing tables and carry out missing steps, one process at a time and all or nothing."""
    with engine.connect() as connection:
        if _is_current(connection):
            return
    with engine.connect() as connection:
        _lock(connection)
        Base.metadata.create_all(connection)
        done = _done(connection)
        for key in sorted(_STEPS.keys() - done):
            _STEPS[key](connection)
            connection.execute(
                SchemaStep.__table__.insert().values(room=key[0], number=key[1], applied=datetime.now(UTC))
            )
        connection.commit()


def _is_current(connection: Connection) -> bool:
    tables = set(inspect(connection).get_table_names())
    return Base.metadata.tables.keys() <= tables and _STEPS.keys() <= _done(connection)


def _done(connection: Connection) -> set[tuple[str, int]]:
    return {(row.room, row.number) for row in connection.execute(select(SchemaStep.room, SchemaStep.number))}


def _lock(connection: Connection) -> None:
    """Begin a transaction that no other process is in at the same time; it ends with the transaction."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def _sqlite_pragmas(connection, _record) -> None:  # type: ignore[no-untyped-def]
    cursor = connection.cursor()
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:  # of a new file: SQLite does not wait for others here
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
