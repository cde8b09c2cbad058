"""Runs jobs on this machine, each in a process of its own: low priority, bounded memory and time, no secrets."""

from __future__ import annotations

import contextlib
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
from .contract import Event, Outcome, Task, Wish, event_of, outcome_of, too_long, unsaid

GRACE = 5.0
"""Seconds between asking a worker to end and ending it."""


class LocalRunner:
    """A worker process for each task. The process ends with this one, however this one ends."""

    survives = False

    def run(self, task: Task, report: Callable[[Event], None], wish: Callable[[], Wish]) -> Outcome:
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
            return _followed(process, task, report, wish)
        finally:
            _end(process)

    def tidy(self, wanted: Callable[[], set[str]]) -> None:
        """Nothing is left: processes end with the service."""


def _followed(
    process: subprocess.Popen[str], task: Task, report: Callable[[Event], None], wish: Callable[[], Wish]
) -> Outcome:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(task.dump())
        process.stdin.close()
    until = time.monotonic() + task.hours * 3600
    for event in _events(process):
        if (wished := wish()) is not Wish.GO_ON:
            return Outcome("canceled" if wished is Wish.CANCEL else "lost")
        if time.monotonic() > until:
            return too_long(task)
        if event is None:
            continue
        if (outcome := outcome_of(event)) is not None:
            return outcome
        report(event)
    return unsaid(process.wait(), task)


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
        if (event := event_of(line)) is not None:
            yield event


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
