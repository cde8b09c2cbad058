"""Append-only audit events: who, what, on what, allowed or not and why, when, from where. Never a secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Integer, String, select
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from .database import Base


class Event(Base):
    """One line of the audit log."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    person: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(1024))
    address: Mapped[str] = mapped_column(String(64))


def record(
    sessions: sessionmaker[Any],
    *,
    person: str,
    action: str,
    subject: str = "",
    allowed: bool = True,
    reason: str = "",
    address: str = "",
) -> None:
    """Write one event. Values longer than their column are cut, never refused: nothing goes unrecorded."""
    event = Event(
        at=datetime.now(UTC),
        person=person[:255],
        action=action[:64],
        subject=subject[:255],
        outcome="allowed" if allowed else "refused",
        reason=reason[:1024],
        address=address[:64],
    )
    with sessions.begin() as session:
        session.add(event)


def latest(
    sessions: sessionmaker[Any],
    limit: int = 100,
    *,
    person: str = "",
    outcome: str = "",
    since: datetime | None = None,
) -> list[Event]:
    """The newest events first; of one person, with one outcome, or not older than `since` where given."""
    wanted = select(Event).order_by(Event.id.desc()).limit(limit)
    if person:
        wanted = wanted.where(Event.person == person)
    if outcome:
        wanted = wanted.where(Event.outcome == outcome)
    if since:
        wanted = wanted.where(Event.at >= since)
    with sessions() as session:
        return list(session.scalars(wanted))
