"""Hands jobs over to an HTCondor pool, where they wait, run and go on whether this service runs or not."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ...batch import states
from ...batch.description import Work
from ...batch.handover import SUFFIX, HandOver
from ...batch.pool import Pool, PoolAway
from ...batch.states import Kind, Standing
from ...settings import Settings
from ..alone import PACKAGE, SET
from .contract import Event, Outcome, Task, Wish, event_of, outcome_of, too_large, too_long, unsaid

log = logging.getLogger(__name__)
LOOK = 1.0
PATIENCE, SHORT = 60.0, 5.0
"""Seconds for which the files of what is done, or has failed, may be on their way to this machine."""


class CondorRunner:
    """One pool for all jobs of the service."""

    survives = True

    def __init__(self, settings: Settings) -> None:
        self.python, self.results = settings.batch.python or sys.executable, settings.store.results
        self.pool = Pool(settings)

    def run(self, task: Task, report: Callable[[Event], None], wish: Callable[[], Wish]) -> Outcome:
        """See `Runner`. What was handed over before is found again by the name of its run."""
        return Following(self.pool, self._work(task), task, report).until_it_ends(wish)

    def tidy(self, wanted: Callable[[], set[str]]) -> None:
        """See `Runner`. The pool is looked at first: what is handed over meanwhile is not taken for unwanted."""
        with suppress(PoolAway):
            there = self.pool.standings(anew=True)
            extra = {run: there[run] for run in there.keys() - wanted() if there[run].kind is not Kind.REMOVED}
            self.pool.remove(standing.cluster for standing in extra.values())
            for run, standing in extra.items():
                log.info("the run %s was in the pool though nobody wants it", run)
                if handed_over(run, standing.folder, self.results):
                    HandOver(Path(standing.folder)).remove()

    def _work(self, task: Task) -> Work:
        return Work(
            task.run,
            (self.python, "-m", "bdap_hub.processing.jobs.worker"),
            f"{task.folder}.{task.run}{SUFFIX}",
            task.memory_mb,
            task.hours,
            {**SET, "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"},
        )


def handed_over(run: str, folder: str, results: Path) -> bool:
    """Whether a folder is what `_work` made for a run: others in the pool may name any, for work with our mark."""
    path = Path(folder)
    inside = path.is_relative_to(results) and ".." not in path.parts and path.parent.resolve() == path.parent
    return inside and path.name.endswith(f".{run}{SUFFIX}")


class Following:
    """One job in the pool, from its hand-over to its end."""

    def __init__(self, pool: Pool, work: Work, task: Task, report: Callable[[Event], None]) -> None:
        self.pool, self.work, self.task, self.report = pool, work, task, report
        self.files = HandOver(Path(work.folder))
        self.last: Standing | None = None
        self.done: float | None = None
        self.away = False

    def until_it_ends(self, wish: Callable[[], Wish]) -> Outcome:
        """Look at it once a second; a pool that is away for some time changes nothing."""
        while True:
            if (wished := wish()) is Wish.LEAVE:
                return Outcome("left")
            if wished is Wish.CANCEL:
                return self._over(Outcome("canceled"))
            try:
                if (outcome := self._look(self.pool.standings())) is not None:
                    return self._over(outcome)
                self._tell_away(False)
            except PoolAway:
                self._tell_away(True)
            time.sleep(LOOK)

    def _look(self, there: Mapping[str, Standing]) -> Outcome | None:
        now = there.get(self.work.run)
        if now is None and self.last is None:
            self.files.write(self.task.dump())
            self.pool.submit(self.work)
            return None
        if now is None or now.kind is Kind.REMOVED:
            return Outcome("error", "JobRemoved", "the job was taken out of the batch system: start it again")
        before, self.last = self.last, now
        self._tell_move(before, now)
        if now.kind is Kind.HELD:
            return self._held(now)
        if now.kind in (Kind.RUNNING, Kind.DONE):
            self._read(now)
        if now.kind is Kind.DONE:
            return self._ended(now)
        return too_long(self.task) if now.seconds > self.task.hours * 3600 else None

    def _tell_move(self, before: Standing | None, now: Standing) -> None:
        if now.kind is Kind.WAITING and before is not None and before.kind is Kind.RUNNING:
            said = "the machine that ran the job was lost: the job waits for another"
            self.report(Event("log", {"level": "warning", "message": said}))
        if now.kind is Kind.WAITING and (before is None or (before.kind, before.ahead) != (now.kind, now.ahead)):
            self.report(Event("waiting", {"ahead": now.ahead}))
        if now.kind in (Kind.RUNNING, Kind.DONE) and (before is None or before.start != now.start):
            self.report(Event("started"))

    def _read(self, now: Standing) -> None:
        for line in self.files.lines(now.start):
            if (event := event_of(line)) is not None and outcome_of(event) is None:
                self.report(event)

    def _ended(self, now: Standing) -> Outcome | None:
        """How it ended; None as long as its files may be on their way."""
        self.done = self.done or time.monotonic()
        said = _end_of(self.files.tail())  # also where another service has read it already
        if said is not None and (said.status != "finished" or Path(self.task.folder).is_dir()):
            return said
        if time.monotonic() - self.done < (SHORT if now.code else PATIENCE):
            return None
        log.warning("the job %s ended with %s: %s", self.task.job, now.code, self.files.complaint())
        return unsaid(now.code, self.task)

    def _held(self, now: Standing) -> Outcome:
        log.warning("the job %s is held: %s", self.task.job, now.reason)
        if states.too_large(now):
            return too_large(self.task)
        return too_long(self.task) if states.too_long(now) else Outcome("error", "JobHeld", states.sentence(now))

    def _over(self, outcome: Outcome) -> Outcome:
        """Out of the pool; where that is away now, `tidy` does it later."""
        with suppress(PoolAway):
            there = self.pool.standings(anew=True)
            self.pool.remove([there[self.work.run].cluster] if self.work.run in there else [])
        self.files.remove()
        return outcome

    def _tell_away(self, away: bool) -> None:
        if away != self.away:
            self.away = away
            said = "does not answer: the job waits for it" if away else "answers again"
            self.report(Event("log", {"level": "warning" if away else "info", "message": f"the batch system {said}"}))


def _end_of(lines: Iterable[str]) -> Outcome | None:
    """The last end that a worker told in these lines."""
    outcomes = (outcome_of(event) for event in map(event_of, lines) if event is not None)
    return next((outcome for outcome in reversed([*outcomes]) if outcome is not None), None)
