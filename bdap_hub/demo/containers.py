"""The demo's Docker side: the engine (started if need be), images, networks, and removal of all that was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import Unavailable
from ..settings import Settings
from ..spawning import images
from ..spawning.engine import client
from ..spawning.names import install_id
from ..spawning.network import ensure_network
from . import docker_engine


@contextmanager
def docker_engine_running(progress: Callable[[str], None]) -> Iterator[None]:
    """A Docker Engine that answers; on leaving, one that we started ourselves is stopped again."""
    handle = docker_engine.ensure_engine(progress)
    try:
        yield
    finally:
        if handle is not None:
            handle.stop()


def build_images(base_image: str | None, progress: Callable[[str], None]) -> None:
    """Build what is not up to date."""
    images.build(base_image=base_image, progress=progress)


def networks(settings: Settings) -> str:
    """Make the bridges of servers and dashboards; the address under which servers reach this host."""
    ensure_network(settings.dashboards.network, icc=False)
    return ensure_network(settings.spawning.network, icc=False)


def remove_all(settings: Settings) -> int:
    """Remove every container of this install; how many there were. No engine: nothing to remove."""
    if settings.spawning.engine != "docker":
        return 0
    try:
        engine = client()
        found = engine.containers(all=True, filters={"label": f"bdap.hub={install_id(settings.var)}"})
    except Unavailable:
        return 0
    for container in found:
        engine.remove_container(container["Id"], force=True)
    return len(found)
