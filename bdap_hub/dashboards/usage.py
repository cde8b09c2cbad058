"""How dashboards are used, by day (UTC): visits, visitors without storing who they are, sessions, memory, starts.

Visitors are told apart by a digest whose salt is made anew each day and forgotten with it, as the digests are.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Date, ForeignKey, Integer, LargeBinary, String, case, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ..database import Base


class DashboardVisit(Base):
    """A day of a dashboard: counts, the most memory that was seen in MiB, and its slowest start in milliseconds."""

    __tablename__ = "dashboard_visits"

    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    visits: Mapped[int] = mapped_column(Integer, default=0)
    visitors: Mapped[int] = mapped_column(Integer, default=0)
    sessions: Mapped[int] = mapped_column(Integer, default=0)
    peak_mb: Mapped[int] = mapped_column(Integer, default=0)
    start_ms: Mapped[int] = mapped_column(Integer, default=0)


class DashboardVisitor(Base):
    """Somebody who was seen today; nobody can tell who without the day's salt."""

    __tablename__ = "dashboard_visitors"

    dashboard_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    digest: Mapped[str] = mapped_column(String(16), primary_key=True)


class DashboardSalt(Base):
    """The salt of a day."""

    __tablename__ = "dashboard_salts"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(32))


@dataclass(frozen=True)
class Day:
    """What happened on one day; 0 where nothing did."""

    day: date
    visits: int = 0
    visitors: int = 0
    sessions: int = 0
    peak_mb: int = 0
    start_ms: int = 0


class Usage:
    """Counts of all dashboards; several processes may count at once."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions
        self._salt: tuple[date, bytes] | None = None

    def visit(self, dashboard: int, who: str) -> None:
        """Somebody opened the page. `who` tells visitors apart (an account, or an address); '' is counted alone."""
        new = bool(who) and self._is_new(dashboard, who)
        self._count(dashboard, visits=1, visitors=int(new))

    def session(self, dashboard: int) -> None:
        """A browser was joined to a kernel."""
        self._count(dashboard, sessions=1)

    def started(self, dashboard: int, seconds: float) -> None:
        """A start took so long."""
        self._raise(dashboard, start_ms=round(seconds * 1000))

    def memory(self, dashboard: int, size: int) -> None:
        """It holds so many bytes now."""
        self._raise(dashboard, peak_mb=round(size / 2**20))

    def days(self, dashboard: int, count: int, until: date | None = None) -> list[Day]:
        """The last days up to today, oldest first, also those on which nothing happened."""
        last = until or today()
        first = last - timedelta(days=count - 1)
        with self.sessions() as session:
            query = select(DashboardVisit).where(
                DashboardVisit.dashboard_id == dashboard, DashboardVisit.day >= first, DashboardVisit.day <= last
            )
            found = {row.day: _day(row) for row in session.scalars(query)}
        wanted = [first + timedelta(days=number) for number in range(count)]
        return [found.get(day) or Day(day) for day in wanted]

    def forget(self, days: int) -> None:
        """Older days, and all that could tell visitors of former days apart."""
        now = today()
        with self.sessions.begin() as session:
            session.execute(delete(DashboardVisit).where(DashboardVisit.day < now - timedelta(days=days)))
            session.execute(delete(DashboardVisitor).where(DashboardVisitor.day < now))
            session.execute(delete(DashboardSalt).where(DashboardSalt.day < now))

    def _is_new(self, dashboard: int, who: str) -> bool:
        day = today()
        digest = hmac.new(self._salt_of(day), f"{dashboard} {who}".encode(), hashlib.sha256).hexdigest()[:16]
        key = {"dashboard_id": dashboard, "day": day, "digest": digest}
        with self.sessions() as session:
            if session.get(DashboardVisitor, key) is not None:
                return False
        try:
            with self.sessions.begin() as session:
                session.add(DashboardVisitor(**key))
            return True
        except IntegrityError:  # another process was faster
            return False

    def _salt_of(self, day: date) -> bytes:
        if self._salt is None or self._salt[0] != day:
            try:
                with self.sessions.begin() as session:
                    if session.get(DashboardSalt, day) is None:
                        session.add(DashboardSalt(day=day, salt=secrets.token_bytes(32)))
            except IntegrityError:  # another process made today's
                pass
            with self.sessions() as session:
                self._salt = day, session.get_one(DashboardSalt, day).salt
        return self._salt[1]

    def _count(self, dashboard: int, **more: int) -> None:
        columns = {name: getattr(DashboardVisit, name) + number for name, number in more.items()}
        self._put(dashboard, columns, more)

    def _raise(self, dashboard: int, **values: int) -> None:
        columns = {}
        for name, value in values.items():
            column = getattr(DashboardVisit, name)
            columns[name] = case((column < value, value), else_=column)
        self._put(dashboard, columns, values)

    def _put(self, dashboard: int, columns: dict[str, Any], first: dict[str, int]) -> None:
        """Change the day's row, which is made with the values of `first` where there is none."""
        day = today()
        statement = (
            update(DashboardVisit)
            .where(DashboardVisit.dashboard_id == dashboard, DashboardVisit.day == day)
            .values(**columns)
        )
        for _ in range(2):
            try:
                with self.sessions.begin() as session:
                    if not session.execute(statement).rowcount:
                        session.add(DashboardVisit(dashboard_id=dashboard, day=day, **first))
                return
            except IntegrityError:  # another process made the row meanwhile
                continue


def today() -> date:
    """By the clock that the counts follow."""
    return datetime.now(UTC).date()


def _day(row: DashboardVisit) -> Day:
    return Day(row.day, row.visits, row.visitors, row.sessions, row.peak_mb, row.start_ms)
