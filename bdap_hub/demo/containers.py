"""The demo's Docker side: the engine (started if need be), images, networks, and removal of all that was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from docker.errors import DockerException

from ..dashboards.running.runtime import stop_all
from ..dashboards.running.runtime_docker import DockerRuntime
from ..errors import Unavailable
from ..settings import Settings
from ..spawning import firewall
from ..spawning.engines.client import client
from ..spawning.images import platform as images
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


def networks(settings: Settings) -> tuple[str, str]:
    """Make the bridges of people's servers and of dashboards; this host's address on each."""
    return ensure_network(settings.spawning.network, icc=False), DockerRuntime(settings).host_address()


def close(settings: Settings, warn: Callable[[str], None]) -> None:
    """Put the firewall before this host; where that is not permitted, say what it means."""
    try:
        firewall.apply(settings)
    except Unavailable as error:
        warn(f"Warning: {error.message}.\n  {error.remedy}")


def remove_all(settings: Settings) -> None:
    """Stop every server and dashboard of this install. No engine: nothing to stop."""
    with suppress(Unavailable, DockerException):
        stop_all(settings)
    if settings.spawning.engine != "docker":
        return
    with suppress(Unavailable, DockerException):
        engine = client()
        for one in engine.containers(all=True, filters={"label": f"bdap.hub={settings.install_id}"}):
            engine.remove_container(one["Id"], force=True)
    with suppress(Unavailable):
        firewall.remove(settings)
