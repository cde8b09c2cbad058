"""The Docker client of this process: the engine's own API version, and nobody's proxy or CA variables."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from ..errors import Unavailable
from .plan import Propagation

# Any engine since 20.10 answers this version without the client asking first: enough to learn its own.
OLDEST_API = "1.41"
_local = threading.local()


def client() -> Any:
    """This thread's client (requests' sessions are not shared between threads); Unavailable if no engine answers."""
    if not hasattr(_local, "client"):
        _local.client = _connect()
    return _local.client


def _connect() -> Any:
    try:
        version = _plain(OLDEST_API).version(api_version=False)["ApiVersion"]
        return _plain(version)
    except DockerException as error:
        raise Unavailable(
            f"the Docker engine does not answer: {error}",
            "start it (`systemctl start docker`), or set spawning.engine to process",
        ) from None


def _plain(version: str) -> Any:
    made = docker.APIClient(version=version, **kwargs_from_env())
    made.trust_env = False  # REQUESTS_CA_BUNDLE would replace the engine's own CA, HTTP_PROXY its address
    return made


def propagation_of(path: Path, mountinfo: str | None = None) -> Propagation:
    """`rslave` when the mount that holds `path` is shared or a slave itself (Docker refuses it otherwise).

    With rslave a store that is mounted, or mounted again, after a server's start appears in the running server.
    """
    lines = (mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()).splitlines()
    best, shared = "", False
    for fields in (line.split() for line in lines):
        point = fields[4].encode().decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= len(best):
            optional = fields[6 : fields.index("-")]
            best, shared = point, any(f.startswith(("shared:", "master:")) for f in optional)
    return "rslave" if shared else "rprivate"
