"""Runs releases: the contract, what a release is started with (PURE), and which implementation an install uses."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from ...settings import DASHBOARDS_USE, Settings
from ..bundles.kinds import NOTEBOOK
from ..releases.means import Means

PORT = 8866
TEMPLATES = Path(__file__).parent.parent / "voila"
STAGE = Path(__file__).parent.parent / "stage"
INSTALLED = Path(__file__).parents[3] / "var/node-widgets/node_modules"
CULL_SECONDS = 120
TOKEN_SECONDS = 7 * 24 * 3600
FIRST_UID, UIDS = 60_000, 5_000
_TYPES = r"'.*\.(png|jpg|jpeg|gif|svg|webp)'"


@dataclass(frozen=True)
class Launch:
    """Everything a release is started with. `name` is unique per release: project--slug-v3."""

    name: str
    bundle: Path
    entry: str
    uid: int
    environment: dict[str, str] = field(default_factory=dict, repr=False)  # holds the release token
    means: Means | None = None  # None: the platform's image and limits, and nothing of the store
    kind: str = NOTEBOOK


def uid_of(dashboard: str) -> int:
    """The user id of a dashboard's container: apart from people's and, but for rare collisions, from its siblings'."""
    return FIRST_UID + zlib.crc32(dashboard.encode()) % UIDS


@dataclass(frozen=True)
class Ending:
    """How a release ended by itself: for want of memory, or else; `key` tells one ending from the next."""

    key: str
    memory: bool = False


class Runtime(Protocol):
    """Starts, finds and stops releases. Calls block; several processes may use one runtime at the same time."""

    def start(self, launch: Launch) -> None:
        """Start the release if it is not running; returns before it answers. RuntimeFailed if it cannot start."""

    def address(self, name: str) -> str | None:
        """`host:port` of a running release, None when it is not running."""

    def logs(self, name: str) -> str:
        """The last lines the release wrote, also shortly after it ended."""

    def memory(self, name: str) -> int:
        """Bytes that a running release holds now; 0 when it is not running or nobody can say."""

    def ended(self) -> dict[str, Ending]:
        """Releases that ended by themselves and were not started again."""

    def stop(self, name: str) -> None:
        """Stop and forget the release; nothing happens when it is not there."""

    def running(self) -> dict[str, float]:
        """Names of running releases of this install with the time they started (seconds since 1970)."""

    def stop_all(self) -> None:
        """Stop every release of this install."""

    def tidy(self) -> None:
        """End what runs twice, where releases run on several machines."""


def make_runtime(settings: Settings, publishes: bool = False) -> Runtime:
    """This machine's runtime, or with `dashboards.nodes` that of all. `publishes`: what it starts are new versions."""
    if not settings.dashboards.nodes:
        return local_runtime(settings)
    from ..nodes.client import FarRuntime
    from ..nodes.several import Later, Place, SeveralRuntime, room

    here = cast(Runtime, Later(lambda: local_runtime(settings)))
    far = [FarRuntime(settings, address) for address in settings.dashboards.nodes]
    places = [Place("this host", here, room), *(Place(one.name, one, one.room) for one in far)]
    return SeveralRuntime(places, publishes)


def local_runtime(settings: Settings) -> Runtime:
    """This machine's runtime, as settings.spawning.engine asks for."""
    if settings.spawning.engine != "process":  # with a swarm: on this host, beside the service
        from .runtime_docker import DockerRuntime

        return DockerRuntime(settings)
    from .runtime_process import ProcessRuntime

    return ProcessRuntime(settings)


def stop_all(settings: Settings) -> None:
    """Stop every dashboard of this install (`bdap demo` calls it at its end)."""
    make_runtime(settings).stop_all()


def voila_command(entry: str, root: str, home: str, ip: str, port: int | str) -> list[str]:
    """Voilà standalone on one notebook: visitors send comm messages only, see no sources and no tracebacks."""
    return [
        "voila",
        entry,
        "--no-browser",
        f"--Voila.ip={ip}",
        f"--port={port}",
        "--Voila.port_retries=0",
        "--base_url=/",
        f"--Voila.root_dir={root}",
        "--template=bdap",
        "--strip_sources=True",
        "--show_tracebacks=False",
        "--VoilaConfiguration.allow_template_override=NOTEBOOK",
        f"--VoilaConfiguration.file_allowlist=[{_TYPES}]",
        f"--NotebookNotary.data_dir={home}",
        f"--MappingKernelManager.cull_idle_timeout={CULL_SECONDS}",
        "--MappingKernelManager.cull_interval=30",
        "--MappingKernelManager.cull_connected=False",
    ]


def stage_command(voila: list[str], notebook: str, ip: str, port: int, visitors: int) -> list[str]:
    """The stage on one notebook; it starts `voila` (on the port that it puts for {port}) where it has to."""
    options = ["--ip", ip, "--port", str(port), "--children", str(visitors)]
    return ["-P", "-m", "stage", notebook, *options, "--", *voila]


def stage_environment(code: str, widgets: str) -> dict[str, str]:
    """Where the stage finds itself and what its pages load."""
    return {"PYTHONPATH": code, "BDAP_STAGE_NPM": widgets}


def widgets_folder() -> Path:
    """What pages load that no Python package brings; $BDAP_WIDGETS says where, if not where the demo installs it."""
    return Path(os.environ.get("BDAP_WIDGETS", str(INSTALLED)))


def base_environment(templates: str) -> dict[str, str]:
    """What Jupyter looks up in fixed, read-only places: nothing a visitor's kernel writes to its home is served."""
    return {
        "JUPYTER_PATH": templates,
        "JUPYTER_DATA_DIR": templates,
        "JUPYTER_PLATFORM_DIRS": "0",
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter",  # noqa: S108
        "PYTHONNOUSERSITE": "1",
        "PYTHONWARNINGS": "ignore",
        "LANG": "C.UTF-8",
    }


def service_addresses(settings: Settings, host: str) -> dict[str, str]:
    """The services' addresses for a release that reaches this machine as `host`, and the hub's for its visitors."""
    addresses = {"BDAP_HUB_URL": settings.hub.public_url}
    for name in DASHBOARDS_USE:
        service = getattr(settings, name)
        anywhere = service.bind in ("0.0.0.0", "127.0.0.1", "::", "localhost")  # noqa: S104  compared with, never bound
        bind = host if anywhere or host == service.also_bind else service.bind
        addresses[f"BDAP_{name.upper()}_URL"] = f"http://{bind}:{service.port}/services/{name}"
    return addresses
