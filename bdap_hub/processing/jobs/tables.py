"""Jobs in the database: what was posted, where each stands, who runs it. States change in one statement each."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import BigInteger, DateTime, Float, Integer, String, Text, delete, func, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, defer, mapped_column, sessionmaker

from ...database import Base, add_column, step, together
from ...errors import NotFound

ACTIVE, AT_REST = ("queued", "running"), ("created", "finished", "error", "canceled")


class JobNotFound(NotFound):
    """There is no such job, or it is somebody else's."""

    code = "JobNotFound"


class StoredJob(Base):
    """A batch job of `owner`. `graph` is as posted; `plan` is made when it is queued; `usage` is JSON.

    `beat` is when who runs it last said so, `attempts` how often it was begun. `ahead`: how many wait before it in the
    batch system that it was handed over to; null: it does not wait there. `claimed` is new each time somebody takes the
    job to run it: what an earlier one says of it does not count any more.
    """

    __tablename__ = "processing_jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), index=True)
    title: Mapped[str] = mapped_column(String(255), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    process: Mapped[str] = mapped_column(Text)
    graph: Mapped[str] = mapped_column(Text, default="")
    plan: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[str] = mapped_column(String(16), index=True)
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    log_level: Mapped[str] = mapped_column(String(8), default="info")
    budget: Mapped[float | None] = mapped_column(Float, nullable=True)
    usage: Mapped[str] = mapped_column(Text, default="{}")
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    queued: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), nullable=True)
    beat: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), nullable=True)
    ahead: Mapped[int | None] = mapped_column(Integer, nullable=True)
    claimed: Mapped[str] = mapped_column(String(32), default="", server_default="")


@step("processing", 2)
def _ahead(connection: Connection) -> None:
    add_column(connection, cast(Any, StoredJob.__table__).c.ahead)


@step("processing", 3)
def _claimed(connection: Connection) -> None:
    add_column(connection, cast(Any, StoredJob.__table__).c.claimed)


def run_of(row: StoredJob) -> str:
    """The name of this start of a job."""
    return f"{row.id}-{row.queued:%Y%m%d%H%M%S%f}"


def status_of(row: StoredJob) -> str:
    """The state as people see it: what waits in a batch system is queued."""
    return "queued" if row.status == "running" and row.ahead is not None else row.status


def expires(row: StoredJob, keep_days: int) -> datetime | None:
    """When the results of a job are deleted; None where it has none, or they are kept."""
    if row.status != "finished" or not keep_days:
        return None
    updated = row.updated if row.updated.tzinfo else row.updated.replace(tzinfo=UTC)
    return updated + timedelta(days=keep_days)


