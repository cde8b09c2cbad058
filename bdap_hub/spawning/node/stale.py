"""Which mounts of a server are dead: whose file system is not the one that lies at their source now. PURE: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Propagation = Literal["rprivate", "rslave"]
AWAY = ".away"  # no project is called so


@dataclass(frozen=True)
class Mount:
    """A folder of the host at `target` in the container."""

    source: str
    target: str
    read_only: bool = True
    propagation: Propagation = "rprivate"


def inside(target: str, others: Iterable[str]) -> bool:
    """Whether it is one of them or lies in one."""
    return any(target == other or target.startswith(f"{other}/") for other in others)


def tops(mounts: Iterable[Mount]) -> list[Mount]:
    """Those that hang in no other one of them."""
    known = list(mounts)
    return [one for one in known if not any(one.target.startswith(f"{other.target}/") for other in known)]


def stale(mounts: tuple[Mount, ...], mountinfo: str, devices: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts to be replaced: whose file system is not the one that lies at their source now.

    `mountinfo`: /proc/PID/mountinfo of the container; `devices`: major:minor of each source that is there. A top goes
    with all that covers parts of it.
    """
    found = there(mountinfo)
    dead = [top for top in tops(mounts) if top.source in devices and found.get(top.target) != devices[top.source]]
    return tuple(mount for mount in mounts if any(inside(mount.target, [top.target]) for top in dead))


def there(mountinfo: str) -> dict[str, str]:
    """major:minor of what hangs at each place, the topmost; '' for a place that is only held."""
    found = {}
    for fields in map(str.split, mountinfo.splitlines()):
        found[fields[4].encode().decode("unicode_escape")] = "" if fields[3].endswith(f"/{AWAY}") else fields[2]
    return found
