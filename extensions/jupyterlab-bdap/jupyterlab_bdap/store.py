"""Whether the data store answers in this very server, whatever the hub sees of it from its own machine.

A look may hang as long as the store does: it has a thread to itself, and no second one begins meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE, FRESH = 3.0, 5.0  # seconds for a look to answer, and for which its answer serves everybody who asks
HELD = "/.away"  # the folder that holds the store's place in a server that was started without it
MOUNTS = Path("/proc/self/mountinfo")


class Store:
    """`mount`: where the store is, '' where this server has none."""

    def __init__(self, mount: str, missing: Callable[[str], bool] | None = None) -> None:
        self.mount, self._missing = mount.rstrip("/"), missing or is_missing
        self._looking: asyncio.Future[bool] | None = None
        self._away, self._at = False, float("-inf")

    async def away(self) -> bool:
        """Whether files of the store cannot be read now."""
        if not self.mount or (self._looking is None and time.monotonic() - self._at < FRESH):
            return self._away
        look = self._looking = self._looking or _in_thread(lambda: self._missing(self.mount))
        done, _ = await asyncio.wait({look}, timeout=PATIENCE)
        self._away = look.result() if done else True
        if done:
            self._looking, self._at = None, time.monotonic()
        return self._away


def is_missing(mount: str) -> bool:
    """Whether a part of the store does not answer. It hangs where that does."""
    places = list(_places(mount, MOUNTS.read_text())) or [(mount, "")]
    return any(held.endswith(HELD) or not _answers(place) for place, held in places)


def _answers(place: str) -> bool:
    try:
        os.statvfs(place)
        with os.scandir(place) as entries:
            next(entries, None)
    except PermissionError:  # it answers that this is not for us
        return True
    except OSError:
        return False
    return True


def _places(mount: str, mountinfo: str) -> Iterator[tuple[str, str]]:
    """(where, what of its file system) of each mount below `mount` that hangs in no other one.

    >>> lines = "1 0 0:1 / /eos/data r - x x r", "2 1 0:2 /e /eos/data/x r - x x r", "3 0 0:3 /v/.away /eos/b r - x x r"
    >>> list(_places("/eos", chr(10).join(lines)))
    [('/eos/data', '/'), ('/eos/b', '/v/.away')]
    """
    found = {}
    for fields in map(str.split, mountinfo.splitlines()):
        where = fields[4].encode().decode("unicode_escape")
        if where == mount or where.startswith(f"{mount}/"):
            found[where] = fields[3]
    for where, what in found.items():
        if not any(where.startswith(f"{other}/") for other in found):
            yield where, what


def _in_thread(work: Callable[[], bool]) -> asyncio.Future[bool]:
    """In a thread that does not keep the server from ending. What goes wrong counts as missing."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()

    def run() -> None:
        try:
            found = work()
        except OSError:
            found = True
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: future.done() or future.set_result(found))

    threading.Thread(target=run, daemon=True, name="look-at-the-store").start()
    return future
