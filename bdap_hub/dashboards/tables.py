"""What dashboards remember: dashboards, their releases (one a version), who may do what with them, and used tickets.

The content of a release never changes; its state does: draft, submitted, approved, rejected, live, retired.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    inspect,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..access import DashboardRole, Grant
from ..database import Base, add_column, step

Kind = Literal["voila", "static", "solara", "panel"]
"""What runs a release."""

Mode = Literal["", "static", "fork", "fork-after-imports", "plain", "app"]
"""How visitors get a release's state; '': not known yet."""


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Dashboard(Base):
    """A dashboard; `version` is the live release's number (0: none yet), status is draft, live or retired.

    `embed` are the origins whose pages may show it in a frame. `keep_warm`: it goes on without visitors.
    """

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
    tags: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    kind: Mapped[str] = mapped_column(String(16), default="voila", server_default="voila")
    embed: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    keep_warm: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    grants: Mapped[list[DashboardGrant]] = relationship(viewonly=True, lazy="selectin")

    @property
    def name(self) -> str:
        """`project/slug`, as people and the API name it."""
        return f"{self.project}/{self.slug}"

    @property
    def granted(self) -> tuple[Grant, ...]:
        """Who may do what with it beyond its owner and its project, as `access` knows it."""
        return tuple(one.grant for one in self.grants)


class Release(Base):
    """One version of a dashboard: a bundle, who published it, its state, and when it was last visited.

    `title`, `description` and `visibility` are the dashboard's once this version is live for the first time;
    `approved` is the widest visibility that it was approved for or had while it was live ('': none). `why` says why it
    is not forked, `thumbnail` is the SHA-256 of a PNG in var/dashboards/pictures/, `image` what it runs in.
    """

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
    status: Mapped[str] = mapped_column(String(16), default="draft", server_default="live")
    title: Mapped[str] = mapped_column(String(120), default="", server_default="")
    description: Mapped[str] = mapped_column(Text, default="", server_default="")
    visibility: Mapped[str] = mapped_column(String(16), default="project", server_default="project")
    approved: Mapped[str] = mapped_column(String(16), default="", server_default="")
    comment: Mapped[str] = mapped_column(Text, default="", server_default="")
    reviewer: Mapped[str] = mapped_column(String(255), default="", server_default="")
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    mode: Mapped[str] = mapped_column(String(24), default="", server_default="")
    why: Mapped[str] = mapped_column(Text, default="", server_default="")
    thumbnail: Mapped[str] = mapped_column(String(64), default="", server_default="")
    image: Mapped[str] = mapped_column(String(255), default="", server_default="")


class DashboardGrant(Base):
    """A person or group that may see (viewer), bring new versions of (editor) or own a dashboard."""

    __tablename__ = "dashboard_grants"

    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), primary_key=True)
    kind: Mapped[Literal["person", "group"]] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    role: Mapped[DashboardRole] = mapped_column(String(8))

    @property
    def grant(self) -> Grant:
        """The same, as `access` knows it."""
        return Grant(self.kind, self.name, self.role)


class DashboardAlias(Base):
    """A short name that leads to a dashboard: the label of a host below the dashboards' origin."""

    __tablename__ = "dashboard_aliases"

    alias: Mapped[str] = mapped_column(String(40), primary_key=True)
    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), index=True)


class ShareLink(Base):
    """A link that shows a dashboard to whoever has it, without an account. Only the SHA-256 of its secret is kept."""

    __tablename__ = "dashboard_share_links"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), index=True)
    made_by: Mapped[str] = mapped_column(String(255))
    note: Mapped[str] = mapped_column(String(120), default="")
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    expires: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    withdrawn: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)


class UsedTicket(Base):
    """A ticket that has been redeemed: it serves nobody again."""

    __tablename__ = "dashboard_used_tickets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires: Mapped[datetime] = mapped_column(DateTime(timezone=True))


DASHBOARD = ("tags", "kind", "embed", "keep_warm")
RELEASE = (
    "status", "title", "description", "visibility", "approved", "comment", "reviewer", "manifest", "mode", "why",
    "thumbnail", "image",
)  # fmt: skip


@step("dashboards", 1)
def _states(connection: Connection) -> None:
    """Releases get a state. What they were called and who saw them is the dashboard's word, the only one there is."""
    dashboards, releases = cast(Table, Dashboard.__table__), cast(Table, Release.__table__)
    before = {column["name"] for column in inspect(connection).get_columns(releases.name)}
    for table, names in ((dashboards, DASHBOARD), (releases, RELEASE)):
        for name in names:
            add_column(connection, table.c[name])
    if "status" in before:
        return  # a new database, or done already
    theirs = dashboards.c.id == releases.c.dashboard_id
    words = {name: select(dashboards.c[name]).where(theirs).scalar_subquery() for name in ("title", "description")}
    seen = select(dashboards.c.visibility).where(theirs).scalar_subquery()
    connection.execute(update(releases).values(**words, visibility=seen, approved=seen))
    live = select(dashboards.c.id).where(
        theirs, dashboards.c.version == releases.c.version, dashboards.c.status == "live"
    )
    connection.execute(update(releases).where(~live.exists()).values(status="retired"))
