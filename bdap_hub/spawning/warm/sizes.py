"""Which plans a waiting container may serve, and how many shall wait. PURE: no I/O, no framework."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from ..plan import Limits, Mount, SpawnPlan

NOBODYS = Limits(2**30, 1.0, 512)  # until the claim sets the plan's
SURGE, MEMORY = 60.0, 3600.0  # seconds: those of one surge, and how long a surge is remembered
NEVER_OVER = ("/proc", "/sys", "/dev")
KNOWN = {"source", "target", "read_only", "propagation"}


def template(plan: SpawnPlan) -> SpawnPlan:
    """What a plan is without its person: a container made of it may become that of any plan that leaves the same.

    What a claim cannot give stays in it, also what plans gain in later versions: then nothing matches, and servers are
    started as if there were no pool.
    """
    return replace(
        plan,
        name="",
        hostname="",
        uid=0,
        gid=0,
        groups=(),
        working_dir="/",
        mounts=(),
        limits=NOBODYS,
        environment={},
        labels={},
        umask="",
    )


def refusal(plan: SpawnPlan) -> str:
    """Why this plan is not for a waiting container; '' where it is."""
    if plan.gpus or plan.cdi:
        return "it has GPUs"
    for mount in plan.mounts:
        if any(mount.target == path or mount.target.startswith(f"{path}/") for path in NEVER_OVER):
            return f"it mounts over {mount.target}"
        if unknown := [f.name for f in fields(Mount) if f.name not in KNOWN and getattr(mount, f.name) != f.default]:
            return f"{mount.target} is mounted with {unknown[0]}"
    return ""


def wanted(starts: Iterable[float], now: float, least: int, most: int) -> int:
    """How many shall wait: as many as were started in the greatest surge of the last hour, within the bounds.

    >>> wanted([10, 20, 30, 500], 600, 1, 8), wanted([], 600, 1, 8), wanted([10, 20, 30], 9000, 1, 8)
    (3, 1, 1)
    """
    recent = sorted(one for one in starts if one > now - MEMORY)
    surge = max((sum(one <= other < one + SURGE for other in recent) for one in recent), default=0)
    return min(most, max(least, surge))
