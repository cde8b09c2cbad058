"""Processes that tests start, with their logs, and that always end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import PROXY, ROOT


class Process:
    """A command in `folder`, its log beside it; may be stopped and started again."""

    def __init__(self, command: list[str], folder: Path, log: str, health: str = "") -> None:
        self.command, self.folder, self.log, self.health = command, folder, folder / log, health
        self.popen: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        """Start it; with a `health` address, return when that answers."""
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("BDAP_")}
        env |= {
            "PYTHONPATH": str(ROOT),
            "T_SETTINGS": str(self.folder / "settings.json"),
            "T_PROXY": str(PROXY),
            "PATH": f"{Path(sys.executable).parent}:{env['PATH']}",
        }
        with self.log.open("a") as out:
            self.popen = subprocess.Popen(self.command, cwd=self.folder, env=env, stdout=out, stderr=out)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when it is healthy."""
        if self.health and self.popen:
            wait_until_healthy(self.popen, self.health, self.log)

    def stop(self) -> None:
        """Ask it to end, kill it after 15 s."""
        if self.popen is None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen = None


@contextmanager
def running(command: list[str], folder: Path, log: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its log in `folder`; stopped at the end."""
    process = Process(command, folder, log)
    process.start()
    assert process.popen
    try:
        yield process.popen
    finally:
        process.stop()


def wait_until_healthy(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Return when `health` answers; fail with the log's end after two minutes, or when the process has died."""
    deadline = time.monotonic() + 120
    while not _healthy(health):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{log.name}: not healthy:\n{log.read_text()[-6000:]}")
        time.sleep(0.1)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
