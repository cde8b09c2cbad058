"""The catalogue service: STAC API 1.0 for programs, pages for browsers, at /services/catalogue/.

Every answer is made from the collections that `access` lets the caller read; others do not exist in lists,
searches and counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from .. import entitlements
from ..access import Administer, Person, Policy, ReadCollection, decide, decides_on_members
from ..database import shared
from ..errors import NotAllowed, NotFound, NotLoggedIn
from ..settings import Settings
from ..web import HubLogin, Principal, create_service, page
from . import stac
from .pages import card, collection_view
from .search import Search, from_body, from_parameters
from .store import Catalogue, Collection, Page, find

GEOJSON = "application/geo+json"


def create_app(settings: Settings) -> FastAPI:
    """The service, with nothing running yet."""
    app, login = create_service(settings, "catalogue", "BDAP catalogue")
    app.include_router(_Routes(settings, login).router(), prefix=login.prefix.rstrip("/"))
    return app


@dataclass(frozen=True)
class _Caller:
    """Who asks (None: nobody is logged in) and the collections they may read."""

    principal: Principal | None
    readable: dict[str, Collection]
    everything: dict[str, Collection]

    @property
    def person(self) -> Person | None:
        return self.principal.person if self.principal else None


class _Routes:
    """The routes; they share the catalogue in memory and the way callers are identified."""

    def __init__(self, settings: Settings, login: HubLogin) -> None:
        self.settings = settings
        self.login = login
        self.catalogue = Catalogue(settings.var.resolve() / "catalogue")

    @property
    def policy(self) -> Policy:
        """What access decides by."""
        return entitlements.policy(self.settings, shared(self.settings.database))

    def router(self) -> APIRouter:
        router = APIRouter(tags=["STAC"])
        router.add_api_route("/", self.landing, methods=["GET"])
        router.add_api_route("/conformance", self.conformance, methods=["GET"])
        router.add_api_route("/queryables", self.queryables, methods=["GET"])
        router.add_api_route("/collections", self.collections, methods=["GET"])
        router.add_api_route("/collections/{collection}", self.collection, methods=["GET"])
        router.add_api_route("/collections/{collection}/queryables", self.queryables_of, methods=["GET"])
        router.add_api_route("/collections/{collection}/thumbnail", self.thumbnail, methods=["GET"])
        router.add_api_route("/collections/{collection}/items", self.items, methods=["GET"])
        router.add_api_route("/collections/{collection}/items/{item}", self.item, methods=["GET"])
        router.add_api_route("/search", self.search_get, methods=["GET"])
        router.add_api_route("/search", self.search_post, methods=["POST"])
        return router

    async def landing(self, request: Request) -> Response:
        """The STAC landing page; the list of collections for browsers."""
        caller = await self._caller(request)
        if _wants_html(request):
            return self._list_page(request, caller)
        return _json(stac.landing(self._base(request), list(caller.readable.values())))

    async def conformance(self) -> Response:
        """The conformance classes this API keeps."""
        return _json({"conformsTo": list(stac.CONFORMANCE)})

    async def queryables(self, request: Request) -> Response:
        """The properties a query can name, over all collections one may see."""
        caller = await self._caller(request)
        return _json(
            stac.queryables(f"{self._base(request)}/queryables", list(caller.readable.values())), "schema+json"
        )

    async def queryables_of(self, request: Request, collection: str) -> Response:
        """The properties a query can name in one collection."""
        found = self._named(await self._caller(request), collection)
        return _json(
            stac.queryables(f"{self._base(request)}/collections/{found.id}/queryables", [found]), "schema+json"
        )

    async def collections(self, request: Request) -> Response:
        """The collections one may see."""
        caller = await self._caller(request)
        if _wants_html(request):
            return self._list_page(request, caller)
        return _json(stac.collections(self._base(request), list(caller.readable.values())))

    async def collection(self, request: Request, collection: str) -> Response:
        """One collection."""
        caller = await self._caller(request)
        found = self._named(caller, collection)
        if not _wants_html(request):
            return _json(stac.collection(self._base(request), found))
        search = from_parameters({"limit": "25", "token": request.query_params.get("token", "")})
        view = collection_view(found, find([found], search), search.start, self._picture(found.id))
        return page(request, "collection.html", person=self._who(caller), collection=view)

    async def thumbnail(self, request: Request, collection: str) -> Response:
        """The picture of a collection."""
        found = self._named(await self._caller(request), collection)
        path = self.catalogue.thumbnail(found.id)
        if not path.is_file():
            raise NotFound(f"the collection {found.id} has no picture")
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})

    async def items(self, request: Request, collection: str) -> Response:
        """The items of a collection, by page."""
        found = self._named(await self._caller(request), collection)
        search = replace(from_parameters(_parameters(request)), collections=(found.id,))
        path = f"/collections/{found.id}/items"
        return _json(stac.results(self._base(request), path, _parameters(request), find([found], search)), "geo+json")

    async def item(self, request: Request, collection: str, item: str) -> Response:
        """One item."""
        found = self._named(await self._caller(request), collection)
        if item not in found.index:
            raise NotFound(f"there is no item {item!r} in the collection {found.id}", "look at its list of items")
        return _json(stac.item(self._base(request), found.items[found.index[item]]), "geo+json")

    async def search_get(self, request: Request) -> Response:
        """Search items; parameters in the address."""
        search = from_parameters(_parameters(request))
        result = await self._find(request, search)
        return _json(stac.results(self._base(request), "/search", _parameters(request), result), "geo+json")

    async def search_post(self, request: Request, body: Any = Body(default={})) -> Response:  # noqa: B008
        """Search items; parameters as JSON."""
        result = await self._find(request, from_body(body))
        return _json(stac.results(self._base(request), "/search", {}, result, dict(body)), "geo+json")

    async def _find(self, request: Request, search: Search) -> Page:
        caller = await self._caller(request)
        for name in search.collections or ():
            self._named(caller, name)
        return await run_in_threadpool(find, caller.readable.values(), search)

    async def _caller(self, request: Request) -> _Caller:
        """A token that is wrong or has expired is told so, never quietly taken for nobody."""
        principal = await self.login.principal(request)
        if principal is None and request.headers.get("authorization"):
            raise NotLoggedIn("this token is not valid", "make a new one on the hub's token page")
        everything = await run_in_threadpool(self.catalogue.collections)
        person = principal.person if principal else None
        policy = self.policy
        readable = {name: c for name, c in everything.items() if decide(policy, person, _reading(c))}
        return _Caller(principal, readable, everything)

    def _named(self, caller: _Caller, name: str) -> Collection:
        """The collection somebody asks for by name.

        Nobody logged in learns nothing: NotLoggedIn whether it exists or not. A person without the right learns
        whom to ask.
        """
        if found := caller.readable.get(name):
            return found
        if caller.person is None:
            raise NotLoggedIn(f"there is no public collection {name!r}", "log in to see those for members")
        hidden = caller.everything.get(name)
        if hidden is None:
            raise NotFound(f"there is no collection {name!r}", "look at the list of collections")
        policy = self.policy
        project = policy.project(str(hidden.stac.get("bdap:project", "")))
        ask = f"ask the lead of project {project.title} to make you a member" if project else "ask the operators"
        raise NotAllowed(f"you may not read it: {decide(policy, caller.person, _reading(hidden)).reason}", ask)

    def _list_page(self, request: Request, caller: _Caller) -> Response:
        cards = [card(c, self._picture(c.id)) for c in caller.readable.values()]
        return page(request, "catalogue.html", person=self._who(caller), collections=cards)

    def _picture(self, name: str) -> bool:
        return self.catalogue.thumbnail(name).is_file()

    def _who(self, caller: _Caller) -> dict[str, Any] | None:
        if caller.principal is None:
            return None
        person = caller.principal.person
        policy = self.policy
        return {
            "display_name": caller.principal.display_name,
            "admin": decide(policy, person, Administer()).entitled,
            "decides": decides_on_members(policy, person),
        }

    def _base(self, request: Request) -> str:
        """Prefix of links: the address the caller used if it is this service's own port, else the public one."""
        host = request.headers.get("host", "")
        own = host.rpartition(":")[2] == str(self.settings.catalogue.port) and stac.HOST.fullmatch(host)
        root = f"http://{host}" if own else self.settings.hub.public_url
        return f"{root}{self.login.prefix.rstrip('/')}"


def _reading(collection: Collection) -> ReadCollection:
    """The question to access; what collection.json does not say counts as most private."""
    return ReadCollection(
        collection.id,
        collection.stac.get("bdap:visibility", "project"),
        str(collection.stac.get("bdap:project", "")),
    )


def _parameters(request: Request) -> dict[str, str]:
    return dict(request.query_params)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _json(content: Any, kind: str = "json") -> Response:
    return JSONResponse(content, media_type=f"application/{kind}", headers={"Vary": "Accept, Authorization, Cookie"})
