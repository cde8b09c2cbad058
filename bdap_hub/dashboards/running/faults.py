"""The last error of each dashboard: found in what runs it, kept for its author, and told by a letter.

A dashboard that could not be started, ended by itself, or failed in a cell is broken: its authors are written to, at
most once an hour. Other errors of its log are only shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Integer, String, Text, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base
from ..records import Live
from ..releases.failures import failed_cell
from ..tables import now
from .logs import clean

HOUR = timedelta(hours=1)
LINES = 60
BROKEN = frozenset({"start", "ended", "memory", "cell"})
WORDS = {
    "start": "It could not be started",
    "ended": "It ended by itself",
    "memory": "It ended because it needed more memory than it may have",
    "cell": "A cell failed while it was opened",
    "error": "It wrote an error to its log",
}
_CELL = "Error at server while executing cell"
_HEAD = "Traceback (most recent call last)"
_RECORD = re.compile(r"\[[A-Z][^\]]{0,80}\] |\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


class DashboardFault(Base):
    """The last error of a dashboard; `told` is when its authors were last written to."""

    __tablename__ = "dashboard_faults"

    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    trace: Mapped[str] = mapped_column(Text)
    happened: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    told: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)


@dataclass(frozen=True)
class Trace:
    """An error in a log: its lines, and whether a cell failed that every visitor runs."""

    text: str
    reason: str


def last_trace(log: str) -> Trace | None:
    """The last traceback of a log (cleaned), None where there is none. PURE."""
    lines = clean(log).splitlines()
    heads = [number for number, line in enumerate(lines) if _HEAD in line]
    if not heads:
        return None
    begin = heads[-1]
    end = next((n for n in range(begin + 1, len(lines)) if _RECORD.match(lines[n])), len(lines))
    if begin and set(lines[begin - 1].strip()) == {"-"}:
        begin -= 1
    records = [line for line in lines[:begin] if _RECORD.match(line)]
    reason = "cell" if records and _CELL in records[-1] else "error"
    return Trace("\n".join(lines[begin:end][-LINES:]).strip(), reason)


class Faults:
    """The errors of all dashboards; several processes may find the same one."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions

    def in_log(self, live: Live, log: str, bundle: Path) -> None:
        """Keep the last error of a running release's log; of a cell, what its author finds it by in `bundle`."""
        if (found := last_trace(log)) is None:
            return
        text = found.text
        with contextlib.suppress(OSError, ValueError):  # a bundle that is gone
            if found.reason == "cell" and (cell := failed_cell(log, (bundle / live.entry).read_bytes(), str(bundle))):
                text = f"Code cell {cell.number} of {live.entry}:\n\n{cell.source}\n\n{cell.traceback}"
        self.keep(live, found.reason, text, found.text)

    def keep(self, live: Live, reason: str, trace: str, what: str = "") -> None:
        """It happened, and is the last one from now on, unless it is the one that is known. `what` tells them apart."""
        digest = hashlib.sha256(f"{live.version} {reason} {what}".encode()).hexdigest()
        with self.sessions.begin() as session:
            row = session.get(DashboardFault, live.id) or DashboardFault(dashboard_id=live.id)
            if row.digest == digest and what:
                return
            row.version, row.reason, row.digest, row.trace, row.happened = live.version, reason, digest, trace, now()
            session.add(row)

    def last(self, dashboard: int) -> DashboardFault | None:
        """The last one of a dashboard."""
        with self.sessions() as session:
            return session.get(DashboardFault, dashboard)

    def due(self) -> list[int]:
        """Dashboards whose authors are to be told now. Whoever asks has promised to tell: no other process will."""
        with self.sessions() as session:
            query = select(DashboardFault.dashboard_id).where(*_untold())
            found = list(session.scalars(query))
        return [dashboard for dashboard in found if self._claim(dashboard)]

    def untold(self, dashboard: int) -> None:
        """Nobody could be told: the next round tries again."""
        with self.sessions.begin() as session:
            session.execute(update(DashboardFault).where(DashboardFault.dashboard_id == dashboard).values(told=None))

    def _claim(self, dashboard: int) -> bool:
        with self.sessions.begin() as session:
            statement = update(DashboardFault).where(DashboardFault.dashboard_id == dashboard, *_untold())
            return bool(session.execute(statement.values(told=now())).rowcount)


def _untold() -> tuple[Any, ...]:
    fault = DashboardFault
    return (
        fault.reason.in_(BROKEN),
        or_(fault.told.is_(None), (fault.told < now() - HOUR) & (fault.happened > fault.told)),
    )
