"""Runs jobs on this machine, each in a process of its own: low priority, bounded memory and time, no secrets."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..alone import environment
from .contract import Event, Outcome, Task

GRACE = 5.0
"""Seconds between asking a worker to end and ending it."""


class LocalRunner:
    """A worker process for each task. The process ends with this one, however this one ends."""

    def run(self, task: Task, report: Callable[[Event], None], cancelled: Callable[[], bool]) -> Outcome:
        """See `Runner`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "bdap_hub.processing.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
            text=True,
        )
        try:
            return _followed(process, task, report, cancelled)
        finally:
            _end(process)


def _followed(
    process: subprocess.Popen[str], task: Task, report: Callable[[Event], None], cancelled: Callable[[], bool]
) -> Outcome:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(task.dump())
        process.stdin.close()
    until = time.monotonic() + task.hours * 3600
    for event in _events(process):
        if cancelled():
            return Outcome("canceled")
        if time.monotonic() > until:
            return Outcome("error", "JobTooLong", f"the job ran longer than {task.hours:g} hours, which is the limit")
        if event is None:
            continue
        if event.kind == "finished":
            return Outcome("finished", usage=event.values["usage"])
        if event.kind == "failed":
            return Outcome("error", event.values["code"], event.values["message"])
        report(event)
    return _ended(process.wait(), task)


def _ended(code: int, task: Task) -> Outcome:
    """What became of a worker that said nothing at its end."""
    if code == -signal.SIGKILL:
        message = f"the job was ended by the system; it may have needed more than {task.memory_mb} MB of memory"
        return Outcome("error", "JobKilled", message)
    return Outcome("error", "Internal", f"the job's process ended with status {code}")


def _events(process: subprocess.Popen[str]) -> Iterator[Event | None]:
    """What the worker prints, and None once a second."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), name="job-output", daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        with contextlib.suppress(ValueError):
            values = json.loads(line)
            yield Event(values.pop("event"), values)


def _read(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """Nothing of the worker is left."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    if process.stdout is not None:
        process.stdout.close()
