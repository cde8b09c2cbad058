"""One database for the platform's own state: SQLite embedded, PostgreSQL in production.

Each room declares its tables on `Base` in its own `tables.py`; `connect` creates what is missing.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, sessionmaker


class Base(DeclarativeBase):
    """Parent of all tables."""


def connect(url: str) -> sessionmaker:  # type: ignore[type-arg]
    """A session factory on `url`, with all declared tables present. Safe to call from several processes."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30} if parsed.get_backend_name() == "sqlite" else {})
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas)
    _create_tables(engine)
    return sessionmaker(engine, expire_on_commit=False)


def _create_tables(engine: Engine) -> None:
    from sqlalchemy.exc import OperationalError

    try:
        Base.metadata.create_all(engine)
    except OperationalError as error:  # another process created the table between our look and our act
        if "already exists" not in str(error):
            raise


def _sqlite_pragmas(connection, _record) -> None:  # type: ignore[no-untyped-def]
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
