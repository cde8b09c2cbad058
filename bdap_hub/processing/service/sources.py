"""What each load of a graph reads: asked of the catalogue, of STAC documents and files on the store, of listed servers.

All of it in the caller's name: the catalogue by their token, each folder of the store by their rights.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx

from ...access import Person
from ...errors import Unavailable
from ...settings import Settings
from ...web import Principal
from ..engine.headers import item_of_raster
from ..engine.reader import FileUnavailable, Reader
from ..graphs.needs import Query
from ..graphs.plan import Owned, owned_of
from ..jobs.tables import JobNotFound
from . import stac
from .address import Address, address_of, allowed
from .lookup import Catalogue, too_many
from .rights import Rights
from .uploads import Uploads

MOST_BYTES, MOST_IN_ALL = 8 << 20, 32 << 20
"""The size of a document, and of all that one load reads: as Python's objects they take twenty times as much."""
DOCUMENTS = 100
"""Documents that may be read besides those of the items."""
PAGE = 200
FOLDERS = ("collection.json", "catalog.json")
Document = Mapping[str, Any]
Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class Found:
    """The collection of a load (or what stands for one), its items, and what access decides by."""

    collection: Document
    items: Sequence[Document]
    owned: tuple[Owned, ...]


@dataclass(frozen=True)
class Looked:
    """What a STAC document says: its collection's bands, the items in it, the addresses to read next."""

    bands: dict[str, Any]
    items: Sequence[Document]
    following: Sequence[str]


