"""One small piece of work to the pool and back: what an operator tries before people's jobs rely on it."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress

from ..errors import Unavailable
from ..settings import Settings
from .description import Work
from .handover import SUFFIX, HandOver
from .pool import Pool, PoolAway
from .states import Kind, Standing

MARK = "-trial"
"""Tells it from people's jobs: a service that runs takes out of the pool what has its own mark and nobody wants."""
FOLDER = "_trial"
"""Beside people's folders of results; no person's has such a name."""
LOOK = 0.5
PATIENCE = 60.0
"""Seconds for which the answer of what is done may be on its way to this machine."""


def tried(settings: Settings, command: tuple[str, ...], environment: dict[str, str], seconds: float) -> str:
    """What the command printed on a machine of the pool; Unavailable says what is in the way."""
    run = f"trial-{secrets.token_hex(6)}"
    files = HandOver(settings.store.results / FOLDER / f"{run}{SUFFIX}")
    work = Work(run, command, str(files.folder), settings.processing.jobs.memory_mb, 1, environment)
    pool = Pool(settings, MARK)
    try:
        files.write("")
        pool.submit(work)
        return _answer(pool, run, files, time.monotonic() + seconds)
    finally:
        _remove(pool, run)
        pool.close()
        files.remove()


def _answer(pool: Pool, run: str, files: HandOver, until: float) -> str:
    while (now := pool.standings(anew=True).get(run)) is None or now.kind in (Kind.WAITING, Kind.RUNNING):
        if time.monotonic() > until:
            raise Unavailable(_slow(now), "`condor_q -better-analyze` on the schedd says what machines lack")
        time.sleep(LOOK)
    if now.kind is Kind.HELD:
        raise Unavailable(f"the job is held: {now.reason}")
    if now.kind is Kind.REMOVED or now.code:
        raise Unavailable(f"the job ended with {now.code}: {files.complaint() or 'it said nothing'}")
    until = time.monotonic() + PATIENCE
    while not (lines := files.tail()):
        if time.monotonic() > until:
            raise Unavailable(f"the job has run, and {files.folder} has nothing of it", "is the store the same there?")
        time.sleep(LOOK)
    return lines[-1]


def _slow(now: Standing | None) -> str:
    return "the job still runs" if now is not None and now.kind is Kind.RUNNING else "no machine has taken the job"


def _remove(pool: Pool, run: str) -> None:
    with suppress(PoolAway):
        there = pool.standings(anew=True)
        pool.remove([there[run].cluster] if run in there else [])
