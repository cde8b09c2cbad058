"""Who holds which GPU now, and who held which before: in the database, so that no hub forgets it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Float, Integer, String, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, sessionmaker

from ...database import Base
from .placement import Held, Place


class _Use:
    """`since` and the ends are seconds since the epoch; `share` is the part of the device, 1 where nobody shares it."""

    holder: Mapped[str] = mapped_column(String(255), index=True)
    person: Mapped[str] = mapped_column(String(255))
    project: Mapped[str] = mapped_column(String(255), index=True)
    image: Mapped[str] = mapped_column(String(255))
    model: Mapped[str] = mapped_column(String(255), default="")
    share: Mapped[float] = mapped_column(Float, default=1.0)
    since: Mapped[float] = mapped_column(Float)


class GpuAllocation(_Use, Base):
    """A slot that somebody holds. The key lets nobody else have it."""

    __tablename__ = "gpu_allocations"

    node: Mapped[str] = mapped_column(String(255), primary_key=True)
    device: Mapped[str] = mapped_column(String(255), primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    until: Mapped[float | None] = mapped_column(Float)

    def held(self) -> Held:
        """The same, as decisions know it."""
        return Held(Place(self.node, self.device, self.slot), self.holder, self.project, self.until)


class GpuUse(_Use, Base):
    """A use that has ended."""

    __tablename__ = "gpu_uses"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    node: Mapped[str] = mapped_column(String(255))
    device: Mapped[str] = mapped_column(String(255))
    ended: Mapped[float] = mapped_column(Float, index=True)


KEPT = ("node", "device", "holder", "person", "project", "image", "model", "share", "since")


def allocations(sessions: sessionmaker[Any]) -> list[GpuAllocation]:
    """What is held now."""
    with sessions() as session:
        return list(session.scalars(select(GpuAllocation).order_by(GpuAllocation.since, GpuAllocation.device)))


def allocate(sessions: sessionmaker[Any], rows: Iterable[GpuAllocation]) -> bool:
    """All of them or none; False where somebody else holds one already."""
    with sessions() as session:
        session.add_all(rows)
        try:
            session.commit()
        except IntegrityError:
            return False
        return True


def move(sessions: sessionmaker[Any], seconds: float) -> None:
    """What is held is held since then, and until then, by a clock that was set by so much."""
    later = {"since": GpuAllocation.since + seconds, "until": GpuAllocation.until + seconds}
    with sessions.begin() as session:
        session.execute(update(GpuAllocation).values(later))


def end(sessions: sessionmaker[Any], held: Iterable[Held], now: float | None = None) -> int:
    """Free these places and keep a record of their use; how many still were theirs."""
    ended, at = 0, time.time() if now is None else now
    with sessions() as session:
        for one in held:
            key = (one.place.node, one.place.device, one.place.slot)
            row = session.get(GpuAllocation, key, with_for_update=True)
            if row is None or row.holder != one.holder:
                continue
            session.add(GpuUse(ended=max(at, row.since), **{name: getattr(row, name) for name in KEPT}))
            session.delete(row)
            ended += 1
        session.commit()
    return ended


def hours(sessions: sessionmaker[Any], since: float, until: float) -> Sequence[tuple[str, int, float]]:
    """(project, uses, GPU-hours) between two moments, running ones included; who used most comes first."""
    found: dict[str, tuple[int, float]] = {}
    until = min(until, time.time())
    with sessions() as session:
        over = select(GpuUse).where(GpuUse.ended > since, GpuUse.since < until)
        spans = [(row.project, row.since, row.ended, row.share) for row in session.scalars(over)]
        spans += [(row.project, row.since, until, row.share) for row in session.scalars(select(GpuAllocation))]
    for project, begun, ended, share in spans:
        seconds = min(ended, until) - max(begun, since)
        if seconds > 0:
            uses, total = found.get(project, (0, 0.0))
            found[project] = (uses + 1, total + seconds * share / 3600)
    return sorted(((p, uses, total) for p, (uses, total) in found.items()), key=lambda row: (-row[2], row[0]))
