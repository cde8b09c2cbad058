"""A private registry for tests: Debian's docker-registry, with a login, on a free port of this host."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import free_port

ACCOUNT = ("bdap", "pushed-in-a-test")
HASHED = "$2b$04$abcdefghijklmnopqrstuuoJy7KffUMJO.Oxlheb0LfDOoHNu5kcC"  # of that word, by bcrypt
CONFIGURATION = """
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: "{folder}/data"}}}}
http: {{addr: "{host}", secret: x}}
"""
LOGIN = """\
auth: {{htpasswd: {{realm: test, path: "{folder}/htpasswd"}}}}
"""


@dataclass(frozen=True)
class Registry:
    """Where it listens, and what it has been sent."""

    host: str

    def manifest(self, reference: str) -> httpx.Response:
        """What it has of `host/name@digest` or `host/name:tag`, to somebody logged in."""
        name = reference.removeprefix(f"{self.host}/")
        name, _, version = name.partition("@") if "@" in name else name.rpartition(":")
        kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        url = f"http://{self.host}/v2/{name}/manifests/{version}"
        return httpx.get(url, auth=ACCOUNT, headers={"Accept": kinds})


@contextlib.contextmanager
def running(folder: Path, login: bool = True, address: str = "127.0.0.1") -> Iterator[Registry]:
    """It, from when it answers until the end of the block; with `login`, for ACCOUNT alone."""
    if (program := shutil.which("docker-registry")) is None:
        pytest.fail("there is no docker-registry: run `make test` once, it installs it")
    host = f"{address}:{free_port()}"
    (folder / "htpasswd").write_text(f"{ACCOUNT[0]}:{HASHED}\n")
    configuration = CONFIGURATION + (LOGIN if login else "")
    (folder / "config.yml").write_text(configuration.format(folder=folder, host=host))
    process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://{host}/v2/").status_code == (401 if login else 200):
                    break
            assert process.poll() is None and time.monotonic() < deadline, "the registry did not start"
            time.sleep(0.05)
        yield Registry(host)
    finally:
        process.terminate()
        process.wait(20)
