"""The pool of waiting containers: kept by demand, refilled behind what people wait for, emptied if memory is short."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ...errors import BdapError, Unavailable
from ...settings import Settings
from ...units import bytes_of
from ..plan import SpawnPlan
from .sizes import refusal, template, wanted
from .waits import FilesAt, Kind, Slot, Waits, no_files

log = logging.getLogger(__name__)
LOOK, TIDY, AFTER_FAILURE = 5.0, 60.0, 120.0  # seconds
PORT = 8888


@dataclass
class Shelf:
    """Those that wait for one kind of plan, on whichever machine; when such were started, and where."""

    template: SpawnPlan
    slots: list[Slot] = field(default_factory=list)
    starts: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=500))
    not_before: dict[str, float] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def on(self, node: str) -> list[Slot]:
        """Those that wait there."""
        return [slot for slot in self.slots if slot.node == node]

    def starts_on(self, node: str) -> list[float]:
        """When servers were started there."""
        return [when for when, where in self.starts if where in ("", node)]


class WarmPool:
    """One for the hub. All of it runs on the hub's loop."""

    def __init__(self, settings: Settings, waits: Waits | None) -> None:
        self._wish, self._waits = settings.spawning.warm, waits
        # A project's own recipe would run its code before the claim, with rights that a server never has.
        self._operators = {one.name: bare(one.reference) for one in settings.images if one.warm and not one.gpu}
        self._shelves: dict[str, Shelf] = {}
        self._claiming: set[str] = set()
        self._news = asyncio.Event()

    @property
    def waits(self) -> Waits:
        """Where containers wait; Unavailable where they never do."""
        if self._waits is None or not self._wish.most:
            raise Unavailable("no containers wait here: the engine is not this host's, or spawning.warm.most is 0")
        return self._waits

    def started(self, plan: SpawnPlan, node: str = "") -> Shelf | None:
        """Count a start, be it warm or cold; None where nothing may wait for such plans."""
        shelf = self.expect(plan)
        if shelf:
            shelf.starts.append((time.monotonic(), node))
            self._news.set()
        return shelf

    def expect(self, plan: SpawnPlan) -> Shelf | None:
        """Have containers wait for plans such as this one."""
        operators = self._operators.get(plan.labels.get("bdap.image", "")) == bare(plan.image)
        if self._waits is None or not self._wish.most or refusal(plan) or not operators:
            return None
        wanted_template = template(plan)
        return self._shelves.setdefault(repr(wanted_template), Shelf(wanted_template))

    async def claim(
        self, plan: SpawnPlan, command: Sequence[str], environment: Mapping[str, str], files: FilesAt = no_files
    ) -> bool:
        """Make a waiting container the plan's server. False: there is none, or it failed: start it cold."""
        if not self.expect(plan):
            return False
        try:
            order = list(await self.waits.order(plan))
            shelf = self.started(plan, order[0] if order else "")
            while shelf and (slot := _best(shelf, order)):
                shelf.slots.remove(slot)  # from here on it is nobody else's
                self._claiming.add(slot.id)
                try:
                    if (await self.waits.kind(plan.image)).image == slot.image:
                        await self.waits.claim(slot, plan, command, environment, files)
                        return True
                    await self.waits.discard(slot.id)
                finally:
                    self._claiming.discard(slot.id)
        except BdapError as error:
            log.warning("%s is started cold: %s", plan.name, error)
        return False

    async def keep(self) -> None:
        """For as long as the hub runs."""
        try:
            waits = self.waits
        except Unavailable as error:
            log.info("%s", error.message)
            return
        try:
            await self._keep()
        finally:  # the hub ends: nobody could claim them any more
            waiting = [slot.id for shelf in self._shelves.values() for slot in shelf.slots]
            await asyncio.gather(*(waits.discard(one) for one in waiting), return_exceptions=True)
            await waits.close()

    async def _keep(self) -> None:
        tidied = -TIDY
        while True:
            if time.monotonic() > tidied + TIDY:
                tidied = time.monotonic()
                with suppress(BdapError):  # the engine does not answer: the next time
                    await self._tidy()
            for shelf in list(self._shelves.values()):
                try:
                    await self._tend(shelf)
                except BdapError as error:
                    log.warning("No container waits for %s: %s", shelf.template.image, error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK)
            self._news.clear()

    async def _tidy(self) -> None:
        """Remove those that wait for another hub, which is no more."""
        known = {slot.id for shelf in self._shelves.values() for slot in shelf.slots}
        for one in set(await self.waits.left_behind()) - known - self._claiming:
            await self.waits.discard(one)

    async def _tend(self, shelf: Shelf) -> None:
        """One step on each machine; none waits for another's."""
        current, places = await self.waits.kind(shelf.template.image), await self.waits.places(shelf.template)
        for slot in [one for one in shelf.slots if one.node not in places]:
            await self._drop(shelf, slot)
        await asyncio.gather(*(self._tend_on(shelf, node, current, why) for node, why in places.items()))

    async def _tend_on(self, shelf: Shelf, node: str, current: Kind, why: str) -> None:
        if shelf.told.get(node, "") != why:
            shelf.told[node] = why
            log.info("On %s containers %s", node, f"do not wait: {why}" if why else "may wait")
        if why:
            return
        try:
            await self._step(shelf, node, current)
        except BdapError as error:
            shelf.not_before[node] = time.monotonic() + AFTER_FAILURE
            log.warning("No container waits for %s on %s: %s", shelf.template.image, node, error)

    async def _step(self, shelf: Shelf, node: str, current: Kind) -> None:
        """Throw away what is out of date or too many, or make one more."""
        starts, now = shelf.starts_on(node), time.monotonic()
        count = wanted(starts, now, self._wish.least, self._wish.most) if current.program else 0
        if await self.waits.free(node) < bytes_of(self._wish.keep_free):
            count = 0
        for slot in shelf.on(node):
            if slot.image != current.image or not await self._lives(slot):
                await self._drop(shelf, slot)
        for slot in shelf.on(node)[: max(0, len(shelf.on(node)) - count)]:
            await self._drop(shelf, slot)
        if len(shelf.on(node)) < count and now > shelf.not_before.get(node, 0.0):
            made = await self.waits.make(shelf.template, current.program, PORT, node)
            shelf.slots.append(made)
            log.info("%s waits for whoever starts %s", made.name, shelf.template.image)
            self._news.set()  # perhaps not the last

    async def _lives(self, slot: Slot) -> bool:
        try:
            return await self.waits.lives(slot)
        except Unavailable:
            return False

    async def _drop(self, shelf: Shelf, slot: Slot) -> None:
        """Unless it was claimed meanwhile."""
        if slot in shelf.slots:
            shelf.slots.remove(slot)
            await self.waits.discard(slot.id)


def _best(shelf: Shelf, order: Sequence[str]) -> Slot | None:
    """One where the server would be started anyway, or where it would be second best; the one that waits longest."""
    return next((slot for node in order for slot in shelf.on(node)), None)


def bare(reference: str) -> str:
    """Without a digest."""
    return reference.partition("@")[0]
