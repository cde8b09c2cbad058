"""What a runner of jobs gets and gives. PURE: plain data.

The runner that comes with the service starts a process on this machine (`local.py`). Another, such as one that
submits to HTCondor, implements `Runner`: it brings `Task.dump()` to a machine with the same store, runs
`python -m bdap_hub.processing.jobs.worker` on it, and reports the lines that this prints.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Task:
    """All that a worker needs to know: no token, no secret, no database.

    `folder` is where the files go; `store`, `processing` are sections of the settings; `hours`, `memory_mb` bound it.
    """

    job: str
    title: str
    description: str
    graph: Mapping[str, Any]
    plan: str
    folder: str
    store: Mapping[str, Any]
    processing: Mapping[str, Any]
    memory_mb: int
    hours: float
    most_mb: int
    nice: int = 10

    def dump(self) -> str:
        """The task as JSON."""
        return json.dumps(asdict(self))


def restore(text: str) -> Task:
    """A task from its JSON."""
    return Task(**json.loads(text))


@dataclass(frozen=True)
class Event:
    """A line that a worker prints. `kind` is progress, log, finished or failed."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The event as a line of JSON."""
        return json.dumps({"event": self.kind, **self.values})


@dataclass(frozen=True)
class Outcome:
    """How a job ended: finished (with its usage), error (with code and message), canceled, lost (to be run again)."""

    status: str
    code: str = ""
    message: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)


class Runner(Protocol):
    """Runs one task to its end. Blocks; several threads call it at once."""

    def run(self, task: Task, report: Callable[[Event], None], cancelled: Callable[[], bool]) -> Outcome:
        """`report` gets what the worker says meanwhile; `cancelled` is asked about once a second."""
