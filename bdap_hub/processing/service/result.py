"""POST /result: a graph's result at once, on the data's own pixels, as the file that its save_result asks for."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from ...errors import BadRequest
from .. import cancel
from ..engine.evaluate import Compiled
from ..graphs.graph import GraphError
from ..results.export import check, export, extent_of
from ..results.formats import FORMATS, wanted
from ..results.pixels import Evaluator
from ..results.storage import Written
from .bodies import body_of, graph_of
from .posting import refusals_audited
from .room import Room

JOB = "make it a batch job (POST /jobs), or choose a smaller extent or a coarser resolution"
LEVELS = ("debug", "info", "warning", "error")


def add_result(app: FastAPI, prefix: str, room: Room) -> None:
    @app.post(f"{prefix}/result", response_class=FileResponse)
    async def result(request: Request) -> FileResponse:
        principal = await room.login.require(request)
        body = await body_of(request)
        check_terms(body)
        graph = await room.parsed(await room.expanded(principal, graph_of(body)), principal)
        wanted(graph)
        compiled = await refusals_audited(room, request, principal, graph, whole=True)
        folder = Path(tempfile.mkdtemp(prefix="result-", dir=room.scratch))
        try:
            written = await room.heavy.run(
                _write, room, compiled, folder, gone=request.is_disconnected, person=principal.person.name
            )
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, True)
            raise
        path = written[0].path
        media = next(one.media for one in FORMATS.values() if path.name.endswith(f".{one.suffix}"))
        clean = BackgroundTask(shutil.rmtree, folder, True)
        return FileResponse(path, 200, {"OpenEO-Costs": "0"}, media, filename=path.name, background=clean)


def check_terms(body: Mapping[str, Any]) -> None:
    """BadRequest for terms that this service does not have: there are no billing plans, and nothing costs anything."""
    if body.get("plan") is not None:
        raise GraphError("BillingPlanInvalid", f"there is no billing plan {body['plan']!r:.60}", "leave `plan` out")
    budget = body.get("budget")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, (int, float)) or budget < 0):
        raise BadRequest(f"the budget {budget!r:.60} is not a number from 0 on", "leave `budget` out: nothing costs")
    if body.get("log_level") not in (None, *LEVELS):
        raise BadRequest(f"{body['log_level']!r:.60} is not a level of logs", f"use {', '.join(LEVELS)}")


def _write(room: Room, compiled: Compiled, folder: Path) -> list[Written]:
    """The files of the result; none is left where the evaluation fails or is cancelled."""
    try:
        evaluator = Evaluator(room.settings, compiled, room.native)
        check(extent_of(evaluator), room.settings.processing.result_mb, JOB)
        written = export(evaluator, folder)
        cancel.check()
    except BaseException:
        shutil.rmtree(folder, True)
        raise
    return written
