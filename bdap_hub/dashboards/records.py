"""Reads and writes of the dashboards' tables; the only place in this room that speaks SQL."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import sessionmaker

from ..access import Grant
from ..errors import BadRequest, Conflict, NotFound
from .tables import Dashboard, DashboardGrant, Release, ShareLink, UsedTicket, now

VERSION = re.compile(r"v[1-9][0-9]{0,5}")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_SLUG = 40
MAX_LABEL = 63
WIDTH = ("project", "people", "public")


@dataclasses.dataclass(frozen=True)
class Live:
    """A live dashboard with its live release, as gateway and runtime need them."""

    id: int
    project: str
    slug: str
    title: str
    visibility: Any
    owner: str
    version: int
    bundle: str
    entry: str
    grants: tuple[Grant, ...] = ()
    embed: tuple[str, ...] = ()
    preview: bool = False
    manifest: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    keep_warm: bool = False
    image: str = ""  # with the packages that the release requires; '': as the manifest says

    @property
    def name(self) -> str:
        """`project/slug`."""
        return f"{self.project}/{self.slug}"

    @property
    def kind(self) -> str:
        """What this release is: a notebook (voila), or as its manifest says."""
        return str(self.manifest.get("kind") or "voila")

    @property
    def key(self) -> str:
        """What tickets and cookies of its origin name: `project/slug`, with the version where it is a preview."""
        return f"{self.name}/v{self.version}" if self.preview else self.name

    @property
    def open(self) -> bool:
        """Whether everybody may come in."""
        return self.visibility == "public" and not self.preview

    @property
    def release(self) -> str:
        """Name of the release for the runtime."""
        return release_name(self.project, self.slug, self.version)


def release_name(project: str, slug: str, version: int) -> str:
    """Unique per release; `--` separates what cannot hold `--`."""
    return f"{project}--{slug}--v{version}"


def check_slug(project: str, slug: str) -> None:
    """BadRequest unless `project--slug` is a host name label that can be read back in one way only."""
    if not NAME.fullmatch(slug) or len(slug) > MAX_SLUG:
        raise BadRequest(
            f"slug: {slug!r} is not a valid address name",
            f"use small letters, digits and single hyphens, begin with a letter, at most {MAX_SLUG} characters",
        )
    if len(f"{project}--{slug}") > MAX_LABEL:
        raise BadRequest(f"slug: {slug!r} is too long for project {project}", f"at most {MAX_LABEL - 2} for both")


class Label(NamedTuple):
    """What a host name label asks for; with a version, to preview that one."""

    project: str
    slug: str
    version: int | None = None


def read_label(label: str) -> Label | None:
    """What `project--slug` or `project--slug--v2` asks for, None when it is none of ours."""
    project, _, rest = label.partition("--")
    slug, preview, version = rest.partition("--")
    valid = NAME.fullmatch(project) and NAME.fullmatch(slug) and len(label) <= MAX_LABEL
    if not valid or (preview and not VERSION.fullmatch(version)):
        return None
    return Label(project, slug, int(version[1:]) if preview else None)


class Records:
    """All rows of this room."""

    def __init__(self, sessions: sessionmaker[Any]) -> None:
        self.sessions = sessions

    def all(self) -> list[Dashboard]:
        """Live dashboards, newest change first."""
        with self.sessions() as session:
            return list(
                session.scalars(select(Dashboard).where(Dashboard.status == "live").order_by(Dashboard.updated.desc()))
            )

    def find(self, project: str, slug: str) -> Dashboard | None:
        """The dashboard of that name, live or retired."""
        with self.sessions() as session:
            return session.scalar(select(Dashboard).where(Dashboard.project == project, Dashboard.slug == slug))

    def by_id(self, id: int) -> Dashboard:
        """The dashboard of that number."""
        with self.sessions() as session:
            return session.get_one(Dashboard, id)

    def get(self, project: str, slug: str) -> Dashboard:
        """The live dashboard of that name; NotFound otherwise."""
        dashboard = self.find(project, slug)
        if dashboard is None or dashboard.status != "live":
            raise NotFound(f"there is no dashboard {project}/{slug}", "look in the gallery for its address")
        return dashboard

    def releases(self, dashboard: Dashboard) -> list[Release]:
        """All versions, newest first."""
        with self.sessions() as session:
            return list(
                session.scalars(
                    select(Release).where(Release.dashboard_id == dashboard.id).order_by(Release.version.desc())
                )
            )

    def live(self, project: str, slug: str, version: int | None = None) -> Live | None:
        """The live dashboard with its live release, or with that version as a preview; None if there is none."""
        named = select(Dashboard, Release).where(Dashboard.project == project, Dashboard.slug == slug)
        same = Release.dashboard_id == Dashboard.id
        if version is None:
            found = named.join(Release, same & (Release.version == Dashboard.version)).where(Dashboard.status == "live")
        else:
            found = named.join(Release, same & (Release.version == version)).where(Dashboard.status != "retired")
        with self.sessions() as session:
            row = session.execute(found).first()
        return None if row is None else dataclasses.replace(_live(*row), preview=version is not None)

    def live_releases(self) -> dict[str, Live]:
        """Every live dashboard by the name of its live release."""
        found = {}
        for dashboard in self.all():
            if live := self.live(dashboard.project, dashboard.slug):
                found[live.release] = live
        return found

    def empty(self) -> bool:
        """Whether there is no version of anything."""
        with self.sessions() as session:
            return session.scalar(select(Release.id).limit(1)) is None

    def bundles(self) -> set[str]:
        """Those that some version of a dashboard needs, live or not."""
        with self.sessions() as session:
            return set(session.scalars(select(Release.bundle).distinct()))

    def pictures(self) -> set[str]:
        """Those that some version of a dashboard names."""
        with self.sessions() as session:
            return set(session.scalars(select(Release.thumbnail).distinct()))

    def images(self) -> set[str]:
        """Those with packages that some version of a dashboard runs in."""
        with self.sessions() as session:
            return set(session.scalars(select(Release.image).distinct()))

    def release(self, dashboard: Dashboard, version: int) -> Release:
        """That version of it; NotFound otherwise."""
        with self.sessions() as session:
            found = session.scalar(_version(dashboard.id, version))
        if found is None:
            raise NotFound(f"{dashboard.name} has no version {version}", "look on its page for those there are")
        return found  # type: ignore[no-any-return]

    def add(self, dashboard: Dashboard, release: Release) -> Release:
        """Keep a new version, a draft, and its dashboard if that is new: both rows at once, or Conflict and neither.

        Of one that was taken down, whoever publishes there anew is the owner.
        """
        known = None if dashboard.id is None else dashboard.status
        try:
            with self.sessions.begin() as session:
                if known is None:
                    session.add(dashboard)
                    session.flush()
                release.dashboard_id = dashboard.id
                session.add(release)
                session.flush()
                present = session.get_one(Dashboard, dashboard.id, with_for_update=True)
                if known not in (None, present.status):  # taken down meanwhile, or published anew
                    raise Conflict(f"somebody took {dashboard.name} down, or up, just now", "publish again")
                if known is not None and narrower(present.visibility, dashboard.visibility):  # narrowed meanwhile
                    release.visibility = min(release.visibility, present.visibility, key=WIDTH.index)
                retired = (Dashboard.id == dashboard.id) & (Dashboard.status == "retired")
                session.execute(update(Dashboard).where(retired).values(owner=release.publisher, status="draft"))
            return release
        except IntegrityError:
            raise Conflict(f"{dashboard.name} was published by somebody else just now", "publish again") from None

    def make_live(self, dashboard: Dashboard, version: int, beyond: str | None = None) -> Dashboard:
        """Visitors get that version from now on; who looks at another keeps it. New, promoted and earlier ones alike.

        The first time it also says who sees the dashboard, as far as its owners have not narrowed that since it was
        published (see `show`); later that stays as it is. Conflict where more people come by links and groups than
        `beyond`, which it was decided on for.
        """
        with self.sessions.begin() as session:
            row = session.get_one(Dashboard, dashboard.id, with_for_update=True)  # one step at a time
            release = session.scalars(_version(dashboard.id, version)).one()
            others = (Release.dashboard_id == dashboard.id) & (Release.version != version) & (Release.status == "live")
            session.execute(update(Release).where(others).values(status="retired"))
            if row.status == "retired":
                raise Conflict(f"{dashboard.name} was taken down just now", "publish it again")
            if beyond is not None and wider(beyond, _beyond(session, dashboard)) != beyond:
                raise Conflict(f"somebody shared {dashboard.name} with more people just now", "look again")
            if release.status == "rejected":
                raise Conflict(f"version {version} was rejected meanwhile", "submit it again")
            if release.status not in ("live", "retired"):
                row.visibility = release.visibility
            elif row.visibility != dashboard.visibility:  # what was decided on
                raise Conflict(f"somebody changed who sees {dashboard.name} just now", "look again")
            row.title, row.description = release.title, release.description
            row.tags, row.keep_warm = release.manifest.get("tags", []), release.manifest.get("keep_warm", False)
            row.kind = release.manifest.get("kind") or "voila"
            row.version, row.status, row.updated = version, "live", now()
            release.status, release.approved = "live", wider(release.approved, row.visibility)
        return self.get(dashboard.project, dashboard.slug)

    def move(self, release: Release, states: Collection[str], **values: Any) -> None:
        """Set columns of a version, unless it has left those states meanwhile: Conflict then."""
        with self.sessions.begin() as session:
            found = (Release.id == release.id) & Release.status.in_(states)
            done = session.execute(update(Release).where(found).values(**values))
        if done.rowcount != 1:
            raise Conflict(f"somebody else decided on version {release.version} meanwhile", "look again")

    def submitted(self) -> list[tuple[Dashboard, Release]]:
        """Versions that wait for an approval, the longest first."""
        joined = select(Dashboard, Release).join(Release, Release.dashboard_id == Dashboard.id)
        waiting = joined.where(Release.status == "submitted", Dashboard.status != "retired").order_by(Release.id)
        with self.sessions() as session:
            return [(row, release) for row, release in session.execute(waiting)]

    def show(self, dashboard: Dashboard, visibility: str) -> None:
        """Let those see its live version; Conflict if that is another by now than the one that was decided on.

        No version that waits shows it to more people than its owners chose last.
        """
        with self.sessions.begin() as session:
            session.get_one(Dashboard, dashboard.id, with_for_update=True)
            same = (Dashboard.version == dashboard.version) & (Dashboard.status == "live")
            values = {"visibility": visibility, "updated": now()}
            done = session.execute(update(Dashboard).where(Dashboard.id == dashboard.id, same).values(**values))
            if done.rowcount != 1:
                raise Conflict(f"another version of {dashboard.name} is live since just now", "look again")
            release = session.scalars(_version(dashboard.id, dashboard.version)).one()
            release.approved = wider(release.approved, visibility)
            waiting = (Release.dashboard_id == dashboard.id) & Release.status.not_in(("live", "retired"))
            more = Release.visibility.in_([one for one in WIDTH if narrower(visibility, one)])
            session.execute(update(Release).where(waiting & more).values(visibility=visibility))

    def retire(self, dashboard: Dashboard) -> None:
        """Nobody can open it any more, and what was approved is no more: whoever publishes there anew begins anew."""
        with self.sessions.begin() as session:
            session.get_one(Dashboard, dashboard.id, with_for_update=True)
            mine = Release.dashboard_id == dashboard.id
            waiting = mine & Release.status.in_(("submitted", "approved"))
            session.execute(update(Release).where(waiting).values(status="rejected", comment="taken down"))
            session.execute(update(Release).where(mine & (Release.status == "live")).values(status="retired"))
            never = mine & (Release.status != "retired")  # whoever edits it next would show these to all at once
            session.execute(update(Release).where(never).values(visibility="project"))
            session.execute(update(Release).where(mine).values(approved=""))
            gone = {"status": "retired", "visibility": "project", "updated": now()}
            session.execute(update(Dashboard).where(Dashboard.id == dashboard.id).values(**gone))

    def beyond(self, dashboard: Dashboard) -> str:
        """Who sees it besides those of its visibility: everybody by a link, people by a group; '' for nobody."""
        with self.sessions() as session:
            return _beyond(session, dashboard)

    def shared(self, dashboard: Dashboard, visibility: str) -> None:
        """Who may approve that has let those see the live version, by a link or as a group."""
        with self.sessions.begin() as session:
            release = session.scalar(_version(dashboard.id, dashboard.version))
            if release is not None:
                release.approved = wider(release.approved, visibility)

    def change(self, dashboard: Dashboard, **values: Any) -> None:
        """Set columns of a dashboard."""
        with self.sessions.begin() as session:
            session.execute(update(Dashboard).where(Dashboard.id == dashboard.id).values(**values, updated=now()))

    def rename_project(self, project: str, new: str) -> None:
        """Dashboards follow their project to its new name, and so to new addresses."""
        with self.sessions.begin() as session:
            session.execute(update(Dashboard).where(Dashboard.project == project).values(project=new))

    def visited(self, id: int) -> None:
        """Count one visit."""
        with self.sessions.begin() as session:
            session.execute(update(Dashboard).where(Dashboard.id == id).values(visits=Dashboard.visits + 1))

    def seen(self, live: Live) -> None:
        """Somebody is looking at this release now."""
        with self.sessions.begin() as session:
            session.execute(
                update(Release)
                .where(Release.dashboard_id == live.id, Release.version == live.version)
                .values(last_seen=now())
            )

    def last_seen(self) -> dict[str, float]:
        """Time of the last look at each release (seconds since 1970), by the release's name."""
        with self.sessions() as session:
            rows = session.execute(select(Dashboard, Release).join(Release, Release.dashboard_id == Dashboard.id))
            return {release_name(d.project, d.slug, r.version): _timestamp(r.last_seen) for d, r in rows}

    def redeem(self, ticket: str, expires: float) -> bool:
        """True the first time, False when the ticket was used before. Expired ones are forgotten."""
        try:
            with self.sessions.begin() as session:
                session.execute(delete(UsedTicket).where(UsedTicket.expires < now()))
                session.add(UsedTicket(id=ticket, expires=datetime.fromtimestamp(expires, UTC)))
            return True
        except IntegrityError:
            return False