def moment_text(moment: datetime) -> str:
    """A moment as openEO writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Jobs:
    """The few statements that routes and dispatcher need."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions

    def explained(self, change: Callable[[Jobs], bool], tell: Callable[[Jobs], None]) -> bool:
        """Change a job's state and tell why in its log, both at once; False where another was quicker."""
        with together(self.sessions) as store:
            jobs = Jobs(store)
            if done := change(jobs):
                tell(jobs)
            return done

    def add(self, owner: str, process: dict[str, Any], **fields: Any) -> StoredJob:
        """Keep a new job."""
        now = _now()
        row = StoredJob(
            id=secrets.token_hex(8), owner=owner, process=json.dumps(process), status="created",
            created=now, updated=now, progress=0.0, size=0, attempts=0, usage="{}", graph="", plan="", **fields,
        )  # fmt: skip
        with self.sessions.begin() as session:
            session.add(row)
        return row

    def get(self, identifier: str, owner: str | None = None) -> StoredJob | None:
        """The job of that id, if `owner` has it; None as owner: whoever has it."""
        with self.sessions() as session:
            found: StoredJob | None = session.get(StoredJob, identifier)
        return found if found is not None and owner in (None, found.owner) else None

    def of(self, owner: str, limit: int = 1000) -> list[StoredJob]:
        """Somebody's jobs, newest first, without their graphs and plans, which may be large."""
        query = select(StoredJob).where(StoredJob.owner == owner).order_by(StoredJob.created.desc()).limit(limit)
        large = (defer(StoredJob.process), defer(StoredJob.graph), defer(StoredJob.plan))
        with self.sessions() as session:
            return list(session.scalars(query.options(*large)))

    def stored(self, owner: str) -> int:
        """Bytes of all results that somebody has."""
        with self.sessions() as session:
            return int(session.scalar(select(func.sum(StoredJob.size)).where(StoredJob.owner == owner)) or 0)

    def change(self, identifier: str, **fields: Any) -> bool:
        """Other properties; False where the job is queued or running meanwhile, or gone."""
        return self._move(identifier, AT_REST, **fields)

    def queue(self, identifier: str, graph: str, plan: str, process: str) -> bool:
        """To be run as soon as there is a place; False where it is queued or running already.

        `process` is what the plan was made of; False, too, where it is another meanwhile.
        """
        fields = {"status": "queued", "graph": graph, "plan": plan, "progress": 0.0, "attempts": 0, "queued": _now()}
        return self._move(identifier, AT_REST, StoredJob.process == process, size=0, usage="{}", **fields)

    def cancel(self, identifier: str) -> bool:
        """Not to be run, or no longer; False where it is neither queued nor running."""
        return self._move(identifier, ACTIVE, status="canceled")

    def claim(self, waits: bool = False) -> StoredJob | None:
        """The queued job whose turn it is, now running; None where there is none. No two get the same.

        `waits`: it is handed over to where it waits once more.
        """
        with self.sessions() as session:
            waiting = list(session.execute(_waiting()))
            running = Counter(session.scalars(select(StoredJob.owner).where(StoredJob.status == "running")))
        for identifier, _ in sorted(waiting, key=lambda row: running[row[1]]):  # stable: the oldest of equals first
            with self.sessions.begin() as session:
                taken = session.execute(
                    update(StoredJob)
                    .where(StoredJob.id == identifier, StoredJob.status == "queued")
                    .values(
                        status="running",
                        beat=_now(),
                        updated=_now(),
                        attempts=StoredJob.attempts + 1,
                        ahead=0 if waits else None,
                        claimed=secrets.token_hex(8),
                    )
                )
            if taken.rowcount:
                return self.get(identifier)
        return None

    def beat(self, row: StoredJob, progress: float) -> bool:
        """Say that a claimed job is being run; False where it should not be any more, or another has claimed it."""
        return self._move(row.id, ("running",), StoredJob.claimed == row.claimed, beat=_now(), progress=progress)

    def stand(self, row: StoredJob, ahead: int | None) -> bool:
        """Say how many wait before a claimed job that was handed over; None: it runs now."""
        return self._move(row.id, ("running",), StoredJob.claimed == row.claimed, ahead=ahead)

    def runs(self) -> set[str]:
        """The names of all starts of jobs that wait or run."""
        with self.sessions() as session:
            return {run_of(row) for row in session.scalars(select(StoredJob).where(StoredJob.status.in_(ACTIVE)))}

    def end(self, row: StoredJob, status: str, **fields: Any) -> bool:
        """A claimed job's end; False where it was canceled or deleted meanwhile, or another has claimed it."""
        return self._move(row.id, ("running",), StoredJob.claimed == row.claimed, status=status, **fields)

    def orphans(self, seconds: float) -> list[StoredJob]:
        """Jobs that are running by their state, though nobody has said so for some time."""
        query = select(StoredJob).where(
            StoredJob.status == "running", StoredJob.beat < _now() - timedelta(seconds=seconds)
        )
        with self.sessions() as session:
            return list(session.scalars(query))

    def finished_before(self, moment: datetime) -> list[StoredJob]:
        """Jobs with results that were last changed before that moment; at most 1000 of them."""
        query = select(StoredJob).where(StoredJob.status == "finished", StoredJob.updated < moment).limit(1000)
        with self.sessions() as session:
            return list(session.scalars(query))

    def expire(self, row: StoredJob) -> bool:
        """The job has no results any more; False where it was changed or started meanwhile."""
        statement = update(StoredJob).where(
            StoredJob.id == row.id, StoredJob.status == "finished", StoredJob.updated == row.updated
        )
        fields = {"status": "created", "progress": 0.0, "size": 0, "usage": "{}", "updated": _now()}
        with self.sessions.begin() as session:
            return bool(session.execute(statement.values(**fields)).rowcount)

    def count(self, owner: str) -> int:
        """How many jobs somebody has."""
        query = select(func.count()).where(StoredJob.owner == owner)
        with self.sessions() as session:
            return int(session.scalar(query) or 0)

    def waiting(self, owner: str) -> int:
        """How many jobs of somebody are queued or running."""
        query = select(func.count()).where(StoredJob.owner == owner, StoredJob.status.in_(ACTIVE))
        with self.sessions() as session:
            return int(session.scalar(query) or 0)

    def remove(self, identifier: str) -> None:
        """Forget a job."""
        with self.sessions.begin() as session:
            session.execute(delete(StoredJob).where(StoredJob.id == identifier))

    def _move(self, identifier: str, states: Iterable[str], *same: Any, **fields: Any) -> bool:
        """Change it where it is in one of these states, and `same` holds."""
        statement = update(StoredJob).where(StoredJob.id == identifier, StoredJob.status.in_(tuple(states)), *same)
        with self.sessions.begin() as session:
            return bool(session.execute(statement.values(updated=_now(), **fields)).rowcount)


def _waiting() -> Any:
    query = select(StoredJob.id, StoredJob.owner).where(StoredJob.status == "queued")
    return query.order_by(StoredJob.queued).limit(500)


def _now() -> datetime:
    return datetime.now(UTC)
