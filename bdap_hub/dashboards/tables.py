"""What dashboards remember: dashboards, their releases (one a version, never changed) and used tickets."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Dashboard(Base):
    """A dashboard; `version` is the live release's number, status is live or retired."""

    __tablename__ = "dashboards"
    __table_args__ = (UniqueConstraint("project", "slug"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    project: Mapped[str] = mapped_column(String(32))
    slug: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    visibility: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16), default="live")
    version: Mapped[int] = mapped_column(Integer, default=1)
    visits: Mapped[int] = mapped_column(Integer, default=0)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    updated: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)

    @property
    def name(self) -> str:
        """`project/slug`, as people and the API name it."""
        return f"{self.project}/{self.slug}"


class Release(Base):
    """One version of a dashboard: a bundle, who published it and when it was last visited."""

    __tablename__ = "dashboard_releases"
    __table_args__ = (UniqueConstraint("dashboard_id", "version"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"))
    version: Mapped[int] = mapped_column(Integer)
    bundle: Mapped[str] = mapped_column(String(64))
    entry: Mapped[str] = mapped_column(String(255))
    publisher: Mapped[str] = mapped_column(String(255))
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    last_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class UsedTicket(Base):
    """A ticket that has been redeemed: it serves nobody again."""

    __tablename__ = "dashboard_used_tickets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires: Mapped[datetime] = mapped_column(DateTime(timezone=True))
