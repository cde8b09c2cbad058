"""Keeps releases running while somebody looks at them: found, started at a first visit, stopped when idle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from ...errors import BadRequest, BdapError, NotAllowed, NotFound, Unavailable
from ...settings import Settings
from ...web import HubLogin
from ..bundles.bundle import bundles_of
from ..bundles.kinds import APPS, STATIC
from ..records import Live, Records
from ..releases.publish import Publisher
from ..snapshots.kept import snapshots_of
from ..snapshots.reading import alike, answers, has_kernel
from ..usage import Usage
from . import copies
from .faults import Faults, last_trace
from .logs import tail
from .looks import Looks
from .questions import Questions
from .runtime import TOKEN_SECONDS, Runtime, make_runtime

log = logging.getLogger("bdap.gateway")
LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 1.0  # a visitor's request waits this long for a start before it is shown the waiting page
SURE_SECONDS = 0.5  # shorter than any release needs to listen where another has just ended
FAILED_SECONDS = 60.0
AWAY_SECONDS = 5.0  # where the engine does not answer, it is no fault of the release
READY_SECONDS = 90.0
ROUND_SECONDS = 30.0
PUBLISH_SECONDS = 600.0
RUN_SECONDS = 300.0
DIFFERS_SECONDS = 3600.0
COPY_SECONDS = 300.0  # a further copy goes on so long without visitors: they may come back


@contextlib.contextmanager
def _tended(name: str) -> Iterator[None]:
    """What goes wrong with one release is logged: the others have their turn."""
    try:
        yield
    except BdapError as error:
        log.warning("the release %s: %s", name, error.message)
    except Exception:
        log.exception("the release %s could not be tended", name)


class Keeper:
    """What the gateway knows of running releases. Its memory can be lost at any time: the runtime tells it again."""

    def __init__(self, settings: Settings, records: Records, login: HubLogin) -> None:
        self.settings, self.records, self.login = settings, records, login
        self.usage, self.faults = Usage(records.sessions), Faults(records.sessions)
        self.snapshots = snapshots_of(settings)
        self._runtime: Runtime | None = None
        self._known: dict[tuple[str, str, int | None], tuple[float, Live | None]] = {}
        self._ready: dict[str, tuple[float, str]] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._questions = Questions[str | None]()
        self.looks, self.copies, self._found = Looks(), copies.Copies(), False

    def known(self, project: str, slug: str, version: int | None = None) -> Live | None:
        """What `live` found within the last two seconds; None when it has to be asked."""
        hit = self._known.get((project, slug, version))
        return hit[1] if hit and hit[0] > time.monotonic() else None

    def live(self, project: str, slug: str, version: int | None = None) -> Live | None:
        """The live dashboard of that name, or a version to preview; looked up again after two seconds."""
        key, now = (project, slug, version), time.monotonic()
        hit = self._known.get(key)
        if hit and hit[0] > now:
            return hit[1]
        if len(self._known) > 10_000:
            self._known.clear()
        found = self.records.live(project, slug, version)
        self._known[key] = (now + LOOK_SECONDS, found)
        return found

    async def address(self, live: Live, copy: str = "") -> str | None:
        """Where the release, or that copy of it, answers; None while it does not. What runs is found, none is started.

        The engine gives the address of one that ended to the next: what is known is asked again, or a visitor of
        this dashboard would see another. Of one that hangs, all who wait do so together.
        """
        name = copy or live.release
        if (known := self._ready.get(name)) and known[0] > time.monotonic():
            return known[1]
        return await self._questions.shared(name, self._found_at)

    async def _found_at(self, name: str) -> str | None:
        known, sure = self._ready.get(name), time.monotonic() + SURE_SECONDS
        found = await run_in_threadpool(lambda: self._engine().address(name))
        if found and ((known and known[1] == found) or await self._questions.put(answers, found)):
            self._ready[name] = (sure, found)
            return found
        self._ready.pop(name, None)
        return None

    async def copy_for(self, live: Live, kernel: str = "") -> str:
        """The copy of the release that has the kernel; where none has it, of those needed the one with fewest visitors.

        Its name, or that of the release, where there is no other. Unavailable where one that may have it is silent.
        """
        own = self.settings.dashboards
        if copies.most(own) == 1:
            return live.release
        if not self._found:
            await run_in_threadpool(lambda: self._find_copies(self._engine().running()))
        names = self.copies.of(live.release)
        if len(names) == 1:
            return live.release
        at, silent = await self._addresses(live, names)
        having = [self._questions.put(has_kernel, address, kernel) for address in at.values()] if kernel else []
        for name, has in zip(at, await asyncio.gather(*having), strict=False):
            if has:
                return name
        if silent and (kernel or not at):
            raise Unavailable(f"{silent[0]} does not answer just now", "try again in a moment")
        if live.release not in at and live.release not in silent:
            self._begin(live)  # meanwhile the others do
        fit = [name for name in self.copies.fit(live.release) if name in at]
        needed = copies.wanted(self.looks.at(*names) + 1, own.visitors_per_copy, copies.most(own))
        return min(fit[:needed], key=self.looks.at, default=live.release)

    async def _addresses(self, live: Live, names: list[str]) -> tuple[dict[str, str], list[str]]:
        """Where they answer, and the names of those of which nobody can say."""
        at, silent = {}, []
        for name in names:
            try:
                if (found := await self.address(live, name)) is not None:
                    at[name] = found
            except Unavailable:
                silent.append(name)
        return at, silent

    def lost(self, live: Live, copy: str = "") -> None:
        """The release, or that copy of it, does not answer any more."""
        self._ready.pop(copy or live.release, None)

    def visited(self, live: Live, who: str = "") -> None:
        """Count a visit, and remember that somebody looks. `who` tells visitors apart; it is not kept."""
        if not live.preview:
            self.records.visited(live.id)
            self.usage.visit(live.id, who)
        self.records.seen(live)

    def joined(self, live: Live) -> None:
        """Count a session: a browser that was joined to a kernel."""
        if not live.preview:
            self.usage.session(live.id)

    def used(self, live: Live, copy: str = "") -> AbstractContextManager[None]:
        """While it lasts, that copy of the release is not stopped."""
        return self.looks.one(copy or live.release, live)

    @contextlib.contextmanager
    def watching(self, live: Live, copy: str = "") -> Iterator[None]:
        """While it lasts, somebody looks at that copy of the release; a further one starts where it is needed."""
        with self.used(live, copy):
            self._grow(live)
            try:
                yield
            finally:
                with contextlib.suppress(SQLAlchemyError):  # counts for when it is stopped
                    self.records.seen(live)

    def _grow(self, live: Live) -> None:
        """Begin to start a further copy where more look at the release than those that there are are good for."""
        own = self.settings.dashboards
        alone = live.preview or live.kind in (*APPS, STATIC) or live.manifest.get("secrets") or own.runtime != "fork"
        if alone:  # an app's visitors are known to one process, secrets to one machine
            return
        names, most = self.copies.of(live.release), copies.most(own)
        if copies.wanted(self.looks.at(*names), own.visitors_per_copy, most) <= len(names):
            return
        name = next(one for n in range(2, most + 1) if (one := copies.named(live.release, n)) not in names)
        if self._failed.get(name, (0.0, ""))[0] < time.monotonic() and name not in self._starting:
            log.info("starting %s: %d look at the release", name, self.looks.at(*names))
            self._starting[name] = asyncio.create_task(self._start_copy(live, name))

    async def _start_copy(self, live: Live, name: str) -> None:
        seconds, fit = FAILED_SECONDS, False
        try:
            publisher = await run_in_threadpool(self._publisher)
            await run_in_threadpool(publisher.start, live, name)
            address, first = await self._until_ready(name), await self.address(live)
            same = None
            if address and first:
                same = await self._questions.put(alike, first, address, RUN_SECONDS, long=True)
            if same is None:
                raise BdapError("it did not start")
            if not same:
                seconds = DIFFERS_SECONDS
                raise BdapError("the notebook makes other widgets at each run: pages of one copy are none of another")
            self._ready[name], fit = (0.0, str(address)), True
            self.looks.began(name)
            self.copies.add(name)
        except Exception as error:  # of the engine, the database, or of what the release says
            log.warning("the copy %s: %s", name, error)
            self._failed[name] = (time.monotonic() + seconds, str(error))
        finally:
            if not fit:
                with contextlib.suppress(Exception):
                    await run_in_threadpool(self._engine().stop, name)
            self._starting.pop(name, None)

    async def start(self, live: Live) -> str:
        """Begin to start the release, or go on waiting; a sentence if that failed within the last minute."""
        if said := self._begin(live):
            return said
        await asyncio.wait({self._starting[live.release]}, timeout=PATIENCE_SECONDS)
        return ""

    def _begin(self, live: Live) -> str:
        """Begin to start it where nobody does; a sentence if that failed within the last minute."""
        name = live.release
        if (failed := self._failed.get(name)) and failed[0] > time.monotonic():
            return failed[1]
        if name not in self._starting:
            self._starting[name] = asyncio.create_task(self._start(live))
        return ""

    async def until(self, live: Live, seconds: float) -> str | None:
        """Where the release answers, started if need be; None when it does not within that time."""
        deadline = time.monotonic() + seconds
        while (found := await self.address(live)) is None and time.monotonic() < deadline:
            if await self.start(live):
                return None
        return found

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Finds what runs already, then cleans up every half minute until the gateway ends."""
        rounds = asyncio.create_task(self._rounds())
        try:
            yield
        finally:
            tasks = [rounds, *self._starting.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, live: Live) -> None:
        begun = time.monotonic()
        try:
            await run_in_threadpool(self._look_at_ended, {live.release: live})
            publisher = await run_in_threadpool(self._publisher)
            await run_in_threadpool(publisher.start, live)
            address = await self._until_ready(live.release)
            if address is None:
                if not live.preview:
                    await run_in_threadpool(self._did_not_start, live)
                raise BdapError("the dashboard did not start")
            if live.kind not in APPS:
                await self._questions.put(self.snapshots.take, live.release, address, long=True)
            self._ready[live.release] = (0.0, address)
            self._failed.pop(live.release, None)
            self.copies.doubt(live.release)
            if not live.preview:
                await run_in_threadpool(self.usage.started, live.id, time.monotonic() - begun)
        except BdapError as error:
            log.warning("dashboard %s: %s", live.name, error.message)
            if isinstance(error, (NotAllowed, NotFound)):  # what it reads is no more its project's: nor is its page
                await run_in_threadpool(self.snapshots.drop, live.release)
            if isinstance(error, BadRequest) and not live.preview:
                told = f"{error.message}: {error.remedy}"
                await run_in_threadpool(self.faults.keep, live, "start", told)
            seconds = AWAY_SECONDS if isinstance(error, Unavailable) else FAILED_SECONDS
            self._failed[live.release] = (time.monotonic() + seconds, "This dashboard could not be started.")
        finally:
            self._starting.pop(live.release, None)

    def _did_not_start(self, live: Live) -> None:
        log = self._engine().logs(live.release)
        found = last_trace(log)
        self.faults.keep(live, "start", found.text if found else tail(log))

    def _look_at_ended(self, lives: dict[str, Live]) -> None:
        for name, ending in self._engine().ended().items():
            if live := lives.get(copies.split(name)[0]):
                with _tended(name):
                    reason = "memory" if ending.memory else "ended"
                    self.faults.keep(live, reason, tail(self._engine().logs(name)), ending.key)
                    if name != live.release:  # nobody starts the copy by that name again, perhaps
                        self._engine().stop(name)

    async def _until_ready(self, name: str) -> str | None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            address = await run_in_threadpool(self._engine().address, name)
            if address is None:
                return None
            if await self._questions.put(answers, address):
                return address
            await asyncio.sleep(0.1)
        return None

    async def _rounds(self) -> None:
        while True:
            try:
                for live in await run_in_threadpool(self.clean_up):
                    await self.start(live)
                await self.tell()
            except Exception:  # the engine or the database is away: the next round tries again
                log.exception("the round of running dashboards failed")
            await asyncio.sleep(ROUND_SECONDS)

    def clean_up(self) -> list[Live]:
        """Stop releases nobody looks at, retired and forgotten ones, and those whose token is about to expire.

        Those that are to be kept warm, and do not run.
        """
        for live in self.looks.lives().values():
            self.records.seen(live)
        lives, seen, now = self.records.live_releases(), self.records.last_seen(), time.time()
        self._engine().tidy()
        running = self._engine().running()
        self._find_copies(running)
        self._look_at_ended(lives)
        for name in self.copies.unknown():
            with _tended(name):
                self._judge(name)
        for name in running:
            if live := lives.get(copies.split(name)[0]):
                with _tended(name):
                    self._look_at(live, name)
        self.usage.forget(self.settings.dashboards.usage_days)
        warm = self._warm(lives)
        for name, started in running.items():
            if self.looks.at(name):
                continue
            idle = now - max(started, self.looks.left(name), seen.get(name, 0))
            limit = self._idle_limit(name, lives, seen)
            if (idle > limit and name not in warm) or now - started > TOKEN_SECONDS * 0.8:
                log.info("stopping the release %s, idle for %d s", name, idle)
                self._ready.pop(name, None)
                self.copies.drop(name)
                with _tended(name):
                    self._engine().stop(name)
        return [live for name, live in warm.items() if name not in running]

    def _find_copies(self, running: Mapping[str, float]) -> None:
        """Those that run, also from before this process began, and those of machines that are silent just now."""
        silent = {name for name in self.copies.running - set(running) if not self._gone(name)}
        self.copies.find((set(running) | silent) - set(self._starting))
        self.looks.found(self.copies.running)
        self.looks.keep({*running, *silent})
        self._found = True

    def _gone(self, name: str) -> bool:
        try:
            return self._engine().address(name) is None
        except Unavailable:
            return False

    def _judge(self, name: str) -> None:
        """Whether new visitors may be led to a copy of which that is not known; it ends where not, and nobody looks."""
        first, own = self._engine().address(copies.split(name)[0]), self._engine().address(name)
        if first is None or own is None or (same := alike(first, own, 0)) is None:
            return
        if same:
            self.copies.add(name)
        elif not self.looks.at(name):
            self._engine().stop(name)
            self.copies.drop(name)

    def _look_at(self, live: Live, name: str) -> None:
        """How much memory the release, or a copy, needs, and whether it wrote an error."""
        self.usage.memory(live.id, self._engine().memory(name))
        bundle = bundles_of(self.settings) / live.bundle
        self.faults.in_log(live, self._engine().logs(name), bundle)

    def _warm(self, lives: dict[str, Live]) -> dict[str, Live]:
        """Those that go on without visitors, the oldest dashboards first, as many as the platform allows."""
        warm = (live for live in lives.values() if live.keep_warm and live.kind != STATIC)
        asked = sorted(warm, key=lambda live: live.id)
        return {live.release: live for live in asked[: self.settings.dashboards.most_warm]}

    async def tell(self) -> None:
        """Write to the authors of dashboards that broke, through the hub: their addresses are not known here."""
        for dashboard in await run_in_threadpool(self.faults.due):
            row = await run_in_threadpool(self.records.by_id, dashboard)
            fault = await run_in_threadpool(self.faults.last, dashboard)
            editors = {one.name for one in row.granted if one.kind == "person" and one.role != "viewer"}
            told = [
                await self.login.ask_hub(
                    "/bdap/letters", {"person": name, "dashboard": row.name, "reason": fault.reason}
                )
                for name in sorted({row.owner} | editors)
            ]
            if not any(told):
                await run_in_threadpool(self.faults.untold, dashboard)

    def _idle_limit(self, name: str, lives: Mapping[str, Live], seen: Mapping[str, float]) -> float:
        """An older version goes once nobody looks at it; one never made live gets the time a publication takes."""
        if copies.split(name)[1] > 1:
            return COPY_SECONDS
        if name in lives:
            return self.settings.dashboards.idle_timeout
        return 60.0 if name in seen else PUBLISH_SECONDS

    def _engine(self) -> Runtime:
        if self._runtime is None:
            self._runtime = make_runtime(self.settings)
        return self._runtime

    def _publisher(self) -> Publisher:
        return Publisher(self.settings, self.records, self._engine(), self.login)
