"""The validation of graphs: all that is wrong, at once, before anything is stored or read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request

from ...errors import BdapError
from ...web import Principal
from ..graphs import needs
from ..graphs.graph import GraphError
from ..graphs.parse import parse, problems
from ..processes import REGISTRY
from .bodies import body_of, graph_of
from .rights import caller_token
from .room import Room


def add_validation(app: FastAPI, prefix: str, room: Room) -> None:
    @app.post(f"{prefix}/validation")
    async def validation(request: Request) -> dict[str, Any]:
        principal = await room.login.require(request)
        body = await body_of(request)
        found = await errors(room, principal, body, caller_token(request, room.login))
        return {"errors": [error.public() for error in found]}


async def errors(room: Room, principal: Principal, body: Mapping[str, Any], token: str) -> list[BdapError]:
    """Of the graph itself; where it has none, of the collections that it names."""
    try:
        raw = await room.expanded(principal, graph_of(dict(body)))
        wrong, asked = await room.gate.run(_seen, raw, parameters_of(body), person=principal.person.name)
    except GraphError as error:
        return [error]
    if wrong:
        return list(wrong)
    found: list[BdapError] = []
    for query in {(one.process, one.collection): one for one in asked}.values():
        try:
            await room.sources.may(query, principal, token)
        except BdapError as error:
            if error.status >= 500:
                raise
            found.append(error)
    return found


def _seen(raw: Any, parameters: Sequence[str]) -> tuple[Sequence[GraphError], Sequence[needs.Query]]:
    """What is wrong with a graph, or else what it asks the catalogue for."""
    wrong = problems(raw, REGISTRY, parameters)
    return wrong, () if wrong else needs.queries(parse(raw, REGISTRY, parameters))


def parameters_of(body: Mapping[str, Any]) -> list[str]:
    """The names of the parameters that a posted process declares."""
    process = body.get("process", body)
    declared = process.get("parameters") if isinstance(process, Mapping) else None
    named = declared if isinstance(declared, list) else []
    return [str(one["name"]) for one in named if isinstance(one, Mapping) and "name" in one]
