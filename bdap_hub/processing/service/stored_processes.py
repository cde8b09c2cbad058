"""User-defined processes in the database, and the look-up of those that a graph calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, String, Text, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base
from ..graphs.expand import Own, calls, expand
from ..graphs.spec import Registry
from .quotas import QuotaExceeded, room_for_one

MOST_TEXT = 4_000_000
"""Characters of all processes of a person together: a list of them, or a graph that calls all, holds them at once."""


class StoredProcess(Base):
    """A user-defined process of somebody, as openEO's JSON."""

    __tablename__ = "processing_user_processes"

    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    document: Mapped[str] = mapped_column(Text)
    changed: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class UserProcesses:
    """The few statements that the routes need, and the look-up for graphs."""

    def __init__(self, sessions: sessionmaker[Any], most: int) -> None:
        self.sessions, self.most = sessions, most

    def of(self, owner: str) -> list[dict[str, Any]]:
        """All processes of a person, by name."""
        query = select(StoredProcess).where(StoredProcess.owner == owner).order_by(StoredProcess.id)
        with self.sessions() as session:
            return [json.loads(row.document) for row in session.scalars(query)]

    def get(self, owner: str, name: str) -> dict[str, Any] | None:
        """The process of that name."""
        with self.sessions() as session:
            row = session.get(StoredProcess, (owner, name))
            return json.loads(row.document) if row else None

    def put(self, owner: str, name: str, document: Mapping[str, Any]) -> None:
        """Keep a process, instead of an earlier one of that name; QuotaExceeded beyond the limits of a person."""
        text, others = json.dumps(document), (StoredProcess.owner == owner, StoredProcess.id != name)
        with self.sessions.begin() as session:
            taken = session.scalar(select(func.sum(func.length(StoredProcess.document))).where(*others)) or 0
            if taken + len(text) > MOST_TEXT:
                raise QuotaExceeded(
                    f"your user-defined processes would have {taken + len(text)} characters; the limit is {MOST_TEXT}",
                    "delete some, or write less into them",
                )
            count = session.scalar(select(func.count()).where(*others))
            room_for_one(count or 0, self.most, "user-defined processes", "delete one (DELETE /process_graphs/{id})")
            row = StoredProcess(owner=owner, id=name, document=text, changed=datetime.now(UTC))
            session.merge(row)

    def remove(self, owner: str, name: str) -> bool:
        """Whether there was one."""
        statement = delete(StoredProcess).where(StoredProcess.owner == owner, StoredProcess.id == name)
        with self.sessions.begin() as session:
            return bool(session.execute(statement).rowcount)

    def expanded(self, owner: str, raw: Any, registry: Registry, also: Mapping[str, Own] | None = None) -> Any:
        """A graph with its author's own processes put in; `also` are some that are not stored (yet)."""
        return expand(raw, self._called(owner, raw, registry, dict(also or {})), registry)

    def _called(self, owner: str, raw: Any, registry: Registry, found: dict[str, Own]) -> Mapping[str, Own]:
        todo = set(calls(raw, registry))
        for one in found.values():
            todo |= calls(one.graph, registry)
        while todo:
            name = todo.pop()
            if name not in found and (document := self.get(owner, name)):
                found[name] = own(name, document)
                todo |= calls(found[name].graph, registry)
        return found


def own(name: str, document: Mapping[str, Any]) -> Own:
    """A process as graphs use it."""
    return Own(name, document["process_graph"], tuple(document.get("parameters", ())))
