"""The builder's container: no network, no host files, no rights of the host's, bounded in memory, time and disk.

Recipes run in it as accounts that exist in the container alone. It is gone when the build is, whatever happened.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ....errors import Unavailable
from ....settings import BuilderSettings
from ....telemetry import redact
from ..platform import docker_client

Progress = Callable[[str], None]

IMAGE = "bdap/builder"
PROGRAM = ("python3", "/usr/local/lib/bdap/bdap-build")
SECCOMP = Path(__file__).parent / "seccomp.json"
LABEL = "bdap.builds"
MOST_LINES, LONGEST_LINE = 20_000, 2_000
DISK_CHECK = 5.0  # seconds between two looks at what a build has written


@dataclass
class Run:
    """One container of the builder, and why it was stopped ('' while it was not)."""

    name: str
    settings: BuilderSettings
    progress: Progress
    stopped: str = ""
    tail: list[str] = field(default_factory=list)
    step: str = ""

    def carry_out(self, command: list[str], given: IO[bytes], made: IO[bytes]) -> int:
        """Start it with `given` as its standard input; what it makes goes to `made`, what it says is passed on.

        Its exit status. The limit on files holds for the docker client, which writes `made`.
        """
        ended = threading.Event()
        bounded = ["prlimit", f"--fsize={self.settings.disk_mb * 1_000_000}", *command]
        with subprocess.Popen(bounded, stdin=given, stdout=made, stderr=subprocess.PIPE) as process:
            guard = threading.Thread(target=self._guard, args=(ended,), daemon=True)
            guard.start()
            try:
                self._listen(process.stderr)
            finally:
                ended.set()
                guard.join(30)
                if process.poll() is None:
                    remove_containers([self.name])
        return process.returncode

    def _listen(self, stream: IO[bytes] | None) -> None:
        for number, raw in enumerate(iter(lambda: stream.readline(LONGEST_LINE) if stream else b"", b"")):
            line = redact(raw.decode(errors="replace").rstrip())
            if number == MOST_LINES:
                self.progress("… the log is too long; what follows is left out")
            self.tail = [*self.tail[-19:], line]
            if line.startswith("STEP "):
                self.step = line
            if number < MOST_LINES:
                self.progress(line)

    def _guard(self, ended: threading.Event) -> None:
        end = time.monotonic() + self.settings.minutes * 60
        while not ended.wait(min(DISK_CHECK, max(0.05, end - time.monotonic()))):
            if time.monotonic() >= end:
                self._stop(f"it took longer than builder.minutes ({self.settings.minutes:g}) allows")
            elif self._written_mb() > self.settings.disk_mb:
                self._stop(f"it wrote more than builder.disk_mb ({self.settings.disk_mb}) allows")

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        remove_containers([self.name])

    def _written_mb(self) -> int:
        """As the builder's own accounts see it: files of a recipe may be closed to everybody else."""
        command = [docker_client(), "exec", self.name, "buildah", "unshare", "du", "-sm", "/work/store", "/work/tmp"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return sum(int(line.split()[0]) for line in done.stdout.splitlines() if line.split()[:1] and line[0].isdigit())


def hardened(settings: BuilderSettings, name: str, owner: str) -> list[str]:
    """How every container of the builder is started.

    The two capabilities are those of newuidmap and newgidmap, which give the builder the numbers of its own accounts.
    """
    return [
        *(
            docker_client(),
            "run",
            "--rm",
            "--interactive",
            f"--name={name}",
            f"--label={LABEL}={owner}",
            "--network=none",
        ),
        *("--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=SETGID", f"--security-opt=seccomp={SECCOMP}"),
        *("--security-opt=apparmor=unconfined", f"--memory={settings.memory}", f"--memory-swap={settings.memory}"),
        *(f"--cpus={settings.cpus}", f"--pids-limit={settings.pids}", "--ulimit=core=0", "--log-driver=none"),
        "--oom-score-adj=900",
    ]


def docker(*arguments: str) -> str:
    """Run the docker client; Unavailable with its last line where it fails."""
    done = subprocess.run(
        [docker_client(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"the Docker engine refuses {arguments[0]} {arguments[1]}: {last}", "see the engine's log")
    return done.stdout


def remove_containers(names: Iterable[str]) -> None:
    """With what they ran; those that are gone already do not matter."""
    if names := list(names):
        subprocess.run([docker_client(), "rm", "--force", *names], capture_output=True, check=False)


def remove_volumes(names: Iterable[str]) -> None:
    """Those that no container uses."""
    if names := list(names):
        subprocess.run([docker_client(), "volume", "rm", "--force", *names], capture_output=True, check=False)


def sweep(owner: str) -> None:
    """Remove what builds of this install left behind that were killed. Called while no build runs."""
    remove_containers(docker("ps", "--all", "--quiet", f"--filter=label={LABEL}={owner}").split())
    remove_volumes(docker("volume", "ls", "--quiet", f"--filter=label={LABEL}={owner}").split())
