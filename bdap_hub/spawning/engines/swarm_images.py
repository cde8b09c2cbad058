"""Images on the machines of a swarm: what each has is asked of root's part there, which also tells how far a pull is.

Where a machine has no such part, a task that does nothing has the image fetched, and nobody knows how far that is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from docker.errors import APIError

from ... import errors
from ..plan import SWARMS_NETWORK, Limits, Placement, SpawnPlan
from .contract import Engine, ImageFacts, ImageMissing, Node, Pull, State, Tell
from .lane import Lane
from .layers import Layers
from .links import Link, Parts
from .login import Login
from .swarm_setup import image_of

LOOK = 0.1
ASKED, PULLS = 1.0, 600.0  # seconds for an answer; between two events of a pull


class SwarmImages(Engine):
    """Mixin of the engine of many hosts."""

    ask: Callable[[Callable[[Any], Any]], Any]
    order: Callable[[SpawnPlan], Any]
    _pulls: Lane
    _login: Login
    _parts: Parts | None
    _has: set[tuple[str, str]]

    def _part(self, node: Node) -> Link:
        """Root's part there; Unavailable where machines have none."""
        if self._parts is None:
            raise errors.Unavailable("machines have no root part", "set hub.internal_ssl to false")
        return self._parts.of(node)

    async def _there(self, plan: SpawnPlan) -> None:
        """ImageMissing where the server would come to a machine that is known to lack what it could fetch."""
        for node in (await self.order(plan))[:1] if self._parts else ():
            image = await self.ask(lambda client: image_of(client, plan.image))
            if "@" in image and await self._knows(image, node) is False:
                error = ImageMissing(f"the image {plan.image} is not on {node.name}", "wait until it is fetched")
                error.node = node.name
                raise error

    async def _knows(self, image: str, node: Node) -> bool | None:
        """Whether the machine has it; None where nobody can say."""
        if (node.name, image) in self._has:
            return True
        try:
            found = bool(await self._part(node).ask("image", ASKED, image=image))
        except errors.Unavailable:
            return None
        if found:
            self._has.add((node.name, image))
        return found

    async def has_image(self, reference: str, node: str = "") -> bool:
        """A manager knows its own images only; of the other machines, what root's part says, or what has run there."""
        try:
            image = await self.ask(lambda client: image_of(client, reference))
        except ImageMissing:
            return False
        if not node or (node, image) in self._has:
            return True
        return any([await self._knows(image, one) for one in await self.nodes() if one.name == node])

    async def image(self, reference: str) -> ImageFacts:
        """As the manager has it."""
        found = await self.ask(lambda client: client.inspect_image(reference))
        return ImageFacts((found.get("Config") or {}).get("Labels") or {}, int(found["Size"]))

    async def pull(self, reference: str, node: str = "", tell: Tell = lambda pull: None) -> None:
        """On each machine in turn."""
        image = await self._named(reference)
        for one in await self.nodes():
            if node in ("", one.name) and one.state == "ready":
                tell(Pull(0, 0, f"fetching on {one.name}"))
                if not await self._fetched_by_part(image, one, tell):
                    await self._fetched_by_task(image, one.name)
                self._has.add((one.name, image))

    async def _named(self, reference: str) -> str:
        """By digest; the manager fetches what it does not have, and so learns it."""
        with contextlib.suppress(ImageMissing):
            return str(await self.ask(lambda client: image_of(client, reference)))

        def work(client: Any) -> None:
            for event in client.pull(reference, auth_config=self._login.of(reference), stream=True, decode=True):
                if event.get("error"):
                    raise _missing(reference, "the swarm's manager", str(event["error"])[:200])

        try:
            await self._pulls.run(work, 3600)
        except APIError as error:
            raise _missing(reference, "the swarm's manager", str(error.explanation)[:200]) from None
        return str(await self.ask(lambda client: image_of(client, reference)))

    async def _fetched_by_part(self, image: str, node: Node, tell: Tell) -> bool:
        """False where there is no such part. ImageMissing with the reason where the machine cannot fetch it."""
        if (there := await self._knows(image, node)) is not False:
            return bool(there)
        layers = Layers()

        def news(event: Mapping[str, Any]) -> None:
            tell(layers.after(event))

        try:
            await self._part(node).ask("pull", PULLS, news, image=image, login=header(self._login.of(image)))
        except errors.Unavailable as error:
            raise _missing(image, node.name, error.message) from None
        return True

    async def _fetched_by_task(self, image: str, node: str) -> None:
        digest = hashlib.sha256(f"{image} {node}".encode()).hexdigest()[:16]
        plan = _nothing(image, node, f"bdap-pull-{digest}")
        await self.remove(plan.name)
        await self.create(plan, ["true"], {}, 1)
        try:
            await self.start(plan.name)
            state = await self._at_the_end(plan.name)
        finally:
            await self.remove(plan.name)
        if state.phase != "ended" or state.exit_code != 0:
            raise _missing(image, node, state.words)

    async def _at_the_end(self, name: str) -> State:
        while True:
            if not (state := await self.state(name)).alive:
                return state
            await asyncio.sleep(LOOK)


def header(account: Mapping[str, str] | None) -> str:
    """An account as an engine wants it in a header; '' for nobody's. PURE."""
    return base64.urlsafe_b64encode(json.dumps(dict(account)).encode()).decode() if account else ""


def _missing(image: str, node: str, why: str) -> ImageMissing:
    return ImageMissing(f"the image {image} is not on {node}: {why}", "load or push it, and try again")


def _nothing(image: str, node: str, name: str) -> SpawnPlan:
    """A task that has the image fetched, and ends."""
    return SpawnPlan(
        image=image,
        name=name,
        hostname="pull",
        uid=65534,
        gid=65534,
        groups=(),
        working_dir="/",
        mounts=(),
        limits=Limits(64 * 2**20, 0.1, 50),
        gpus=(),
        network=SWARMS_NETWORK,
        environment={},
        labels={"bdap.kind": "pull"},
        placement=Placement(node),
    )
