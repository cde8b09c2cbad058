"""State of the processing service: plans by the hash of their content, and who has them as a service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, String, Text, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base


class StoredPlan(Base):
    """A graph as posted, and its plan as JSON. Never changed: another content is another id."""

    __tablename__ = "processing_plans"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    graph: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)


class StoredService(Base):
    """Somebody's web service on a plan. `owner` is a person's name, or dashboard:<id> for a release."""

    __tablename__ = "processing_services"

    id: Mapped[str] = mapped_column(ForeignKey("processing_plans.id"), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    title: Mapped[str] = mapped_column(String(255))
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Services:
    """The few statements that the routes need."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions

    def add(self, identifier: str, graph: str, plan: str, owner: str, title: str) -> StoredService:
        """Keep a plan (once) and make it a service of `owner`; posting the same again only changes the title."""
        row = StoredService(id=identifier, owner=owner, title=title[:255], created=datetime.now(UTC))
        for attempt in (1, 2):
            try:
                with self.sessions.begin() as session:
                    if session.get(StoredPlan, identifier) is None:
                        session.add(StoredPlan(id=identifier, graph=graph, plan=plan))
                        session.flush()
                    session.merge(row)
                return row
            except IntegrityError:  # another process stored the same at this moment
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def get(self, identifier: str, owner: str) -> StoredService | None:
        """The service of that id, if `owner` has it."""
        with self.sessions() as session:
            found: StoredService | None = session.get(StoredService, (identifier, owner))
            return found

    def of(self, owner: str, limit: int = 1000) -> list[StoredService]:
        """Somebody's services, newest first."""
        query = select(StoredService).where(StoredService.owner == owner).order_by(StoredService.created.desc())
        with self.sessions() as session:
            return list(session.scalars(query.limit(limit)))

    def plan(self, identifier: str) -> StoredPlan | None:
        """The plan of that id."""
        with self.sessions() as session:
            found: StoredPlan | None = session.get(StoredPlan, identifier)
            return found

    def remove(self, identifier: str, owner: str) -> bool:
        """Take down a service of `owner`; False if there was none."""
        statement = delete(StoredService).where(StoredService.id == identifier, StoredService.owner == owner)
        with self.sessions.begin() as session:
            return bool(session.execute(statement).rowcount)
