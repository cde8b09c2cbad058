"""What a runner of jobs gets and gives. PURE: plain data.

One runner starts a process on this machine (`local.py`), one hands over to an HTCondor pool (`htcondor.py`). A runner
brings `Task.dump()` to a machine with the same store, runs `python -m bdap_hub.processing.jobs.worker` on it, and
reports the lines that this prints.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from typing import Any, Protocol


@dataclass(frozen=True)
class Task:
    """All that a worker needs to know: no token, no secret, no database.

    `folder` is where the files go; `store`, `processing` are sections of the settings; `hours`, `memory_mb` bound it.
    `run` names this start of the job: the same after the service was restarted, another when a person starts it anew.
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
    run: str = ""

    def dump(self) -> str:
        """The task as JSON."""
        return json.dumps(asdict(self))


def restore(text: str) -> Task:
    """A task from its JSON."""
    return Task(**json.loads(text))


@dataclass(frozen=True)
class Event:
    """A line that a worker prints: `kind` is progress, log, finished or failed.

    A runner whose jobs wait elsewhere says so too: waiting (with `ahead`, how many wait before it), and started.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The event as a line of JSON."""
        return json.dumps({"event": self.kind, **self.values})


@dataclass(frozen=True)
class Outcome:
    """How a job ended: finished (with its usage), error (with code and message), canceled, lost (to be run again).

    Or left: it goes on without this service, which finds it again by `Task.run`.
    """

    status: str
    code: str = ""
    message: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)


class Wish(Enum):
    """What becomes of a running job: it goes on, is ended for good, or this service has nothing to do with it now."""

    GO_ON = auto()
    CANCEL = auto()
    LEAVE = auto()


def event_of(line: str) -> Event | None:
    """What a worker said with a line; None where it is no event."""
    try:
        values = json.loads(line)
        return Event(values.pop("event"), values)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def outcome_of(event: Event) -> Outcome | None:
    """The end that a worker told; None where the event is none."""
    if event.kind == "finished":
        return Outcome("finished", usage=event.values["usage"])
    if event.kind == "failed":
        return Outcome("error", event.values["code"], event.values["message"])
    return None


def unsaid(code: int, task: Task) -> Outcome:
    """What became of a worker that said nothing at its end; a negative `code` is the signal that ended it."""
    if code == -signal.SIGKILL:
        message = f"the job was ended by the system; it may have needed more than {task.memory_mb} MB of memory"
        return Outcome("error", "JobKilled", message)
    return Outcome("error", "Internal", f"the job's process ended with status {code}")


def too_large(task: Task) -> Outcome:
    """The end of what took more memory than it may."""
    message = f"the job needed more than {task.memory_mb} MB of memory: choose fewer dates or a smaller extent"
    return Outcome("error", "JobTooLarge", message)


def too_long(task: Task) -> Outcome:
    """The end of what ran longer than it may."""
    return Outcome("error", "JobTooLong", f"the job ran longer than {task.hours:g} hours, which is the limit")


class Runner(Protocol):
    """Runs one task to its end. Blocks; several threads call it at once."""

    @property
    def survives(self) -> bool:
        """Whether jobs wait and run elsewhere, so that they go on while no service follows them."""

    def run(self, task: Task, report: Callable[[Event], None], wish: Callable[[], Wish]) -> Outcome:
        """`report` gets what the worker says meanwhile; `wish` is asked about once a second."""

    def tidy(self, wanted: Callable[[], set[str]]) -> None:
        """End what runs elsewhere though nobody wants it any more: `wanted` tells the runs (`Task.run`) to keep."""
