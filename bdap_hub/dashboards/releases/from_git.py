"""Publishes dashboards from their git repositories, in the background and one after the other.

Who set it up is asked of `access` each time. A push that was heard is not forgotten when the service ends: it is
carried out once the service is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from ... import audit
from ...access import Person, Publish, decide
from ...errors import BadRequest, BdapError, Busy, Conflict, NotAllowed, Unavailable
from ..bundles.bundle import Bundle, read_bundle
from ..bundles.remote import fetch, place
from ..records import narrower
from ..tables import Dashboard, Release
from .git_sources import GitSource, GitSources, State
from .publish import Wish, completed
from .vault import Vault

if TYPE_CHECKING:
    from ..app import Doors

log = logging.getLogger("bdap.dashboards")
MOST_WAITING, MOST_OF_PROJECT = 50, 10
AT_ONCE = 2
TRIES, PAUSE = 4, 15.0
MOST_CALLS, WINDOW = 30, 60.0
BY_HAND = "publish such a version once by hand, or with bdap publish --git; pushes may ask for it from then on"
UNCHANGED = "nothing new: a version that is live or waits has this content"


class Calls:
    """How often a webhook may be called: thirty times a minute. Each process counts its own."""

    def __init__(self) -> None:
        self._calls: dict[int, deque[float]] = {}

    def count(self, id: int, now: float) -> None:
        """One call more; Busy where it is one too many."""
        calls = self._calls.setdefault(id, deque())
        while calls and calls[0] < now - WINDOW:
            calls.popleft()
        if len(calls) >= MOST_CALLS:
            raise Busy(f"this webhook was called {MOST_CALLS} times in a minute", "push less often", int(WINDOW))
        calls.append(now)


class FromGit:
    """The queue. Of one dashboard at most one publication runs and one waits: that takes what is pushed meanwhile."""

    def __init__(self, doors: Doors) -> None:
        self.doors, self.sources = doors, GitSources(doors.records.sessions)
        self.calls = Calls()
        self._waiting: dict[int, str] = {}  # of which project
        self._running: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, id: int) -> None:
        """Publish it soon; Busy where too many wait, which its page says, too."""
        row = await run_in_threadpool(self.doors.records.by_id, id)
        if id not in self._waiting:
            theirs = list(self._waiting.values()).count(row.project)
            if theirs >= MOST_OF_PROJECT or len(self._waiting) >= MOST_WAITING:
                error = Busy("too many dashboards wait to be published", "publish it on its page in some minutes", 60)
                await run_in_threadpool(self.sources.note, id, "failed", f"{error.message}\n{error.remedy}")
                raise error
        if id not in self._running:
            await run_in_threadpool(self.sources.note, id, "waiting")
        self._add(id, row.project)

    def _add(self, id: int, project: str) -> None:
        self._waiting[id] = project
        if len(self._tasks) < AT_ONCE:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def allow(self, source: GitSource, row: Dashboard) -> None:
        """NotAllowed unless who set it up may publish it now, for those who see it.

        No login stands behind a push: what it would have to prove was proven then, for as many people.
        """
        if row.status == "retired":
            raise NotAllowed(f"{row.name} was taken down", "publish it, then set this up anew on its page")
        groups = await self.doors.login.groups_of(source.person)
        wanted = Publish(row.project, row.visibility, row.owner, row.granted, row.visibility)  # type: ignore[arg-type]
        decision = decide(self.doors.policy, Person(source.person, groups or frozenset()), wanted)
        proven = decision.entitled and not narrower(source.visibility, row.visibility)
        if groups is None or not (decision or proven):
            why = decision.reason if groups is not None else f"there is no person {source.person}"
            raise NotAllowed(f"{source.person}, who set it up, may not publish it: {why}", "set it up anew on its page")

    async def refused(
        self, source: GitSource, row: Dashboard, error: BdapError, state: State, address: str = ""
    ) -> None:
        """Say it on its page, in the audit log and to its owner."""
        await run_in_threadpool(self.sources.note, row.id, state, f"{error.message}\n{error.remedy}")
        await self._note(source, row, False, error.message, address)
        if await run_in_threadpool(self.sources.write, row.id):
            said = {"person": row.owner, "dashboard": row.name, "reason": f"git-{state}"}
            await self.doors.login.ask_hub("/bdap/letters", said)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the service runs: what was heard before it ended is carried out first."""
        for id in await run_in_threadpool(self.sources.unfinished):
            self._add(id, "")
        try:
            yield
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while (id := next((one for one in self._waiting if one not in self._running), None)) is not None:
            del self._waiting[id]
            self._running.add(id)
            try:
                await self._carry_out(id)
            except Exception:  # the database is away: the next start carries it out
                log.exception("a dashboard was not published from git")
            finally:
                self._running.discard(id)

    async def _carry_out(self, id: int) -> None:
        row = await run_in_threadpool(self.doors.records.by_id, id)
        source = await run_in_threadpool(self.sources.of, row)
        if source is None:
            return
        await run_in_threadpool(self.sources.note, id, "running")
        try:
            told = await self._patiently(id)
            await self._tell_reviewers(row)
        except NotAllowed as error:
            await self.refused(source, row, error, "refused")
        except BdapError as error:
            await self.refused(source, row, error, "failed")
        except Exception:
            log.exception("publishing %s from git failed", row.name)
            unknown = BdapError("something went wrong here", "publish it again, or tell the operators")
            await self.refused(source, row, unknown, "failed")
        else:
            await self._note(source, row, True, told)

    async def _tell_reviewers(self, row: Dashboard) -> None:
        for release in (await run_in_threadpool(self.doors.records.releases, row))[:1]:
            await self.doors.reviews.tell(row, release)

    async def _patiently(self, id: int) -> str:
        """Somebody may publish the same dashboard by hand just now, or the hub, the engine or git's host be away."""
        for _ in range(TRIES - 1):
            try:
                return await self._once(id)
            except (Conflict, Unavailable) as error:
                log.info("publishing dashboard %d from git is tried again: %s", id, error.message)
                await asyncio.sleep(PAUSE)
        return await self._once(id)

    async def _once(self, id: int) -> str:
        """As things are now: it may have been taken down, or be published from git no more, since the last try."""
        row = await run_in_threadpool(self.doors.records.by_id, id)
        source = await run_in_threadpool(self.sources.of, row)
        if source is None:
            raise NotAllowed(f"{row.name} is published from git no more", "set it up anew on its page")
        await self.allow(source, row)
        return await run_in_threadpool(self._publish, source, row)

    def _publish(self, source: GitSource, row: Dashboard) -> str:
        settings = self.doors.settings
        token = Vault(settings).path(row.project, source.secret).read_text().strip() if source.secret else ""
        found = fetch(settings, place(settings, source.url, source.ref, source.folder), token)
        bundle = read_bundle(found.name, found.content, settings.dashboards.max_bundle_mb * 2**20)
        versions = self.doors.records.releases(row)
        if any(one.bundle == bundle.sha256 and one.status in ("live", "submitted") for one in versions):
            self.sources.note(row.id, "unchanged", UNCHANGED, found.commit)
            return f"{UNCHANGED} ({found.commit[:12]})"
        check_asked(bundle, versions)
        wish = completed(Wish(row.project, row.slug, "", "", ""), bundle, row)  # type: ignore[arg-type]
        release = self.doors.publisher().publish(wish, bundle, source.person, row)
        told = f"version {release.version}, {release.visibility}, {release.status}"
        self.sources.note(row.id, "published", told, found.commit)
        return f"{told}, from git at {found.commit[:12]}"

    async def _note(self, source: GitSource, row: Dashboard, allowed: bool, reason: str, address: str = "") -> None:
        event = {"person": source.person, "action": "dashboard.publish", "subject": row.name, "reason": reason}
        await run_in_threadpool(lambda: audit.record(self.sources.sessions, **event, allowed=allowed, address=address))


def check_asked(bundle: Bundle, versions: list[Release]) -> None:
    """BadRequest where it asks for more of the platform than the newest or the live version: whoever may push to a
    repository need not be somebody here. PURE."""
    known = [one.manifest for one in versions if one.status == "live"] + [one.manifest for one in versions[:1]]
    for field in ("secrets", "data"):
        had = {name for one in known for name in one.get(field, ())}
        if more := [name for name in getattr(bundle.manifest, field) if name not in had]:
            raise BadRequest(f"{field}: {more[0]!r:.200} is new, and was pushed", BY_HAND)
    if (image := bundle.manifest.image) and image not in [one.get("image") for one in known]:
        raise BadRequest(f"image: {image!r:.200} is new, and was pushed", BY_HAND)
