"""STAC's transactions: curators write items and descriptions; collections come and go by administrators. Audited."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from ..access import CurateCollection, decide
from ..database import shared
from ..errors import BadRequest, Busy, Conflict, NotAllowed
from ..web import Principal, note
from . import curated, ingest, stac
from .collections import EDITED, Head, announce, head_of, recorded, summarise
from .disk import read_json, write_json
from .reading import Readers
from .store import Collection

RECOUNT = 5000
"""Up to so many items the collection's extent and summaries follow at once; beyond, at the next ingest."""
MOST_BYTES = 32 << 20
"""Of what a curator sends: a thousand items."""
PATIENCE, PAUSE = 10.0, 0.1
"""Seconds for which a request waits until nobody else changes its collection, and those between two tries."""
BODY: Any = Body()


def add_to(app: FastAPI, readers: Readers) -> None:
    """Put the routes into the application."""
    app.state.sessions = shared(readers.settings.database)
    app.include_router(Curation(readers).router(), prefix=readers.login.prefix.rstrip("/"))


class Curation:
    """The routes that change the catalogue."""

    def __init__(self, readers: Readers) -> None:
        self.readers, self.settings, self.catalogue = readers, readers.settings, readers.catalogue

    def router(self) -> APIRouter:
        """Methods and paths of STAC's transaction extensions."""
        router = APIRouter(tags=["Curation"], max_body_size=MOST_BYTES)
        here = "/collections/{collection}"
        for method, path, endpoint in (
            ("POST", "/collections", self.create),
            ("PUT", here, self.describe),
            ("PATCH", here, self.describe),
            ("DELETE", here, self.remove),
            ("POST", f"{here}/items", self.add),
            ("PUT", f"{here}/items/{{item}}", self.replace),
            ("PATCH", f"{here}/items/{{item}}", self.patch),
            ("DELETE", f"{here}/items/{{item}}", self.drop),
        ):
            router.add_api_route(path, endpoint, methods=[method])
        return router

    async def create(self, request: Request, body: Any = BODY) -> Response:
        """Make a collection; the body says bdap:visibility, bdap:project and bdap:folder."""
        body = body if isinstance(body, Mapping) else {}
        name = str(body.get("id"))
        head = Head(name, str(body.get("title") or name), *(str(body.get(key) or "") for key in curated.ACCESS))
        await self._allow(request, "catalogue.create", CurateCollection(name, head.project, whole=True))
        await self._in_turn(self._create, head, curated.texts_of(body))
        return await self._described(request, name, 201)

    async def describe(self, request: Request, collection: str, body: Any = BODY) -> Response:
        """Change what is said of it; who sees it and where its files lie are for administrators."""
        found = await self._found(request, collection)
        body = body if isinstance(body, Mapping) else {}
        was = head_of(found.id, found.stac)
        said: dict[str, Any] = {
            key.removeprefix("bdap:"): str(body[key] or "") for key in curated.ACCESS if key in body
        }
        wanted = replace(was, **said)
        await self._allow(request, "catalogue.describe", CurateCollection(found.id, was.project, whole=wanted != was))
        await self._in_turn(self._describe, was, wanted, curated.texts_of(body))
        return await self._described(request, found.id, 200)

    async def remove(self, request: Request, collection: str) -> Response:
        """Take a collection out of the catalogue; its files stay."""
        found = await self._found(request, collection)
        project = str(found.stac.get("bdap:project") or "")
        await self._allow(request, "catalogue.remove", CurateCollection(found.id, project, whole=True))
        await self._in_turn(self._remove, found.id)
        return Response(status_code=204)

    async def add(self, request: Request, collection: str, body: Any = BODY) -> Response:
        """Add an item, or all items of a FeatureCollection."""
        found = await self._curated(request, collection, "catalogue.items")
        items = await self._in_turn(self._add, found, curated.items_of(body))
        if len(items) > 1:
            return JSONResponse({"added": len(items)}, 201)
        return self._one(request, items[0])

    async def replace(self, request: Request, collection: str, item: str, body: Any = BODY) -> Response:
        """Write an item anew."""
        found = await self._curated(request, collection, "catalogue.items")
        await self._in_turn(self._rewrite, found, item, lambda _: body)
        return Response(status_code=204)

    async def patch(self, request: Request, collection: str, item: str, body: Any = BODY) -> Response:
        """Change parts of an item, by a JSON merge patch."""
        found = await self._curated(request, collection, "catalogue.items")
        await self._in_turn(self._rewrite, found, item, lambda known: curated.merged(known, body))
        return Response(status_code=204)

    async def drop(self, request: Request, collection: str, item: str) -> Response:
        """Take an item out of the catalogue, if it is there; its files stay."""
        found = await self._curated(request, collection, "catalogue.items")
        await self._in_turn(self._drop, found, item)
        return Response(status_code=204)

    async def _in_turn(self, change: Callable[..., Any], *given: Any) -> Any:
        """Carry a change out in a thread, once nobody else changes the collection: who waits for that holds none."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await run_in_threadpool(change, *given)
            except Busy:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(PAUSE)

    async def _found(self, request: Request, name: str) -> Collection:
        """One that the caller may read: of others they do not even learn who might write."""
        return self.readers.named(await self.readers.caller(request), name)

    async def _curated(self, request: Request, name: str, action: str) -> Collection:
        found = await self._found(request, name)
        await self._allow(request, action, CurateCollection(found.id, str(found.stac.get("bdap:project") or "")))
        return found

    async def _allow(self, request: Request, action: str, wanted: CurateCollection) -> None:
        login = self.readers.login
        principal: Principal = await login.require(request)
        person = await login.assured(principal)
        if principal.kind != "person":
            raise NotAllowed("a dashboard cannot change the catalogue", "use a person's token")
        decision = decide(self.readers.policy, person, wanted)
        subject = f"{wanted.collection} {request.path_params.get('item', '')}".strip()
        await note(request, person.name, action, subject, bool(decision), decision.reason)
        if decision.step_up is not None and not decision:
            raise login.step_up(request, decision)
        if not decision:
            raise NotAllowed(f"you may not change it: {decision.reason}", "ask a lead of its project, or the operators")

    def _create(self, head: Head, texts: dict[str, Any]) -> None:
        folder = self._folder(head)
        home = self.catalogue.folder / head.id
        with ingest.locked(home):
            if (home / "collection.json").exists():
                raise Conflict(f"there is a collection {head.id} already", "choose another id, or PUT to it")
            self._write(home, head, folder, texts)

    def _describe(self, was: Head, wanted: Head, texts: dict[str, Any]) -> None:
        """Who may do that was decided by what it `was`: if that is no longer recorded, it has to be decided anew."""
        folder = self._folder(wanted)
        home = self.catalogue.folder / was.id
        with ingest.locked(home):
            now = head_of(was.id, recorded(home))
            if now != replace(was, title=now.title):
                raise _overtaken(was.id)
            self._write(home, replace(wanted, title=str(texts.get("title") or now.title)), folder, texts)

    def _write(self, home: Path, head: Head, folder: Path, texts: dict[str, Any]) -> None:
        announce(home, head)
        known = read_json(home / "collection.json")
        write_json(home / "collection.json", {**known, EDITED: {**known.get(EDITED, {}), **texts}})
        summarise(self.settings, home, head, folder, self.catalogue.items.every(head.id))
        self.catalogue.items.put(read_json(home / "collection.json"), [])

    def _folder(self, head: Head) -> Path:
        """By its address on the store; a server's path is neither taken nor told."""
        try:
            folder = self.settings.store.path_of(head.folder)
        except ValueError:
            folder = None
        if folder is None or not folder.is_dir():
            raise BadRequest(f"bdap:folder {head.folder!r:.120} is no folder of the store", "name it as in /eos/data/x")
        return ingest.checked(self.settings, folder, head.id, head.visibility, head.project)

    def _add(self, found: Collection, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with self._changing(found) as now:
            items = [curated.item_of(one, now, self.settings.store) for one in sent]
            for item in items:
                if self.catalogue.items.get(found.id, item["id"]):
                    raise Conflict(f"there is an item {item['id']} already", "PUT to it, or choose another id")
            self.catalogue.items.put(now, items)
        return items

    def _rewrite(self, found: Collection, identifier: str, change: Callable[[dict[str, Any]], Any]) -> None:
        with self._changing(found) as now:
            body = change(self.readers.item_now(found.id, identifier))
            item = curated.item_of(body if isinstance(body, Mapping) else {}, now, self.settings.store)
            if item["id"] != identifier:
                raise BadRequest(f"the item says that its id is {item['id']}", f"send {identifier}, or POST a new item")
            self.catalogue.items.put(now, [item])

    def _drop(self, found: Collection, identifier: str) -> None:
        with self._changing(found):
            self.catalogue.items.drop(found.id, [identifier])

    @contextmanager
    def _changing(self, found: Collection) -> Iterator[dict[str, Any]]:
        """What is recorded of a collection, while nobody else changes it or its items. It is recounted afterwards."""
        home = self.catalogue.folder / found.id
        with ingest.locked(home):
            now = recorded(home)
            head = head_of(found.id, now)
            if head.project != head_of(found.id, found.stac).project:
                raise _overtaken(found.id)
            yield now
            self._recount(home, head)

    def _recount(self, home: Path, head: Head) -> None:
        if self.catalogue.items.counts().get(head.id, 0) > RECOUNT:
            return
        folder = self.settings.store.path_of(head.folder)
        summarise(self.settings, home, head, folder, self.catalogue.items.every(head.id), picture=False)

    def _remove(self, name: str) -> None:
        """The record goes first: what it described is not to be seen meanwhile."""
        home = self.catalogue.folder / name
        with ingest.locked(home):
            recorded(home)
            (home / "collection.json").unlink()
            self.catalogue.items.forget(name)
            shutil.rmtree(home, ignore_errors=True)

    async def _described(self, request: Request, name: str, status: int) -> Response:
        base = self.readers.base(request)
        known = await run_in_threadpool(self.catalogue.collections)
        found = stac.collection(base, known[name])
        return JSONResponse(found, status, {"Location": f"{base}/collections/{name}"})

    def _one(self, request: Request, item: dict[str, Any]) -> Response:
        found = stac.item(self.readers.base(request), item)
        headers = {"Location": found["links"][0]["href"]}
        return JSONResponse(found, 201, headers, media_type="application/geo+json")


def _overtaken(name: str) -> Conflict:
    return Conflict(f"who sees {name}, or where its files lie, has changed meanwhile", "look at it, and send it again")
