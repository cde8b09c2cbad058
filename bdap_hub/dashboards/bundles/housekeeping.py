"""What killed or forgotten publications leave behind goes after a day: uploads, fetched
repositories, half-written bundles, unused ones."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from ...settings import Settings
from ..records import Records
from .bundle import STAGING
from .remote import STAGING as FETCHED
from .uploads import DAY
from .uploads_api import uploads_of

log = logging.getLogger("bdap.dashboards")
HOUR = 3600.0


def tidy(settings: Settings, records: Records) -> list[str]:
    """Remove it; the names of the bundles that went. Whoever publishes touches a bundle before it is used."""
    uploads_of(settings).tidy()
    root = settings.var / "dashboards" / "bundles"
    old = [path for path in root.glob("*") if _untouched(path)]
    gone = [path for path in old if path.name.startswith(STAGING) or path.name not in records.bundles()]
    fetched = [path for path in (settings.var / "dashboards" / FETCHED).glob("*") if _untouched(path)]
    for path in (*gone, *fetched):
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in gone]


@contextlib.asynccontextmanager
async def tidied(app: FastAPI) -> AsyncIterator[None]:
    """While the service runs, every hour."""
    task = asyncio.create_task(_hourly(app.state.settings, app.state.records))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hourly(settings: Settings, records: Records) -> None:
    while True:
        try:
            await run_in_threadpool(tidy, settings, records)
        except Exception:  # the database is away: the next hour tries again
            log.exception("what publications have left could not be removed")
        await asyncio.sleep(HOUR)


def _untouched(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - DAY
    except FileNotFoundError:  # another process was first
        return False
