"""Why and when a person's server ended, so that its page can say so: one row for each server, until its next start."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Float, String, select
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base


@dataclass(frozen=True)
class End:
    """`words`: whole sentences for the person: what happened, and what they can do. `at`: seconds since the epoch."""

    words: str
    at: float

    @property
    def moment(self) -> datetime:
        """When, with its time zone."""
        return datetime.fromtimestamp(self.at, UTC)


class ServerEnd(Base):
    """The latest end of a server that its person did not ask for."""

    __tablename__ = "server_ends"

    person: Mapped[str] = mapped_column(String(255), primary_key=True)
    server: Mapped[str] = mapped_column(String(255), primary_key=True)
    words: Mapped[str] = mapped_column(String(1024))
    at: Mapped[float] = mapped_column(Float)


def note(sessions: sessionmaker[Any], person: str, server: str, words: str) -> None:
    """Remember this end instead of an earlier one."""
    with sessions.begin() as session:
        session.merge(ServerEnd(person=person, server=server, words=words[:1024], at=time.time()))


def forget(sessions: sessionmaker[Any], person: str, server: str) -> None:
    """It was started again, or its person ended it."""
    with sessions.begin() as session:
        if (row := session.get(ServerEnd, (person, server))) is not None:
            session.delete(row)


def last(sessions: sessionmaker[Any], person: str) -> dict[str, End]:
    """The ends that their page should tell of, by the servers' names."""
    with sessions() as session:
        rows = session.scalars(select(ServerEnd).where(ServerEnd.person == person))
        return {row.server: End(row.words, row.at) for row in rows}
