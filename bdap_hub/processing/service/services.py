"""Routes for secondary web services: a graph is posted once, planned, and kept; changed, switched off, taken down."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from ...web import Principal
from . import document
from .bodies import body_of
from .logs import Asked
from .posting import Draft, changed, draft_of
from .room import Room
from .tables import StoredService
from .views import ServiceNotFound


def add_services(app: FastAPI, prefix: str, room: Room) -> None:
    base = f"{room.settings.hub.public_url}{prefix}"

    @app.post(f"{prefix}/services")
    async def create(request: Request) -> Response:
        principal = await room.login.require(request)
        draft = await draft_of(room, request, principal, await body_of(request))
        row = await asyncio.to_thread(_kept, room, principal.person.name, draft)
        shown = await _described(principal, row, draft.graph)
        return JSONResponse(shown, 201, {"Location": f"{base}/services/{row.id}", "OpenEO-Identifier": row.id})

    @app.get(f"{prefix}/services")
    async def services(request: Request) -> dict[str, Any]:
        principal = await room.login.require(request)
        rows = await asyncio.to_thread(room.services.of, principal.person.name)
        return {"services": [document.listed(row, base) for row in rows], "links": []}

    @app.get(f"{prefix}/services/{{identifier}}")
    async def service(request: Request, identifier: str) -> dict[str, Any]:
        principal, row, _ = await room.mine(request, identifier)
        stored = await asyncio.to_thread(room.services.plan, row.plan)
        return await _described(principal, row, json.loads(stored.graph) if stored else {})

    @app.patch(f"{prefix}/services/{{identifier}}", status_code=204)
    async def change(request: Request, identifier: str) -> Response:
        principal, row, compiled = await room.mine(request, identifier)
        draft = await changed(room, request, principal, await body_of(request), row, compiled)
        await asyncio.to_thread(_changed, room, row, draft)
        return Response(status_code=204)

    @app.delete(f"{prefix}/services/{{identifier}}", status_code=204)
    async def remove(request: Request, identifier: str) -> Response:
        principal = await room.login.require(request)
        owner = principal.person.name
        if not await asyncio.to_thread(room.services.remove, identifier, owner):
            raise ServiceNotFound(f"you have no service {identifier!r:.80}", "GET /services lists yours")
        room.views.forget(identifier, owner)
        await asyncio.to_thread(room.logs.remove, identifier, owner)
        return Response(status_code=204)

    @app.get(f"{prefix}/services/{{identifier}}/logs")
    async def logs(request: Request, identifier: str, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
        _, row, _ = await room.mine(request, identifier)
        return await asyncio.to_thread(room.logs.answer, row.id, row.owner, asked)

    async def _described(principal: Principal, row: StoredService, graph: Any) -> dict[str, Any]:
        view = await room.gate.run(room.views.of, row, person=row.owner)
        where = document.addresses(base, view, f"sig={room.rights.sign(row.id, principal)}")
        return document.described(view, graph, where)


def _kept(room: Room, owner: str, draft: Draft) -> StoredService:
    plan = draft.compiled.plan
    row = room.services.add(plan.id, json.dumps(draft.graph), plan.dump(), owner, posted=draft.posted)
    room.views.forget(row.id, owner)
    room.logs.write(row.id, owner, f"posted as {row.kind}")
    return row


def _changed(room: Room, row: StoredService, draft: Draft) -> None:
    room.services.change(row, draft.posted, draft.stored())
    room.views.forget(row.id, row.owner)
    what = "switched on" if draft.posted.enabled and not row.enabled else "changed"
    room.logs.write(row.id, row.owner, what if draft.posted.enabled else "switched off")
