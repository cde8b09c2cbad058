"""The process that evaluates one job: reads its task on standard input, writes files and STAC, prints what happens.

`python -m bdap_hub.processing.jobs.worker < task.json`. It knows no secret and asks nobody: what may be read was
decided when the task was made.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import BdapError
from ...settings import ProcessingSettings, StoreSettings
from ..alone import end_with_parent
from ..engine.evaluate import Compiled
from ..engine.limits import Limits
from ..graphs import plan
from ..graphs.parse import parse
from ..processes import REGISTRY
from ..results import stac
from ..results.export import check, export, extent_of
from ..results.pixels import Evaluator, native_engine
from .contract import Event, Task, restore, too_large

PART = 4
"""An evaluation may hold this part of the memory at once; the rest is for what lies beside it."""


def main() -> int:
    """Run the task of standard input; 0 if it finished."""
    say = _voice()
    task = restore(sys.stdin.read())
    _humble(task)
    try:
        usage = run(task, say)
    except BdapError as error:
        remedy = f": {error.remedy}" if error.remedy else ""
        say(Event("failed", {"code": error.code, "message": f"{error.message}{remedy}"}))
        return 1
    except MemoryError:
        ended = too_large(task)
        say(Event("failed", {"code": ended.code, "message": ended.message}))
        return 1
    say(Event("finished", {"usage": usage}))
    return 0


def run(task: Task, say: Callable[[Event], None]) -> dict[str, Any]:
    """Write the results of a task into its folder, all or nothing; what they took."""
    began = time.monotonic()
    evaluator = _evaluator(task)
    extent = extent_of(evaluator)
    check(extent, task.most_mb, "choose a smaller extent, fewer dates, or a coarser resolution")
    say(_log(f"{extent.width} x {extent.height} pixels, {extent.layers_read:g} layers read for each"))
    folder, parts = Path(task.folder), Path(f"{task.folder}.part")
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True, mode=0o700, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=parts))  # its own: one that a pool took for lost may still be at it elsewhere
    written = export(evaluator, part, split=True, progress=_progress(say))
    stac.write(part, stac.About(task.job, task.title, task.description, task.graph), written, evaluator)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    shutil.rmtree(parts, ignore_errors=True)
    say(_log(f"{len(written)} files written"))
    return _usage(began, extent.values_read)


def _evaluator(task: Task) -> Evaluator:
    memory = {"max_cube_mb": task.memory_mb // PART}
    limits = Limits(StoreSettings(**task.store), ProcessingSettings(**{**task.processing, **memory}))
    native = native_engine(limits)
    compiled = Compiled.of(parse(task.graph, REGISTRY), plan.restore(task.plan), whole=True, models=native.models)
    return Evaluator(limits, compiled, native)


def _voice() -> Callable[[Event], None]:
    """Prints events on what was standard output; whatever else prints there goes to standard error."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(event: Event) -> None:
        out.write(event.line() + "\n")

    return say


def _progress(say: Callable[[Event], None]) -> Callable[[int, int], None]:
    """Says how far it is, at most once a second."""
    last = [0.0]

    def progress(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 1 or done == total:
            last[0] = time.monotonic()
            say(Event("progress", {"done": done, "total": total}))

    return progress


def _humble(task: Task) -> None:
    """Last in the queue for processors and disk, so that maps do not feel it; bounded memory; ends with its parent."""
    end_with_parent(os.getppid())
    os.nice(task.nice)
    most = task.memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _usage(began: float, values: int) -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu": {"value": round(used.ru_utime + used.ru_stime, 3), "unit": "cpu-seconds"},
        "duration": {"value": round(time.monotonic() - began, 3), "unit": "seconds"},
        "memory": {"value": used.ru_maxrss // 1024, "unit": "mb"},
        "input_pixel": {"value": round(values / 1e6, 6), "unit": "mega-pixel"},
    }


def _log(message: str) -> Event:
    return Event("log", {"level": "info", "message": message})


if __name__ == "__main__":
    sys.exit(main())
