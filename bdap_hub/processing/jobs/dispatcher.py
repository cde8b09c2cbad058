"""Takes queued jobs one by one, asks once more whether their owner may read the data, and has a runner run them."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...errors import BdapError
from ...settings import Settings
from .contract import Event, Outcome, Runner, Task, Wish
from .tables import ACTIVE, Jobs, StoredJob, expires, moment_text, run_of

log = logging.getLogger(__name__)
Permit = Callable[[StoredJob], Awaitable[None]]
Write = Callable[..., None]
LOOK = 1.0
LOST = 60.0
"""Seconds without a sign of life after which a running job is taken for lost."""
ATTEMPTS = 2
TIDY = 60.0
"""Seconds between two looks for what runs elsewhere though nobody wants it any more."""

GOES_ON = {
    "lost": "the service ends: the job starts again with it",
    "left": "the service ends: the job goes on in the batch system",
}


class Watch:
    """What a runner tells of one job and asks about it, while it runs."""

    def __init__(self, row: StoredJob, jobs: Jobs, write: Write, closing: threading.Event) -> None:
        self.row, self.jobs, self.write, self.closing = row, jobs, write, closing
        self.progress = 0.0
        self.told: int | None = None

    def report(self, event: Event) -> None:
        """Keep what the runner says."""
        values = event.values
        if event.kind == "progress":
            self.progress = 100 * values["done"] / max(1, values["total"])
        elif event.kind == "log":
            self.write(self.row, values["message"], values["level"])
        elif event.kind == "started":
            self.told, self.progress = None, 0.0
            self.jobs.stand(self.row, None)
            self.write(self.row, "started in the batch system", "info")
        elif event.kind == "waiting":
            self._waits(values["ahead"])

    def _waits(self, ahead: int) -> None:
        """The log tells how many wait before it, and again when half of them are gone."""
        self.jobs.stand(self.row, ahead)
        if self.told is None or ahead <= self.told // 2 < self.told:
            self.told = ahead
            self.write(self.row, f"waits in the batch system; before it: {ahead}", "info")

    def wish(self) -> Wish:
        """What is to become of the job now; says that it is still being followed."""
        if self.closing.is_set():
            return Wish.LEAVE
        if self.jobs.beat(self.row, self.progress):
            return Wish.GO_ON
        now = self.jobs.get(self.row.id)
        taken = now is not None and now.status in ACTIVE and now.queued == self.row.queued
        return Wish.LEAVE if taken else Wish.CANCEL  # taken: another service took this one for dead


class Dispatcher:
    """Runs at most `settings.processing.jobs.workers` jobs at once. `permit` raises where the owner may no longer.

    `write` gets a job, a sentence, a level, a code and, at a job's end, the store in which its state is changed: it
    writes there, or it would wait for itself.
    """

    def __init__(
        self, settings: Settings, jobs: Jobs, runner: Runner, permit: Permit, write: Write, lost: float = LOST
    ) -> None:
        self.settings, self.jobs, self.runner, self.permit, self.write = settings, jobs, runner, permit, write
        self.lost = lost
        workers = settings.processing.jobs.workers
        self.pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="job")
        self.places = asyncio.Semaphore(workers)
        self.closing = threading.Event()
        self.wake = asyncio.Event()

    async def serve(self) -> None:
        """Until cancelled: take what is queued, whenever there is a place. What was lost is run again, once."""
        running = set[asyncio.Task[None]]()
        tidying = asyncio.create_task(self._tidy())
        try:
            while True:
                await self.places.acquire()
                row = await self._next()
                task = asyncio.create_task(self._run(row))
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            self.closing.set()
            tidying.cancel()
            await asyncio.gather(tidying, *running, return_exceptions=True)
            self.pool.shutdown(wait=False)

    async def _tidy(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.runner.tidy, self.jobs.runs)
            except Exception:
                log.exception("what runs elsewhere could not be looked through")
            await asyncio.sleep(TIDY)

    async def _next(self) -> StoredJob:
        while True:
            try:
                await asyncio.to_thread(self._recover)
                if (row := await asyncio.to_thread(self.jobs.claim, self.runner.survives)) is not None:
                    return row
            except Exception:
                log.exception("the queue of jobs cannot be read")
            self.wake.clear()
            try:
                await asyncio.wait_for(self.wake.wait(), LOOK)
            except TimeoutError:
                pass

    def _recover(self) -> None:
        for row in self.jobs.orphans(self.lost):
            if self.runner.survives:
                self._put(row, "queued", "the service ended while the job ran: it is looked for again", "warning")
            elif row.attempts < ATTEMPTS:
                if self._put(row, "queued", "the service ended while the job ran: it starts again", "warning"):
                    self._clear(row)
            else:
                self._put(row, "error", f"the service ended {row.attempts} times while the job ran", "error", "JobLost")

    async def _run(self, row: StoredJob) -> None:
        try:
            try:
                await self.permit(row)
            except BdapError as error:
                return await asyncio.to_thread(self._end, row, Outcome("error", error.code, error.message))
            outcome = await asyncio.get_running_loop().run_in_executor(self.pool, self._work, row)
            await asyncio.to_thread(self._end, row, outcome)
        except Exception:
            log.exception("job %s", row.id)
            await asyncio.to_thread(self._end, row, Outcome("error", "Internal", "the job could not be run"))
        finally:
            self.places.release()

    def _work(self, row: StoredJob) -> Outcome:
        if not self.runner.survives:
            self.write(row, f"started (attempt {row.attempts})", "info")
        watch = Watch(row, self.jobs, self.write, self.closing)
        return self.runner.run(self._task(row), watch.report, watch.wish)

    def _task(self, row: StoredJob) -> Task:
        processing, store = self.settings.processing, self.settings.store
        limits = processing.jobs
        return Task(
            row.id,
            row.title,
            row.description,
            json.loads(row.graph),
            row.plan,
            str(self._place(row)),
            store.model_dump(mode="json"),
            processing.model_dump(mode="json"),
            limits.memory_mb,
            limits.hours,
            limits.most_mb,
            limits.nice,
            run_of(row),
        )

    def _place(self, row: StoredJob) -> Path:
        """Where a run writes its files: no other run does."""
        return folder_of(self.settings, row).with_name(
            run_of(row) if self.runner.survives else f"{row.id}-{row.claimed}"
        )

    def _clear(self, row: StoredJob) -> None:
        """Nothing is left of what a run has written, unless another service follows the same run now."""
        now, place = self.jobs.get(row.id), self._place(row)
        if self.runner.survives and now and now.queued == row.queued and now.claimed != row.claimed:
            return
        for folder in (place, place.with_name(f"{place.name}.part")):
            shutil.rmtree(folder, True)

    def _publish(self, row: StoredJob) -> int | None:
        """Put a run's files in the place of the job's results; their bytes, None where the job is another run's now."""
        if not self.jobs.beat(row, 100.0):
            return None
        folder = folder_of(self.settings, row)
        shutil.rmtree(folder, True)
        self._place(row).rename(folder)  # refused where another run's files came there since
        return _bytes(folder)

    def _end(self, row: StoredJob, outcome: Outcome) -> None:
        if outcome.status not in ("finished", "left"):
            self._clear(row)
        if outcome.status == "canceled":
            return  # the state says so already
        if outcome.status in GOES_ON:
            self._put(row, "queued", GOES_ON[outcome.status], "warning")
        elif outcome.status != "finished":
            self._put(row, outcome.status, outcome.message, "error", outcome.code)
        elif (size := self._publish(row)) is None:
            self._clear(row)
        else:
            done: dict[str, Any] = {"usage": json.dumps(outcome.usage), "progress": 100.0, "size": size}
            if not self._put(row, "finished", "finished", "info", **done) and self.jobs.get(row.id) is None:
                shutil.rmtree(folder_of(self.settings, row), True)  # deleted at this moment: the results are nobody's

    def _put(self, row: StoredJob, status: str, message: str, level: str, code: str = "", **fields: Any) -> bool:
        """The job in that state, and why in its log, both at once: who sees the one looks for the other."""

        def tell(jobs: Jobs) -> None:
            self.write(row, message, level, code, jobs.sessions)
            now = jobs.get(row.id) if status == "finished" else None
            if now is not None and (end := expires(now, self.settings.processing.jobs.keep_days)) is not None:
                kept = f"the results are deleted after {moment_text(end)}: load down what you need longer"
                self.write(row, kept, "info", "", jobs.sessions)

        return self.jobs.explained(lambda jobs: jobs.end(row, status, **fields), tell)


def folder_of(settings: Settings, row: StoredJob) -> Path:
    """Where the results of a job lie: in its owner's folder of results on the store."""
    return settings.store.results_of(row.owner) / row.id


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
