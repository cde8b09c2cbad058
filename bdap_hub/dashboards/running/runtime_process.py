"""A release as a plain local Voilà process, where Docker cannot run at all: no isolation, no limits."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ...errors import Unavailable
from ...settings import Settings
from ..bundles.kinds import APPS
from .runtime import (
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

LOG_BYTES = 60_000
PORTS = range(10_000, 15_000)  # below those that the kernel gives away by itself, unless it is told otherwise
STOP_SECONDS = 5


class ProcessRuntime:
    """Releases as processes; `<var>/dashboards/run/<name>.json` says which, so that a restart finds them again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.var.resolve() / "dashboards" / "run"
        self.folder.mkdir(parents=True, exist_ok=True)

    def start(self, launch: Launch) -> None:
        """Start Voilà on a free port with a clean environment: nothing of the service's own goes to it."""
        if launch.means and (launch.means.mounts or launch.means.image != self.settings.dashboards.image):
            raise Unavailable(
                "image, data and secrets need containers", "leave them out, or set spawning.engine=docker"
            )
        if launch.kind in APPS:
            raise Unavailable(
                f"kind {launch.kind} needs containers", "publish a notebook or a static page, or use Docker"
            )
        with self._lock():
            if self.address(launch.name):
                return
            port = _free_port()
            home = self.folder / f"{launch.name}.home"
            home.mkdir(exist_ok=True)
            command = self._command(launch, home, port)
            with (self.folder / f"{launch.name}.log").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    cwd=launch.bundle,
                    env=self._environment(home, launch),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            entry = {"pid": process.pid, "born": _born(process.pid), "port": port, "started": time.time()}
            self._file(launch.name).write_text(json.dumps(entry))

    def address(self, name: str) -> str | None:
        """`127.0.0.1:port` while the process lives."""
        entry = self._entry(name)
        return f"127.0.0.1:{entry['port']}" if entry else None

    def logs(self, name: str) -> str:
        """The end of the log file."""
        path = self.folder / f"{name}.log"
        return path.read_bytes()[-LOG_BYTES:].decode(errors="replace") if path.is_file() else ""

    def memory(self, name: str) -> int:
        """Its own share (PSS) of the process and its kernels."""
        entry = self._entry(name)
        return _held(int(entry["pid"])) if entry else 0

    def ended(self) -> dict[str, Ending]:
        """Those whose file is there and whose process is not."""
        names = [path.stem for path in self.folder.glob("*.json")]
        return {name: Ending(self._file(name).read_text()) for name in names if not self._entry(name)}

    def stop(self, name: str) -> None:
        """End the process with its kernels (they share its process group), then forget it."""
        entry = self._entry(name)
        if entry:
            _end(int(entry["pid"]))
        self._file(name).unlink(missing_ok=True)
        (self.folder / f"{name}.log").unlink(missing_ok=True)
        shutil.rmtree(self.folder / f"{name}.home", ignore_errors=True)

    def running(self) -> dict[str, float]:
        """From the files."""
        entries = {path.stem: self._entry(path.stem) for path in self.folder.glob("*.json")}
        return {name: float(entry["started"]) for name, entry in entries.items() if entry}

    def stop_all(self) -> None:
        """Stop every process that this install started."""
        for path in list(self.folder.glob("*.json")):
            self.stop(path.stem)

    def tidy(self) -> None:
        """A machine alone has each release once."""

    def _command(self, launch: Launch, home: Path, port: int) -> list[str]:
        bundle = str(launch.bundle.resolve())
        if self.settings.dashboards.runtime == "voila":
            return [sys.executable, "-m", *voila_command(launch.entry, bundle, str(home), "127.0.0.1", port)]
        voila = [sys.executable, "-m", *voila_command(launch.entry, bundle, str(home), "127.0.0.1", "{port}")]
        notebook = f"{bundle}/{launch.entry}"
        return [sys.executable, *stage_command(voila, notebook, "127.0.0.1", port, self.settings.dashboards.visitors)]

    def _environment(self, home: Path, launch: Launch) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(home),
            **base_environment(str(TEMPLATES)),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            **service_addresses(self.settings, "127.0.0.1"),
            **stage_environment(str(STAGE), str(widgets_folder())),
            **launch.environment,
        }

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _entry(self, name: str) -> dict[str, float] | None:
        try:
            entry = json.loads(self._file(name).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return entry if _born(int(entry["pid"])) == entry["born"] else None

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _born(pid: int) -> str:
    """The kernel's start time of a live process, '' when it is gone: pids are used again."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # collects it if it was our child and has ended
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _end(pid: int) -> None:
    born = _born(pid)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while _born(pid) == born and born and time.monotonic() < deadline:
            time.sleep(0.05)


def _held(group: int) -> int:
    """Bytes of all processes of a group and of their children, shared pages in parts."""
    total, of_group = 0, _members(group)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group or int(fields[1]) in of_group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _members(group: int) -> set[int]:
    """The processes of a group; visitors' own are children of one of them."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                found.add(int(folder.name))
    return found


def _free_port() -> int:
    """A port that nobody is given meanwhile who asks for any: the release listens there in a second or two."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
