"""What a spawner does about GPUs: waits in line while somebody watches, says until when one is theirs, ends in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, ClassVar

from ...access import UseImage, decide, grants_for
from ...errors import NotAllowed
from ...settings import Settings
from ..plan import Choice
from ..recheck import ANOTHER_IMAGE, sessions
from . import inventory, placement
from .placement import Wish
from .pool import Asker, Pool, Standing, clock, due, wording

AWAY = 20.0  # seconds for which a closed page keeps its place in line: enough to load it again


class WaitsForGpus:
    """Mixin of a spawner: `gpus_for` before the plan is made, `gpus_settled` when the start is over."""

    gpu_line = ""
    _watchers = 0
    page_left: float | None = None
    _pools: ClassVar[dict[str, Pool]] = {}

    @classmethod
    def pool_of(cls, settings: Settings) -> Pool:
        """The hub's one pool; made, and what it remembers compared with what runs, at the first call."""
        if settings.install_id not in cls._pools:
            cls._pools[settings.install_id] = Pool(settings, sessions(settings.database))
        return cls._pools[settings.install_id]

    @property
    def pool(self: Any) -> Pool:
        """The hub's one pool."""
        return WaitsForGpus.pool_of(self.settings)

    def gpu_wish(self: Any, choice: Choice) -> Wish:
        """What the image needs, from what the project was granted."""
        image = choice.image
        grants = grants_for(choice.project, image.gpu_model, image.gpus)
        return Wish(self.object_name, choice.project.name, self.pool.clock.now(), image.gpus, image.gpu_model, grants)

    async def gpus_for(self: Any, choice: Choice) -> tuple[str, ...]:
        """GPUs for the image, () where it needs none. Who waited long may no longer be entitled: asked again."""
        if not choice.image.gpu:
            return ()
        wish, begun = self.gpu_wish(choice), time.monotonic()
        minutes = self.settings.spawning.gpu_wait_minutes

        def tell(now: Standing) -> None:
            self.gpu_line = (
                f"You are number {now.position} in line for {wording(wish)}: "
                f"{now.why or 'all are in use'}, {due(now.due)}. "
                f"This page waits {minutes:.0f} minutes at most; closing it gives the place away."
            )

        try:
            found: tuple[str, ...] = await self.pool.acquire(
                Asker(wish, self.user.name, choice.image.name), self._stays, tell
            )
        finally:
            self.gpu_line = ""
        if time.monotonic() - begun > 1:
            now = decide(self.policy, self.person, UseImage(choice.project.name, choice.image.name, choice.size.name))
            if not now.entitled:
                raise NotAllowed(now.reason, ANOTHER_IMAGE)
        return found

    async def gpus_settled(self: Any, choice: Choice) -> None:
        """The start is over: what it did not use is free again."""
        if choice.image.gpu:
            self.pool.started(self.object_name)
            await self.pool.tidy()

    def gpu_facts(self: Any, given: tuple[str, ...]) -> dict[str, Any]:
        """What the plan must know of these GPUs. Asks the engine: runs in a thread."""
        if not given:
            return {}
        known, until = self.pool.devices(), self.pool.until(self.object_name)
        end = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%SZ}" if until else ""
        if self.settings.spawning.engine == "swarm":
            return {"gpus": given, "gpu_until": end, "node": self.pool.mine(self.object_name)[0].node}
        cdi = inventory.cdi_names(known, given, inventory.docker_serves())
        return {"gpus": given, "cdi": cdi, "gpu_until": end}

    @property
    def gpu_notice(self: Any) -> dict[str, Any] | None:
        """For the person's page: what they hold, until when, and whether that is `soon`; None without a GPU."""
        held = self.pool.mine(self.object_name)
        if not held:
            return None
        until, model = self.pool.until(self.object_name), held[0].model
        soon = until is not None and until - self.pool.clock.now() < self.settings.spawning.gpu_notice_minutes * 60
        name = f"{len(held)} GPUs" if len(held) > 1 else "a GPU"
        return {"what": f"{name} ({model})" if model else name, "until": until and clock(until), "soon": soon}

    @property
    def gpu_overdue(self: Any) -> bool:
        """Whether the time of this server's GPU is over."""
        until = self.pool.until(self.object_name)
        return until is not None and self.pool.clock.now() >= until

    @property
    def gpu_state(self: Any) -> str:
        """For the start page, from memory: how many are free, and when the next is due back."""
        devices, held = self.pool.devices(), self.pool.held
        free = sum(placement.free(devices, held).values())
        if free:
            return f"{free} of {sum(device.slots for device in devices)} free"
        line = len(self.pool.waiting)
        ahead = f"; {line} in line" if line else ""
        return f"all in use, {due(placement.due_back(Wish('', '', 0), devices, held, self.pool.clock.now()))}{ahead}"

    def watch(self) -> None:
        """Somebody opened the page of the start."""
        self._watchers += 1

    def leave(self) -> None:
        """Somebody closed it."""
        self._watchers -= 1
        self.page_left = time.monotonic()

    def _stays(self) -> bool:
        """Whether the start is still wanted: a program that watches no page waits as long as the settings say."""
        return self._watchers > 0 or self.page_left is None or time.monotonic() - self.page_left < AWAY
