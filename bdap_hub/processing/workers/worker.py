"""One worker: draws what it is told to, one tile after the other, until nobody is at the other end any more."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ...errors import BdapError, Busy
from ..cancel import CallerGone, Cancel
from ..drawing.drawable import Drawable, drawable
from ..drawing.formats import FORMATS
from ..engine.cache import Cache
from ..engine.dates import alone
from ..engine.evaluate import Compiled, Engine
from ..engine.grid import Grid
from ..engine.limits import Limits
from ..engine.watch import Job, Pool
from ..graphs import plan
from ..graphs.parse import parse
from ..processes import REGISTRY
from . import order
from .frames import Broken, Line
from .image import image

PLANS = 200
THREADS, TURN = 2, 0.2
"""Orders that are worked on at once at most, and the seconds for which one waits for the one before."""
_FORMS = {form.name: form for form in FORMATS}


class Worker:
    """What stands at the end of a line. Its messages answer the order of their `id`."""

    def __init__(self, line: Line, limits: Limits) -> None:
        self.line, self.engine = line, Engine(limits)
        self.pool, self._turn = Pool(THREADS, self.engine.watch, "draw"), threading.Lock()
        self._compiled: Cache[Compiled] = Cache(PLANS)
        self._styles: Cache[Drawable] = Cache(PLANS)
        self._under_way: dict[int, tuple[Cancel, Job]] = {}

    def serve(self) -> None:
        """Until the other side has gone."""
        self.line.say({"is": "ready", "pid": os.getpid()})
        with contextlib.suppress(Broken):
            while True:
                head, _ = self.line.hear()
                if head["do"] == "ping":
                    self.line.say({"is": "pong"})
                elif head["do"] == "cancel":
                    self._cancel(head["id"])
                else:
                    self._take(head)

    def _cancel(self, number: int) -> None:
        cancel, job = self._under_way.get(number, (None, None))
        if cancel is None or job is None:
            self._say({"is": "failed", "id": number, **described(CallerGone())})
            return
        cancel.now(CallerGone())
        job.done.cancel()  # where it waits for its turn

    def _take(self, head: Mapping[str, Any]) -> None:
        """An order. Its plan comes with it only where this was asked for."""
        number = head["id"]
        if "graph" not in head and self._compiled.ready(head["plan"]) is None:
            self.line.say({"is": "unknown", "id": number})
            return
        cancel = Cancel()
        self.engine.beside = head["beside"]
        job = self.pool.submit(
            lambda: cancel.run(lambda: self._in_turn(head)), lambda: self._say({"is": "slow", "id": number})
        )
        self._under_way[number] = cancel, job
        job.done.add_done_callback(lambda done: self._answer(number, done))

    def _in_turn(self, head: Mapping[str, Any]) -> bytes:
        """One after the other, for two only disturb each other; but nobody waits long behind what takes long."""
        mine = self._turn.acquire(timeout=TURN)
        try:
            return self._drawn(head)
        finally:
            if mine:
                self._turn.release()

    def _drawn(self, head: Mapping[str, Any]) -> bytes:
        wanted = order.read(head)
        compiled = self._compiled.get(wanted.plan, lambda: self._restored(head))
        shown = compiled.drawable
        if wanted.style:
            key, options = (wanted.plan, wanted.style), wanted.style
            shown = self._styles.get(key, lambda: drawable(compiled.result, json.loads(options)))
        grid = Grid.tile(wanted.z, wanted.x, wanted.y, wanted.size)
        return image(self.engine, alone(compiled, wanted.date), shown, grid, _FORMS[wanted.form], wanted.date)

    def _restored(self, head: Mapping[str, Any]) -> Compiled:
        graph = parse(json.loads(head["graph"]), REGISTRY)
        return Compiled.of(graph, plan.restore(head["content"]), models=self.engine.models)

    def _answer(self, number: int, done: Future[Any]) -> None:
        del self._under_way[number]
        error = CallerGone() if done.cancelled() else done.exception()
        if error is None:
            self._say({"is": "drawn", "id": number}, done.result())
        else:
            self._say({"is": "failed", "id": number, **described(error)})

    def _say(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        with contextlib.suppress(Broken):
            self.line.say(head, body)


def described(error: BaseException) -> dict[str, Any]:
    """An error as it is sent: a known one whole, of another one what the operator's log needs."""
    if not isinstance(error, BdapError):
        return {"unexpected": f"{type(error).__name__}: {error}"}
    wait = {"retry_after": error.retry_after} if isinstance(error, Busy) else {}
    return {"status": error.status, **error.public(), **wait}


def restored(head: Mapping[str, Any]) -> Exception:
    """The error of such a message."""
    if "unexpected" in head:
        return RuntimeError(f"a worker failed: {head['unexpected']}")
    message, remedy = str(head["message"]), str(head["remedy"])
    error = Busy(message, remedy, head["retry_after"]) if "retry_after" in head else BdapError(message, remedy)
    error.status, error.code = int(head["status"]), str(head["code"])
    return error


def first_to_go() -> None:
    """Where memory runs short the kernel ends a worker, which is replaced, before the service."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
