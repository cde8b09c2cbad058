"""State of the processing service: plans by the hash of their content, and who has them as a web service."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Connection, DateTime, ForeignKey, String, Text, delete, func, inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ... import database
from ...database import Base
from ...errors import Conflict
from .quotas import room_for_one

UNNAMED = ("asked by a notebook", "")
"""Titles that are no names: what the notebook library gives a graph that it only asks of, and none."""


class StoredPlan(Base):
    """A graph as posted, and its plan as JSON. Never changed: another content is another id."""

    __tablename__ = "processing_plans"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    graph: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)


class StoredService(Base):
    """Somebody's web service on a plan. `owner` is a person's name, or dashboard:<id> for a release.

    `configuration` is what the owner said, `style` the options by which it is drawn ('': the graph's), both JSON.
    """

    __tablename__ = "processing_web_services"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    plan: Mapped[str] = mapped_column(ForeignKey("processing_plans.id"))
    kind: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(Boolean)
    configuration: Mapped[str] = mapped_column(Text)
    style: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@database.step("processing", 1)
def _own_ids(connection: Connection) -> None:
    """Services had their plan's id; they get their own, by which several can show one plan."""
    if "processing_services" not in inspect(connection).get_table_names():
        return
    connection.exec_driver_sql(
        "INSERT INTO processing_web_services"
        " (id, owner, plan, kind, title, description, enabled, configuration, style, created)"
        " SELECT id, owner, id, 'XYZ', title, '', TRUE, '{}', '', created FROM processing_services"
    )
    connection.exec_driver_sql("DROP TABLE processing_services")


@dataclass(frozen=True)
class Posted:
    """What makes a web service, apart from its plan: as it is posted, or changed later."""

    kind: str = "XYZ"
    title: str = ""
    description: str = ""
    enabled: bool = True
    configuration: str = "{}"
    style: str = ""


class Services:
    """The few statements that the routes need. A person may have `most` services."""

    def __init__(self, sessions: sessionmaker[Any], most: int = 1000) -> None:
        self.sessions, self.most = sessions, most

    def add(
        self, plan: str, graph: str, content: str, owner: str, title: str = "", posted: Posted | None = None
    ) -> StoredService:
        """Keep a plan (once) and make it a service of `owner`; posting the same again only changes how it is called,
        and a post that does not name it leaves it its name.

        Its id is the plan's for plain map tiles, so that the same graph has the same address for all.
        """
        made = posted or Posted(title=title)
        for attempt in (1, 2):
            try:
                with self.sessions.begin() as session:
                    self._keep(session, plan, graph, content)
                    identifier = self._free(session, plan, owner, made)
                    if (before := session.get(StoredService, (identifier, owner))) is None:
                        self._check(session, owner)
                    kept = _named(made, before) if before else made
                    row = StoredService(
                        id=identifier, owner=owner, plan=plan, created=datetime.now(UTC), **_columns(kept)
                    )
                    session.merge(row)
                return row
            except IntegrityError:  # another process stored the same at this moment
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def change(self, row: StoredService, posted: Posted, plan: StoredPlan | None = None) -> None:
        """Give a service, which was `row`, other properties, and another plan where there is one.

        What another has changed since stays; Conflict where that is what this one is drawn by, too.
        """
        values = {name: value for name, value in _columns(posted).items() if value != getattr(row, name)}
        if plan is not None:
            values["plan"] = plan.id
        with self.sessions.begin() as session:
            if plan is not None:
                self._keep(session, plan.id, plan.graph, plan.plan)
            done = not values or session.execute(_changing(row, values)).rowcount
            if not done and session.get(StoredService, (row.id, row.owner)) is not None:
                raise Conflict("the service was changed meanwhile", "look at it, and send your change again")
        for each in {row.plan, plan.id if plan is not None else row.plan}:
            self._tidy(each)

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
        """Take down a service of `owner`, and its plan where nobody else shows it; False if there was none."""
        with self.sessions.begin() as session:
            found = session.get(StoredService, (identifier, owner))
            if found is None:
                return False
            session.delete(found)
        self._tidy(found.plan)
        return True

    def _tidy(self, plan: str) -> None:
        """A plan goes with the last service that shows it."""
        shown = select(StoredService.id).where(StoredService.plan == plan).exists()
        try:
            with self.sessions.begin() as session:
                session.execute(delete(StoredPlan).where(StoredPlan.id == plan, ~shown))
        except IntegrityError:  # somebody makes a service of it at this moment
            pass

    def _check(self, session: Any, owner: str) -> None:
        count = session.scalar(select(func.count()).where(StoredService.owner == owner)) or 0
        room_for_one(count, self.most, "web services", "delete some that nobody looks at (DELETE /services/{id})")

    def _keep(self, session: Any, identifier: str, graph: str, content: str) -> None:
        if session.get(StoredPlan, identifier) is None:
            session.add(StoredPlan(id=identifier, graph=graph, plan=content))
            session.flush()

    def _free(self, session: Any, plan: str, owner: str, made: Posted) -> str:
        """The id for a service: that of an equal one of `owner`, else a free one."""
        plain = (made.kind, made.configuration) == ("XYZ", "{}")
        there = session.get(StoredService, (plan, owner)) if plain else None
        if plain and (there is None or (there.plan, there.kind, there.configuration) == (plan, "XYZ", "{}")):
            return plan
        equal = select(StoredService.id).where(
            StoredService.owner == owner,
            StoredService.plan == plan,
            StoredService.kind == made.kind,
            StoredService.configuration == made.configuration,
        )
        return str(session.scalar(equal.limit(1)) or secrets.token_hex(16))


def posted_of(row: StoredService) -> Posted:
    """The properties of a service as it is."""
    return Posted(**{name: getattr(row, name) for name in Posted.__dataclass_fields__})


def _named(posted: Posted, before: StoredService) -> Posted:
    """The same with the better of both titles, the new one where both are names."""
    title = max(posted.title, before.title, key=lambda each: UNNAMED.index(each) if each in UNNAMED else len(UNNAMED))
    return replace(posted, title=title, description=posted.description or before.description)


def _changing(row: StoredService, values: Mapping[str, Any]) -> Any:
    """The change of those columns; a style was made of the plan and the configuration that were there."""
    statement = update(StoredService).where(StoredService.id == row.id, StoredService.owner == row.owner)
    if {"plan", "configuration", "style"} & set(values):
        same = (StoredService.plan == row.plan, StoredService.configuration == row.configuration)
        statement = statement.where(*same, StoredService.style == row.style)
    return statement.values(**values)


def _columns(posted: Posted) -> dict[str, Any]:
    return {**posted.__dict__, "title": posted.title[:255]}
