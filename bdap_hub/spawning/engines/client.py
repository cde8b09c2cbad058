"""Clients of a Docker engine: the engine's own API version, and nobody's proxy or CA variables."""

from __future__ import annotations

import threading
from typing import Any

import docker
from docker.errors import DockerException
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException

from ...errors import Unavailable

# Any engine since 20.10 answers this version without the client asking first: enough to learn its own.
OLDEST_API = "1.41"
_local = threading.local()


def client() -> Any:
    """This thread's client (requests' sessions are not shared between threads); Unavailable if no engine answers."""
    if not hasattr(_local, "client"):
        _local.client = connect()
    return _local.client


def connect(timeout: float = 60) -> Any:
    """A new client of the engine that the environment names (DOCKER_HOST), else of this host's."""
    try:
        version = _plain(OLDEST_API, timeout).version(api_version=False)["ApiVersion"]
        return _plain(version, timeout)
    except (DockerException, RequestException) as error:
        raise Unavailable(
            f"the Docker engine does not answer: {error}",
            "start it (`systemctl start docker`), or set spawning.engine to process",
        ) from None


def _plain(version: str, timeout: float) -> Any:
    made = docker.APIClient(version=version, timeout=timeout, **kwargs_from_env())
    made.trust_env = False  # REQUESTS_CA_BUNDLE would replace the engine's own CA, HTTP_PROXY its address
    return made
