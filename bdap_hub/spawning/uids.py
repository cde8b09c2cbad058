"""Numeric ids on the store: one uid a person, one gid a project, given once and kept for good."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ..database import Base
from ..errors import Conflict, Unavailable

TRIES = 20


class PersonUid(Base):
    """The uid of a person."""

    __tablename__ = "people_uids"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, unique=True)


class ProjectGid(Base):
    """The gid of a project."""

    __tablename__ = "project_gids"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, unique=True)


def uid_of(sessions: sessionmaker[Any], person: str, first: int) -> int:
    """The person's uid, allocated from `first` upwards at the first call."""
    return _number(sessions, PersonUid, person, first)


def gid_of(sessions: sessionmaker[Any], project: str, first: int) -> int:
    """The project's gid, allocated from `first` upwards at the first call."""
    return _number(sessions, ProjectGid, project, first)


def rename_project(sessions: sessionmaker[Any], project: str, new: str) -> None:
    """The project's gid follows it to its new name. Conflict where that has one: its files would be taken over."""
    with sessions.begin() as session:
        if session.get(ProjectGid, new) is not None:
            raise Conflict(f"name: {new!r} was the name of another project once", "choose another name")
        session.execute(update(ProjectGid).where(ProjectGid.name == project).values(name=new))


def _number(sessions: sessionmaker[Any], table: type[PersonUid] | type[ProjectGid], name: str, first: int) -> int:
    """Look, else insert the next free number. The unique column decides a race; the loser looks again."""
    for _ in range(TRIES):
        with sessions() as session:
            if (row := session.get(table, name)) is not None:
                return row.number
            highest = session.scalar(select(func.max(table.number)))
            number = max(first, (highest or 0) + 1)
            session.add(table(name=name, number=number))
            try:
                session.commit()
            except IntegrityError:
                continue
            return number
    raise Unavailable(f"no number could be given to {name!r}", "try again in a moment")
