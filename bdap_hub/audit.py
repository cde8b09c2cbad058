"""Append-only audit events: who, what, on what, allowed or not and why, when, from where. Never a secret.

The database itself refuses to change or delete an event; docs/how-to/audit.md says what that does not cover.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, DateTime, Index, Integer, Select, String, Table, func, select, text
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from . import database
from .database import Base
from .errors import BadRequest
from .flood import Flood, Kind

CHUNK = 5000  # events read at a time where many are wanted
_FIELDS = ("person", "action", "subject", "outcome", "reason", "address", "session")


class Event(Base):
    """One line of the audit log. `session` is the beginning of the login session's digest, '' without one."""

    __tablename__ = "audit_events"
    # Every list is ordered by id, newest first, so each filter has its index with the id behind it.
    __table_args__ = (
        Index("audit_events_at", "at"),
        Index("audit_events_person", "person", "id"),
        Index("audit_events_action", "action", "id"),
        Index("audit_events_outcome", "outcome", "id"),
        Index("audit_events_subject", "subject", "id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    person: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(1024))
    address: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(12), default="", server_default="")


_TABLE = cast(Table, Event.__table__)


@dataclass(frozen=True)
class Filter:
    """Which events are wanted; '' and None want all. `since` is the first moment, `until` the first one no more."""

    person: str = ""
    action: str = ""
    outcome: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


def record(
    sessions: sessionmaker[Any],
    *,
    person: str,
    action: str,
    subject: str = "",
    allowed: bool = True,
    reason: str = "",
    address: str = "",
    session: str = "",
) -> None:
    """Write one event. Values longer than their column are cut, never refused: nothing goes unrecorded.

    Of a flood of like refusals the first ten in a minute are written, the others counted in one event after it.
    """
    values = {"person": person, "action": action, "subject": subject, "reason": reason, "address": address}
    if not allowed and not _flood(sessions).admits(Kind(person, action, reason, address)):
        return
    _write(sessions, outcome="allowed" if allowed else "refused", session=session, **values)


def latest(
    sessions: sessionmaker[Any],
    limit: int = 100,
    *,
    person: str = "",
    outcome: str = "",
    since: datetime | None = None,
) -> list[Event]:
    """The newest events first; of one person, with one outcome, or not older than `since` where given."""
    return query(sessions, Filter(person=person, outcome=outcome, since=since), limit=limit)


def query(sessions: sessionmaker[Any], wanted: Filter, *, before: int = 0, limit: int = 100) -> list[Event]:
    """The newest wanted events first; only those with an id below `before` where it is given."""
    statement = _where(wanted).order_by(Event.id.desc()).limit(limit)
    if before:
        statement = statement.where(Event.id < before)
    with sessions() as session:
        return list(session.scalars(statement))


def events(sessions: sessionmaker[Any], wanted: Filter, *, after: int = 0, last: int | None = None) -> Iterator[Event]:
    """All wanted events, oldest first, with ids above `after` up to `last`; read piece by piece."""
    last = newest_id(sessions) if last is None else last
    while True:
        statement = _where(wanted).where(Event.id > after, Event.id <= last).order_by(Event.id).limit(CHUNK)
        with sessions() as session:
            found = list(session.scalars(statement))
        yield from found
        if len(found) < CHUNK:
            return
        after = found[-1].id


def newest_id(sessions: sessionmaker[Any]) -> int:
    """The highest id; no event with a lower one will appear after this call.

    PostgreSQL gives out ids before events become visible, so those on their way are waited for.
    """
    with sessions() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("LOCK TABLE audit_events IN SHARE MODE"))
        return session.scalar(select(func.max(Event.id))) or 0


def line(event: Event) -> str:
    """One event as a line of JSON, without the line's end."""
    shown = {"id": event.id, "at": utc(event.at).isoformat(), **{name: getattr(event, name) for name in _FIELDS}}
    return json.dumps(shown)


def moment(given: str, *, end: bool = False) -> datetime | None:
    """A date or time by ISO 8601 (UTC if it names no zone); None for ''. A date as an `end` includes its day.

    >>> moment("2026-03-01", end=True).isoformat()
    '2026-03-02T00:00:00+00:00'
    """
    if not given:
        return None
    try:
        if len(given) == len("2026-03-01"):
            day = date.fromisoformat(given) + timedelta(days=1 if end else 0)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return utc(datetime.fromisoformat(given))
    except (ValueError, OverflowError):
        raise BadRequest(f"{given[:40]!r} is no date", "write it as 2026-03-01 or 2026-03-01T14:30:00+01:00") from None


def _where(wanted: Filter) -> Select[Any]:
    statement = select(Event)
    for name in ("person", "action", "outcome", "subject"):
        if value := getattr(wanted, name):
            statement = statement.where(getattr(Event, name) == _fit(name, value))
    if wanted.since:
        statement = statement.where(Event.at >= utc(wanted.since))
    if wanted.until:
        statement = statement.where(Event.at < utc(wanted.until))
    return statement


def utc(moment: datetime) -> datetime:
    """`moment` in UTC, which is what SQLite keeps without saying so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _write(sessions: sessionmaker[Any], **values: str) -> None:
    event = Event(at=datetime.now(UTC), **{name: _fit(name, value) for name, value in values.items()})
    with sessions.begin() as session:
        session.add(event)


def _fit(column: str, value: str) -> str:
    """What every database takes: no NUL, no half of a surrogate pair, not too long."""
    length = cast(String, _TABLE.c[column].type).length
    return value.replace("\0", "�")[:length].encode(errors="replace").decode()


_floods: dict[str, Flood] = {}


def _flood(sessions: sessionmaker[Any]) -> Flood:
    url = str(sessions.kw["bind"].url)
    return _floods.setdefault(url, Flood(partial(_summary, sessions)))


def _summary(sessions: sessionmaker[Any], kind: Kind, count: int) -> None:
    told = f"{kind.reason}, " if kind.reason else "of too many kinds to tell: "
    _write(
        sessions,
        person=kind.person,
        action=kind.action,
        subject="",
        outcome="refused",
        reason=f"{told[:900]}and {count} more within a minute",
        address=kind.address,
    )


@atexit.register
def flush() -> None:
    """Write what is still being counted."""
    for flood in _floods.values():
        flood.close()


_APPEND_ONLY = {
    "sqlite": (
        *(
            f"CREATE TRIGGER IF NOT EXISTS audit_events_no_{change} BEFORE {change} ON audit_events "
            "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
            for change in ("update", "delete")
        ),
        # INSERT OR REPLACE deletes without asking the trigger above.
        "CREATE TRIGGER IF NOT EXISTS audit_events_no_replace BEFORE INSERT ON audit_events "
        "WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id) "
        "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION audit_events_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$",
        "CREATE OR REPLACE TRIGGER audit_events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_events_append_only()",
    ),
}


@database.step("audit", 1)
def _append_only(connection: Connection) -> None:
    for statement in _APPEND_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)


@database.step("audit", 2)
def _session_column(connection: Connection) -> None:
    database.add_column(connection, _TABLE.c.session)


@database.step("audit", 3)
def _indexes(connection: Connection) -> None:
    for index in _TABLE.indexes:
        index.create(connection, checkfirst=True)
