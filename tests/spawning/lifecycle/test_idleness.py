"""What cannot be read is no idleness: kernels, asked over a real socket, and the CPU time of real containers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from jupyterhub import orm

from bdap_hub.settings import Settings
from bdap_hub.spawning.engines.docker import DockerEngine
from bdap_hub.spawning.lifecycle import idleness
from tests.own_engine import all_control_groups

ANSWERS: dict[str, tuple[int, bytes]] = {
    "busy": (200, b'[{"execution_state": "idle"}, {"execution_state": "busy"}]'),
    "idle": (200, b'[{"execution_state": "idle"}]'),
    "empty": (200, b"[]"),
    "none": (404, b""),
    "page": (200, b"<html>"),
    "number": (200, b"5"),
    "refused": (403, b""),
    "broken": (500, b""),
}


class Server(BaseHTTPRequestHandler):
    """Answers as its path says."""

    def do_GET(self) -> None:
        status, body = ANSWERS[self.path.split("/")[1]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def user() -> Iterator[SimpleNamespace]:
    """A stand-in for JupyterHub's user: a database with nobody in it."""
    session = orm.new_session_factory("sqlite://")()
    yield SimpleNamespace(name="ana", db=session, settings={}, new_api_token=lambda **wanted: "x")
    session.close()


def spawner_at(url: str, name: str = "") -> SimpleNamespace:
    return SimpleNamespace(name="", server=SimpleNamespace(url=url), _log_name="ana:", object_name=name)


@pytest.mark.parametrize(
    ("answer", "busy"),
    [
        ("busy", True),
        ("idle", False),
        ("empty", False),
        ("none", False),  # there is no such thing as a kernel
        ("page", False),
        ("number", False),
        ("refused", True),
        ("broken", True),
    ],
)
async def test_kernels(url: str, user: Any, answer: str, busy: bool) -> None:
    assert await idleness.busy_kernel(user, spawner_at(f"{url}/{answer}/")) is busy


async def test_kernels_of_one_that_does_not_answer(user: Any) -> None:
    assert await idleness.busy_kernel(user, spawner_at("http://127.0.0.1:9/")) is True


@pytest.fixture
def resting() -> Iterator[Any]:
    """A container that computes nothing."""
    client = docker.from_env()
    with all_control_groups():
        found = client.containers.run("bdap/debian:trixie", ["sleep", "600"], detach=True, labels=["bdaptest-idle"])
        try:
            yield found
        finally:
            found.remove(force=True)
            client.close()


@pytest.mark.docker
async def test_cpu_time_that_cannot_be_read_counts_as_use(settings: Settings, resting: Any) -> None:
    settings.spawning.idle_timeout = 60
    engine = DockerEngine()
    looks, spawner = idleness.Idleness(settings, engine), spawner_at("", resting.name)
    assert await looks._uses_cpu(spawner)  # it takes two looks to know
    assert not await looks._uses_cpu(spawner)
    resting.kill()
    for _ in range(2):  # the engine says 0 now, as also of a control group that it cannot find
        assert await looks._uses_cpu(spawner)
        assert await looks._uses_cpu(spawner_at("", "bdaptest-nobody"))
