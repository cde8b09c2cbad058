"""A Docker engine for the demo and the tests: the running one, or one installed and started here and stopped again.

Works in a container or chroot without an init system. What it may not do, it names in one line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException

from ..errors import Unavailable
from ..spawning.images import debian
from . import mounts as host_mounts

Progress = Callable[[str], None]

PACKAGES = ("docker.io", "iptables", "debootstrap", "debian-archive-keyring", "gpgv")
# Since Debian 13 the client and its BuildKit part are packages of their own.
CLIENT_PACKAGES = ("docker-cli", "docker-buildx")
ELSE = "or use make demo ENGINE=process"
START_DEADLINE = 45.0
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Engine:
    """A dockerd that we started: its process id, what was mounted for it, and where that is remembered."""

    pid: int
    record: Path
    mounts: list[str] = field(default_factory=list)

    def stop(self, deadline: float = 20.0) -> None:
        """End dockerd, and with it its containerd and every container; unmount what was mounted for it."""
        root = debian.as_root() or []
        containerd = _children(self.pid)
        subprocess.run([*root, "kill", "-TERM", str(self.pid)], capture_output=True, check=False)
        end = time.monotonic() + deadline
        while _runs(self.pid) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in (self.pid, *containerd):
            if _runs(pid):
                subprocess.run([*root, "kill", "-KILL", str(pid)], capture_output=True, check=False)
        for mount in reversed(self.mounts):
            subprocess.run([*root, "umount", "-R", "-l", mount], capture_output=True, check=False)
        self.record.unlink(missing_ok=True)


def ensure_engine(progress: Progress = print, var: Path = Path("var")) -> Engine | None:
    """Make sure that an engine answers; a handle to stop it where it is ours, None where somebody else's runs.

    Raises Unavailable with the one command that helps where neither is possible.
    """
    record = var / "run" / "dockerd.json"
    refusal = _ping()
    if refusal is None:
        return _left_behind(record)
    if refusal == "permission":
        raise Unavailable(
            "this account may not use the Docker engine",
            f"run 'sudo usermod -aG docker {_account()}' and log in again, {ELSE}",
        )
    if os.environ.get("DOCKER_HOST"):
        raise Unavailable(f"no Docker engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}", "unset or correct it")
    if _find("dockerd") is None:
        _install(progress)
        if _ping() is None:
            return None
    return _start(progress, var, record)


def _install(progress: Progress) -> None:
    try:
        debian.install(PACKAGES, progress, "Docker Engine", optional=CLIENT_PACKAGES)
    except Unavailable as error:
        raise Unavailable(error.message, f"run 'sudo apt-get install docker.io', {ELSE}") from None


def _start(progress: Progress, var: Path, record: Path) -> Engine:
    root = debian.as_root()
    if root is None:
        raise Unavailable(
            "Docker Engine is installed but not running, and this account may not start it",
            f"run 'sudo systemctl start docker' or 'sudo dockerd &', {ELSE}",
        )
    begin = time.monotonic()
    mounts = host_mounts.ensure_cgroups(root, progress)
    own_root = host_mounts.ensure_root(root, progress)
    log = var / "log" / "dockerd.log"
    for folder in (log.parent, record.parent):
        folder.mkdir(parents=True, exist_ok=True)
    path = f"{_legacy_iptables(root, var)}{SYSTEM_PATH}"
    command = [*root, "env", f"PATH={path}", _find("dockerd") or "dockerd", f"--group={os.getgid()}"]
    if own_root:
        mounts.append(str(own_root))
        command = [*root, "chroot", str(own_root), *command[len(root) :]]
    with log.open("ab") as output:
        where = output.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    while _ping() is not None:
        if process.poll() is not None or time.monotonic() - begin > START_DEADLINE:
            process.terminate()
            raise Unavailable(f"Docker Engine does not start here: {_complaint(log, where)}", f"see {log}, {ELSE}")
        time.sleep(0.05)
    pid = _read_pid(process)
    record.write_text(json.dumps({"pid": pid, "owner": os.getpid(), "mounts": mounts}))
    progress(f"Docker Engine started in {time.monotonic() - begin:.1f} s")
    return Engine(pid, record, mounts)


def _read_pid(process: subprocess.Popen[bytes]) -> int:
    """dockerd's own process id: below sudo it is not the one we started."""
    return int(_read("/run/docker.pid") or _read("/var/run/docker.pid") or process.pid)


def _left_behind(record: Path) -> Engine | None:
    """The handle of an engine that a run of this install started and could not stop; None where it is not ours."""
    try:
        noted = json.loads(record.read_text())
    except (OSError, ValueError):
        return None
    if not _runs(noted["pid"], "dockerd"):
        record.unlink(missing_ok=True)
        return None
    if noted["owner"] != os.getpid() and _runs(noted["owner"], "python", "bdap"):
        return None
    record.write_text(json.dumps({**noted, "owner": os.getpid()}))
    return Engine(noted["pid"], record, noted["mounts"])


def _ping() -> str | None:
    """None where the engine answers, else why not: `permission` or `silent`."""
    try:
        client = docker.from_env(timeout=10, version="auto")
        try:
            client.ping()
        finally:
            client.close()
    except PermissionError:
        return "permission"
    except (DockerException, OSError) as error:
        return "permission" if "PermissionError" in repr(error) or "Permission denied" in str(error) else "silent"
    return None


def _legacy_iptables(root: list[str], var: Path) -> str:
    """A folder to put on dockerd's PATH where this kernel only knows the old tables; empty where all is well."""
    works = [*root, "env", f"PATH={SYSTEM_PATH}"]
    legacy = _find("iptables-legacy")
    if legacy is None or _succeeds([*works, "iptables", "-t", "nat", "-L", "-n"]):
        return ""
    if not _succeeds([*works, "iptables-legacy", "-t", "nat", "-L", "-n"]):
        return ""
    folder = (var / "run" / "iptables").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("iptables", "ip6tables"):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path(legacy).with_name(f"{name}-legacy"))
    return f"{folder}:"


def _complaint(log: Path, where: int) -> str:
    with log.open(errors="replace") as stream:
        stream.seek(where)
        lines = [line.strip() for line in stream if line.strip()]
    told = [line for line in lines if "level=error" in line or "level=fatal" in line or "failed to start" in line]
    return (told or lines or ["it said nothing"])[-1][-300:]


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _account() -> str:
    return os.environ.get("USER") or str(os.getuid())


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _runs(pid: int, *kinds: str) -> bool:
    """Whether that process lives (and, with `kinds`, has one of these words in its command line)."""
    state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not state or state[0] in "ZX":
        return False
    return not kinds or any(kind in _read(f"/proc/{pid}/cmdline") for kind in kinds)


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
