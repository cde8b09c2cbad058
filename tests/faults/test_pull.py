"""A pull from a real registry is cut: through a relay in between, which closes what goes through it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.images.registry import running
from tests.own_engine import IMAGE

from .conftest import LAB, Rig

pytestmark = pytest.mark.docker

PART = 2**20  # bytes of an answer that get through


class Relay:
    """Between an engine and a registry. `cut`: connections are closed after PART bytes of answers."""

    def __init__(self, port: int) -> None:
        self.cut, self._to = False, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for source, target, answers in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._pass, args=(source, target, answers), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if self.cut and answers and passed > PART:
                    break
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """With the image behind it, which the engine lacks; the hub is started with that image's address."""
    settings = rig.platform.folder / "bdap.yaml"
    before = settings.read_text()
    with running(tmp_path_factory.mktemp("registry"), login=False) as registry:
        found = Relay(int(registry.host.rpartition(":")[2]))
        reference = f"{found.host}/test/lab:1"
        rig.client.images.get(IMAGE).tag(reference.rpartition(":")[0], "1")
        pushed = rig.client.images.push(reference)
        assert "error" not in pushed, pushed
        for tag in rig.client.images.get(IMAGE).tags:
            rig.client.images.remove(tag)
        rig.platform.kill_hub()
        settings.write_text(json.dumps(json.loads(before) | {"images": _with(json.loads(before)["images"], reference)}))
        found.cut = True  # the hub pulls ahead what its engine lacks
        rig.platform.start_hub()
        yield found
        rig.platform.stop("ana")
        found.cut = False
        rig.client.images.pull(reference)
        rig.client.images.get(reference).tag(*IMAGE.split(":"))
        found.close()
    rig.platform.kill_hub()
    settings.write_text(before)
    rig.platform.start_hub()


def _with(images: list[dict[str, object]], reference: str) -> list[dict[str, object]]:
    return [{**one, "reference": reference} if one["name"] == "lab" else one for one in images]


def test_a_pull_that_is_cut_is_said_leaves_nothing_and_is_taken_up_by_the_next_start(rig: Rig, relay: Relay) -> None:
    platform = rig.platform
    answer = platform.api("POST", "/users/ana/server", json=LAB)
    assert answer.status_code in (202, 503), answer.text
    platform.wait(lambda: not rig.servers(), 60, "the start to fail")
    with platform.browser("ana") as browser:
        page = browser.get(f"{platform.url}/hub/spawn-pending/ana")
    assert f"The image lab could not be pulled from {relay.host}" in page.text
    assert rig.nothing_left()
    relay.cut = False
    platform.start("ana", LAB)
