"""Watches the store: a lost one is noticed, recorded, shown to people, and healed in running servers when it is back.

The hub never touches the store itself: a mount that hangs would hold it up for good. It asks a program (look).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from ... import audit
from ...database import shared as sessions
from ...errors import Unavailable
from ...settings import Settings
from ...telemetry import redact
from ..node import look
from . import children, heal

log = logging.getLogger(__name__)
REMOUNT_SECONDS = 60.0
REMOUNT_LOOKS = 3
PART_SECONDS = 10.0
BEAT, BEAT_SECONDS = "store-watch", 60.0  # the file in `var` by which a hub knows that somebody heals


class StoreWatch:
    """What is known of the store of these settings; one object a process. `lost`: why, '' while it answers.

    Healing is root's part's, mounting root's: a hub that is not leaves it to `bdap store watch` (`records` False: the
    hub does).
    """

    def __init__(self, settings: Settings, *, records: bool = True) -> None:
        self.settings, self.records = settings, records
        self.acts = os.geteuid() == 0
        self.lost = ""
        self.since = 0.0
        self.unhealed: dict[str, str] = {}  # by server: why it has no store
        self.away: dict[str, str] = {}  # by server: its machine, which has lost it
        self.task: asyncio.Task[None] | None = None
        self._healed: Mapping[str, str] | None = None
        self.part = False  # whether root's part heals for this process
        self._remounted = self._looked = self._asked = self._mended = float("-inf")
        self._roots = (str(settings.store.data), str(settings.store.projects))

    async def look(self, sources: Iterable[str] = ()) -> Mapping[str, str]:
        """The devices of data, projects and `sources`, as far as they are there.

        Unavailable, and known as lost, where the store does not answer.
        """
        store = self.settings.store
        wanted = {"folders": self._roots, "sources": sorted(sources), "file_system": store.file_system}
        try:
            found = await children.ask(look, wanted, store.patience)
        except Unavailable as error:
            await self._now(error.message)
            raise Unavailable(f"the store does not answer: {error.message}", "wait until it is back") from None
        self._looked = time.monotonic()
        await self._now("")
        return dict(found)

    async def there(self, again: bool = False) -> bool:
        """Whether it answers. Unless `again`, the last look serves while it is fresh: a start waits for no process."""
        if again or self.lost or time.monotonic() - self._looked > 1.5 * self.settings.store.look_seconds:
            with suppress(Unavailable):
                await self.look()
        return not self.lost

    async def _now(self, lost: str) -> None:
        """Keep what the look has found; a change is logged and recorded."""
        before, self.lost = self.lost, lost
        if bool(before) == bool(lost):
            return
        words = f"lost: {lost}" if lost else f"back after {time.time() - self.since:.0f} s"
        self.since, self._healed = time.time(), None
        await self._record(bool(lost), words)

    async def _record(self, lost: bool, words: str) -> None:
        root, action = str(self.settings.store.root), "store-lost" if lost else "store-back"
        log.log(logging.ERROR if lost else logging.WARNING, "The store at %s is %s", root, words)
        if self.records:
            event = {"person": "", "action": action, "subject": root, "reason": words}
            await asyncio.to_thread(audit.record, sessions(self.settings.database), **event)

    async def round(self) -> None:
        """Look once, have a lost store mounted again, heal the servers after that."""
        if self.acts and not self.records:
            (self.settings.var / BEAT).touch()
        try:
            devices = await self.look()
        except Unavailable:
            if self.acts:
                await self._remount()
            return
        await self._ask_part()
        if self.part and (devices != self._healed or self.unhealed or self._due()):
            await self._heal(devices)

    async def _ask_part(self) -> None:
        """Whether running servers can be healed; not asked in each round."""
        if self.settings.spawning.engine == "process" or time.monotonic() - self._asked < PART_SECONDS:
            return
        self._asked = time.monotonic()
        self.part = await heal.possible(self.settings)

    @property
    def _far(self) -> bool:
        """On many machines each has a mount of its own, of which this host's says nothing."""
        return self.settings.spawning.engine == "swarm"

    def _due(self) -> bool:
        return self._far and time.monotonic() - self._mended > self.settings.store.look_seconds

    async def _heal(self, devices: Mapping[str, str]) -> None:
        self._healed = devices  # now: a server may ask for another round meanwhile
        try:
            looked_at = (self._roots, self.settings.store.file_system) if self._far else ()
            told = await heal.heal(await heal.running(self.settings), *looked_at)
            self._mended = time.monotonic()
        except BaseException:
            self._healed = None
            raise
        await self.hear(told)

    async def hear(self, told: Sequence[heal.Told]) -> None:
        """Keep what the machines say. Of one that says nothing is true what it said last; it is asked again."""
        silent = {name for one in told if not one.known for name in one.servers}
        if silent:
            self._healed = None
        before, lost = set(self.away.values()), {one.machine: one.away for one in told if one.away}
        self.unhealed = {name: why for name, why in self.unhealed.items() if name in silent}
        self.away = {name: machine for name, machine in self.away.items() if name in silent}
        for one in told:
            self.unhealed |= one.failed
            self.away |= {name: one.machine for name in one.servers if one.away}
        for machine in sorted(set(lost) - before):
            await self._record(True, f"lost on {machine}: {lost[machine]}")
        for machine in sorted(before & {one.machine for one in told if one.known and not one.away}):
            await self._record(False, f"back on {machine}")

    def heal_again(self) -> None:
        """Look at all servers in the next round: one has been started without the store."""
        self._healed = None

    async def _remount(self) -> None:
        """The operator's command, not more often than it can help."""
        command = self.settings.store.remount
        pause = REMOUNT_LOOKS * self.settings.store.look_seconds
        if not command or time.monotonic() - self._remounted < pause:
            return
        self._remounted = time.monotonic()
        try:
            code, _, said = await children.run(command, REMOUNT_SECONDS)
        except (OSError, Unavailable) as error:
            code, said = -1, str(error).encode()
        log.warning("store.remount ended with %d %s", code, redact(said.decode(errors="replace"))[-300:])

    async def run(self) -> None:
        """For the hub's whole life. What goes wrong is logged, and tried again."""
        while True:
            try:
                await self.round()
            except Exception as error:
                log.exception("the store could not be watched: %s", error)
            pause = self.settings.store.look_seconds
            await asyncio.sleep(min(1.0, pause) if self.lost else pause)

    @property
    def heals(self) -> bool:
        """Whether running servers get the store back: from this process, or from a watch beside it."""
        try:
            return self.acts or self.part or time.time() - (self.settings.var / BEAT).stat().st_mtime < BEAT_SECONDS
        except OSError:
            return False

    def notice(self, *servers: str) -> str:
        """What somebody is to know now, '' for nothing; `servers` are the names of their containers."""
        mount = self.settings.store.mount
        if self.lost:
            at = time.strftime("%H:%M UTC", time.gmtime(self.since))
            by_itself = "It comes back into running servers by itself."
            then = by_itself if self.heals else "When it is back, stop your server and start it again to have it."
            return (
                f"The data store ({mount}) does not answer since {at}. Your home folder and your servers work; files "
                f"below {mount} cannot be read or saved. {then}"
            )
        if machines := sorted({self.away[one] for one in servers if one in self.away}):
            return (
                f"The data store ({mount}) does not answer on {' and '.join(machines)}, where your server runs. Your "
                f"home folder works; files below {mount} cannot be read or saved there. It comes back by itself."
            )
        if set(servers) & set(self.unhealed):
            return (
                f"The data store is back, but not in your running server: stop it and start it again to have {mount}."
            )
        return ""


@lru_cache
def _watch(install: str) -> list[StoreWatch]:
    return []


def watch_of(settings: Settings) -> StoreWatch:
    """The watch of these settings; one for the whole process."""
    kept = _watch(settings.install_id)
    if not kept:
        kept.append(StoreWatch(settings))
    return kept[0]


def start(settings: Settings) -> None:
    """Watch from now on, in the hub's loop; nothing where there is none, as in a check of the configuration."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    watch = watch_of(settings)
    watch.task = loop.create_task(watch.run())
