"""Who has a part in a dashboard beyond its project: grants, share links, short names. Rows and their checks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import sessionmaker

from ...errors import BadRequest, Conflict, NotFound
from ..records import NAME
from ..tables import Dashboard, DashboardAlias, DashboardGrant, ShareLink, now
from .tickets import digest

ROLES = ("viewer", "editor", "owner")
MOST_GRANTS, MOST_LINKS, MOST_ALIASES, MOST_ORIGINS = 200, 100, 3, 10
MAX_NOTE = 120
HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def check_grant(kind: str, name: str, role: str) -> None:
    """BadRequest unless it is one."""
    if kind not in ("person", "group"):
        raise BadRequest(f"kind: {kind!r:.40} has no part in dashboards", "use person or group")
    if role not in ROLES:
        raise BadRequest(f"role: {role!r:.40} is unknown", f"use {', '.join(ROLES)}")
    if not name or name != name.strip() or len(name) > 255 or not name.isprintable():
        raise BadRequest(f"name: {name!r:.80} is none", "write the account's or the group's name")


def check_alias(alias: str, reserved: Sequence[str], projects: Sequence[str]) -> None:
    """BadRequest unless the name can lead to a dashboard: no address of another kind, and no project's name."""
    if not NAME.fullmatch(alias) or not 3 <= len(alias) <= 40:
        raise BadRequest(
            f"alias: {alias!r:.60} is not a valid name",
            "use small letters, digits and single hyphens, begin with a letter, 3 to 40 characters",
        )
    if alias in reserved:
        raise BadRequest(f"alias: {alias!r} is reserved", "choose another name")
    if alias in projects:
        raise BadRequest(f"alias: {alias!r} is a project's name", "choose another name")


def check_origin(origin: str) -> str:
    """The origin as browsers write it. BadRequest for anything but https and a host (http: this machine's)."""
    bad = BadRequest(f"origin: {origin!r:.80} names no site", "write one as https://www.example.eu, without a path")
    if not origin.isascii() or any(ord(c) <= 32 or c in "\"'\\;,*<>@%" for c in origin):
        raise bad
    try:
        parts = urlsplit(origin.rstrip("/").lower())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise bad from None
    local = host == "localhost" or host.endswith(".localhost") or host == "127.0.0.1"
    if not HOST.fullmatch(host) or parts.scheme not in (("http", "https") if local else ("https",)):
        raise bad
    if parts.path or parts.query or parts.fragment or len(origin) > 200:
        raise bad
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


