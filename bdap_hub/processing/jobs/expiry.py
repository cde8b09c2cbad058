"""Deletes results of jobs that are older than the operator keeps them; each job said so from the day it finished."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ...settings import Settings
from .dispatcher import folder_of
from .tables import Jobs, StoredJob

log = logging.getLogger(__name__)
EVERY = 3600.0
"""Seconds between two looks."""
Told = Callable[[StoredJob, str], Any]


class Expiry:
    """Looks from time to time. `told` hears of each job whose results go, with the sentence for its log."""

    def __init__(self, settings: Settings, jobs: Jobs, told: Told) -> None:
        self.settings, self.jobs, self.told = settings, jobs, told

    async def serve(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.sweep)
            except Exception:
                log.exception("old results of jobs could not be looked through")
            await asyncio.sleep(EVERY)

    def sweep(self) -> int:
        """Delete what is due; how many jobs lost their results. The jobs stay, and can be started again."""
        days, count = self.settings.processing.jobs.keep_days, 0
        for row in self.jobs.finished_before(datetime.now(UTC) - timedelta(days=days)) if days else ():
            if self.jobs.expire(row):  # not where somebody starts or changes it at this moment
                self._remove(row)
                self.told(row, f"the results were deleted, as they were {days} days old: start the job again")
                count += 1
        return count

    def _remove(self, row: StoredJob) -> None:
        """Its folder: out of the way first, as the job may be started again meanwhile."""
        folder = folder_of(self.settings, row)
        gone = folder.with_name(f"{row.id}.expired")
        if folder.exists():
            shutil.rmtree(gone, True)
            folder.rename(gone)
        shutil.rmtree(gone, True)
