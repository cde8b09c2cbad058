"""Has a new release looked at once by a browser: its picture for the gallery, and what its widgets look like.

The browser has nobody's credentials and sees that one release: with Docker in a container of its own, locked down as
the release's is and in the release's own network; with engine=process it is the host's Chromium.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import LogConfig, Mount, Ulimit

from ...settings import Settings
from ..running.runtime import PORT
from ..running.runtime_docker import seccomp
from .kept import snapshots_of
from .painted import clean
from .styles import ADDRESS, Rules

log = logging.getLogger("bdap.dashboards")
PROGRAM = Path(__file__).with_name("painting.py")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 90.0
FILES = "/page"  # where a static page lies in the painter's container
UID = 65_000  # beyond those of releases
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (640).to_bytes(4, "big") + (400).to_bytes(4, "big")
MOST_PICTURE, MOST_ANSWER, MOST_SHEETS, MOST_RULES = 2 * 2**20, 32 * 2**20, 10, 5000


@dataclass(frozen=True)
class Look:
    """A PNG of 640 by 400 pixels, harmless markup of the widgets' places in their order, what the page loaded, and
    which rules of its style sheets it used."""

    picture: bytes
    places: tuple[str, ...]
    files: tuple[str, ...] = ()
    rules: Rules = field(default_factory=dict)


class Painter(Protocol):
    """Somebody who can look at a running release, or at a page of files."""

    def look(self, release: str, address: str, page: Path | None = None) -> str:
        """What the program beside the browser says; '' when it failed."""


def make_painter(settings: Settings) -> Painter | None:
    """The install's painter; None where it has none, which the log says."""
    if not settings.dashboards.painter:
        return None
    if settings.spawning.engine != "process":
        return DockerPainter(settings)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), "")
    if not browser:
        log.info("no pictures of dashboards: there is no Chromium on this host")
    return ProcessPainter(browser) if browser else None


def portray(settings: Settings, painter: Painter | None, release: str, address: str, keep: bool = True) -> str:
    """Keep what a release that has just started looks like; the name of its picture, '' without one. `keep` its page,
    too, where the stage made it.

    Nothing depends on it: whatever goes wrong is logged.
    """
    snapshots = snapshots_of(settings)
    snapshots.drop(release)  # of an attempt that failed
    kept = keep and snapshots.take(release, address)
    look = read_look(painter.look(release, address)) if painter else None
    if look is None:
        return ""
    if kept:
        snapshots.paint(release, list(look.places), look.rules)
        snapshots.fetch(release, address, look.files)
    return _keep(settings, look)


def portray_page(settings: Settings, painter: Painter | None, release: str, page: Path) -> str:
    """The same of a static page, for which nothing runs: the painter gets its files."""
    look = read_look(painter.look(release, "", page)) if painter else None
    return _keep(settings, look) if look else ""


def _keep(settings: Settings, look: Look) -> str:
    name = hashlib.sha256(look.picture).hexdigest()
    folder = settings.var / "dashboards" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(look.picture)
    return name


def read_look(said: str) -> Look | None:
    """What was said, checked: it comes from a browser that ran the release's own scripts."""
    try:
        told = json.loads(said) if 0 < len(said) < MOST_ANSWER else {}
        if not told.get("ready"):
            return None
        picture, places = base64.b64decode(told["picture"], validate=True), told["places"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not picture.startswith(PNG) or len(picture) > MOST_PICTURE or not isinstance(places, list):
        return None
    cleaned = tuple(clean(place) if isinstance(place, str) else "" for place in places[:1000])
    files = told.get("files")
    return Look(picture, cleaned, tuple(filter(_is_text, files)) if isinstance(files, list) else (), _rules(told))


def _rules(told: dict[str, Any]) -> Rules:
    """Pairs of whole numbers, by a sheet's address; nothing where anything else is said, or too much."""
    said = told.get("rules")
    if not isinstance(said, dict) or len(said) > MOST_SHEETS:
        return {}
    for address, pairs in said.items():
        if not ADDRESS.fullmatch(address) or not isinstance(pairs, list) or len(pairs) > MOST_RULES:
            return {}
        if not all(isinstance(pair, list) and [type(one) for one in pair] == [int, int] for pair in pairs):
            return {}
    return {address: [(start, end) for start, end in pairs] for address, pairs in said.items()}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) < 1000


