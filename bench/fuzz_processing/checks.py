"""Puts a graph to the code and to the running service, and says what must not be."""

from __future__ import annotations

import json
import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from bdap_hub.errors import BdapError
from bdap_hub.processing.cancel import Cancel, TooLate
from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse, problems
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.service.bodies import parsed
from tests.processing.conftest import X, Y, Z

from .stage import Stage

PATIENCE = 30.0
"""Seconds after which an evaluation is ended, here and in the service."""
DEADLINE = 60.0
"""Seconds that one answer may take: generous, for a busy machine."""
MOST_MIB = 4096.0
"""The service may not use more than this; a single graph may hold that many."""

AWAY = ("FileUnavailable", "StoreUnavailable", "RequestTimeout")
"""What may be answered by 503: a damaged file, a store that hangs, an evaluation that takes too long."""

ALONE = {"Connection": "close"}
"""Each request has a connection of its own: a server error ends it, and is told of once."""


@dataclass
class Found:
    """What was asked and what was found: for each kind of failure the smallest input that showed it."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")

    def fail(self, what: str, sent: Any) -> None:
        shown = json.dumps(sent)
        if what not in self.failures:
            print(f"FOUND {what}\n      {shown[:600]}", flush=True)
        if what not in self.failures or len(shown) < len(self.failures[what]):
            self.failures[what] = shown

    def timed[T](self, work: Callable[[], T], sent: Any) -> T:
        """The work's result; slower than DEADLINE is a failure."""
        started = time.monotonic()
        try:
            return work()
        finally:
            took = time.monotonic() - started
            self.slowest = max(self.slowest, (took, json.dumps(sent)[:2000]))
            if took > DEADLINE:
                self.fail("slower than the deadline", sent)


def in_process(on: Stage, engine: Engine, raw: Any, found: Found) -> None:
    """Parsed, planned and evaluated on one tile: a result, or an error below 500 with a code."""
    found.counts["graphs in-process"] += 1
    cancel = Cancel()
    late = threading.Timer(PATIENCE, cancel.now, [TooLate(PATIENCE)])
    late.start()
    try:
        found.timed(lambda: cancel.run(lambda: _evaluated(on, engine, raw, found)), raw)
    except TooLate:
        found.counts["ended in-process, for they took too long"] += 1
    except BdapError as error:
        if error.status >= 500 or not error.message or not error.code:
            found.fail(f"in-process: {error.code} {error.status} {error.message}", raw)
        if leaked := [one for one in on.secrets() if one in error.message]:
            found.fail(f"in-process: a message tells {leaked[0]!r}", raw)
    except Exception as error:
        ours = [one for one in traceback.extract_tb(error.__traceback__) if "/bdap_hub/" in one.filename]
        where = f"{ours[-1].filename.split('bdap_hub/')[-1]} {ours[-1].name}" if ours else "?"
        found.fail(f"in-process: {where}: {type(error).__name__}: {error!s:.160}", raw)
    finally:
        late.cancel()


def _evaluated(on: Stage, engine: Engine, raw: Any, found: Found) -> None:
    raw = parsed(json.dumps(raw).encode())
    wrong = problems(raw, REGISTRY)
    try:
        graph = parse(raw, REGISTRY)
    except GraphError:
        if not wrong:
            found.fail("in-process: parse refuses what problems() accepts", raw)
        raise
    if wrong:
        found.fail("in-process: parse accepts what problems() refuses", raw)
    asked = queries(graph)
    if any(one.process != "load_collection" or one.collection != "fields" for one in asked):
        return
    items = {one.node: on.items for one in asked}
    made = plan.build(graph, asked, {"fields": on.described}, items, on.settings.processing.max_items)
    compiled = Compiled.of(graph, made)
    found.counts["evaluated in-process"] += 1
    engine.cube(compiled, Grid.tile(Z, X, Y))


def over_http(on: Stage, raw: Any, found: Found) -> None:
    """Validated, posted as a service, drawn, asked at a point and for a result: answers 2xx or 4xx with a code."""
    found.counts["graphs over HTTP"] += 1
    body = {"process": {"process_graph": raw}}
    said = ask(on, "POST", "/validation", found, body)
    made = ask(on, "POST", "/services", found, {"type": "XYZ", **body})
    kept = made is not None and made.status_code == 201
    if kept and said is not None and said.status_code == 200 and said.json()["errors"]:
        found.fail("HTTP: a service of a graph that /validation refuses", raw)
    if made is not None and kept:
        found.counts["services drawn"] += 1
        name = made.headers["openeo-identifier"]
        for path in (f"/tiles/{name}/{Z}/{X}/{Y}.png", f"/tiles/{name}/{Z}/{X}/{Y}.npy", f"/explain/{name}",
                     f"/services/{name}/point?lon=14.69&lat=46.81", f"/services/{name}/legend.json",
                     f"/services/{name}"):  # fmt: skip
            ask(on, "GET", path, found, None, raw)
        ask(on, "DELETE", f"/services/{name}", found, None, raw)
    ask(on, "POST", "/result", found, body)


def ask(on: Stage, method: str, path: str, found: Found, body: Any, raw: Any = None) -> httpx.Response | None:
    """The answer, looked at; None where there is none."""
    sent = {"method": method, "path": path, "body": body if body is not None else raw}
    content = None if body is None else json.dumps(body).encode()
    found.counts["requests"] += 1
    try:
        answer = found.timed(lambda: on.http.request(method, path, content=content, headers=ALONE), sent)
    except httpx.HTTPError as error:
        found.fail(f"HTTP: no answer to {method} {path.split('/')[1]}: {type(error).__name__}, alive {on.alive}", sent)
        return None
    found.counts[f"answers {answer.status_code}"] += 1
    route = f"{method} /{path.split('/')[1].split('?')[0]}"
    if answer.status_code >= 500 and not (answer.status_code == 503 and (_code(answer) in AWAY)):
        found.fail(f"HTTP: {route} gives {answer.status_code}: {on.failure()}", sent)
    elif answer.status_code >= 400 and not _named(answer):
        found.fail(f"HTTP: {route} gives {answer.status_code} without code and message", sent)
    if leaked := [one for one in on.secrets() if one.encode() in answer.content]:
        found.fail(f"HTTP: {route} tells {leaked[0]!r}", sent)
    if on.memory() > MOST_MIB:
        found.fail("HTTP: memory", sent)
    return answer


def _code(answer: httpx.Response) -> str:
    return str(answer.json().get("code", "")) if _named(answer) else ""


def _named(answer: httpx.Response) -> bool:
    """Whether an error has a code and a sentence: openEO's, or as map services (WMTS) have to write it."""
    if "/wmts" in answer.request.url.path.lower() and "xml" in answer.headers.get("content-type", ""):
        return re.search(r'exceptionCode="\w+".*<ows:ExceptionText>.+<', answer.text, re.S) is not None
    try:
        told = answer.json()
    except ValueError:
        return False
    return bool(isinstance(told, dict) and told.get("code") and told.get("message"))
