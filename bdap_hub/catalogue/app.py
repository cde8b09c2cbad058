"""The catalogue service: STAC API 1.0 for programs, pages for browsers, at /services/catalogue/.

Every answer is made from the collections that `access` lets the caller read; others do not exist in lists,
searches and counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from ..errors import NotFound
from ..settings import Settings
from ..web import MOST_BYTES, HubLogin, create_service, page
from . import aggregation, collection_search, curate, deadline, stac
from .aggregation import Aggregate, Counted
from .contract import Page
from .disk import keep
from .pages import card, collection_view, item_view, python
from .places import Searches
from .preview import Previews
from .reading import Caller, Readers
from .search import KNOWN, Search, body_of, from_body, from_parameters
from .store import open_catalogue
from .thumbnail import draw

IN_COLLECTION = KNOWN - {"collections"}
ROWS = 25


def create_app(settings: Settings) -> FastAPI:
    """The service, with nothing running yet."""
    app, login = create_service(settings, "catalogue", "BDAP catalogue")
    app.state.templates.filters["python"] = python
    routes = _Routes(settings, login)
    app.include_router(routes.router(), prefix=login.prefix.rstrip("/"))
    curate.add_to(app, routes.readers)
    return app


class _Routes:
    """The routes; they share the catalogue and the way callers are identified."""

    def __init__(self, settings: Settings, login: HubLogin) -> None:
        self.settings = settings
        self.login = login
        self.catalogue = open_catalogue(settings)
        self.readers = Readers(settings, login, self.catalogue)
        self.places = {logged_in: Searches() for logged_in in (False, True)}
        self.drawing = asyncio.Semaphore(2)
        self.previews = Previews(settings, login)

    def router(self) -> APIRouter:
        router = APIRouter(tags=["STAC"], max_body_size=MOST_BYTES)
        here = "/collections/{collection}"
        for path, endpoint in (
            ("/", self.landing),
            ("/conformance", self.conformance),
            ("/api", self.api),
            ("/queryables", self.queryables),
            ("/aggregations", self.aggregations),
            ("/aggregate", self.aggregate),
            ("/search", self.search_get),
            ("/collections", self.collections),
            (here, self.collection),
            (f"{here}/queryables", self.queryables),
            (f"{here}/aggregations", self.aggregations),
            (f"{here}/aggregate", self.aggregate),
            (f"{here}/thumbnail", self.thumbnail),
            (f"{here}/items", self.items),
            (f"{here}/items/{{item}}", self.item),
            (f"{here}/items/{{item}}/thumbnail", self.picture),
            (f"{here}/items/{{item}}/preview", self.preview),
        ):
            router.add_api_route(path, endpoint, methods=["GET"])
        router.add_api_route("/search", self.search_post, methods=["POST"])
        router.add_api_route("/aggregate", self.aggregate_post, methods=["POST"])
        return router

    async def landing(self, request: Request) -> Response:
        """The STAC landing page; the list of collections for browsers."""
        caller = await self.readers.caller(request)
        if _wants_html(request):
            return await self._list_page(request, caller)
        return answer(stac.landing(self.readers.base(request), list(caller.readable.values())))

    async def conformance(self) -> Response:
        """The conformance classes this API keeps."""
        return answer({"conformsTo": list(stac.CONFORMANCE)})

    async def api(self, request: Request) -> Response:
        """This API as an OpenAPI document."""
        return JSONResponse(request.app.openapi(), media_type=stac.OPENAPI)

    async def queryables(self, request: Request, collection: str = "") -> Response:
        """The properties a query can name: in one collection, or over all one may see."""
        caller = await self.readers.caller(request)
        found = [self.readers.named(caller, collection)] if collection else list(caller.readable.values())
        return answer(
            stac.queryables(f"{self.readers.base(request)}{_below(collection)}/queryables", found), "schema+json"
        )

    async def collections(self, request: Request) -> Response:
        """The collections one may see, or those of them that fit a search."""
        caller = await self.readers.caller(request)
        if _wants_html(request):
            return await self._list_page(request, caller)
        base, parameters = self.readers.base(request), dict(request.query_params)
        wanted = collection_search.read(body_of(parameters))
        documents = [stac.collection(base, each) for each in caller.readable.values()]
        found = await run_in_threadpool(collection_search.find, documents, wanted)
        start, limit = wanted.start, wanted.search.limit
        token = str(start + limit) if start + limit < len(found) else ""
        shown = collection_search.picked(found[start : start + limit], wanted)
        links = stac.following(base, "/collections", parameters, token, kind=stac.JSON)
        return answer(stac.collections(base, shown, len(found), links))

    async def collection(self, request: Request, collection: str) -> Response:
        """One collection."""
        caller = await self.readers.caller(request)
        found = self.readers.named(caller, collection)
        if not _wants_html(request):
            return answer(stac.collection(self.readers.base(request), found))
        search = from_parameters({"limit": str(ROWS), "token": request.query_params.get("token", "")})
        items, count = await self._searched(caller, lambda: self._looked_at(found.id, search))
        view = collection_view(found, items, count, self._picture(found.id))
        return page(request, "collection.html", person=self.readers.who(caller), collection=view)

    async def thumbnail(self, request: Request, collection: str) -> Response:
        """The picture of a collection."""
        found = self.readers.named(await self.readers.caller(request), collection)
        path = self.catalogue.thumbnail(found.id)
        if not path.is_file():
            raise NotFound(f"the collection {found.id} has no picture")
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})

    async def items(self, request: Request, collection: str) -> Response:
        """The items of a collection, by page."""
        caller = await self.readers.caller(request)
        found = self.readers.named(caller, collection)
        parameters = dict(request.query_params)
        search = from_parameters(parameters, IN_COLLECTION)
        items = await self._searched(caller, lambda: self.catalogue.items.search([found.id], search))
        path = f"{_below(found.id)}/items"
        return answer(stac.results(self.readers.base(request), path, parameters, items, search.fields), "geo+json")

    async def item(self, request: Request, collection: str, item: str) -> Response:
        """One item."""
        caller = await self.readers.caller(request)
        collected = self.readers.named(caller, collection)
        found = await self.readers.item(collected, item)
        if _wants_html(request):
            view = item_view(collected, found)
            return page(request, "item.html", person=self.readers.who(caller), item=view)
        return answer(stac.item(self.readers.base(request), found), "geo+json")

    async def picture(self, request: Request, collection: str, item: str) -> Response:
        """A small picture of an item, drawn when it is first asked for."""
        collected = self.readers.named(await self.readers.caller(request), collection)
        found = await self.readers.item(collected, item)
        path = self.catalogue.picture(found)
        if not path.is_file():
            async with self.drawing:
                drawn = await run_in_threadpool(draw, self.settings.store, found)
            if drawn is None:
                raise NotFound(f"the item {item} has no picture", "its files may be gone, or hold no data")
            await run_in_threadpool(keep, path, drawn)
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})

    async def preview(self, request: Request, collection: str, item: str) -> Response:
        """An item as our maps show it, drawn by the processing service; where that does not, the small picture."""
        collected = self.readers.named(await self.readers.caller(request), collection)
        found = await self.readers.item(collected, item)
        path = self.catalogue.picture(found).with_suffix(".map.png")
        await self.previews.draw(path, found, self.readers.group_of(collected))
        if not path.is_file():
            return await self.picture(request, collection, item)
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})

    async def search_get(self, request: Request) -> Response:
        """Search items; parameters in the address."""
        parameters = dict(request.query_params)
        search = from_parameters(parameters)
        found = await self._find(request, search)
        return answer(stac.results(self.readers.base(request), "/search", parameters, found, search.fields), "geo+json")

    async def search_post(self, request: Request, body: Any = Body(default={})) -> Response:  # noqa: B008
        """Search items; parameters as JSON."""
        search = from_body(body)
        found = await self._find(request, search)
        return answer(
            stac.results(self.readers.base(request), "/search", {}, found, search.fields, dict(body)), "geo+json"
        )

    async def aggregations(self, request: Request, collection: str = "") -> Response:
        """What can be counted."""
        if collection:
            self.readers.named(await self.readers.caller(request), collection)
        base = self.readers.base(request)
        return answer(aggregation.described([stac.link("root", f"{base}/"), self._self(request)]))

    async def aggregate(self, request: Request, collection: str = "") -> Response:
        """Count items; parameters in the address."""
        return await self._counted(request, body_of(dict(request.query_params)), collection)

    async def aggregate_post(self, request: Request, body: Any = Body(default={})) -> Response:  # noqa: B008
        """Count items; parameters as JSON."""
        return await self._counted(request, body if isinstance(body, dict) else {"body": body}, "")

    async def _counted(self, request: Request, body: dict[str, Any], collection: str) -> Response:
        search, wanted = aggregation.read({**body, "collections": [collection]} if collection else body)
        caller = await self.readers.caller(request)
        names = self._asked(caller, search)
        found = await self._searched(caller, lambda: self._count(names, search, wanted))
        return answer(
            aggregation.document([stac.link("root", f"{self.readers.base(request)}/"), self._self(request)], found)
        )

    def _count(self, names: list[str], search: Search, wanted: tuple[Aggregate, ...]) -> list[Counted]:
        """All that is counted, together within the time of one search."""
        with deadline.bounded():
            return [(each, self.catalogue.items.aggregate(names, search, each)) for each in wanted]

    def _looked_at(self, name: str, search: Search) -> tuple[Page, int]:
        """Items of a collection, and how many it has; about how many, where it takes long to count them."""
        count: int | None = None
        with deadline.bounded():
            found = self.catalogue.items.search([name], search)
            with suppress(deadline.TooLate):
                [(_, count)] = self.catalogue.items.aggregate([name], Search(), aggregation.TOTAL)
        return found, self.catalogue.items.counts().get(name, 0) if count is None else count

    async def _find(self, request: Request, search: Search) -> Page:
        caller = await self.readers.caller(request)
        names = self._asked(caller, search)
        return await self._searched(caller, lambda: self.catalogue.items.search(names, search))

    async def _searched[T](self, caller: Caller, act: Callable[[], T]) -> T:
        """In a place for searches: strangers, however many they are, leave those of all who are logged in free."""
        name = caller.person.name if caller.person is not None else ""
        return await self.places[bool(name)].run(name, act)

    def _asked(self, caller: Caller, search: Search) -> list[str]:
        """The collections to look at: those asked for by name, if one may read them all, else all one may read."""
        if search.collections is None:
            return list(caller.readable)
        return [self.readers.named(caller, name).id for name in dict.fromkeys(search.collections)]

    async def _list_page(self, request: Request, caller: Caller) -> Response:
        counts = await self._searched(caller, self.catalogue.items.counts)
        cards = [card(c, self._picture(c.id), counts.get(c.id, 0)) for c in caller.readable.values()]
        return page(request, "catalogue.html", person=self.readers.who(caller), collections=cards)

    def _picture(self, name: str) -> bool:
        return self.catalogue.thumbnail(name).is_file()

    def _self(self, request: Request) -> dict[str, Any]:
        path = request.url.path.removeprefix(self.login.prefix.rstrip("/"))
        query = f"?{request.url.query}" if request.url.query else ""
        return stac.link("self", f"{self.readers.base(request)}{path}{query}")


def _below(collection: str) -> str:
    return f"/collections/{collection}" if collection else ""


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def answer(content: Any, kind: str = "json", status: int = 200) -> Response:
    """A JSON document, which differs by who asks."""
    headers = {"Vary": "Accept, Authorization, Cookie"}
    return JSONResponse(content, status, media_type=f"application/{kind}", headers=headers)