class Sharing:
    """The rows."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions

    def grant(self, dashboard: Dashboard, kind: str, name: str, role: str) -> None:
        """Give somebody a part, instead of the one that they have."""
        check_grant(kind, name, role)
        with self.sessions.begin() as session:
            _hold(session, dashboard)
            count = select(func.count()).where(DashboardGrant.dashboard_id == dashboard.id)
            if (session.scalar(count) or 0) >= MOST_GRANTS:
                raise BadRequest(f"{dashboard.name} has {MOST_GRANTS} people and groups", "name a group instead")
            session.merge(DashboardGrant(dashboard_id=dashboard.id, kind=kind, name=name, role=role))

    def revoke(self, dashboard: Dashboard, kind: str, name: str) -> None:
        """Take it away; NotFound where there is none."""
        mine = (DashboardGrant.dashboard_id == dashboard.id) & (DashboardGrant.kind == kind)
        with self.sessions.begin() as session:
            gone = session.execute(delete(DashboardGrant).where(mine, DashboardGrant.name == name))
        if not gone.rowcount:
            raise NotFound(f"{kind} {name!r:.80} has no part in {dashboard.name}", "its page lists those who have")

    def aliases(self, dashboard: Dashboard) -> list[str]:
        """Short names that lead to it."""
        named = select(DashboardAlias.alias).where(DashboardAlias.dashboard_id == dashboard.id)
        with self.sessions() as session:
            return list(session.scalars(named.order_by(DashboardAlias.alias)))

    def take_alias(self, dashboard: Dashboard, alias: str) -> None:
        """Let that name lead to it, unless it leads elsewhere: Conflict."""
        mine = self.aliases(dashboard)
        if alias in mine:
            return
        if len(mine) >= MOST_ALIASES:
            raise BadRequest(f"{dashboard.name} has {len(mine)} short names", "take one away first")
        try:
            with self.sessions.begin() as session:
                _hold(session, dashboard)
                session.add(DashboardAlias(alias=alias, dashboard_id=dashboard.id))
        except IntegrityError:
            raise Conflict(f"alias: {alias!r} leads to another dashboard", "choose another name") from None

    def drop_alias(self, dashboard: Dashboard, alias: str) -> None:
        """It leads nowhere any more; NotFound where it did not."""
        mine = (DashboardAlias.dashboard_id == dashboard.id) & (DashboardAlias.alias == alias)
        with self.sessions.begin() as session:
            gone = session.execute(delete(DashboardAlias).where(mine))
        if not gone.rowcount:
            raise NotFound(f"{alias!r:.60} does not lead to {dashboard.name}", "its page lists its short names")

    def alias(self, alias: str) -> tuple[str, str] | None:
        """(project, slug) of the live dashboard that the name leads to."""
        joined = select(Dashboard).join(DashboardAlias, DashboardAlias.dashboard_id == Dashboard.id)
        with self.sessions() as session:
            row = session.scalar(joined.where(DashboardAlias.alias == alias, Dashboard.status == "live"))
        return (row.project, row.slug) if row else None

    def links(self, dashboard: Dashboard) -> list[ShareLink]:
        """Links that count still, newest first."""
        with self.sessions() as session:
            return list(session.scalars(_counting(dashboard.id).order_by(ShareLink.id.desc())))

    def make_link(self, dashboard: Dashboard, person: str, note: str, days: int) -> tuple[ShareLink, str]:
        """A link and its secret, which is not kept."""
        if len(note) > MAX_NOTE:
            raise BadRequest(f"note: {len(note)} characters", f"use at most {MAX_NOTE}")
        if len(self.links(dashboard)) >= MOST_LINKS:
            raise BadRequest(f"{dashboard.name} has {MOST_LINKS} links that count", "withdraw those nobody needs")
        secret = secrets.token_urlsafe(32)
        until = datetime.now(UTC) + timedelta(days=days)
        link = ShareLink(digest=digest(secret), dashboard_id=dashboard.id, made_by=person, note=note, expires=until)
        with self.sessions.begin() as session:
            _hold(session, dashboard)
            session.add(link)
        return link, secret

    def withdraw(self, dashboard: Dashboard, id: int) -> None:
        """It opens nothing any more, also where it was opened already; NotFound where it does not count."""
        mine = (ShareLink.dashboard_id == dashboard.id) & (ShareLink.id == id) & ShareLink.withdrawn.is_(None)
        with self.sessions.begin() as session:
            gone = session.execute(update(ShareLink).where(mine).values(withdrawn=now()))
        if not gone.rowcount:
            raise NotFound(f"{dashboard.name} has no link {id}", "its page lists its links")

    def withdraw_all(self, dashboard: Dashboard) -> None:
        """When it is taken down: no link counts, no short name leads to it, and only its owner has a part in it."""
        with self.sessions.begin() as session:
            mine = (ShareLink.dashboard_id == dashboard.id) & ShareLink.withdrawn.is_(None)
            session.execute(update(ShareLink).where(mine).values(withdrawn=now()))
            session.execute(delete(DashboardAlias).where(DashboardAlias.dashboard_id == dashboard.id))
            session.execute(delete(DashboardGrant).where(DashboardGrant.dashboard_id == dashboard.id))

    def opened(self, dashboard: int, secret: str) -> ShareLink | None:
        """The link of that secret, if it counts for this dashboard."""
        with self.sessions() as session:
            return session.scalar(_counting(dashboard).where(ShareLink.digest == digest(secret)))

    def counts(self, dashboard: int, id: int) -> bool:
        """Whether the link still opens this dashboard."""
        with self.sessions() as session:
            return session.scalar(_counting(dashboard).where(ShareLink.id == id)) is not None


def _counting(dashboard: int) -> Any:
    mine = select(ShareLink).where(ShareLink.dashboard_id == dashboard)
    return mine.where(ShareLink.withdrawn.is_(None), ShareLink.expires > now())


def _hold(session: Any, dashboard: Dashboard) -> None:
    """Nobody takes it down, or makes a version live, before this is kept; Conflict where it was taken down just now."""
    there = (Dashboard.id == dashboard.id) & (Dashboard.status != "retired")
    if not session.execute(update(Dashboard).where(there).values(status=Dashboard.status)).rowcount:
        raise Conflict(f"{dashboard.name} was taken down just now", "publish it again")