class Sources:
    """Finds collections and items for loads. `run` does blocking work; `job` tells where somebody's results lie."""

    def __init__(
        self,
        settings: Settings,
        rights: Rights,
        catalogue: Catalogue,
        reader: Reader,
        run: Callable[..., Awaitable[Any]],
    ) -> None:
        self.settings, self.rights, self.catalogue, self.reader, self.run = settings, rights, catalogue, reader, run
        self.limit, self.root = settings.processing.max_items, f"{settings.store.mount.rstrip('/')}/"
        self.client = httpx.AsyncClient(timeout=30, trust_env=False, follow_redirects=False)
        self.uploads = Uploads(settings, rights, reader, run)
        self.job: Callable[[str, Person], Awaitable[str]] = _no_jobs

    async def may(self, query: Query, principal: Principal, token: str) -> None:
        """The refusal of a load as far as it shows before items and files are looked at."""
        await self.rights.ready()
        if query.process == "load_collection":
            await self.catalogue.collection(query.collection, token)
            return
        if query.process == "load_uploaded_files":
            return await self.uploads.may(query.arguments, principal)
        at = self._address(query)
        if at.kind in ("collection", "item"):
            await self.catalogue.collection(at.name, token)
        elif at.kind == "path":
            self.rights.read(at.name, principal.person)
        elif at.kind == "job":
            await self.job(at.name, principal.person)

    async def of(self, query: Query, principal: Principal, token: str) -> Found:
        """What a load reads; GraphError, NotAllowed or NotFound where it may not or cannot be read."""
        await self.rights.ready()
        if query.process == "load_collection":
            return await self._catalogued(query, token)
        if query.process == "load_uploaded_files":
            items = await self.uploads.items(query.arguments, principal)
            return Found({"id": query.collection}, items, (self.uploads.owned(principal),))
        at = self._address(query)
        match at.kind:
            case "collection":
                return await self._catalogued(replace(query, collection=at.name), token)
            case "item":
                described = await self.catalogue.collection(at.name, token)
                return Found(described, [await self.catalogue.item(at.name, at.item, token)], (owned_of(described),))
            case "elsewhere":
                return await self._walked(query, at.name, self._download, stac.on_web, principal.person)
            case "job":
                found = await self._stored(query, await self.job(at.name, principal.person), principal.person)
                return replace(found, items=[stac.by_band(item) for item in found.items])
            case _:
                place = at.name
        return await self._stored(query, place, principal.person)

    def _address(self, query: Query) -> Address:
        origins, public = self.settings.processing.stac_origins, self.settings.hub.public_url
        jobs = query.process == "load_result"
        return address_of(query.collection, public, self.settings.store.mount, origins, jobs)

    async def _catalogued(self, query: Query, token: str) -> Found:
        described = await self.catalogue.collection(query.collection, token)
        return Found(described, await self.catalogue.items(query, token), (owned_of(described),))

    async def _stored(self, query: Query, place: str, person: Person) -> Found:
        """A STAC document on the store, a folder that holds one, or a raster."""
        self.rights.read(place, person)
        if place.lower().endswith(stac.RASTERS):
            item = await self.run(item_of_raster, self.reader, place)
            return Found({"id": place}, [item], self.rights.covering([posixpath.dirname(place)], person))

        async def fetch(path: str) -> bytes:
            self.rights.read(path, person)
            found: bytes = await self.run(self.reader.text, path, MOST_BYTES)
            return found

        if not place.endswith(".json"):
            place = await self.run(self._in_folder, place)
        return await self._walked(query, place, fetch, stac.on_store, person)

    async def _walked(self, query: Query, place: str, fetch: Fetch, join: stac.Join, person: Person) -> Found:
        """All items that a document holds or links to, and the rights to the folders of their files."""
        todo, seen, items = [place], {place}, list[Document]()
        left, bands = MOST_IN_ALL, dict[str, Any]()
        while todo:
            where = todo.pop()
            text = await fetch(where)
            if (left := left - len(text)) < 0:
                raise stac.wrong(place, f"leads to documents of more than {MOST_IN_ALL >> 20} MB in all")
            document = await asyncio.to_thread(self._looked, text, where, join, query)
            bands = document.bands if where == place else bands
            items += document.items
            links = [link for link in document.following if link not in seen]
            if (count := max(len(items), len(links), len(seen) - DOCUMENTS)) > self.limit:
                raise too_many(query.collection, count, self.limit)
            todo += dict.fromkeys(links)
            seen |= set(links)
        folders = {posixpath.dirname(asset["href"]) for item in items for asset in item["assets"].values()}
        described = {"id": place, "item_assets": bands}
        return Found(described, items, self.rights.covering(sorted(folders), person))

    def _looked(self, text: bytes, where: str, join: stac.Join, query: Query) -> Looked:
        document = _parsed(text, where)
        items = [stac.item_of(raw, where, join, self.root) for raw in stac.items_in(document)]
        return Looked(stac.assets_of(document), items, _following(document, where, join, query))

    def _in_folder(self, path: str) -> str:
        for name in FOLDERS:
            try:
                self.reader.version(f"{path.rstrip('/')}/{name}")
            except FileUnavailable:
                continue
            return f"{path.rstrip('/')}/{name}"
        raise FileUnavailable(
            f"{path} holds no collection.json", f"name a STAC document or one of {', '.join(stac.RASTERS)}"
        )

    async def _download(self, url: str) -> bytes:
        """A document of a server that the operator lists; nothing of the caller's is sent there."""
        if not allowed(url, self.settings.processing.stac_origins):
            raise stac.wrong(url, "is linked, but is no address that is read here")
        body = bytearray()
        try:
            async with self.client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
                if answer.status_code != 200:
                    raise Unavailable(f"{url} answers {answer.status_code}", "ask its operator")
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise stac.wrong(url, f"is larger than {MOST_BYTES >> 20} MB")
        except httpx.InvalidURL:
            raise stac.wrong(url, "is linked, but is no address") from None
        except httpx.HTTPError:
            raise Unavailable(f"{url} does not answer", "try again in a moment") from None
        return bytes(body)


def _following(document: Document, place: str, join: stac.Join, query: Query) -> list[str]:
    """The documents to read next: an API is asked for what the query is about, static ones are read as they are."""
    found = stac.links_of(document, place, join)
    if document["type"] == "Feature":
        return []
    if document["type"] == "FeatureCollection":
        return found["next"]
    if not found["items"] or join is stac.on_store:
        return [*found["item"], *found["child"]]
    search = query.search(PAGE)
    box = {"bbox": ",".join(map(str, search["bbox"]))} if "bbox" in search else {}
    asked = urlencode(box | {key: str(search[key]) for key in ("datetime", "limit") if key in search})
    return [f"{address}{'&' if '?' in address else '?'}{asked}" for address in found["items"]]


def _parsed(text: bytes, place: str) -> Document:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise stac.wrong(place, "is no JSON") from None
    if not isinstance(found, dict) or "type" not in found:
        raise stac.wrong(place, "is no STAC document")
    return found


async def _no_jobs(identifier: str, person: Person) -> str:
    raise JobNotFound(f"you have no job {identifier!r:.80}", "GET /jobs lists yours")
