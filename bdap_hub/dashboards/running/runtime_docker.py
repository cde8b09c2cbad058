"""A release in its own locked-down container: own uid, read-only root, no capabilities, no way to the internet."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Mount, Ulimit
from requests.exceptions import RequestException

from ...errors import BadRequest, Unavailable
from ...settings import DashboardsSettings, Settings, bridge_interface
from ..bundles.kinds import APPS
from ..releases.means import Means
from .apps import ENVIRONMENT, app_command
from .mounted import SECONDS, checked, inside
from .runtime import (
    PORT,
    STAGE,
    TEMPLATES,
    Ending,
    Launch,
    base_environment,
    service_addresses,
    stage_command,
    stage_environment,
    voila_command,
    widgets_folder,
)
from .silence import LOOK_SECONDS, Silence, asks, changes

log = logging.getLogger("bdap.dashboards")
PIDS = 256
LOG_LINES = 400
TOLD_TO_END = (0, 137, 143)
UNCHECKED = ".new"  # what is called so is on its way, or was left behind there
HOME = "/home/dashboard"
OWN_PYTHON = "/opt/bdap-voila/python"  # read by every Python of the container


@functools.cache
def seccomp() -> str:
    """What may be called of the kernel: no tracing of other processes, no namespaces, io_uring, bpf, keys or mounts."""
    return (files(__package__) / "seccomp.json").read_text("utf-8")


def container_spec(settings: Settings, launch: Launch, host: str) -> dict[str, Any]:
    """What the container is created with. PURE: compared whole in tests."""
    install, own = settings.install_id, settings.dashboards
    means = launch.means or Means(own.image, own.memory, own.cpus)
    return {
        "image": means.image,
        "name": f"bdap-{install}-{launch.name}",
        "command": _command(own, launch),
        "working_dir": "/dashboard",
        "user": f"{launch.uid}:{launch.uid}",
        "environment": {
            "HOME": HOME,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": OWN_PYTHON,
            **base_environment("/opt/bdap-voila"),
            **service_addresses(settings, host),
            **_environment(own, launch),
            **launch.environment,
        },
        "labels": {"bdap.hub": install, "bdap.kind": "dashboard", "bdap.release": launch.name},
        "network": settings.dashboards.network,
        "read_only": True,
        "tmpfs": {
            "/tmp": "rw,nosuid,nodev,size=256m,mode=1777",  # noqa: S108
            HOME: f"rw,nosuid,nodev,size=64m,mode=700,uid={launch.uid},gid={launch.uid}",
        },
        "mounts": [
            Mount("/dashboard", str(launch.bundle.resolve()), type="bind", read_only=True),
            Mount("/opt/bdap-voila", str(TEMPLATES), type="bind", read_only=True),
            *(Mount(target, str(source), type="bind", read_only=True) for source, target in _stage_mounts(own)),
            *(Mount(target, str(source), type="bind", read_only=True) for source, target in means.mounts),
        ],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp()}"],
        "group_add": [str(group) for group in means.groups],
        "mem_limit": means.memory,
        "memswap_limit": means.memory,
        "nano_cpus": int(means.cpus * 1e9),
        "pids_limit": PIDS,
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "oom_score_adj": 500,  # where the host's memory runs out, the kernel takes a dashboard before the platform
        "init": True,
        "log_config": LogConfig(type="json-file", config={"max-size": "5m", "max-file": "2"}),
        "detach": True,
    }


def _environment(own: DashboardsSettings, launch: Launch) -> dict[str, str]:
    if launch.kind in APPS:
        return ENVIRONMENT
    return stage_environment(f"{OWN_PYTHON}:/opt/bdap-stage", "/opt/bdap-widgets") if own.runtime == "fork" else {}


def _command(own: DashboardsSettings, launch: Launch) -> list[str]:
    notebook, anywhere = f"/dashboard/{launch.entry}", "0.0.0.0"  # noqa: S104  its bridge is closed
    if launch.kind in APPS:
        return app_command(launch.kind, notebook, anywhere, PORT)
    if own.runtime == "voila":
        return voila_command(notebook, "/dashboard", HOME, anywhere, PORT)
    voila = voila_command(notebook, "/dashboard", HOME, "127.0.0.1", "{port}")
    return ["python", *stage_command(voila, notebook, anywhere, PORT, own.visitors)]


def _stage_mounts(own: DashboardsSettings) -> list[tuple[Path, str]]:
    if own.runtime == "voila":
        return []
    widgets = [(widgets_folder().resolve(), "/opt/bdap-widgets")] if widgets_folder().is_dir() else []
    return [(STAGE, "/opt/bdap-stage"), *widgets]


class DockerRuntime:
    """Releases as containers of the Docker engine on this machine; found again by their labels."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.install, self.silence = settings.install_id, Silence()
        try:
            self.client = docker.from_env(timeout=60)
            self.looks = docker.from_env(timeout=LOOK_SECONDS, version=self.client.api.api_version)
            self.looks.ping()
        except (DockerException, RequestException):
            raise Unavailable("the Docker engine does not answer", "start it, or set spawning.engine=process") from None

    @changes
    def start(self, launch: Launch) -> None:
        """Create and start the container; one that runs already is left alone, a dead one is replaced.

        It gets its name when its mounts were looked at: whatever ends that before, nobody asks it for anything.
        """
        existing = self._find(launch.name, self.client)
        if existing is not None and (existing.status in ("running", "restarting") or _held(existing)):
            return
        if existing is not None:
            existing.remove(force=True)
        container = self._create(launch)
        if container is None:
            self._other_start(launch.name)
            return
        try:
            self._bring_up(container, launch)
        except BaseException:
            with contextlib.suppress(DockerException, RequestException):  # the next start removes it
                container.remove(force=True)
            raise

    def _create(self, launch: Launch) -> Any:
        """The container, not yet under its name; None where another process starts it just now."""
        left = self._find(launch.name + UNCHECKED, self.client)
        if left is not None and _being_started(left):
            return None
        if left is not None:
            left.remove(force=True)
        spec = container_spec(self.settings, launch, self.host_address())
        try:
            # `run` would ask a registry for an image that is not there.
            return self.client.containers.create(**{**spec, "name": spec["name"] + UNCHECKED})
        except ImageNotFound:
            image = launch.means.image if launch.means else self.settings.dashboards.image
            raise Unavailable(f"the image {image} is not built", "run `make images`") from None
        except APIError as error:
            if error.status_code != 409:
                raise _refused(error) from None
            return None

    def _bring_up(self, container: Any, launch: Launch) -> None:
        try:
            container.start()
            self._check_mounts(container, launch)
            container.rename(f"bdap-{self.install}-{launch.name}")
        except APIError as error:
            raise _refused(error) from None

    def _check_mounts(self, container: Any, launch: Launch) -> None:
        """Unavailable where it has something else of the store than what was checked; BadRequest where it has ended:
        nobody can say then what it had read, and what it wrote is shown to nobody."""
        store, given = f"{self.settings.store.mount.rstrip('/')}/", launch.means.mounts if launch.means else ()
        data = [(source, target) for source, target in given if target.startswith(store)]
        if not data:
            return
        try:
            container.pause()
        except APIError as error:
            if error.status_code != 409:
                raise
            raise BadRequest(
                "the dashboard ended as soon as it was started, before its data could be looked at",
                "publish it without data to see its log",
            ) from None
        container.reload()
        found = inside(self.client, container, [target for _, target in data], self.settings.dashboards.image)
        for (source, target), place in zip(data, found, strict=True):
            if place is None or place != checked(source):
                raise Unavailable(f"data: {target!r:.200} was changed while it was mounted", "publish or open it again")
        container.unpause()

    def _other_start(self, name: str) -> None:
        """Wait for the start of another process; Unavailable where nothing came of it."""
        deadline = time.monotonic() + SECONDS
        while self._find(name + UNCHECKED, self.client) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._find(name, self.client) is None:
            raise Unavailable("another process could not start the dashboard just now", "try again in a moment")

    @asks
    def address(self, name: str) -> str | None:
        """`ip:port` on the dashboards' bridge."""
        container = self._find(name)
        if container is None or container.status not in ("running", "paused"):  # the engine's word may come late
            return None
        network = container.attrs["NetworkSettings"]["Networks"].get(self.settings.dashboards.network, {})
        return f"{network['IPAddress']}:{PORT}" if network.get("IPAddress") else None

    @asks
    def logs(self, name: str) -> str:
        """Standard output and error of the container."""
        container = self._find(name)
        return "" if container is None else container.logs(tail=LOG_LINES).decode(errors="replace")

    @asks
    def memory(self, name: str) -> int:
        """What the container uses but for files that the kernel could drop at once."""
        container = self._find(name)
        try:
            found = container.stats(stream=False, one_shot=True)["memory_stats"] if container is not None else {}
        except (NotFound, APIError):
            return 0
        kept = found.get("stats", {})
        return max(0, found.get("usage", 0) - kept.get("total_inactive_file", kept.get("inactive_file", 0)))

    @asks
    def ended(self) -> dict[str, Ending]:
        """Those that still lie there, but for those that were told to end, as by the machine's own end."""
        found = {}
        for container in self._list(all=True):
            state = container.attrs["State"]
            named = not container.name.endswith(UNCHECKED)
            if (
                named
                and state["Status"] in ("exited", "dead")
                and (state["OOMKilled"] or state["ExitCode"] not in TOLD_TO_END)
            ):
                found[container.labels["bdap.release"]] = Ending(state["FinishedAt"], bool(state["OOMKilled"]))
        return found

    @changes
    def stop(self, name: str) -> None:
        """Remove the container. Its processes hold nothing worth a slow goodbye."""
        for each in (name, name + UNCHECKED):
            if (container := self._find(each, self.client)) is not None:
                with contextlib.suppress(NotFound, APIError):
                    container.remove(force=True)

    @asks
    def running(self) -> dict[str, float]:
        """From the labels: also those that an earlier process of ours started."""
        found = self._list(all=False)
        return {c.labels["bdap.release"]: _seconds(c.attrs["State"]["StartedAt"]) for c in found}

    @changes
    def stop_all(self) -> None:
        """Remove every dashboard's container of this install."""
        for container in self._list(all=True):
            with contextlib.suppress(NotFound, APIError):
                self.client.api.remove_container(container.id, force=True)

    def tidy(self) -> None:
        """A machine alone has each release once."""

    def _list(self, all: bool) -> list[Any]:
        labels = [f"bdap.hub={self.install}", "bdap.kind=dashboard"]
        return self.looks.containers.list(all=all, filters={"label": labels}, ignore_removed=True)

    def _find(self, name: str, client: Any = None) -> Any:
        try:
            return (client or self.looks).containers.get(f"bdap-{self.install}-{name}")
        except NotFound:
            return None

    def host_address(self) -> str:
        """This machine as dashboards see it: the gateway of their bridge, which is made when missing."""
        name = self.settings.dashboards.network
        try:
            network = self.client.networks.get(name)
            if not network.attrs["Internal"]:
                network = self._close(network)
        except NotFound:
            network = self._create_network(name)
        return str(network.attrs["IPAM"]["Config"][0]["Gateway"])

    def _close(self, network: Any) -> Any:
        """A bridge that somebody made with a way out is made again without one, unless it is in use."""
        try:
            network.remove()
        except APIError:
            log.warning("the network %s leads outside: dashboards on it can reach the internet", network.name)
            return network
        return self._create_network(network.name)

    def _create_network(self, name: str) -> Any:
        """No traffic between dashboards (icc) and none to the outside (internal); this machine stays reachable."""
        try:
            self.client.networks.create(
                name,
                driver="bridge",
                internal=True,
                options={
                    "com.docker.network.bridge.enable_icc": "false",
                    "com.docker.network.bridge.name": bridge_interface(name),
                },
                labels={"bdap.hub": self.install},
                check_duplicate=True,
            )
        except APIError as error:
            if error.status_code != 409:
                raise
        return self.client.networks.get(name)


def _being_started(container: Any) -> bool:
    """Whether somebody starts it or looks at its mounts just now; one that was left like that is none."""
    return time.time() - _seconds(container.attrs["Created"]) < 2 * SECONDS


def _held(container: Any) -> bool:
    """Whether the engine may say for a moment only that it is held: it was, until its mounts were looked at."""
    age = time.time() - _seconds(container.attrs["State"]["StartedAt"])
    return bool(container.status == "paused" and age < 2 * SECONDS)


def _refused(error: APIError) -> Unavailable:
    return Unavailable("the engine refused the dashboard's container", str(error.explanation))


def _seconds(started: str) -> float:
    return datetime.fromisoformat(started[:19] + "+00:00").timestamp()
