"""The service as a process of its own over generated rasters, with the real catalogue. The hub is a stand-in.

The stand-in says who the caller is: the outer edge, nothing of which is fuzzed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from fastapi import FastAPI

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.settings import Settings
from tests.conftest import make_settings
from tests.processing.conftest import make_collection, write_catalogue
from tests.serving import Services

TOKEN = "fuzz"
PREFIX = "/services/processing"


@dataclass
class Stage:
    """The running service."""

    settings: Settings
    folder: Path
    process: subprocess.Popen[bytes]
    log: Path
    described: dict[str, Any]
    items: list[dict[str, Any]]
    http: httpx.Client = field(repr=False)
    peak: float = 0

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def memory(self) -> float:
        """Resident memory in MiB; the largest is kept as `peak`."""
        now = float(psutil.Process(self.process.pid).memory_info().rss) / 2**20
        self.peak = max(self.peak, now)
        return now

    def secrets(self) -> tuple[str, ...]:
        """What no answer may hold: where the store and the state lie, where the code is, and traces of it."""
        code = str(Path(__file__).parents[2])
        return str(self.folder), str(self.settings.store.root), code, "Traceback (most", 'File "', "site-packages"

    def failure(self) -> str:
        """The last failure that the log tells of: the innermost line of ours, and what was raised."""
        time.sleep(0.3)  # the log is written after the answer
        lines = self.log.read_text(errors="replace").splitlines()[-400:]
        start = max((i for i, line in enumerate(lines) if line.lstrip("| ").startswith("Traceback")), default=0)
        frames = [line.split(", line")[0].split("bdap_hub/")[-1] + line.split('"')[-1] for line in lines[start:]
                  if "/bdap_hub/" in line]  # fmt: skip
        said = [line for line in lines[start:] if line and not line.startswith((" ", "Traceback"))]
        return f"{frames[-1] if frames else '?'}: {said[-1] if said else '?'}"[:300]


def stand_in() -> FastAPI:
    """Answers who has a token as the hub does."""
    app = FastAPI()
    groups = ["project-agriculture", "project-forest"]
    scopes = [f"access:services!service={name}" for name in ("processing", "catalogue")]

    @app.get("/hub/api/user")
    def user() -> dict[str, Any]:
        return {"kind": "user", "name": "ana", "groups": groups, "scopes": scopes}

    @app.get("/hub/api/users/{name}")
    def person(name: str) -> dict[str, Any]:
        return {"name": name, "groups": groups}

    return app


@contextmanager
def stage(patience: float) -> Iterator[Stage]:
    """Everything, in a folder of its own that goes away. Evaluations end after `patience` seconds."""
    folder = Path(tempfile.mkdtemp(prefix="bdapbench-fuzz-"))
    services = Services()
    process = None
    try:
        settings = make_settings(folder / "var", processing={"deadline": patience, "result_deadline": patience})
        described, items = make_collection(settings.store.root, "fields", "public", "")
        write_catalogue(settings.var, described, items)
        services.serve(stand_in(), settings.hub.api_port)
        services.serve(create_catalogue(settings), settings.catalogue.port)
        process = _service(settings, folder)
        base = f"{settings.processing.url}{PREFIX}"
        http = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120, trust_env=False)
        yield Stage(settings, folder, process, folder / "log", described, items, http)
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        services.end()
        shutil.rmtree(folder, ignore_errors=True)


def _service(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """One process of the service; settings travel in a file."""
    config = folder / "bdap.yaml"
    config.write_text(settings.model_dump_json())  # JSON is YAML
    command = [sys.executable, "-m", "uvicorn", "--factory", "bench.processing.servers:application"]
    where = ["--host", "127.0.0.1", "--port", str(settings.processing.port), "--log-level", "warning"]
    with (folder / "log").open("wb") as log:
        env = {**os.environ, "BDAP_CONFIG": str(config)}
        process = subprocess.Popen([*command, *where], env=env, stdout=log, stderr=log)
    deadline = time.monotonic() + 600
    while True:
        try:
            httpx.get(f"{settings.processing.url}{PREFIX}/health", timeout=2).raise_for_status()
            return process
        except httpx.HTTPError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise TimeoutError((folder / "log").read_text()[-2000:]) from None
            time.sleep(0.1)
