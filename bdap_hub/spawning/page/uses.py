"""What people started last: one row for each person, project and image. The start page puts it first."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Float, String, select
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base
from .choosing import Use


class ServerUse(Base):
    """The latest start of an image by a person for a project; `at` is seconds since the epoch."""

    __tablename__ = "server_uses"

    person: Mapped[str] = mapped_column(String(255), primary_key=True)
    project: Mapped[str] = mapped_column(String(255), primary_key=True)
    image: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[str] = mapped_column(String(255), default="")
    at: Mapped[float] = mapped_column(Float)


def remember(sessions: sessionmaker[Any], person: str, use: Use) -> None:
    """Write down a start; an earlier one of the same project and image is replaced."""
    row = ServerUse(person=person, project=use.project, image=use.image, size=use.size, at=use.at or time.time())
    with sessions.begin() as session:
        session.merge(row)


def latest(sessions: sessionmaker[Any], person: str) -> tuple[Use, ...]:
    """All that a person has started, the latest first."""
    with sessions() as session:
        rows = session.scalars(select(ServerUse).where(ServerUse.person == person).order_by(ServerUse.at.desc()))
        return tuple(Use(row.project, row.image, row.size, row.at) for row in rows)
