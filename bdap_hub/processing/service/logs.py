"""What happened to a web service: posted, changed, and why its tiles could not be drawn."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import DateTime, String, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base
from ...errors import BdapError

Level = Literal["error", "warning", "info", "debug"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info", "debug")
KEPT = 200
QUIET = 60.0
"""Seconds for which the same failure of the same service is not written again: a map asks for many tiles at once."""


class Asked(BaseModel):
    """Which entries a client wants: those at least as severe as `level`, after the one of the id `offset`."""

    offset: int = Field(0, ge=0)
    limit: int = Field(200, ge=1, le=1000)
    level: str = Field("debug", pattern="^(error|warning|info|debug)$")


class StoredLog(Base):
    """One entry."""

    __tablename__ = "processing_service_logs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    service: Mapped[str] = mapped_column(String(64), index=True)
    owner: Mapped[str] = mapped_column(String(255))
    level: Mapped[str] = mapped_column(String(8))
    code: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    time: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Logs:
    """The last entries of each service."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions
        self._recent: dict[tuple[str, str, str], float] = {}
        self._lock = threading.Lock()

    def write(
        self,
        service: str,
        owner: str,
        message: str,
        level: Level = "info",
        code: str = "",
        store: sessionmaker[Any] | None = None,
    ) -> None:
        """Add an entry, and forget the oldest beyond KEPT. `store`: of acts that are kept as a whole, this one too."""
        mine = (StoredLog.service == service, StoredLog.owner == owner)
        entry = StoredLog(service=service, owner=owner, level=level, code=code, message=message, time=datetime.now(UTC))
        with (store or self.sessions).begin() as session:
            session.add(entry)
            ids = select(StoredLog.id).where(*mine).order_by(StoredLog.id.desc())
            if (oldest := session.scalar(ids.offset(KEPT).limit(1))) is not None:
                session.execute(delete(StoredLog).where(*mine, StoredLog.id <= oldest))

    def failed(self, service: str, owner: str, error: BdapError) -> None:
        """Add a failure, unless the same was written a moment ago."""
        key, now = (service, owner, error.message), time.monotonic()
        with self._lock:
            if self._recent.get(key, 0.0) > now:
                return
            self._recent = {k: until for k, until in self._recent.items() if until > now}
            self._recent[key] = now + QUIET
        self.write(
            service, owner, f"{error.message}: {error.remedy}" if error.remedy else error.message, "error", error.code
        )

    def of(self, service: str, owner: str, level: Level, after: int, limit: int) -> list[StoredLog]:
        """Entries at least as severe as `level`, oldest first, after the one of that id."""
        severe = LEVELS[: LEVELS.index(level) + 1]
        query = select(StoredLog).where(
            StoredLog.service == service,
            StoredLog.owner == owner,
            StoredLog.level.in_(severe),
            StoredLog.id > after,
        )
        with self.sessions() as session:
            return list(session.scalars(query.order_by(StoredLog.id).limit(limit)))

    def answer(self, service: str, owner: str, asked: Asked) -> dict[str, Any]:
        """The entries asked for, as openEO lists them."""
        level = next(known for known in LEVELS if known == asked.level)
        found = self.of(service, owner, level, asked.offset, asked.limit)
        return {"level": level, "logs": [described(entry) for entry in found], "links": []}

    def remove(self, service: str, owner: str) -> None:
        """Forget all entries of a service."""
        with self.sessions.begin() as session:
            session.execute(delete(StoredLog).where(StoredLog.service == service, StoredLog.owner == owner))


def described(entry: StoredLog) -> dict[str, Any]:
    """An entry as openEO writes it."""
    shown = {"id": str(entry.id), "level": entry.level, "message": entry.message, "links": []}
    when = {"time": entry.time.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {**shown, **when, **({"code": entry.code} if entry.code else {})}
