"""Images that a node lacks are fetched from their registry: ahead in the background, or while a start waits for one.

One pull of an image at a time, which all who want it share.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from ...errors import BdapError
from ...settings import Settings
from ..engines import Engine, ImageMissing, Pull, engine_of
from ..page.progress import Progress

log = logging.getLogger(__name__)
LOOK = 0.5  # seconds between two words to who waits
SURE = 3.0  # seconds before which nobody knows how fast it is
AGAIN = 60.0  # seconds between two looks for what is missing
AFTER_FAILURE = 600.0  # until what failed is tried again in the background; a start that needs it tries at once


def registry_of(reference: str) -> str:
    """The registry that the reference names; '' for what exists on this host alone, or nowhere. PURE.

    >>> registry_of("bdap/lab:latest"), registry_of("registry.example:5000/lab@sha256:0f")
    ('', 'registry.example:5000')
    """
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def progress(title: str, pull: Pull, seconds: float) -> Progress:
    """What people see after so many seconds of it. PURE.

    >>> progress("JupyterLab", Pull(430, 1000, ""), 90.0).sentence
    'Fetching the image JupyterLab: 43 % (2 min left)'
    >>> progress("JupyterLab", Pull(0, 0, ""), 1.0).sentence
    'Fetching the image JupyterLab'
    """
    message = f"Fetching the image {title}"
    if not pull.total or not pull.done:
        return Progress("pulling", message)
    share = min(1.0, pull.done / pull.total)
    return Progress("pulling", message, 100 * share, seconds * (1 - share) / share if seconds >= SURE else None)


class Pulls:
    """Of one hub, on its loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._news: dict[tuple[str, str], tuple[Pull, float]] = {}
        self._failed: dict[tuple[str, str], float] = {}

    async def have(
        self, reference: str, title: str = "", tell: Callable[[Progress], None] = lambda progress: None, node: str = ""
    ) -> None:
        """Wait until that node ('': some) has the image; ImageMissing, with the reason, if it fails.

        `tell` says that it has begun, and how far it is.
        """
        if await self._engine.has_image(reference, node):
            return
        task = self._pull(reference, node)
        key = self._same(reference, node) or (reference, node)
        while not task.done():
            pull, since = self._news[key]
            tell(progress(title or reference, pull, time.monotonic() - since))
            await asyncio.wait({task}, timeout=LOOK)
        return task.result()

    def _pull(self, reference: str, node: str) -> asyncio.Task[None]:
        """The one that runs, or a new one."""
        if not registry_of(reference):
            raise ImageMissing(f"the image {reference} is not on this host and names no registry to pull it from")
        key = self._same(reference, node) or (reference, node)
        if key not in self._running:
            self._news[key] = (Pull(0, 0, ""), time.monotonic())
            self._running[key] = task = asyncio.get_running_loop().create_task(self._carry_out(*key))
            task.add_done_callback(lambda done: (self._running.pop(key), done.cancelled() or done.exception()))
        return self._running[key]

    def _same(self, reference: str, node: str) -> tuple[str, str] | None:
        """A pull that runs and brings what this one would."""
        return next((k for k in self._running if k[0] == reference and (not node or k[1] in ("", node))), None)

    async def _carry_out(self, reference: str, node: str) -> None:
        begun = self._news[reference, node][1]

        def tell(pull: Pull) -> None:
            self._news[reference, node] = (pull, begun)

        log.info("Pulling %s%s", reference, f" on {node}" if node else "")
        await self._engine.pull(reference, node, tell)
        log.info("Pulled %s in %.0f s", reference, time.monotonic() - begun)

    async def keep(self, references: Callable[[], Iterable[str]]) -> None:
        """For as long as the hub runs: what may be started is on every node before somebody asks for it."""
        while True:
            try:
                await self._look({one for one in references() if registry_of(one)})
            except BdapError as error:
                log.warning("Images are not pulled ahead: %s", error)
            await asyncio.sleep(AGAIN)

    async def _look(self, references: set[str]) -> None:
        nodes = [node.name for node in await self._engine.nodes() if node.state == "ready"]
        await asyncio.gather(*(self._look_on(node, references) for node in nodes))

    async def _look_on(self, node: str, references: set[str]) -> None:
        """One image after the other, beside the other nodes."""
        for reference in sorted(references):
            key, now = (reference, node), time.monotonic()
            if self._failed.get(key, -AFTER_FAILURE) + AFTER_FAILURE > now:
                continue
            try:
                if not await self._engine.has_image(reference, node):
                    await self._pull(*key)
            except BdapError as error:
                self._failed[key] = now
                log.warning("%s is not pulled ahead on %s: %s", reference, node, error)


_pulls: dict[str, Pulls] = {}


def pulls_of(settings: Settings) -> Pulls:
    """This hub's."""
    return _pulls.setdefault(settings.install_id, Pulls(engine_of(settings)))
