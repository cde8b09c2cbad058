"""Carries out what `placement` decides: places are written down before a container starts and freed once it is gone.

One pool per hub. What is held stands in the database; what runs is asked of the engine; only the line of those who wait
is in memory, as the starts that wait are.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import sessionmaker

from ...errors import Busy, Unavailable
from ...settings import Settings
from ..engines import engine_of, now
from ..steady import Clock
from . import inventory, placement, tables
from .placement import Device, Held, Running, Wish
from .tables import GpuAllocation

log = logging.getLogger(__name__)
LOOK = 1.0  # seconds between two looks for those who wait, all of them together
GONE = ("ended", "lost", "created")  # `created` counts by its start: only the spawner that made it goes on with it
Runs = Callable[[], Sequence[Running]]


def running(settings: Settings) -> list[Running]:
    """The servers of this install that have GPUs, by their labels; Unavailable where the engine does not answer."""
    labels = {"bdap.hub": settings.install_id, "bdap.kind": "server"}
    return [
        Running(
            holder=one.name,
            person=one.labels.get("bdap.person", ""),
            project=one.labels.get("bdap.project", ""),
            image=one.labels.get("bdap.image", ""),
            devices=tuple(filter(None, one.labels[placement.LABEL].split(","))),
            since=one.created,
            node=one.state.node,
        )
        for one in now(lambda: engine_of(settings).find(labels))
        if one.labels.get(placement.LABEL) and one.state.phase not in GONE
    ]


@dataclass(frozen=True)
class Asker:
    """Whose wish it is, and in which image."""

    wish: Wish
    person: str
    image: str


@dataclass(frozen=True)
class Standing:
    """What somebody in line is told: their position, when a device is due back (None: no end is set).

    `why` is set where it is not for all being in use.
    """

    position: int
    due: float | None
    why: str = ""


class Pool:
    """The GPUs of this platform. Calls that may wait for the database or the engine run in threads."""

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Any],
        engine: Runs | None = None,
        devices: Callable[[], tuple[Device, ...]] | None = None,
    ) -> None:
        self.settings, self._sessions = settings, sessions
        self._engine = engine or (lambda: running(settings))
        self.devices = devices or (lambda: inventory.devices(settings))
        self._fresh = devices or (lambda: inventory.devices(settings, fresh=True))
        self.waiting: dict[str, Asker] = {}
        self._placed: dict[str, tuple[str, ...]] = {}  # ids, for those whose container is not there yet
        self._rows: tuple[GpuAllocation, ...] = ()
        self._looking = threading.Lock()
        self._turn = asyncio.Lock()
        self._looked = float("-inf")
        self.clock = Clock()

    @property
    def held(self) -> tuple[Held, ...]:
        """What is held, as it was at the last look."""
        return tuple(row.held() for row in self._rows)

    def mine(self, holder: str) -> tuple[GpuAllocation, ...]:
        """What this container holds."""
        return tuple(row for row in self._rows if row.holder == holder)

    def until(self, holder: str) -> float | None:
        """When this container must end because of its GPU, if ever."""
        return min((row.until for row in self.mine(holder) if row.until is not None), default=None)

    def look(self) -> None:
        """Free what is gone, write down what was not known, serve who waits. Blocks; Unavailable without engine."""
        with self._looking:
            self._follow_clock()
            starting = set(self._placed)
            rows = tables.allocations(self._sessions)
            devices = self._fresh()
            if rows or devices:
                self._reconcile([row.held() for row in rows], starting, devices)
            self._serve(devices)
            self._rows = tuple(tables.allocations(self._sessions))
            self._looked = time.monotonic()

    def _follow_clock(self) -> None:
        """Who has a GPU has it as long as was said, whatever becomes of the time of day."""
        if step := self.clock.jumped():
            log.warning("The clock of this machine jumped by %.0f s: the ends of GPUs' times move along", step)
            tables.move(self._sessions, step)
            self.clock.believe()

    def _reconcile(self, held: Sequence[Held], starting: set[str], devices: Sequence[Device]) -> None:
        real = self._engine()
        lost = placement.gone(held, real, starting)
        if lost and (ended := tables.end(self._sessions, lost)):
            log.info("%d GPU places are free again: %s", ended, ", ".join(one.place.device for one in lost))
        left = [one for one in held if one not in lost]
        for one, place in placement.unknown(devices, left, real, self.settings.spawning.node):
            log.warning("%s has the GPU %s, which nobody had written down", one.holder, place.device)
            asker = Asker(Wish(one.holder, one.project, one.since), one.person, one.image)
            row = self._row(asker, place, devices, one.since)
            if row.until is not None:  # nobody loses work without notice
                row.until = max(row.until, self.clock.now() + self.settings.spawning.gpu_notice_minutes * 60)
            tables.allocate(self._sessions, [row])

    def _serve(self, devices: Sequence[Device]) -> None:
        askers = dict(self.waiting)
        if not askers:
            return
        held = [row.held() for row in tables.allocations(self._sessions)]
        for holder, places in placement.place(devices, held, [one.wish for one in askers.values()]).items():
            now, asker = self.clock.now(), askers[holder]
            # from here on a look does not take it for lost; and who left the line meanwhile is found at the next one
            self._placed[holder] = tuple(place.device for place in places)
            rows = [self._row(asker, place, devices, now) for place in places]
            given = tables.allocate(self._sessions, rows)  # False: by somebody else's hand, seen at the next look
            self._rows = (*self._rows, *(rows if given else ()))
            if not given or self.waiting.pop(holder, None) is None:
                self._placed.pop(holder, None)

    def _row(self, asker: Asker, place: placement.Place, devices: Sequence[Device], since: float) -> GpuAllocation:
        device = next((d for d in devices if (d.node, d.id) == (place.node, place.device)), Device(place.node, ""))
        hours = self.settings.spawning.gpu_hours
        return GpuAllocation(
            node=place.node,
            device=place.device,
            slot=place.slot,
            holder=asker.wish.holder,
            person=asker.person,
            project=asker.wish.project,
            image=asker.image,
            model=device.model,
            share=1 / device.slots,
            since=since,
            until=since + hours * 3600 if hours else None,
        )

    async def tidy(self) -> None:
        """A look that never fails: what it could not do is done at the next one."""
        try:
            async with self._turn:
                await asyncio.to_thread(self.look)
        except Exception:
            log.exception("The GPUs could not be looked at")

    async def acquire(
        self, asker: Asker, stay: Callable[[], bool] = lambda: True, tell: Callable[[Standing], None] = lambda now: None
    ) -> tuple[str, ...]:
        """Ids of the GPUs set aside for this start; `started` must follow. In line as long as `stay` says so.

        Unavailable where no node has what is wished for; Busy where none was free in time.
        """
        wish = asker.wish
        if not placement.possible(wish, self.devices()):
            raise Unavailable(f"no node has {wording(wish)}", "choose another image, or ask the operator")
        self.waiting[wish.holder] = asker
        deadline = time.monotonic() + self.settings.spawning.gpu_wait_minutes * 60
        self._looked = float("-inf")
        try:
            while True:
                async with self._turn:  # one look serves all who wait
                    if time.monotonic() - self._looked >= LOOK:
                        await asyncio.to_thread(self.look)
                if wish.holder in self._placed and wish.holder not in self.waiting:
                    return self._placed[wish.holder]
                if not placement.possible(wish, self.devices()):  # as where the only node with such a GPU was drained
                    raise Unavailable(
                        f"no node has {wording(wish)} any more", "choose another image, or ask the operator"
                    )
                standing = self.standing(wish)
                if time.monotonic() >= deadline or not stay():
                    raise Busy(f"{standing.why or 'all GPUs are in use'}; {due(standing.due)}", LATER, retry_after=300)
                tell(standing)
                await asyncio.sleep(LOOK)
        except BaseException:
            self.waiting.pop(wish.holder, None)  # first: who is placed after this is no longer in line, and seen to be
            self._placed.pop(wish.holder, None)
            raise

    def started(self, holder: str) -> None:
        """The start is over, well or not: from now on the container says whether the GPU is held."""
        self._placed.pop(holder, None)

    def standing(self, wish: Wish) -> Standing:
        """Where this wish is in the line."""
        devices, held = self.devices(), self.held
        others = [one.wish for one in list(self.waiting.values()) if one.wish.holder != wish.holder]
        place = placement.position(wish, devices, held, [*others, wish])
        if not placement.within(wish, devices, ((one.project, one.place) for one in held)):
            ends = [one.until for one in held if one.project == wish.project and one.until is not None]
            why = f"project {wish.project} has as many GPUs as it may at once"
            return Standing(place, min(ends, default=None), why)
        return Standing(place, placement.due_back(wish, devices, held, self.clock.now()))


LATER = "start an image without GPU, or try again then"


def wording(wish: Wish) -> str:
    """`2 GPUs of model A100`."""
    number = "a GPU" if wish.count == 1 else f"{wish.count} GPUs"
    return f"{number} of model {wish.model}" if wish.model else number


def due(moment: float | None) -> str:
    """When the next is due back, for people."""
    return "none has an end set" if moment is None else f"the next is due back by {clock(moment)}"


def clock(moment: float) -> str:
    """`14:05 UTC (in 2 h 10 min)`, with the date where it is another day's."""
    at, now = datetime.fromtimestamp(moment, UTC), datetime.now(UTC)
    minutes = max(0, round((at - now).total_seconds() / 60))
    hours, rest = divmod(minutes, 60)
    left = " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (rest, "min")) if number) or "0 min"
    return f"{at:%H:%M UTC}{'' if at.date() == now.date() else f' on {at:%Y-%m-%d}'} (in {left})"
