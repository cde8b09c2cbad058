"""What the routes of the processing service share: engine, state, rights, catalogue, compiled graphs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request

from ...database import connect
from ...errors import NotFound, NotLoggedIn
from ...settings import Settings
from ...web import Principal
from ..engine.cache import Cache
from ..engine.evaluate import Compiled, Engine
from ..engine.limits import Limits, processes, shares, workers
from ..graphs import needs, plan
from ..graphs.graph import Graph
from ..graphs.parse import parse
from ..graphs.uploads import filled
from ..jobs.dispatcher import Dispatcher
from ..jobs.tables import Jobs
from ..processes import REGISTRY
from ..results.pixels import native_engine
from ..udf.pool import Udfs
from ..workers.routing import DEPTH
from ..workers.team import Team
from .drawn import Drawn
from .gate import Gate
from .logs import Logs
from .lookup import Catalogue
from .rights import Rights
from .sources import Sources
from .stored_processes import UserProcesses
from .tables import Services, StoredPlan, StoredService
from .views import ServiceNotFound, View, Views

BESIDE = 4
"""Printed maps and questions to tables that are worked on at once."""


class Room:
    """What the routes share: engine, state, rights, catalogue, and compiled graphs. `dispatcher` runs jobs."""

    dispatcher: Dispatcher

    def __init__(self, settings: Settings, app: FastAPI) -> None:
        self.settings = settings
        self.login = app.state.login
        self.sessions = connect(settings.database)
        self.services = Services(self.sessions, settings.processing.most_services)
        self.jobs = Jobs(self.sessions)
        self.rights = Rights(settings, self.login, self.jobs)
        self.catalogue = Catalogue(settings)
        mine, theirs = shares(settings.processing)
        self.engine = Engine(Limits(settings.store, mine))
        self.team = Team(processes(mine), Limits(settings.store, theirs), self._slow) if processes(mine) > 1 else None
        places = DEPTH * self.team.count if self.team else workers()
        self.gate = Gate(places, settings.processing.queue, watch=self.engine.watch, deadline=mine.deadline)
        self.drawn = Drawn(settings.processing.tile_cache_mb * 2**20, self._slow)
        self.user_processes = UserProcesses(self.sessions, settings.processing.most_processes)
        self.native = native_engine(settings)
        self.engine.udfs = self.native.udfs = Udfs(settings, self._slow)
        results = settings.processing.results
        self.heavy = Gate(results, results * 8, watch=self.native.watch, deadline=settings.processing.result_deadline)
        self.beside = Gate(BESIDE, 16 * BESIDE, watch=self.engine.watch, deadline=mine.deadline)
        self.scratch = settings.var / "processing"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.sources = Sources(settings, self.rights, self.catalogue, self.engine.reader, self.gate.run)
        self._compiled: Cache[Compiled] = Cache(200)
        self.views = Views(self.services, self.compiled)
        self.logs = Logs(self.sessions)

    def close(self) -> None:
        """Stop evaluating and close all files."""
        if self.team is not None:
            self.team.close()
        for gate in (self.gate, self.heavy, self.beside):
            gate.pool.close()
        for engine in (self.engine, self.native):
            engine.close()

    def _slow(self) -> None:
        """This thread waits for a sandbox: another takes its place, in whichever pool it is."""
        self.engine.watch.spare()
        self.native.watch.spare()

    def compiled(self, identifier: str) -> Compiled:
        """The graph of that id, ready to be evaluated; NotFound if there is none."""
        return self._compiled.get(identifier, lambda: self._restored(identifier))

    async def expanded(self, principal: Principal, raw: Any) -> Any:
        """A graph as posted, with the caller's own processes put in."""
        person = principal.person.name
        return await self.gate.run(self.user_processes.expanded, person, raw, REGISTRY, person=person)

    async def mine(self, request: Request, identifier: str) -> tuple[Principal, StoredService, Compiled]:
        """The caller's own service of that id, with the rights to its collections checked now."""
        principal = await self.login.require(request)
        row = await asyncio.to_thread(self.services.get, identifier, principal.person.name)
        if row is None:
            raise ServiceNotFound(f"you have no service {identifier!r:.80}", "GET /services lists yours")
        compiled = self._compiled.ready(row.plan)
        if compiled is None:
            compiled = await self.gate.run(self.compiled, row.plan, person=row.owner)
        await self.rights.checked(compiled.plan, principal.person)
        return principal, row, compiled

    async def viewed(self, request: Request, identifier: str, signature: str) -> tuple[View, bool]:
        """A service that is switched on, for who comes with a signed address or is logged in as its owner.

        With whether everybody may see it; the rights to its collections are checked now.
        """
        if signature:
            person = await self.rights.signed_person(identifier, signature)
        else:
            principal = await self.login.principal(request)
            if principal is None:
                raise NotLoggedIn("a tile needs its signed address, or a login", "take the service's `url`")
            person = principal.person
        view = self.views.ready(identifier, person.name)
        if view is None:
            view = await self.gate.run(
                self.views.get, identifier, person.name, gone=request.is_disconnected, person=person.name
            )
        return view, await self.rights.checked(view.compiled.plan, person)

    async def query(self, request: Request, view: View, signature: str) -> str:
        """What the addresses inside a document carry: the signature that it was asked with, else a new one."""
        if not signature:
            signature = self.rights.sign(view.row.id, await self.login.require(request))
        return f"sig={signature}"

    async def planned(self, graph: Graph, principal: Principal, token: str, whole: bool = False) -> Compiled:
        """The plan of a graph from what the caller sees in the catalogue, checked by a run on no data.

        `whole`: for a result over the whole extent, not for tiles.
        """
        given = await self.sources.uploads.given(graph, principal)
        person = principal.person.name
        graph = await self.gate.run(filled, graph, given, person=person) if given else graph
        asked: tuple[needs.Query, ...] = await self.gate.run(needs.queries, graph, person=person)
        found = {query.node: await self.sources.of(query, principal, token) for query in asked}
        collections = {str(one.collection["id"]): one.collection for one in found.values()}
        asked = tuple(replace(query, collection=str(found[query.node].collection["id"])) for query in asked)
        items = {node: one.items for node, one in found.items()}
        owned = [each for one in found.values() for each in one.owned]
        owned += [self.sources.uploads.owned(principal)] if given else []
        most, build = self.settings.processing.max_items, plan.build
        made = await self.gate.run(build, graph, asked, collections, items, most, owned, person, given, person=person)
        await self.rights.checked(made, principal.person)
        return await self.gate.run(Compiled.of, graph, made, whole, self.engine.models, self.engine.udfs, person=person)

    async def parsed(self, raw: Any, principal: Principal) -> Graph:
        """A graph with the caller's own processes in it; GraphError where it is none. A long one takes a second."""
        graph: Graph = await self.gate.run(parse, raw, REGISTRY, person=principal.person.name)
        return graph

    def _restored(self, identifier: str) -> Compiled:
        graph, content = self.stored(identifier)
        parsed = parse(json.loads(graph), REGISTRY)
        return Compiled.of(parsed, plan.restore(content), models=self.engine.models, udfs=self.engine.udfs)

    def stored(self, identifier: str) -> tuple[str, str]:
        """The graph of that id and its plan, as they are kept; NotFound if there is none."""
        row: StoredPlan | None = self.services.plan(identifier)
        if row is None:
            raise NotFound(f"there is no service {identifier!r}", "post the graph again")
        return row.graph, row.plan
