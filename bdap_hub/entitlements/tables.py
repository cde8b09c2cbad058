"""What entitlements remember: projects, the names that they had before, and a number that counts the edits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    String,
    Table,
    insert,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from .. import database
from ..database import Base


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class StoredProject(Base):
    """A project. `fields` are those of ProjectSettings but for the name, as JSON; the key outlives a renaming."""

    __tablename__ = "entitlement_projects"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    fields: Mapped[dict[str, Any]] = mapped_column(JSON)
    archived: Mapped[bool] = mapped_column(Boolean, default=False)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    created_by: Mapped[str] = mapped_column(String(255))
    changed: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    changed_by: Mapped[str] = mapped_column(String(255))


class FormerName(Base):
    """A name that a project had once: nobody else gets it, for folders, numbers and links may still bear it."""

    __tablename__ = "entitlement_former_names"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[int] = mapped_column(ForeignKey("entitlement_projects.id"))
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class ProjectImage(Base):
    """An image that a project has built by its own recipe. `reference` names its content for good.

    `recipe` is the digest of what it was built from; `base` and `base_name` are reference and name of the platform's
    image that it started from. `size` is in bytes.
    """

    __tablename__ = "entitlement_images"

    project: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    reference: Mapped[str] = mapped_column(String(255))
    content: Mapped[str] = mapped_column(String(80))
    base: Mapped[str] = mapped_column(String(255))
    base_name: Mapped[str] = mapped_column(String(64), default="", server_default="")
    recipe: Mapped[str] = mapped_column(String(80))
    size: Mapped[int] = mapped_column(BigInteger)
    built_by: Mapped[str] = mapped_column(String(255))
    built: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    log: Mapped[str] = mapped_column(String(255))


class Edits(Base):
    """One row: how many edits there were. Each begins by counting itself, and so waits for the one before."""

    __tablename__ = "entitlement_edits"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, default=0)


@database.step("entitlements", 1)
def _first(connection: Connection) -> None:
    if connection.scalar(select(Edits.id)) is None:
        connection.execute(insert(Edits).values(id=1, number=0))


@database.step("entitlements", 2)
def _base_name(connection: Connection) -> None:
    database.add_column(connection, cast(Table, ProjectImage.__table__).c.base_name)
