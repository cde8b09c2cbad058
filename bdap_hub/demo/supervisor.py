"""Runs the platform's processes beside each other, as systemd does in production: logs, restarts, ordered stop."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from ..errors import Unavailable

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Part:
    """One process: its command, where it answers `healthy` (an HTTP status), what it adds to the environment."""

    name: str
    command: list[str]
    health: str
    healthy: int = 200
    env: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0


class Supervisor:
    """Starts parts, waits until they are healthy, restarts those that die, stops all in reverse order."""

    def __init__(self, logs: Path, env: dict[str, str]) -> None:
        self.logs, self.env = logs, env
        self.parts: list[Part] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, *parts: Part, seconds: float = 60) -> None:
        """Start these at once and return when all are healthy; Unavailable, with the log's end, when one is not."""
        for part in parts:
            self.parts.append(part)
            self._launch(part)
        deadline = time.monotonic() + seconds
        for part in parts:
            self._wait(part, deadline)

    def watch(self) -> None:
        """Restart what has died; called every second. A part that dies 5 times within a minute ends everything."""
        for part in self.parts:
            if part.process is None or part.process.poll() is None:
                continue
            part.restarts = part.restarts + 1 if time.monotonic() - part.started < 60 else 1
            if part.restarts >= 5:
                raise Unavailable(f"{part.name} keeps stopping:\n{self.tail(part)}", f"read {self.log(part)}")
            self._launch(part)

    def stop(self) -> None:
        """Stop all, the last started first; what does not go within 10 s is killed."""
        for part in reversed(self.parts):
            if part.process and part.process.poll() is None:
                part.process.send_signal(signal.SIGTERM)
        for part in reversed(self.parts):
            if part.process is None:
                continue
            try:
                part.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(part.process.pid, signal.SIGKILL)
                part.process.wait()
        self.parts.clear()

    def log(self, part: Part) -> Path:
        """The part's log file."""
        return self.logs / f"{part.name}.log"

    def tail(self, part: Part, lines: int = 15) -> str:
        """The end of the part's log."""
        return "\n".join(self.log(part).read_text(errors="replace").splitlines()[-lines:])

    def _launch(self, part: Part) -> None:
        part.started = time.monotonic()
        with self._open_log(part) as log:
            part.process = subprocess.Popen(
                part.command,
                env={**self.env, **part.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the rest in order
                preexec_fn=_die_with_parent,
            )

    def _open_log(self, part: Part) -> IO[bytes]:
        descriptor = os.open(self.log(part), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab")

    def _wait(self, part: Part, deadline: float) -> None:
        with httpx.Client(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                if part.process is None or part.process.poll() is not None:
                    break
                try:
                    if client.get(part.health).status_code == part.healthy:
                        return
                except httpx.HTTPError:
                    pass
                time.sleep(0.1)
        raise Unavailable(f"{part.name} did not start:\n{self.tail(part)}", f"read {self.log(part)}")


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
