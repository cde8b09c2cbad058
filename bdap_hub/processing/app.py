"""The processing service: openEO-shaped routes for graphs and services; drawing.py has those for pixels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from .. import __version__, audit
from ..errors import BadRequest, BdapError, NotFound, TooMuch
from ..settings import Settings
from ..web import Principal, create_service
from ..web.audit_request import client_address
from . import needs
from .drawing import add_drawing
from .evaluate import Compiled
from .graph import Graph, GraphError
from .grid import MAX_ZOOM
from .parse import parse
from .processes import REGISTRY
from .rights import caller_token
from .room import Room
from .tables import StoredService

MAX_BODY = 1_000_000
ENDPOINTS = (
    ("/", "GET"),
    ("/conformance", "GET"),
    ("/file_formats", "GET"),
    ("/service_types", "GET"),
    ("/processes", "GET"),
    ("/validation", "POST"),
    ("/services", "GET"),
    ("/services", "POST"),
    ("/services/{service_id}", "GET"),
    ("/services/{service_id}", "DELETE"),
)


def create_app(settings: Settings) -> FastAPI:
    """The service under /services/processing/. Nothing is built before this call."""
    app, _ = create_service(settings, "processing", "BDAP Processing")
    room = Room(settings, app)
    app.state.room = room

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        room.gate.pool.shutdown(wait=False, cancel_futures=True)
        room.engine.close()

    app.router.lifespan_context = lifespan
    prefix = room.login.prefix.rstrip("/")
    _add_descriptions(app, prefix, settings)
    _add_services(app, prefix, room)
    add_drawing(app, prefix, room)
    return app


def _add_descriptions(app: FastAPI, prefix: str, settings: Settings) -> None:
    """What the service can do: for everybody, without login."""

    @app.get(f"{prefix}/")
    async def capabilities() -> dict[str, Any]:
        return {
            "api_version": "1.2.0",
            "backend_version": __version__,
            "stac_version": "1.0.0",
            "type": "Catalog",
            "id": "bdap-processing",
            "title": f"{settings.hub.platform_name} processing",
            "description": "openEO process graphs, evaluated for each tile while one pans.",
            "endpoints": [{"path": path, "methods": [method]} for path, method in ENDPOINTS],
            "links": [{"rel": "conformance", "href": f"{settings.hub.public_url}{prefix}/conformance"}],
            "conformsTo": ["https://api.openeo.org/1.2.0"],
        }

    @app.get(f"{prefix}/conformance")
    async def conformance() -> dict[str, Any]:
        return {"conformsTo": ["https://api.openeo.org/1.2.0"]}

    @app.get(f"{prefix}/file_formats")
    async def file_formats() -> dict[str, Any]:
        parameters = {
            "colormap": {"type": "string", "description": "Name of a colormap, for one band.", "default": "gray"},
            "min": {"type": ["number", "array"], "description": "Value (per band) of the first colour.", "default": 0},
            "max": {"type": ["number", "array"], "description": "Value (per band) of the last colour.", "default": 255},
        }
        return {
            "input": {},
            "output": {"PNG": {"title": "PNG", "gis_data_types": ["raster"], "parameters": parameters}},
        }

    @app.get(f"{prefix}/service_types")
    async def service_types() -> dict[str, Any]:
        return {"XYZ": {"title": "Map tiles (XYZ)", "configuration": {}, "process_parameters": []}}

    listed = {"processes": [REGISTRY[name].document() for name in sorted(REGISTRY)], "links": []}
    content = json.dumps(listed, allow_nan=False, separators=(",", ":")).encode()  # once: it is long

    @app.get(f"{prefix}/processes", response_model=dict[str, Any])
    async def processes() -> Response:
        return Response(content, media_type="application/json")


def _add_services(app: FastAPI, prefix: str, room: Room) -> None:
    @app.post(f"{prefix}/validation")
    async def validation(request: Request) -> dict[str, Any]:
        await room.login.require(request)
        body = await _body(request)
        try:
            graph = parse(_graph_of(body), REGISTRY)
            needs.queries(graph)
        except GraphError as error:
            return {"errors": [error.public()]}
        return {"errors": []}

    @app.post(f"{prefix}/services")
    async def create(request: Request) -> Response:
        principal = await room.login.require(request)
        body = await _body(request)
        if str(body.get("type", "XYZ")).upper() != "XYZ":
            raise GraphError("ServiceUnsupported", f"services of type {body['type']!r} are not offered", "use XYZ")
        raw = _graph_of(body)
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
            "undrawable": compiled.undrawable,
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


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was posted; TooMuch beyond MAX_BODY bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise TooMuch(f"the request is larger than {MAX_BODY} bytes", "post a smaller graph")
    try:
        body = json.loads(received)
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON", "post a JSON object") from None
    if not isinstance(body, dict):
        raise BadRequest("the request is not a JSON object", 'post {"process": {"process_graph": {…}}}')
    return body


def _graph_of(body: dict[str, Any]) -> Any:
    process = body.get("process", body)
    return process.get("process_graph") if isinstance(process, dict) else None
