"""User-defined processes: stored under the person's name, listed, and put into the graphs that call them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response

from ...errors import BadRequest, NotAllowed, NotFound
from ..graphs.graph import GraphError
from ..graphs.parse import parse
from ..processes import REGISTRY
from .bodies import body_of
from .room import Room
from .stored_processes import UserProcesses, own

NAME = re.compile(r"\w{1,100}", re.ASCII)
SHOWN = ("id", "summary", "description", "categories", "parameters", "returns", "deprecated", "experimental", "links")


class ProcessGraphNotFound(NotFound):
    """The person has no process of that name."""

    code = "ProcessGraphNotFound"


def add_user_processes(app: FastAPI, prefix: str, room: Room) -> None:
    stored = room.user_processes
    links = [{"rel": "self", "href": f"{room.settings.hub.public_url}{prefix}/process_graphs"}]

    @app.get(f"{prefix}/process_graphs")
    async def listed(request: Request) -> dict[str, Any]:
        principal = await room.login.require(request)
        found = await asyncio.to_thread(stored.of, principal.person.name)
        return {"processes": [{key: one[key] for key in SHOWN if key in one} for one in found], "links": links}

    @app.get(f"{prefix}/process_graphs/{{name}}")
    async def one(request: Request, name: str) -> dict[str, Any]:
        principal = await room.login.require(request)
        found = await asyncio.to_thread(stored.get, principal.person.name, name)
        if found is None:
            raise ProcessGraphNotFound(f"you have no process {name!r}", "GET /process_graphs lists yours")
        return found

    @app.put(f"{prefix}/process_graphs/{{name}}")
    async def put(request: Request, name: str) -> Response:
        principal = await room.login.require(request)
        if principal.kind != "person":
            raise NotAllowed("a dashboard has no processes of its own", "write them out in its graphs")
        document = {**await body_of(request), "id": name}
        person = principal.person.name
        await room.gate.run(check, stored, person, name, document, person=person)
        await asyncio.to_thread(stored.put, person, name, document)
        return Response(status_code=200)

    @app.delete(f"{prefix}/process_graphs/{{name}}", status_code=204)
    async def remove(request: Request, name: str) -> Response:
        principal = await room.login.require(request)
        if not await asyncio.to_thread(stored.remove, principal.person.name, name):
            raise ProcessGraphNotFound(f"you have no process {name!r}", "GET /process_graphs lists yours")
        return Response(status_code=204)


def check(stored: UserProcesses, owner: str, name: str, document: Mapping[str, Any]) -> None:
    """GraphError or BadRequest unless the process can be stored: its name, parameters and graph, no recursion."""
    if not NAME.fullmatch(name):
        raise BadRequest(f"{name[:100]!r} is no name of a process", "use letters, digits and _")
    if name in REGISTRY:
        raise GraphError("PredefinedProcessExists", f"there is a process {name!r} here already", "use another name")
    parameters = document.get("parameters")
    parameters = () if parameters is None else parameters
    if not isinstance(parameters, (list, tuple)) or not all(_is_parameter(one) for one in parameters):
        raise GraphError("ProcessInvalid", "'parameters' is not a list of objects with a name and a schema")
    if not isinstance(document.get("process_graph"), Mapping) or not document["process_graph"]:
        raise GraphError("ProcessGraphMissing", "the process has no process graph", "send {'process_graph': {…}}")
    made = own(name, {**document, "parameters": parameters})
    raw = stored.expanded(owner, made.graph, REGISTRY, {name: made})
    parse(raw, REGISTRY, made.names)


def _is_parameter(raw: Any) -> bool:
    return isinstance(raw, Mapping) and isinstance(raw.get("name"), str) and bool(raw["name"])
