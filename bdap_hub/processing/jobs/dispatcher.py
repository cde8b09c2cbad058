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
from .contract import Event, Outcome, Runner, Task
from .tables import Jobs, StoredJob, expires, moment_text

log = logging.getLogger(__name__)
Permit = Callable[[StoredJob], Awaitable[None]]
Write = Callable[..., None]
LOOK = 1.0
LOST = 60.0
"""Seconds without a sign of life after which a running job is taken for lost."""
ATTEMPTS = 2


class Dispatcher:
    """Runs at most `settings.processing.jobs.workers` jobs at once. `permit` raises where the owner may no longer."""

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
        try:
            while True:
                await self.places.acquire()
                row = await self._next()
                task = asyncio.create_task(self._run(row))
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            self.closing.set()
            await asyncio.gather(*running, return_exceptions=True)
            self.pool.shutdown(wait=False)

    async def _next(self) -> StoredJob:
        while True:
            try:
                await asyncio.to_thread(self._recover)
                if (row := await asyncio.to_thread(self.jobs.claim)) is not None:
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
            if row.attempts < ATTEMPTS:
                if self.jobs.end(row.id, "queued"):
                    self.write(row, "the service ended while the job ran: it starts again", "warning")
            elif self.jobs.end(row.id, "error"):
                self.write(row, f"the service ended {row.attempts} times while the job ran", "error", "JobLost")

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
        self.write(row, f"started (attempt {row.attempts})", "info")
        progress, stopped = [0.0], [False]

        def report(event: Event) -> None:
            if event.kind == "progress":
                progress[0] = 100 * event.values["done"] / max(1, event.values["total"])
            elif event.kind == "log":
                self.write(row, event.values["message"], event.values["level"])

        def cancelled() -> bool:
            stopped[0] = stopped[0] or not self.jobs.beat(row.id, progress[0])
            return stopped[0] or self.closing.is_set()

        outcome = self.runner.run(self._task(row), report, cancelled)
        return Outcome("lost") if outcome.status == "canceled" and not stopped[0] else outcome

    def _task(self, row: StoredJob) -> Task:
        processing, store = self.settings.processing, self.settings.store
        limits = processing.jobs
        return Task(
            row.id,
            row.title,
            row.description,
            json.loads(row.graph),
            row.plan,
            str(folder_of(self.settings, row)),
            store.model_dump(mode="json"),
            processing.model_dump(mode="json"),
            limits.memory_mb,
            limits.hours,
            limits.most_mb,
            limits.nice,
        )

    def _clear(self, row: StoredJob) -> None:
        """Nothing is left of what was half written, unless the job was started anew meanwhile."""
        now = self.jobs.get(row.id)
        if now is None or now.queued == row.queued:
            shutil.rmtree(folder_of(self.settings, row).with_name(f"{row.id}.part"), True)

    def _end(self, row: StoredJob, outcome: Outcome) -> None:
        if outcome.status != "finished":
            self._clear(row)
        if outcome.status == "canceled":
            return  # the state says so already
        if outcome.status == "lost":
            self.jobs.end(row.id, "queued")
            self.write(row, "the service ends: the job starts again with it", "warning")
            return
        fields: dict[str, Any] = {}
        if outcome.status == "finished":
            size = _bytes(folder_of(self.settings, row))
            fields = {"usage": json.dumps(outcome.usage), "progress": 100.0, "size": size}
        if self.jobs.end(row.id, outcome.status, **fields):
            if outcome.status == "finished":
                self._finished(row)
            else:
                self.write(row, outcome.message, "error", outcome.code)

    def _finished(self, row: StoredJob) -> None:
        self.write(row, "finished", "info")
        now = self.jobs.get(row.id)
        if now is not None and (end := expires(now, self.settings.processing.jobs.keep_days)) is not None:
            self.write(row, f"the results are deleted after {moment_text(end)}: load down what you need longer", "info")


def folder_of(settings: Settings, row: StoredJob) -> Path:
    """Where the results of a job lie: in its owner's folder of results on the store."""
    return settings.store.results_of(row.owner) / row.id


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
