"""Routes for secondary web services: a graph is posted once, planned, and kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from ... import audit
from ...errors import BdapError, NotFound
from ...web import Principal
from ...web.audit_request import client_address
from ..engine.evaluate import Compiled
from ..engine.grid import MAX_ZOOM
from ..graphs import needs
from ..graphs.graph import Graph, GraphError
from ..graphs.parse import parse
from ..processes import REGISTRY
from .bodies import body_of, graph_of
from .rights import caller_token
from .room import Room
from .tables import StoredService


def add_services(app: FastAPI, prefix: str, room: Room) -> None:
    @app.post(f"{prefix}/services")
    async def create(request: Request) -> Response:
        principal = await room.login.require(request)
        body = await body_of(request)
        if str(body.get("type", "XYZ")).upper() != "XYZ":
            raise GraphError("ServiceUnsupported", f"services of type {body['type']!r} are not offered", "use XYZ")
        raw = await room.expanded(principal, graph_of(body))
        graph = parse(raw, REGISTRY)
        compiled = await _refusals_audited(room, request, principal, graph)
        row = await asyncio.to_thread(
            room.services.add,
            compiled.plan.id,
            json.dumps(raw),
            compiled.plan.dump(),
            principal.person.name,
            str(body.get("title") or ""),
        )
        shown = _service(room, prefix, principal, row, compiled, raw)
        location = f"{room.settings.hub.public_url}{prefix}/services/{row.id}"
        return JSONResponse(shown, 201, {"Location": location, "OpenEO-Identifier": row.id})

    @app.get(f"{prefix}/services")
    async def services(request: Request) -> dict[str, Any]:
        principal = await room.login.require(request)
        rows = await asyncio.to_thread(room.services.of, principal.person.name)
        base = f"{room.settings.hub.public_url}{prefix}/services"
        return {
            "services": [
                {"id": row.id, "title": row.title, "type": "XYZ", "enabled": True, "url": f"{base}/{row.id}"}
                for row in rows
            ],
            "links": [],
        }

    @app.get(f"{prefix}/services/{{identifier}}")
    async def service(request: Request, identifier: str) -> dict[str, Any]:
        principal, row, compiled = await room.mine(request, identifier)
        stored = await asyncio.to_thread(room.services.plan, identifier)
        return _service(room, prefix, principal, row, compiled, json.loads(stored.graph) if stored else {})

    @app.delete(f"{prefix}/services/{{identifier}}", status_code=204)
    async def remove(request: Request, identifier: str) -> Response:
        principal = await room.login.require(request)
        if not await asyncio.to_thread(room.services.remove, identifier, principal.person.name):
            raise NotFound(f"you have no service {identifier!r}", "GET /services lists yours")
        return Response(status_code=204)


def _service(
    room: Room, prefix: str, principal: Principal, row: StoredService, compiled: Compiled, raw: Any
) -> dict[str, Any]:
    signature = room.rights.sign(row.id, principal)
    return {
        "id": row.id,
        "title": row.title,
        "type": "XYZ",
        "enabled": True,
        "url": f"{room.settings.hub.public_url}{prefix}/tiles/{row.id}/{{z}}/{{x}}/{{y}}.png?sig={signature}",
        "process": {"process_graph": raw},
        "configuration": {"bounds": list(compiled.plan.bounds), "minzoom": 0, "maxzoom": MAX_ZOOM},
        "attributes": {
            "dates": [[step.label for step in load.steps] for load in compiled.plan.loads],
            "undrawable": compiled.drawable.undrawable,
        },
        "created": row.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


async def _refusals_audited(room: Room, request: Request, principal: Principal, graph: Graph) -> Compiled:
    try:
        return await room.planned(graph, principal, caller_token(request, room.login))
    except BdapError as error:
        if error.status in (403, 404):
            await asyncio.to_thread(
                audit.record,
                room.sessions,
                person=principal.person.name,
                action="read-collection",
                subject=", ".join(query.collection for query in needs.queries(graph)),
                allowed=False,
                reason=error.message,
                address=client_address(request),
            )
        raise
