"""What of the store a server sees, and which of its mounts are dead. PURE: no I/O, no framework."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from ...settings import Settings

Propagation = Literal["rprivate", "rslave"]
LABEL = "bdap.store"
AWAY = ".away"  # no project is called so


@dataclass(frozen=True)
class Mount:
    """A folder of the host at `target` in the container."""

    source: str
    target: str
    read_only: bool = True
    propagation: Propagation = "rprivate"


def _inside(target: str, others: Iterable[str]) -> bool:
    return any(target == other or target.startswith(f"{other}/") for other in others)


def tops(mounts: Iterable[Mount]) -> list[Mount]:
    """Those that hang in no other one of them."""
    known = list(mounts)
    return [one for one in known if not any(one.target.startswith(f"{other.target}/") for other in known)]


def held_places(settings: Settings, mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The same places while the store is lost: each holds a folder that says so, until the real one replaces it."""
    return tuple(Mount(f"{settings.var.resolve()}/{AWAY}", mount.target) for mount in tops(mounts))


def written(mounts: Iterable[Mount]) -> str:
    """For the container's label: what it is to have, whatever it got at its start."""
    return json.dumps([asdict(mount) for mount in mounts], separators=(",", ":"))


def read(label: str) -> tuple[Mount, ...]:
    """What `written` wrote; nothing where there is no label."""
    return tuple(Mount(**one) for one in json.loads(label)) if label else ()


def stale(mounts: tuple[Mount, ...], mountinfo: str, devices: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts to be replaced: whose file system is not the one that lies at their source now.

    `mountinfo`: /proc/PID/mountinfo of the container; `devices`: major:minor of each source that is there. A top goes
    with all that covers parts of it.
    """
    there = _there(mountinfo)
    dead = [top for top in tops(mounts) if top.source in devices and there.get(top.target) != devices[top.source]]
    return tuple(mount for mount in mounts if any(_inside(mount.target, [top.target]) for top in dead))


def _there(mountinfo: str) -> dict[str, str]:
    """major:minor of what hangs at each place, the topmost; '' for a place that is only held."""
    found = {}
    for fields in map(str.split, mountinfo.splitlines()):
        found[fields[4].encode().decode("unicode_escape")] = "" if fields[3].endswith(f"/{AWAY}") else fields[2]
    return found
