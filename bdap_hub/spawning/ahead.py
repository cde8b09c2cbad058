"""What the hub does before somebody asks for it: images are pulled, containers wait. Tasks on the hub's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from jupyterhub.app import JupyterHub

from .. import entitlements
from ..access import Person, Policy
from ..settings import Settings
from . import warm
from .images.pulls import pulls_of
from .plan import Choice, Site, SpawnPlan, plan
from .recheck import sessions

_tasks: set[asyncio.Task[None]] = set()  # the loop itself holds them weakly


def begin(settings: Settings, address: str) -> None:
    """Start both, in the hub that reads its configuration just now; none runs where that is only looked at."""
    if not JupyterHub.initialized():
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # such as `jupyterhub upgrade-db`
        return
    policy = entitlements.policy(settings, sessions(settings.database))
    pool = warm.pool_of(settings)
    for expected in plans(settings, policy, address):
        pool.expect(expected)
    _tasks.add(loop.create_task(pool.keep()))
    _tasks.add(loop.create_task(pulls_of(settings).keep(lambda: references(settings))))


def references(settings: Settings) -> set[str]:
    """Of all images that some project may start now."""
    policy = entitlements.policy(settings, sessions(settings.database))
    return {image.reference for project in policy.projects for n in project.images if (image := policy.image(n))}


def plans(settings: Settings, policy: Policy, address: str) -> Iterator[SpawnPlan]:
    """One for each image that a project offers, of nobody: what waits does not depend on the person."""
    seen = set()
    for project in policy.projects:
        for image in filter(None, map(policy.image, project.images)):
            if image.reference not in seen:
                seen.add(image.reference)
                site = Site(address, uid=0, projects={project.name: 0})
                yield plan(settings, Person("nobody", frozenset()), Choice(project, image), site)
