"""The pool of waiting containers: kept by demand, refilled behind what people wait for, emptied if memory is short."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import APIError

from ...errors import BdapError
from ...settings import Settings
from ...units import bytes_of
from ..engines import engine_of
from ..engines.claimed import Claimed
from ..engines.docker import DockerEngine
from ..plan import SpawnPlan
from .sizes import refusal, template, wanted
from .slots import FilesAt, Slot, Slots, no_files, why_not

log = logging.getLogger(__name__)
LABEL = "bdap.warm"  # of an image whose containers can wait: the program in it that does
LOOK, TIDY, AFTER_FAILURE = 5.0, 60.0, 120.0  # seconds
PORT = 8888


@dataclass
class Shelf:
    """Those that wait for one kind of plan, and when such were started. `image` and `program`: as the engine has it."""

    template: SpawnPlan
    slots: list[Slot] = field(default_factory=list)
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=500))
    image: str = ""
    program: str = ""
    not_before: float = 0.0


class WarmPool:
    """One for the hub. All of it runs on the hub's loop."""

    def __init__(self, settings: Settings, engine: DockerEngine) -> None:
        self._wish, self._lane = settings.spawning.warm, engine.lane
        claimed = engine.claimed or Claimed(settings.var.resolve() / "warm")
        self._slots = Slots(engine.lane, claimed, settings.install_id, self._wish.patience)
        # A project's own recipe would run its code before the claim, with rights that a server never has.
        self._operators = {one.name: bare(one.reference) for one in settings.images if one.warm and not one.gpu}
        self._shelves: dict[str, Shelf] = {}
        self._claiming: set[str] = set()
        self._news = asyncio.Event()
        self.refused = why_not() if self._wish.most else "spawning.warm.most is 0"

    def started(self, plan: SpawnPlan) -> Shelf | None:
        """Count a start, be it warm or cold; None where nothing may wait for such plans."""
        shelf = self.expect(plan)
        if shelf:
            shelf.starts.append(time.monotonic())
            self._news.set()
        return shelf

    def expect(self, plan: SpawnPlan) -> Shelf | None:
        """Have containers wait for plans such as this one."""
        operators = self._operators.get(plan.labels.get("bdap.image", "")) == bare(plan.image)
        if self.refused or refusal(plan) or not operators:
            return None
        wanted_template = template(plan)
        return self._shelves.setdefault(repr(wanted_template), Shelf(wanted_template))

    async def claim(
        self, plan: SpawnPlan, command: Sequence[str], environment: Mapping[str, str], files: FilesAt = no_files
    ) -> bool:
        """Make a waiting container the plan's server. False: there is none, or it failed: start it cold."""
        shelf = self.started(plan)
        try:
            while shelf and shelf.slots:
                slot = shelf.slots.pop(0)  # from here on it is nobody else's
                self._claiming.add(slot.container)
                try:
                    if await self._image_id(shelf) == slot.image:
                        await self._slots.claim(slot, plan, command, environment, files)
                        return True
                    await self._slots.discard(slot.container)
                finally:
                    self._claiming.discard(slot.container)
        except BdapError as error:
            log.warning("%s is started cold: %s", plan.name, error)
        return False

    async def _image_id(self, shelf: Shelf) -> str:
        """What the engine has by that name now; '' where it has nothing."""
        try:
            found = await self._lane.call("inspect_image", shelf.template.image)
        except APIError:
            return ""
        shelf.image = str(found["Id"])
        shelf.program = ((found.get("Config") or {}).get("Labels") or {}).get(LABEL, "")
        return shelf.image

    async def keep(self) -> None:
        """For as long as the hub runs."""
        if self.refused:
            log.info("No containers wait for people: %s", self.refused)
            return
        try:
            await self._keep()
        finally:  # the hub ends: nobody could claim them any more
            await self._slots.close()
            waiting = [slot.container for shelf in self._shelves.values() for slot in shelf.slots]
            await asyncio.gather(*(self._slots.discard(one) for one in waiting), return_exceptions=True)

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
                    shelf.not_before = time.monotonic() + AFTER_FAILURE
                    log.warning("No container waits for %s: %s", shelf.template.image, error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK)
            self._news.clear()

    async def _tidy(self) -> None:
        """Remove those that wait for another hub, which is no more."""
        known = {slot.container for shelf in self._shelves.values() for slot in shelf.slots}
        for container in set(await self._slots.left_behind()) - known - self._claiming:
            await self._slots.discard(container)

    async def _tend(self, shelf: Shelf) -> None:
        """One step: throw away what is out of date or too many, or make one more."""
        current = await self._image_id(shelf)
        count = wanted(shelf.starts, time.monotonic(), self._wish.least, self._wish.most) if shelf.program else 0
        free = memory_available() - bytes_of(self._wish.keep_free)
        if free < 0:
            count = 0
        for slot in [one for one in shelf.slots if one.image != current or not one.socket.exists()]:
            if slot not in shelf.slots:
                continue  # claimed meanwhile
            shelf.slots.remove(slot)
            await self._slots.discard(slot.container)
        while len(shelf.slots) > count:
            await self._slots.discard(shelf.slots.pop(0).container)
        if len(shelf.slots) < count and time.monotonic() > shelf.not_before:
            shelf.slots.append(await self._slots.make(shelf.template, shelf.program, PORT))
            self._news.set()  # perhaps not the last


def bare(reference: str) -> str:
    """Without a digest."""
    return reference.partition("@")[0]


def memory_available(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that this host has left."""
    lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


_pools: dict[str, WarmPool | None] = {}


def pool_of(settings: Settings) -> WarmPool | None:
    """This hub's; None where its engine has none."""
    if settings.install_id not in _pools:
        engine = engine_of(settings)
        _pools[settings.install_id] = WarmPool(settings, engine) if isinstance(engine, DockerEngine) else None
    return _pools[settings.install_id]
