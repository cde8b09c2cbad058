"""The real panel beside the real hub, with a small dashboards service that checks tokens as the real one does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from bdap_hub.access import Administer, decide
from bdap_hub.admin.app import create_app
from bdap_hub.errors import NotAllowed, NotFound
from bdap_hub.web import create_service


@dataclass
class Panel:
    """Address of the running panel behind the hub's proxy, its application, and the dashboards it is shown."""

    hub: Any
    app: FastAPI
    url: str
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)

    def get(self, name: str, path: str = "", **headers: str) -> httpx.Response:
        """A page as that person's browser with a token would get it."""
        return httpx.get(self.url + path, headers={**self.hub.bearer(name), "Accept": "text/html", **headers})


def _dashboards_app(settings: Any, held: dict[str, dict[str, Any]]) -> FastAPI:
    app, login = create_service(settings, "dashboards", "Dashboards under test")

    async def admins(request: Request) -> None:
        if not decide(settings.policy(), (await login.require(request)).person, Administer()):
            raise NotAllowed("not an admin")

    @app.get("/services/dashboards/api/dashboards")
    async def all_of_them(request: Request) -> dict[str, list[dict[str, Any]]]:
        await admins(request)
        return {"dashboards": list(held.values())}

    @app.delete("/services/dashboards/api/dashboards/{project}/{slug}", status_code=204)
    async def take_down(request: Request, project: str, slug: str) -> None:
        await admins(request)
        if held.pop(f"{project}/{slug}", None) is None:
            raise NotFound("there is no such dashboard")

    return app


@pytest.fixture(scope="session")
def panel(hub: Any) -> Panel:
    """The panel and the dashboards service, served for as long as the hub."""
    app = create_app(hub.settings)
    held: dict[str, dict[str, Any]] = {}
    hub.serve(app, hub.settings.admin.port)
    hub.serve(_dashboards_app(hub.settings, held), hub.settings.dashboards.port)
    return Panel(hub, app, f"{hub.url}/services/admin/", held)


@pytest.fixture
def dashboard(panel: Panel) -> str:
    """A published dashboard's id."""
    panel.dashboards["agriculture/crops"] = {
        "id": "agriculture/crops",
        "title": "Crops <b>2026</b>",
        "owner": "ana",
        "visibility": "public",
        "status": "live",
        "visits": 41,
        "version": 3,
        "url": "http://agriculture--crops.dashboards.localhost:8030/",
    }
    return "agriculture/crops"
