"""How much people may keep in their homes. Never a reason not to start: whoever has too much needs a server to tidy up.

Where the file system of the homes has project quotas (ext4 or XFS mounted with prjquota, and root), it holds people to
them; elsewhere what they use is measured in the background, and they are told.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import Unavailable
from ...settings import Settings
from ...units import bytes_of
from ..names import safe_name
from . import children

log = logging.getLogger(__name__)
NEAR = 0.9
MEASURE_SECONDS, AGAIN_SECONDS, SET_SECONDS = 120.0, 600.0, 10.0
SIZES = ((2**40, "TB"), (2**30, "GB"), (2**20, "MB"), (2**10, "kB"))


@dataclass(frozen=True)
class HomeUse:
    """Bytes in a home, and how many there may be."""

    used: int
    limit: int

    @property
    def state(self) -> str:
        """`ok`, `near` from 90 % on, `over` where there is no room."""
        return "over" if self.used >= self.limit else "near" if self.used >= NEAR * self.limit else "ok"

    @property
    def words(self) -> str:
        """Both in the limit's unit.

        >>> HomeUse(9878424781, 10 * 2**30).words, HomeUse(0, 512 * 2**20).words
        ('9.2 of 10 GB', '0 of 512 MB')
        """
        size, unit = next(((size, unit) for size, unit in SIZES if self.limit >= size), (1, "bytes"))
        used = self.used / size
        shown = f"{used:.1f}" if used < 10 else f"{used:.0f}"
        return f"{shown.removesuffix('.0')} of {self.limit / size:.4g} {unit}"


class Homes:
    """What is known of people's homes; one object a process."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.var.resolve() / "homes"
        self.limit = bytes_of(settings.spawning.home_quota) if settings.spawning.home_quota else 0
        self.uses: dict[str, HomeUse] = {}
        self._measured: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._one = asyncio.Semaphore(1)

    async def limited(self, person: str, uid: int) -> None:
        """Have the file system hold the person to their quota, where it does; `uid` is their project on it."""
        if not self.limit or os.geteuid() != 0 or not _counts_projects(self.folder):
            return
        home = self.folder / safe_name(person)
        blocks = str(self.limit // 1024)
        for command in (
            ["setquota", "-P", str(uid), "0", blocks, "0", "0", str(mount_of(self.folder))],
            ["chattr", "+P", "-p", str(uid), str(home)],
        ):
            try:
                code, _, said = await children.run(command, SET_SECONDS)
            except (OSError, Unavailable) as error:
                code, said = -1, str(error).encode()
            if code:
                log.warning(
                    "the quota of %s is not set: %s: %s", home, command[0], said.decode(errors="replace")[-200:]
                )

    def measure(self, person: str) -> None:
        """Count the bytes soon, unless that was done a moment ago. One home at a time, after everything else."""
        if not self.limit or time.monotonic() - self._measured.get(person, float("-inf")) < AGAIN_SECONDS:
            return
        self._measured[person] = time.monotonic()
        task = asyncio.create_task(self._measure(person))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _measure(self, person: str) -> None:
        home = self.folder / safe_name(person)
        command = ["nice", "-n", "19", "du", "--summarize", "--one-file-system", "--block-size=1", str(home)]
        async with self._one:
            try:
                code, out, _ = await children.run(command, MEASURE_SECONDS)
                if code and os.geteuid() != 0:  # root's du only misses what is deleted meanwhile
                    raise Unavailable("the hub may not look into it")
                self.uses[person] = HomeUse(int(out.split()[0]), self.limit)
            except (OSError, Unavailable, ValueError, IndexError) as error:
                log.warning("the home of %s could not be measured: %s", person, getattr(error, "message", error))
                return
        if self.uses[person].state != "ok":
            log.warning("The home of %s holds %s", person, self.uses[person].words)


def mount_of(folder: Path) -> Path:
    """The mount point that holds `folder`."""
    return next(path for path in (folder, *folder.parents) if path.is_mount() or path == path.parent)


def _counts_projects(folder: Path) -> bool:
    """Whether the file system there counts by project: ext4 and XFS say so among their mount options."""
    point = str(mount_of(folder))
    rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    options = next((row[3].split(",") for row in reversed(rows) if row[1] == point), [])
    return bool({"prjquota", "pquota"} & set(options))


@lru_cache
def _kept(install: str, quota: str) -> list[Homes]:
    return []


def homes_of(settings: Settings) -> Homes:
    """The homes of these settings; one object for the whole process."""
    kept = _kept(settings.install_id, settings.spawning.home_quota)
    if not kept:
        kept.append(Homes(settings))
    return kept[0]