def wider(one: str, other: str) -> str:
    """Of two visibilities, the one that more people have; '' is nobody's."""
    return max(one, other, key=("", *WIDTH).index)


def narrower(one: str, other: str) -> bool:
    """Whether fewer people have the first visibility than the second."""
    return WIDTH.index(one) < WIDTH.index(other)


def _beyond(session: Any, dashboard: Dashboard) -> str:
    counts = ShareLink.withdrawn.is_(None) & (ShareLink.expires > now())
    linked = select(ShareLink.id).where(ShareLink.dashboard_id == dashboard.id, counts).limit(1)
    if session.scalar(linked) is not None:
        return "public"
    groups = (DashboardGrant.dashboard_id == dashboard.id) & (DashboardGrant.kind == "group")
    return "" if session.scalar(select(DashboardGrant.name).where(groups).limit(1)) is None else "people"


def _version(dashboard: int, version: int) -> Any:
    return select(Release).where(Release.dashboard_id == dashboard, Release.version == version)


def _live(dashboard: Dashboard, release: Release) -> Live:
    return Live(
        id=dashboard.id,
        project=dashboard.project,
        slug=dashboard.slug,
        title=dashboard.title,
        visibility=dashboard.visibility,
        owner=dashboard.owner,
        version=release.version,
        bundle=release.bundle,
        entry=release.entry,
        grants=dashboard.granted,
        embed=tuple(dashboard.embed),
        manifest=release.manifest,
        keep_warm=dashboard.keep_warm,
        image=release.image,
    )


def _timestamp(value: datetime) -> float:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
