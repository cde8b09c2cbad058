"""What no version needs any more goes after a day: uploads, what git fetched, bundles, pictures, kept pages, images.

Versions are never removed. A kept page of a version that nobody sees is made anew when somebody opens it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Container
from pathlib import Path

import docker
from docker.errors import DockerException
from fastapi import FastAPI
from requests.exceptions import RequestException
from starlette.concurrency import run_in_threadpool

from ...settings import Settings
from ..records import Records
from .bundle import STAGING, bundles_of
from .remote import STAGING as FETCHED
from .uploads import DAY
from .uploads_api import uploads_of

log = logging.getLogger("bdap.dashboards")
HOUR = 3600.0


def tidy(settings: Settings, records: Records) -> list[str]:
    """Remove it; the names of the bundles that went. Whoever publishes touches what is there before it is used.

    Where the database knows no version, all stays but uploads: it is not filled yet, or another's.
    """
    uploads_of(settings).tidy()
    if records.empty():
        return []
    _pictures(settings, records)
    _pages(settings, records)
    _images(settings, records)
    for path in (settings.var / "dashboards" / FETCHED).glob("*"):
        if _untouched(path):
            shutil.rmtree(path, ignore_errors=True)
    old = [path for path in bundles_of(settings).glob("*") if _untouched(path)]
    needed = records.bundles() if old else set()
    unneeded = [path for path in old if path.name not in needed]
    return [path.name for path in unneeded if _removed(path, path.name, records.bundles)]


def _pictures(settings: Settings, records: Records) -> None:
    """Those that no version names."""
    old = [path for path in (settings.var / "dashboards" / "pictures").glob("*.png") if _untouched(path)]
    needed = records.pictures() if old else set()
    for path in old:
        if path.stem not in needed:
            _removed(path, path.stem, records.pictures)


def _pages(settings: Settings, records: Records) -> None:
    """Of what is no version, all; of one that is not live and that nobody has seen for long, what its next start makes
    anew: what its widgets look like stays."""
    old = [path for path in (settings.var / "dashboards" / "snapshots").glob("*") if _untouched(path)]
    if not old:
        return
    seen, live = records.last_seen(), records.live_releases()
    before = time.time() - settings.dashboards.page_days * DAY
    for path in old:
        if path.name not in seen:
            _removed(path, path.name, records.last_seen)
        elif path.name not in live and seen[path.name] < before and _untouched(path):
            (path / "page.html").unlink(missing_ok=True)
            shutil.rmtree(path / "files", ignore_errors=True)


def _images(settings: Settings, records: Records) -> None:
    """With packages, made here, that no version names. The engine itself refuses to remove one that is in use."""
    old = [path for path in (settings.var / "builds" / "packages").glob("*") if _untouched(path)]
    needed = records.images() if old else set()
    unused = [path for path in old if _text(path) not in needed]
    if not unused or settings.spawning.engine == "process":
        return
    for path in unused:
        with contextlib.suppress(DockerException, RequestException):  # away, or in use: the next hour tries again
            if _untouched(path) and _text(path) not in records.images():
                _remove_image(docker.from_env(), settings, path)


def _remove_image(client: docker.DockerClient, settings: Settings, path: Path) -> None:
    labels, made = [f"bdap.install={settings.install_id}", f"bdap.packages={path.name}"], _text(path)
    for image in client.images.list(filters={"label": labels}):
        if image.id != made:  # somebody built it from the one that goes, and its labels came along
            continue
        for tag in image.tags or [image.id]:
            client.images.remove(tag)
    path.unlink(missing_ok=True)


def _removed(path: Path, name: str, needed: Callable[[], Container[str]]) -> bool:
    """Whether it went. It is put aside first, and looked at once more: somebody may just have come to need it."""
    aside = path.with_name(f"{STAGING}{path.name.removeprefix(STAGING)}")
    try:
        path.rename(aside)
        if not _untouched(aside) or name in needed():
            aside.rename(path)
            return False
    except OSError:  # another was first, or has made it anew
        return False
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)
    return True


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
    while True:  # the first one waits, too: a database may still be filled from its dump
        await asyncio.sleep(HOUR)
        try:
            await run_in_threadpool(tidy, settings, records)
        except Exception:  # the database is away: the next hour tries again
            log.exception("what publications have left could not be removed")


def _untouched(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - DAY
    except FileNotFoundError:  # another process was first
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
