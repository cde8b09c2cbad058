"""A hub on a Docker engine that the tests may kill and hang; its spawner can be stopped in each phase of a start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from bdap_hub import database
from bdap_hub.spawning.gpu.tables import allocations
from bdap_hub.spawning.lifecycle import ends
from bdap_hub.spawning.plan import container_name
from tests.hub.conftest import Platform, launch
from tests.own_engine import IMAGE, UUIDS, OwnEngine, network_of, own_engine, settings_on

from .pausing import CONFIG, Phases

GPU = {"project": "agriculture", "image": "gpu"}
LAB = {"project": "agriculture", "image": "lab"}


class Rig:
    """The hub, its engine, and what each of them says of people's servers."""

    def __init__(self, platform: Platform, engine: OwnEngine, client: Any) -> None:
        self.platform, self.engine, self.client = platform, engine, client
        self.phases = Phases(platform.folder)
        self.store = database.connect(platform.settings.database)

    def containers(self) -> dict[str, str]:
        """Name → state of all servers of this platform that the engine has."""
        labels = [f"bdap.hub={self.platform.settings.install_id}", "bdap.kind=server"]
        found = self.client.api.containers(all=True, filters={"label": labels})  # a list of names asks no further
        return {one["Names"][0].removeprefix("/"): one["State"] for one in found}

    def container(self, person: str = "ana") -> Any:
        return self.client.containers.get(container_name(self.platform.settings, person))

    def gpus(self) -> dict[str, str]:
        """Device → person, as the database has it."""
        return {row.device: row.person for row in allocations(self.store)}

    def servers(self, person: str = "ana") -> dict[str, Any]:
        """What the hub says that it runs for them."""
        return dict(self.platform.api("GET", f"/users/{person}").json()["servers"])

    def routes(self) -> set[str]:
        """Paths of people's servers that the proxy knows."""
        settings = self.platform.settings
        answer = httpx.get(
            f"http://127.0.0.1:{settings.hub.proxy_api_port}/api/routes",
            headers={"Authorization": f"token {settings.secret('proxy-auth-token')}"},
        )
        return {path for path in answer.json() if path.startswith("/user/")}

    def told(self, person: str = "ana") -> str:
        """What the person reads of the last end of their server."""
        found = ends.last(self.store, person).get("")
        with self.platform.browser(person) as browser:
            page = browser.get(f"{self.platform.url}/hub/home").text
        words = found.words if found else ""
        assert words.replace("'", "&#39;") in page, page
        return words

    def looked(self) -> None:
        """Returns once the hub has looked at the engine since: then an orphan that was put there is gone."""
        labels = {"bdap.hub": self.platform.settings.install_id, "bdap.kind": "server"}
        self.client.containers.run(IMAGE, ["sleep", "600"], detach=True, name="bdaptest-decoy", labels=labels)
        self.platform.wait(lambda: "bdaptest-decoy" not in self.containers(), 40, "the hub's look")

    def nothing_left(self) -> bool:
        """No container, no GPU held, no server, no route."""
        return not (self.containers() or self.gpus() or self.servers() or self.routes())

    def ask(self, options: dict[str, str], person: str = "ana") -> threading.Thread:
        """Start a server in the background: the answer is nobody's matter."""

        def post() -> None:
            with suppress(httpx.HTTPError):
                self.platform.api("POST", f"/users/{person}/server", json=options)

        thread = threading.Thread(target=post, daemon=True)
        thread.start()
        return thread

    def visit(self, path: str, person: str = "ana") -> httpx.Response:
        """A request to a person's server by their own token."""
        headers = {"Authorization": f"token {self.platform.token_of(person)}"}
        return httpx.get(f"{self.platform.url}/user/{person}/{path}", headers=headers, timeout=30)


@pytest.fixture(scope="package")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One for all tests here: each leaves it as it was."""
    folder = tmp_path_factory.mktemp("faults")
    gpus = [{"id": one, "model": "NVIDIA Test", "memory": "1G"} for one in UUIDS]
    with (
        own_engine(tmp_path_factory.mktemp("node"), "--max-download-attempts=1") as (engine, client),
        network_of(client) as (network, gateway),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DOCKER_HOST", engine.socket)
        settings = settings_on(folder, network, gateway, gpus=gpus)
        platform = launch(folder, settings, CONFIG.replace("{folder!r}", repr(str(folder))))
        try:
            yield Rig(platform, engine, client)
        finally:
            platform.close()


@pytest.fixture(autouse=True)
def as_it_was(rig: Rig) -> Iterator[None]:
    yield
    rig.phases.release()
    for person in ("ana", "ben", "olga"):
        rig.platform.stop(person)
    rig.platform.wait(rig.nothing_left, 40, "nothing to be left")
