"""What people post about web services: checked, planned, and its style made complete, before anything is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request

from ... import audit
from ...errors import BadRequest, BdapError
from ...web import Principal
from ...web.audit_request import client_address
from ..engine.evaluate import Compiled
from ..graphs import needs
from ..graphs.graph import Graph, GraphError
from .bodies import graph_of
from .configuration import read_configuration, read_kind
from .resolve import resolved
from .rights import caller_token
from .room import Room
from .tables import Posted, StoredPlan, StoredService, posted_of

EDITABLE = ("title", "description", "process", "enabled", "configuration", "plan", "budget")
MOST_TEXT = 10_000


@dataclass(frozen=True)
class Draft:
    """A service that can be kept. `graph` is as it was posted; None: that of before."""

    posted: Posted
    compiled: Compiled
    graph: Any = None

    def stored(self) -> StoredPlan | None:
        """The plan to keep with it, if the graph is another."""
        if self.graph is None:
            return None
        plan = self.compiled.plan
        return StoredPlan(id=plan.id, graph=json.dumps(self.graph), plan=plan.dump())


async def draft_of(room: Room, request: Request, principal: Principal, body: Mapping[str, Any]) -> Draft:
    """A new service of a posted body."""
    kind = read_kind(body.get("type", "XYZ"))
    raw = await room.expanded(principal, graph_of(dict(body)))
    graph = await room.parsed(raw, principal)
    posted = _properties(Posted(kind=kind), body)
    compiled = await refusals_audited(room, request, principal, graph)
    return Draft(await _styled(room, request, principal, compiled, posted), compiled, raw)


async def changed(
    room: Room, request: Request, principal: Principal, body: Mapping[str, Any], row: StoredService, compiled: Compiled
) -> Draft:
    """A service with some properties changed, the others as they were."""
    if not body:
        raise _refusal("NoDataForUpdate", "the request changes nothing", f"send one of {', '.join(EDITABLE)}")
    if other := [key for key in body if key not in EDITABLE]:
        raise _refusal("PropertyNotEditable", f"{other[0]!r:.40} cannot be changed", f"send {', '.join(EDITABLE)}")
    posted, raw = _properties(posted_of(row), body), None
    if body.get("process") is not None:
        raw = await room.expanded(principal, graph_of(dict(body)))
        compiled = await refusals_audited(room, request, principal, await room.parsed(raw, principal))
    if raw is not None or "configuration" in body:
        posted = await _styled(room, request, principal, compiled, posted)
    return Draft(posted, compiled, raw)


def _properties(before: Posted, body: Mapping[str, Any]) -> Posted:
    """`before` with what the body says of it."""
    for key, code in (("plan", "BillingPlanInvalid"), ("budget", "BudgetInvalid")):
        if body.get(key) is not None:
            raise _refusal(code, f"nothing is billed here, so there is no {key}", f"leave {key} out")
    made = before
    if "title" in body:
        made = replace(made, title=_text(body["title"], "title"))
    if "description" in body:
        made = replace(made, description=_text(body["description"], "description"))
    if "enabled" in body:
        if not isinstance(body["enabled"], bool):
            raise BadRequest(f"enabled is true or false, not {body['enabled']!r:.20}")
        made = replace(made, enabled=body["enabled"])
    if "configuration" in body:
        given = body["configuration"] if body["configuration"] is not None else {}
        read_configuration(given)
        made = replace(made, configuration=json.dumps(given, sort_keys=True))
    return made


def _text(raw: Any, key: str) -> str:
    if raw is not None and (not isinstance(raw, str) or len(raw) > MOST_TEXT):
        raise BadRequest(f"{key} is a text of at most {MOST_TEXT} characters, not {raw!r:.40}")
    return raw or ""


async def _styled(room: Room, request: Request, principal: Principal, compiled: Compiled, posted: Posted) -> Posted:
    configuration, token = read_configuration(json.loads(posted.configuration)), caller_token(request, room.login)
    style = await resolved(room, compiled, configuration, token, principal.person.name, request.is_disconnected)
    return replace(posted, style="" if style is None else json.dumps(style))


async def refusals_audited(
    room: Room, request: Request, principal: Principal, graph: Graph, whole: bool = False
) -> Compiled:
    """The plan of a graph for the caller; a refusal goes into the audit log."""
    try:
        return await room.planned(graph, principal, caller_token(request, room.login), whole)
    except BdapError as error:
        if error.status in (403, 404):
            await asyncio.to_thread(
                audit.record,
                room.sessions,
                person=principal.person.name,
                action="read-collection",
                subject=", ".join(needs.named(graph)),
                allowed=False,
                reason=error.message,
                address=client_address(request),
            )
        raise


def _refusal(code: str, sentence: str, remedy: str) -> GraphError:
    return GraphError(code, sentence, remedy)
