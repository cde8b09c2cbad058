"""Where dashboards are published from by a push: a place in a git repository, its webhook, and what came of it last."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import DateTime, ForeignKey, String, Text, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base
from ..bundles.remote import Place
from ..sharing.tickets import digest
from ..tables import Dashboard, now

State = Literal["", "waiting", "running", "published", "unchanged", "failed", "refused"]
HOUR = timedelta(hours=1)


class GitSource(Base):
    """One dashboard's. `person` set it up: versions are published in their name, as long as they may.

    `visibility` is whom they proved their login for; of the webhook's token only the SHA-256 is kept. `told` says what
    came of the last push, `commit` is the one published last, `wrote` when its owner was last written to.
    """

    __tablename__ = "dashboard_git_sources"

    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), primary_key=True)
    url: Mapped[str] = mapped_column(String(500))
    ref: Mapped[str] = mapped_column(String(255))
    folder: Mapped[str] = mapped_column(String(500))
    secret: Mapped[str] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(255))
    visibility: Mapped[str] = mapped_column(String(16))
    hook: Mapped[str] = mapped_column(String(32), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[State] = mapped_column(String(16), default="")
    told: Mapped[str] = mapped_column(Text, default="")
    commit: Mapped[str] = mapped_column(String(64), default="")
    happened: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)
    wrote: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), default=None)

    @property
    def place(self) -> Place:
        """Where the bundle lies."""
        return Place(self.url, self.ref, self.folder)


class GitSources:
    """The rows."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions

    def of(self, dashboard: Dashboard) -> GitSource | None:
        """The dashboard's, if it has one."""
        with self.sessions() as session:
            return session.scalar(select(GitSource).where(GitSource.dashboard_id == dashboard.id))

    def known(self, hook: str, token: str) -> GitSource | None:
        """Whose webhook that is, if the token is its own."""
        with self.sessions() as session:
            found = session.scalar(select(GitSource).where(GitSource.hook == hook))
        right = secrets.compare_digest(found.digest if found else digest(secrets.token_hex()), digest(token))
        return found if right else None

    def set(self, dashboard: Dashboard, place: Place, secret: str, person: str) -> str:
        """Publish it from there from now on, in that name; the webhook's token where it is a new one, else ''."""
        said = {"url": place.url, "ref": place.ref, "folder": place.folder, "secret": secret}
        with self.sessions.begin() as session:
            row = session.get(GitSource, dashboard.id, with_for_update=True)
            token = "" if row else secrets.token_urlsafe(32)
            row = row or GitSource(dashboard_id=dashboard.id, hook=secrets.token_hex(16), digest=digest(token))
            for name, value in {**said, "person": person, "visibility": dashboard.visibility}.items():
                setattr(row, name, value)
            session.add(row)
        return token

    def renew(self, dashboard: Dashboard) -> str:
        """A new token for its webhook; the old one opens nothing any more."""
        token = secrets.token_urlsafe(32)
        self._update(dashboard.id, digest=digest(token))
        return token

    def remove(self, dashboard: Dashboard) -> None:
        """No push publishes it any more."""
        with self.sessions.begin() as session:
            session.execute(delete(GitSource).where(GitSource.dashboard_id == dashboard.id))

    def unfinished(self) -> list[int]:
        """Dashboards whose push was heard, and of which nothing came yet."""
        with self.sessions() as session:
            unfinished = GitSource.state.in_(("waiting", "running"))
            return list(session.scalars(select(GitSource.dashboard_id).where(unfinished)))

    def note(self, id: int, state: State, told: str = "", commit: str = "") -> None:
        """What came of a push."""
        values = {
            "state": state,
            "told": told.replace("\0", "\ufffd"),  # PostgreSQL keeps none
            "happened": now(),
            **({"commit": commit} if commit else {}),
        }
        self._update(id, **values)

    def write(self, id: int) -> bool:
        """Whether its owner is to be written to, at most once an hour; whoever asks does it."""
        due = or_(GitSource.wrote.is_(None), GitSource.wrote < now() - HOUR)
        with self.sessions.begin() as session:
            mine = update(GitSource).where(GitSource.dashboard_id == id, due)
            return bool(session.execute(mine.values(wrote=now())).rowcount)

    def _update(self, id: int, **values: Any) -> None:
        with self.sessions.begin() as session:
            session.execute(update(GitSource).where(GitSource.dashboard_id == id).values(**values))