class ProcessPainter:
    """The host's Chromium."""

    def __init__(self, browser: str) -> None:
        self._browser = browser

    def look(self, release: str, address: str, page: Path | None = None) -> str:
        """With a home and a profile that are thrown away."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            what = (
                [f"http://{address}/", folder] if page is None else [f"/{quote(page.name)}", folder, str(page.parent)]
            )
            command = [sys.executable, "-I", str(PROGRAM), self._browser, *what]
            environment = {"HOME": folder, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
            try:
                done = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
            except subprocess.TimeoutExpired:
                log.warning("%s was not drawn within %.0f s", release, SECONDS)
                return ""
        if done.returncode:
            log.warning("%s was not drawn: %s", release, done.stderr.decode(errors="replace")[-300:])
        return done.stdout.decode(errors="replace")


def painter_spec(settings: Settings, release: str, page: Path | None = None) -> dict[str, Any]:
    """What the painter's container is created with. PURE: compared in tests."""
    program, scratch = PROGRAM.read_text("utf-8"), "/tmp/profile"  # noqa: S108
    address, network = f"http://127.0.0.1:{PORT}/", f"container:bdap-{settings.install_id}-{release}"
    what = [address, scratch] if page is None else [f"/{quote(page.name)}", scratch, FILES]
    mounts = [Mount(FILES, str(page.parent.resolve()), type="bind", read_only=True)] if page else []
    return {
        "image": settings.dashboards.painter,
        "name": f"bdap-{settings.install_id}-{release}-painter",
        "command": ["python3", "-I", "-c", program, "/usr/bin/chromium", *what],
        "user": f"{UID}:{UID}",
        "environment": {"HOME": "/tmp"},  # noqa: S108
        "labels": {"bdap.hub": settings.install_id, "bdap.kind": "painter"},
        "network_mode": "none" if page else network,
        **({"mounts": mounts} if mounts else {}),
        "read_only": True,
        "tmpfs": {"/tmp": "rw,nosuid,nodev,size=512m,mode=1777"},  # noqa: S108
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp()}"],
        "mem_limit": "1G",
        "memswap_limit": "1G",
        "nano_cpus": 10**9,
        "pids_limit": 256,
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "oom_score_adj": 800,
        "log_config": LogConfig(type="json-file", config={"max-size": "40m", "max-file": "1"}),
        "detach": True,
    }


class DockerPainter:
    """A container for one look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def look(self, release: str, address: str, page: Path | None = None) -> str:
        """The container's standard output; it is removed whatever happens."""
        spec = painter_spec(self._settings, release, page)
        try:
            client = docker.from_env(timeout=60)
            with contextlib.suppress(APIError):  # one that was left behind
                client.api.remove_container(spec["name"], force=True)
            container = client.containers.create(**spec)  # `run` would ask a registry for an image that is not there
        except ImageNotFound:
            log.info("no pictures of dashboards: build the painter's image (`bdap images build painter`)")
            return ""
        except (DockerException, OSError) as error:
            log.warning("%s was not drawn: %s", release, type(error).__name__)
            return ""
        try:
            container.start()
            status = container.wait(timeout=SECONDS)["StatusCode"]
            if status:
                log.warning("%s was not drawn: %s", release, container.logs(tail=3).decode(errors="replace")[-300:])
            return "" if status else container.logs(stdout=True, stderr=False).decode(errors="replace")
        except (DockerException, OSError) as error:  # the client's own timeouts are OSErrors
            log.warning("%s was not drawn: %s", release, type(error).__name__)
            return ""
        finally:
            with contextlib.suppress(DockerException, OSError):
                container.remove(force=True)
