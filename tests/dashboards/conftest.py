"""The dashboards service and its gateway beside the real hub; Voilà as local processes unless a test says docker."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bdap_hub.dashboards.app import create_app
from bdap_hub.dashboards.bundles.bundle import bundles_of, read_bundle, store_bundle
from bdap_hub.dashboards.gateway.serving import Gateway, create_gateway
from bdap_hub.dashboards.releases.means import Means
from bdap_hub.dashboards.running.runtime import Launch, stop_all
from bdap_hub.settings import Settings
from tests.conftest import Hub

API = "/services/dashboards/api/dashboards"

FAR = "agriculture--outage--v1"
"""A release on another machine."""
SLIDER = """
import ipywidgets as widgets
slider = widgets.IntSlider(value=3, min=0, max=10, description="n")
out = widgets.HTML()
def show(change):
    out.value = f"<b id='square'>square is {slider.value ** 2}</b>"
slider.observe(show, "value")
show(None)
widgets.VBox([slider, out, widgets.Button(description="ok", icon="check")])
"""


def notebook(*cells: str, text: str = "# Fields of wheat") -> bytes:
    """A small notebook as bytes."""
    nb = new_notebook(cells=[new_markdown_cell(text), *(new_code_cell(cell) for cell in cells)])
    return nbformat.writes(nb).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive of those files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


@dataclass
class Platform:
    """Hub, publisher and gateway, running."""

    hub: Hub
    settings: Settings
    gateway: Gateway

    def publish(self, name: str, slug: str, content: bytes = b"", **fields: str) -> httpx.Response:
        """Publish as that person; a notebook with a slider unless `content` says otherwise."""
        values = {"project": "agriculture", "title": slug.title(), "visibility": "project", "slug": slug, **fields}
        file = fields.pop("file", "index.ipynb")
        values.pop("file", None)
        return httpx.post(
            f"{self.hub.url}{API}",
            headers=self.hub.bearer(name),
            data=values,
            files={"bundle": (file, content or notebook(SLIDER))},
            timeout=240,
        )

    def open(self, host: str, path: str = "/", **kwargs: Any) -> httpx.Response:
        """Ask the gateway for a page of the dashboard with that host name label (`project--slug`)."""
        port = self.settings.dashboards.gateway_port
        headers = {
            "Host": f"{host}.dashboards.localhost:{port}" if host else f"dashboards.localhost:{port}",
            "Accept": "text/html",
            **kwargs.pop("headers", {}),
        }
        method = kwargs.pop("method", "GET")
        return httpx.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, timeout=120, **kwargs)

    def eventually(self, host: str, text: str) -> str:
        """The page once it says that; the last one where it does not within 40 seconds."""
        deadline = time.monotonic() + 40
        while text not in (page := self.open(host).text) and time.monotonic() < deadline:
            time.sleep(0.3)
        return page

    def eventual(self, host: str, status: int, **kwargs: Any) -> httpx.Response:
        """The answer once it has that status: it may be starting first. The last one after 40 seconds."""
        deadline = time.monotonic() + 40
        while (answer := self.open(host, **kwargs)).status_code != status and time.monotonic() < deadline:
            time.sleep(0.3)
        return answer

    def audit(self, action: str) -> list[Any]:
        """The audit events of that action, newest first."""
        from bdap_hub.audit import latest
        from bdap_hub.database import connect

        return [event for event in latest(connect(self.settings.database), 500) if event.action == action]


@pytest.fixture(scope="session")
def platform(hub: Hub) -> Iterator[Platform]:
    """With engine=process: the same code paths but the container's walls."""
    settings = hub.settings.model_copy(deep=True)
    settings.spawning.engine = "process"
    settings.identity.revocation_seconds = 4  # the hub's answers serve for 0.4 s
    hub.serve(create_app(settings), settings.dashboards.port)
    gateway = create_gateway(settings)
    hub.serve(gateway, settings.dashboards.gateway_port)
    try:
        yield Platform(hub, settings, gateway.state.gateway)
    finally:
        stop_all(settings)


@pytest.fixture(scope="session")
def published(platform: Platform) -> Callable[[str], dict[str, Any]]:
    """Publishes ana's dashboard of that visibility once a session: slugs shown-public, shown-people, shown-project."""
    made: dict[str, dict[str, Any]] = {}

    def get(visibility: str) -> dict[str, Any]:
        if visibility not in made:
            answer = platform.publish(
                "ana", f"shown-{visibility}", visibility=visibility, description="How wheat grows."
            )
            assert answer.status_code == 201, answer.text
            made[visibility] = answer.json()
        return made[visibility]

    return get


def comm_message(kind: str, **content: Any) -> str:
    """A JSON websocket message to a kernel."""
    header = {"msg_id": "1", "username": "", "session": "s", "msg_type": kind, "version": "5.3", "date": ""}
    return json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content})


@pytest.fixture
def launch(settings: Settings) -> Launch:
    """A release of one notebook, as the hub's host would start it."""
    bundle = read_bundle("index.ipynb", notebook(SLIDER, text="# Far"), 2**20)
    folder = store_bundle(bundle, bundles_of(settings))
    own = settings.dashboards
    environment = {"BDAP_TOKEN": "t", "BDAP_PROJECT": "agriculture"}
    return Launch(FAR, folder, "index.ipynb", 60_001, environment, Means(own.image, own.memory, own.cpus))
