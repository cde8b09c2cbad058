"""What stands in the gallery: dashboards with their picture and what of them waits; searched, filtered and sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from ..tables import Dashboard, Release

State = Literal["", "waiting", "draft"]
SORTS = {"updated": "Last changed", "visits": "Most visited", "title": "Title"}
PAGE = 36


@dataclass(frozen=True)
class Entry:
    """A dashboard, the SHA-256 of its picture ('': none), how visitors get it and why, and what waits or is a draft."""

    row: Dashboard
    thumbnail: str = ""
    mode: str = ""
    why: str = ""
    waiting: tuple[int, ...] = ()
    drafts: tuple[int, ...] = ()

    @property
    def live(self) -> bool:
        """Whether visitors find it."""
        return self.row.status == "live"


@dataclass(frozen=True)
class Wanted:
    """What of the gallery somebody wants to see."""

    q: str = ""
    tags: tuple[str, ...] = ()
    sort: str = "updated"
    state: str = ""
    page: int = 1


def entries(sessions: sessionmaker[Any], project: str = "", slug: str = "") -> list[Entry]:
    """All that is live or is to be; of one project, or one dashboard, if it is named."""
    which = Dashboard.status.in_(("live", "draft"))
    if project:
        which &= Dashboard.project == project
    if slug:
        which &= Dashboard.slug == slug
    with sessions() as session:
        rows = list(session.scalars(select(Dashboard).where(which)))
        columns = (Release.dashboard_id, Release.version, Release.status, Release.thumbnail, Release.mode, Release.why)
        query = select(*columns).join(Dashboard, Dashboard.id == Release.dashboard_id).where(which)
        kept = session.execute(query.where(Release.status != "retired").order_by(Release.version)).all()
    by_dashboard: dict[int, list[Any]] = {}
    for release in kept:
        by_dashboard.setdefault(release.dashboard_id, []).append(release)
    return [_entry(row, by_dashboard.get(row.id, [])) for row in rows]


def _entry(row: Dashboard, releases: Sequence[Any]) -> Entry:
    shown = [release for release in releases if release.status == "live"] or list(releases)
    return Entry(
        row,
        *((shown[-1].thumbnail, shown[-1].mode, shown[-1].why) if shown else ()),
        waiting=tuple(release.version for release in releases if release.status == "submitted"),
        drafts=tuple(release.version for release in releases if release.status == "draft"),
    )


def pick(found: Iterable[Entry], wanted: Wanted, names: Callable[[Entry], str]) -> list[Entry]:
    """Those that are wanted, in the order that is. `names` is what one may search by besides title and words. PURE."""
    words = wanted.q.casefold().split()
    kept = [
        entry
        for entry in found
        if set(wanted.tags) <= set(entry.row.tags)
        and (wanted.state != "waiting" or entry.waiting)
        and (wanted.state != "draft" or entry.drafts)
        and all(word in _text(entry, names(entry)) for word in words)
    ]
    keys: dict[str, Callable[[Entry], Any]] = {
        "title": lambda entry: entry.row.title.casefold(),
        "visits": lambda entry: (-entry.row.visits, entry.row.title.casefold()),
    }
    if wanted.sort in keys:
        return sorted(kept, key=keys[wanted.sort])
    return sorted(kept, key=lambda entry: entry.row.updated.timestamp(), reverse=True)


def counted(found: Iterable[Entry]) -> list[tuple[str, int]]:
    """Tags with how many have them, the most used first. PURE."""
    count = Counter(tag for entry in found for tag in entry.row.tags)
    return sorted(count.items(), key=lambda each: (-each[1], each[0].casefold()))


def _text(entry: Entry, names: str) -> str:
    row = entry.row
    return f"{row.title} {row.description} {row.name} {' '.join(row.tags)} {names}".casefold()
