"""Asks the catalogue service, with the caller's own token, for collections and items: its answer is the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from ...errors import BdapError, Busy, NotAllowed, NotLoggedIn, Unavailable
from ...settings import Settings
from ..graphs.graph import GraphError
from ..graphs.needs import Query

PAGE = 200


class CollectionNotFound(GraphError):
    """There is no such collection, or the caller may not know that there is."""

    status = 404


class Catalogue:
    """A client of the STAC API at settings.catalogue."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.max_items = settings.processing.max_items
        self.client = httpx.AsyncClient(
            base_url=f"{settings.catalogue.url}/services/catalogue/", timeout=40, trust_env=False, transport=transport
        )

    async def collection(self, identifier: str, token: str) -> Mapping[str, Any]:
        """A collection's description; CollectionNotFound if the caller does not see one of that id."""
        answer = await self._ask("GET", f"collections/{quote(identifier, safe='')}", token)
        if answer is None:
            raise CollectionNotFound(
                "CollectionNotFound",
                f"there is no collection {identifier!r} that you may read",
                "look into the catalogue; what is missing there, the lead of its project opens to you",
            )
        return answer

    async def collections(self, token: str) -> list[Mapping[str, Any]]:
        """All collections that the caller sees; without a token those that everybody sees."""
        return list((await self._ask("GET", "collections", token) or {}).get("collections", []))

    async def queryables(self, identifier: str, token: str) -> Mapping[str, Any]:
        """The properties by which its items can be filtered."""
        answer = await self._ask("GET", f"collections/{quote(identifier, safe='')}/queryables", token)
        return answer if answer is not None else await self.collection(identifier, token)

    async def example(self, identifier: str, token: str) -> Mapping[str, Any]:
        """One of its items; empty if it has none."""
        answer = await self._ask("POST", "search", token, {"collections": [identifier], "limit": 1}) or {}
        return next(iter(answer.get("features", [])), {})

    async def items(self, query: Query, token: str) -> list[Mapping[str, Any]]:
        """The items of a query; GraphError with their number where there are more than allowed."""
        body = query.search(min(PAGE, self.max_items + 1))
        found: list[Mapping[str, Any]] = []
        while True:
            answer = await self._ask("POST", "search", token, body) or {}
            found += answer.get("features", [])
            matched = answer.get("numberMatched") or answer.get("context", {}).get("matched") or 0
            if max(len(found), matched) > self.max_items and not query.filters:
                raise too_many(query.collection, matched, self.max_items)
            following = _next(answer)
            if following is None or not answer.get("features"):
                return found
            if len(found) > 20 * self.max_items:  # filters on properties may still thin them out, up to here
                raise too_many(query.collection, 0, self.max_items)
            body = {**body, **following}

    async def item(self, collection: str, identifier: str, token: str) -> Mapping[str, Any]:
        """One item by its id; CollectionNotFound if the caller does not see one."""
        answer = await self._ask("GET", f"collections/{quote(collection)}/items/{quote(identifier)}", token)
        if answer is None:
            raise CollectionNotFound(
                "CollectionNotFound", f"there is no item {identifier!r} of {collection}", "look into the catalogue"
            )
        return answer

    async def _ask(self, method: str, path: str, token: str, body: Any = None) -> Mapping[str, Any] | None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = await self.client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError:
            raise Unavailable("the catalogue does not answer", "try again in a moment") from None
        if answer.status_code == 404:
            return None
        if answer.status_code in (401, 403):
            said = answer.json()
            if not token:
                raise NotLoggedIn(said.get("message", "you are not logged in"), said.get("remedy", ""))
            raise NotAllowed(said.get("message", "the catalogue refuses this token"), said.get("remedy", ""))
        if answer.status_code != 200:
            raise _refused(answer)
        result: Mapping[str, Any] = answer.json()
        return result


def _refused(answer: httpx.Response) -> BdapError:
    """What the catalogue says of a search that it could not answer, such as one that takes too long."""
    try:
        said = answer.json()
        message, remedy = str(said["message"]), str(said["remedy"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"the catalogue answers {answer.status_code}", "try again in a moment")
    if answer.status_code == Busy.status:
        return Busy(message, remedy, retry_after=int(answer.headers.get("Retry-After", "5")))
    return Unavailable(message, remedy)


def too_many(what: str, count: int, limit: int) -> GraphError:
    """More items than a graph may need; `count` 0: nobody has counted them."""
    return GraphError(
        "ProcessGraphComplexity",
        f"the graph needs {count or f'more than {limit}'} items of {what}; the limit is {limit}",
        "narrow the temporal or spatial extent",
    )


def _next(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to add to the body for the following page; only the paging token is taken, never an address."""
    for link in answer.get("links", []):
        if link.get("rel") == "next":
            body = link.get("body") or {}
            query = {key: values[0] for key, values in parse_qs(urlsplit(link.get("href", "")).query).items()}
            given = {key: part for part in (query, body) for key in ("token", "next", "page") if (part.get(key))}
            return {key: part[key] for key, part in given.items()} or None
    return None
