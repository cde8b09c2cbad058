"""What runs of a project now, in this hub, for its quota."""

from __future__ import annotations

from typing import Any

from ..access import Policy, Usage, size_of


def usage(spawner: Any, policy: Policy, project: str) -> Usage:
    """The project's servers that run, or whose start has been admitted, but for the one of `spawner`.

    Nothing is awaited between this look and the admission: two starts at once are not both the last that fits.
    """
    users = getattr(spawner.user, "settings", {}).get("users") or {}
    found = [
        (user.name, options.get("size") or "")
        for user in users.values()
        for other in user.spawners.values()
        if other is not spawner and _counts(other)
        for options in (other.user_options or {},)
        if options.get("project") == project
    ]
    known = policy.project(project)
    sizes = [size_of(policy, known, size) or size_of(policy, known, "") for _, size in found] if known else []
    return Usage(
        servers=sum(name == spawner.user.name for name, _ in found),
        cpus=sum(size.cpus for size in sizes if size),
        memory=sum(size.memory for size in sizes if size),
    )


def _counts(spawner: Any) -> bool:
    return bool(spawner.ready or (spawner.active and getattr(spawner, "admitted", False)))
