"""Peers of the benches: their programs in environments of their own, each service a process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class Server:
    """A running service."""

    name: str
    pid: int
    base: str


@contextmanager
def process(name: str, command: list[str], port: int, health: str, env: Mapping[str, str]) -> Iterator[Server]:
    """A command that takes uvicorn's options, until it answers and after it has ended."""
    base = f"http://127.0.0.1:{port}"
    quiet = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    running = subprocess.Popen([*command, *quiet], env={**env, "PYTHONWARNINGS": "ignore"})
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                httpx.get(base + health, timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline or running.poll() is not None:
                    raise TimeoutError(f"{name} did not start") from None
                time.sleep(0.1)
        yield Server(name, running.pid, base)
    finally:
        running.terminate()
        running.wait(20)


def environment(name: str, *packages: str) -> Path:
    """The Python of a peer's own environment below var/bench: it never meets our lock file."""
    python = Path("var/bench").absolute() / name / "bin/python"
    if not (python.parent / "ready").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", str(python.parent.parent), "--python", sys.executable], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
        (python.parent / "ready").touch()
    return python
