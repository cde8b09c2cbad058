"""Who gets which sandbox: one person's graph has its own, warm while it is used, and nobody ever gets it after that."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import BdapError, Busy, TooMuch
from ...settings import Settings
from ..cancel import check
from ..graphs.graph import GraphError
from .deadline import Deadline
from .messages import Arrays, Broken

if TYPE_CHECKING:
    from .container import Engine, Sandbox

log = logging.getLogger("bdap.processing")
EACH = 2
"""Sandboxes that one graph may have at once."""
WAITING = 16
"""Calls of one person that may wait."""
LIFE, LOOK, SWEEP = 1800.0, 5.0, 60.0
PENALTY = 30.0
"""Seconds for which code that had to be stopped is not started again."""
PAUSE, GRACE = 0.25, 2.0
"""Seconds between two looks whether a caller still waits; those that code has to end once nobody does."""


@dataclass(frozen=True)
class Owner:
    """Whose graph it is that code belongs to."""

    person: str
    graph: str


@dataclass
class _Worker:
    owner: Owner
    sandbox: Sandbox | None = None
    busy: bool = True
    born: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)


class Udfs:
    """Runs code of people. Nothing is started before it is first needed. Its methods block."""

    def __init__(self, settings: Settings, slow: Callable[[], None] = lambda: None) -> None:
        self.limits = settings.processing.udf
        self.on = self.limits.workers > 0 and settings.spawning.engine != "process"
        self._settings, self._slow = settings, slow
        self._workers: list[_Worker] = []
        self._warm: list[tuple[Sandbox, float]] = []
        self._starting = 0
        self._waiting: Counter[str] = Counter()
        self._stopped: dict[Owner, float] = {}
        self._said: dict[str, Any] | None = None
        self._change, self._asking, self._ask_again = threading.Condition(), threading.Lock(), 0.0
        self._keeper: threading.Thread | None = None
        self._closed = False

    def runtime(self) -> dict[str, Any] | None:
        """What a sandbox says of itself: `python` and `libraries` with their versions; None where there are none.

        Whoever asks need not be logged in, so that one at a time starts a sandbox for it, and not again at once.
        """
        if self.on and self._said is None and self._asking.acquire(blocking=False):
            try:
                if time.monotonic() >= self._ask_again:
                    self._ask_again = time.monotonic() + PENALTY
                    self._introduced()
            finally:
                self._asking.release()
        return self._said

    def _introduced(self) -> None:
        with contextlib.suppress(BdapError):
            sandbox = self._started()
            with self._change:
                self._warm.append((sandbox, time.monotonic()))
            self._keep()

    def run(self, owner: Owner, code: str, given: Arrays, context: Any) -> Arrays:
        """The result of some code. GraphError where it fails, TooMuch for large arrays, Busy where too many wait.

        An evaluation that is to end goes on at once; its code has GRACE seconds more, then its sandbox is killed.
        """
        if not self.on:
            raise unavailable()
        if given.values.nbytes > self.limits.array_mb << 20:
            raise TooMuch(
                f"the code would get {given.values.nbytes >> 20} MB at once; the limit is {self.limits.array_mb}",
                "narrow the extents, or choose fewer bands",
            )
        self._refuse_stopped(owner)
        worker, deadline, done = self._claimed(owner), Deadline(self.limits.seconds), Future[Arrays]()

        def work() -> None:
            try:
                done.set_result(
                    self._stopped_late(worker, deadline, lambda: self._called(worker, code, given, context, deadline))
                )
            except BaseException as error:  # the evaluation's to handle, whatever it is
                done.set_exception(error)

        threading.Thread(target=work, name="code", daemon=True).start()
        return self._awaited(done, deadline)

    def _awaited(self, done: Future[Arrays], deadline: Deadline) -> Arrays:
        try:
            while not wait((done,), PAUSE).done:
                check()
                self._slow()
        except BdapError:
            deadline.shorten(GRACE)
            raise
        return done.result()

    def _stopped_late(self, worker: _Worker, deadline: Deadline, work: Callable[[], Arrays]) -> Arrays:
        """The result of the work, after which the worker is free; why there is none, where its sandbox was killed."""
        try:
            return work()
        except TimeoutError:
            self._stop(worker.owner, deadline)
            raise GraphError(
                "UdfTimeout",
                f"the code was stopped after {self.limits.seconds:g} seconds",
                "make it faster",
            ) from None
        except Broken as error:
            self._stop(worker.owner, deadline)
            raise GraphError(
                "UdfFailed",
                f"the code was stopped: {error}",
                f"its memory is {self.limits.memory}",
            ) from None
        finally:
            self._give_back(worker)

    def close(self) -> None:
        """End all sandboxes."""
        with self._change:
            self._closed = True
            ending = [worker.sandbox for worker in self._workers] + [sandbox for sandbox, _ in self._warm]
            self._workers, self._warm = [], []
            self._change.notify_all()
        for sandbox in ending:
            if sandbox is not None:
                sandbox.end()

    def _called(self, worker: _Worker, code: str, given: Arrays, context: Any, deadline: Deadline) -> Arrays:
        if worker.sandbox is None:
            worker.sandbox = self._from_warm() or self._started()
            deadline.restart()
        sandbox, key = worker.sandbox, hashlib.sha256(code.encode()).hexdigest()[:16]
        said = "" if key in sandbox.known else sandbox.load(key, code, deadline)
        found = said or sandbox.call(key, given, context, deadline)
        if isinstance(found, str):
            raise GraphError("UdfFailed", f"the code failed: {found}", "mend it, and post the graph again")
        return found

    def _claimed(self, owner: Owner) -> _Worker:
        """A place for a sandbox of the owner's, or one that waits for work."""
        until, waited = time.monotonic() + self.limits.seconds, False
        with self._change:
            try:
                while (worker := self._free(owner)) is None:
                    if not waited:
                        if self._waiting[owner.person] >= WAITING:
                            raise Busy("too many evaluations with code wait", "try again in a moment", retry_after=5)
                        self._waiting[owner.person] += 1
                        waited = True
                    self._slow()
                    check()
                    if time.monotonic() >= until:
                        raise Busy("all sandboxes for code are busy", "try again in a moment", retry_after=5)
                    self._change.wait(PAUSE)
            finally:
                if waited:
                    self._waiting[owner.person] -= 1
            worker.busy = True
            return worker

    def _free(self, owner: Owner) -> _Worker | None:
        mine = [worker for worker in self._workers if worker.owner == owner]
        if idle := next((worker for worker in mine if not worker.busy), None):
            return idle
        of_person = sum(worker.owner.person == owner.person for worker in self._workers)
        if len(mine) >= EACH or (of_person >= self._share and not self._ended_one(owner.person)):
            return None
        if len(self._workers) >= self.limits.workers and not self._ended_one(None):
            return None
        self._workers.append(made := _Worker(owner))
        return made

    @property
    def _share(self) -> int:
        """How many one person may have: never all of them, where there are several."""
        return max(1, self.limits.workers - 1)

    def _ended_one(self, person: str | None) -> bool:
        """The one that has waited for work longest (of a person's, where one is named) is thrown away."""
        idle = [w for w in self._workers if not w.busy and (person is None or w.owner.person == person)]
        if not idle:
            return False
        self._throw_away(min(idle, key=lambda worker: worker.used))
        return True

    def _throw_away(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        if worker.sandbox is not None:
            threading.Thread(target=worker.sandbox.end, daemon=True).start()

    def _give_back(self, worker: _Worker) -> None:
        with self._change:
            worker.busy, worker.used = False, time.monotonic()
            if worker in self._workers and (worker.sandbox is None or worker.sandbox.ended):
                self._workers.remove(worker)
            elif worker not in self._workers and worker.sandbox is not None:  # closed meanwhile
                worker.sandbox.end()
            self._change.notify_all()
        self._keep()

    def _from_warm(self) -> Sandbox | None:
        with self._change:
            return self._warm.pop()[0] if self._warm else None

    def _started(self) -> Sandbox:
        sandbox, self._said = self._engine.start()
        return sandbox

    @functools.cached_property
    def _engine(self) -> Engine:
        from .container import Engine  # Docker's client, which who runs no code need not have

        return Engine(self._settings)

    def _stop(self, owner: Owner, deadline: Deadline) -> None:
        """It is not started again soon, unless it was nobody's any more."""
        if not deadline.cut:
            self._stopped[owner] = time.monotonic() + PENALTY

    def _refuse_stopped(self, owner: Owner) -> None:
        left = self._stopped.get(owner, 0.0) - time.monotonic()
        if left > 0:
            raise GraphError(
                "UdfFailed", "the code had to be stopped a moment ago", f"mend it, or wait for {left:.0f} seconds"
            )
        self._stopped.pop(owner, None)

    def _keep(self) -> None:
        with self._change:
            if self._keeper is None and not self._closed:
                self._keeper = threading.Thread(target=self._look, name="sandboxes", daemon=True)
                self._keeper.start()

    def _look(self) -> None:
        """Throws away what nobody uses, and keeps one started for the next graph."""
        swept = -LIFE
        while not self._closed:
            now = time.monotonic()
            if now - swept > SWEEP:
                swept = now
                with contextlib.suppress(Exception):
                    self._engine.sweep(2 * LIFE)
            with self._change:
                for worker in list(self._workers):
                    if not worker.busy and (now - worker.used > self.limits.idle_seconds or now - worker.born > LIFE):
                        self._throw_away(worker)
                old = [sandbox for sandbox, born in self._warm if now - born > LIFE]
                self._warm = [(sandbox, born) for sandbox, born in self._warm if now - born <= LIFE]
                wanted = not self._closed and len(self._warm) < self.limits.warm
                self._stopped = {owner: until for owner, until in self._stopped.items() if until > now}
            for sandbox in old:
                sandbox.end()
            if wanted:
                self._warm_up()
            with self._change:
                self._change.wait(LOOK)

    def _warm_up(self) -> None:
        try:
            sandbox = self._started()
        except BdapError as error:
            log.warning("no sandbox could be started: %s", error.message)
            time.sleep(LOOK)
            return
        with self._change:
            if not self._closed:
                self._warm.append((sandbox, time.monotonic()))
                return
        sandbox.end()


def unavailable() -> GraphError:
    """The refusal where no code of people runs."""
    return GraphError(
        "UdfNotAvailable",
        "no code of people runs on this platform",
        "its operator can allow it",
    )
