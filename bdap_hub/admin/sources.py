"""Where the panel's rows come from: the hub's REST API and the dashboards service, over HTTP.

The hub is asked with the panel's own narrow token, the dashboards service with the administrator's.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx

from ..access import Policy
from ..errors import BdapError, NotAllowed, NotFound, Unavailable
from ..settings import Settings
from .rows import DashboardRow, PersonRow, dashboard_row, person_row

PAGE = 200
PAGED = "application/jupyterhub-pagination+json"


class Hub:
    """The hub's people and servers."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._api = f"{settings.hub.api_url}/hub/api"
        self._headers = {"Authorization": f"token {settings.secret('service-admin')}", "Accept": PAGED}
        self._client = client

    async def people(self, policy: Policy) -> list[PersonRow]:
        """Everybody the hub knows, by name; read page by page."""
        rows: list[PersonRow] = []
        offset: int | None = 0
        while offset is not None:
            answer = await self._send("GET", f"/users?offset={offset}&limit={PAGE}")
            body = answer.json()
            rows += [person_row(policy, model) for model in body["items"]]
            following = body["_pagination"]["next"]
            offset = following["offset"] if following else None
        return sorted(rows, key=lambda row: row.name)

    async def stop(self, person: str, server: str) -> bool:
        """Stop a server; True when it has stopped, False while it is stopping. NotFound if it doesn't run."""
        name = quote(person, safe="")
        path = f"/users/{name}/servers/{quote(server, safe='')}" if server else f"/users/{name}/server"
        answer = await self._send("DELETE", path)
        return answer.status_code != 202

    async def _send(self, method: str, path: str) -> httpx.Response:
        return await send(self._client, "the hub", method, f"{self._api}{path}", self._headers)


class Dashboards:
    """The published dashboards, as the administrator who asks may see them."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._api = f"{settings.dashboards.url}/services/dashboards/api/dashboards"
        self._client = client

    async def all(self, token: str) -> list[DashboardRow]:
        """All dashboards, by project and name."""
        models = (await self._send("GET", "", token)).json()["dashboards"]
        return sorted((dashboard_row(model) for model in models), key=lambda row: row.id)

    async def take_down(self, project: str, slug: str, token: str) -> None:
        """Take a dashboard down for good. NotFound if there is none of that name."""
        await self._send("DELETE", f"/{quote(project, safe='')}/{quote(slug, safe='')}", token)

    async def _send(self, method: str, path: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return await send(self._client, "the dashboards service", method, f"{self._api}{path}", headers)


class Parts:
    """Whether each part of the platform answers."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._client = client
        self._urls = {"hub": f"{settings.hub.api_url}/hub/api/"}
        for name in ("processing", "catalogue", "dashboards"):
            self._urls[name] = f"{getattr(settings, name).url}/services/{name}/health"

    async def check(self) -> dict[str, bool]:
        """Name of part to whether it answered."""
        return dict(zip(self._urls, await asyncio.gather(*map(self._answers, self._urls.values())), strict=True))

    async def _answers(self, url: str) -> bool:
        try:
            return (await self._client.get(url, timeout=3)).status_code == 200
        except httpx.HTTPError:
            return False


async def send(client: httpx.AsyncClient, part: str, method: str, url: str, headers: dict[str, Any]) -> httpx.Response:
    """One request; what went wrong comes back as an error that names the part, never its tokens."""
    try:
        answer = await client.request(method, url, headers=headers)
    except httpx.HTTPError:
        raise Unavailable(f"{part} does not answer", "see whether its service runs, then reload") from None
    if answer.is_success:
        return answer
    raise _failure(part, answer)


def _failure(part: str, answer: httpx.Response) -> BdapError:
    if answer.status_code == 404:
        return NotFound(f"{part} knows no such thing any more", "reload the page: it may be gone already")
    if answer.status_code in (401, 403):
        return NotAllowed(f"{part} refused this request of the admin panel", "log out and in again, or see its log")
    return Unavailable(f"{part} answered with status {answer.status_code}", "see its log, then reload")
