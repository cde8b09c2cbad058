"""What identity remembers: people, their sessions, memberships and requests, and logout tokens already seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, Float, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import database
from ..database import Base


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Account(Base):
    """A person. `subject` (the provider's sub) keys them; `name` is given once, at the first login, and never changes.

    `standing` is approved, pending, rejected or blocked. `groups` are those of the provider's last answer, `checked`
    the time of its last yes, `unanswered` when it first did not answer after that. What was issued before `revoked`
    is worth nothing. `reminded` is that `expires` of which the person was reminded.
    """

    __tablename__ = "identity_accounts"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(String(255), default="")
    email: Mapped[str] = mapped_column(String(255), default="")
    standing: Mapped[str] = mapped_column(String(16), default="pending")
    reason: Mapped[str] = mapped_column(String(255), default="")
    expires: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    terms_version: Mapped[str] = mapped_column(String(32), default="")
    terms_accepted: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    groups: Mapped[list[str]] = mapped_column(JSON, default=list)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    logged_in: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    checked: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    unanswered: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    revoked: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    reminded: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)


class Session(Base):
    """A login in one browser. `id` is the SHA-256 of the hub's session cookie, `sid` the provider's name for it."""

    __tablename__ = "identity_sessions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("identity_accounts.name"), index=True)
    sid: Mapped[str] = mapped_column(String(255), default="", index=True)
    level: Mapped[str] = mapped_column(String(64))
    acr: Mapped[str] = mapped_column(String(255), default="")
    amr: Mapped[list[str]] = mapped_column(JSON, default=list)
    auth_time: Mapped[float] = mapped_column(Float)
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(255), default="")
    begun: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    ends: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    ended_why: Mapped[str] = mapped_column(String(64), default="")


class Membership(Base):
    """Somebody added to a project here, beside what the provider says. `role` is member or lead."""

    __tablename__ = "identity_memberships"

    person: Mapped[str] = mapped_column(ForeignKey("identity_accounts.name"), primary_key=True)
    project: Mapped[str] = mapped_column(String(32), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), default="member")
    granted_by: Mapped[str] = mapped_column(String(255))
    granted: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    expires: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    reminded: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)


class JoinRequest(Base):
    """Somebody asks to belong to a project. `outcome` is '' while open, then approved, rejected or withdrawn."""

    __tablename__ = "identity_requests"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("identity_accounts.name"), index=True)
    project: Mapped[str] = mapped_column(String(32))
    purpose: Mapped[str] = mapped_column(Text)
    terms_version: Mapped[str] = mapped_column(String(32), default="")
    asked: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    outcome: Mapped[str] = mapped_column(String(16), default="")
    decided_by: Mapped[str] = mapped_column(String(255), default="")
    decided: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    comment: Mapped[str] = mapped_column(Text, default="")


class SeenLogoutToken(Base):
    """A back-channel logout token that was acted on: it serves nobody again."""

    __tablename__ = "identity_logout_tokens"

    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


@database.step("identity", 1)
def _reminded(connection: Connection) -> None:
    for model in (Account, Membership):
        database.add_column(connection, model.__table__.c.reminded)


@database.step("identity", 2)
def _unanswered(connection: Connection) -> None:
    database.add_column(connection, Account.__table__.c.unanswered)


def aware(moment: Any) -> datetime | None:
    """`moment` with its time zone, which SQLite forgets."""
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) and moment.tzinfo is None else moment
