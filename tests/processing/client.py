"""Calls the processing service as a person does, through the hub's proxy."""

from __future__ import annotations

from typing import Any

import httpx

from .conftest import X, Y, Z

PREFIX = "/services/processing"


class Client:
    """Calls the service as a person, through the hub's proxy."""

    def __init__(self, hub: Any, name: str, token: str = "") -> None:
        self.hub = hub
        headers = {"Authorization": f"Bearer {token or hub.token(name)}"} if name or token else {}
        self.http = httpx.Client(base_url=hub.settings.hub.public_url + PREFIX, headers=headers, timeout=60)

    def post(self, graph: Any, title: str = "test", **more: Any) -> httpx.Response:
        body = {"title": title, "type": "XYZ", "process": {"process_graph": graph}, **more}
        return self.http.post("/services", json=body)

    def service(self, graph: Any, **more: Any) -> dict[str, Any]:
        answer = self.post(graph, **more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


def tile(service: dict[str, Any], x: int = X, y: int = Y, z: int = Z, **headers: str) -> httpx.Response:
    """A tile of a service, by its own address."""
    return httpx.get(service["url"].format(z=z, x=x, y=y), headers=headers, timeout=60)
