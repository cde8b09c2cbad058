"""A piece of work, and how HTCondor is asked for it. PURE: plain data.

Nothing secret stands in a description: whoever may look at the pool's queue can read it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..settings import BatchSettings

RUN, HUB = "BdapRun", "BdapHub"
"""Attributes by which work is found again: what it is, and which install handed it over."""
INPUT, OUTPUT, ERRORS = "input", "output", "errors"
KEPT = 7 * 86400
"""Seconds for which the pool remembers what is done, if nobody asks for it."""
DISK_KB = 1 << 20


@dataclass(frozen=True)
class Work:
    """A command for a machine of the pool; `run` names it, once and for all.

    `folder` lies on the store, at the same path on all machines: the command reads the file `input` there, what it
    prints goes to `output`, what it complains about to `errors`.
    """

    run: str
    command: tuple[str, ...]
    folder: str
    memory_mb: int
    hours: float
    environment: Mapping[str, str]


def describe(work: Work, pool: BatchSettings, hub: str) -> dict[str, str]:
    """The submit description of a piece of work that install `hub` hands over."""
    program, *arguments = work.command
    described = {
        "universe": "vanilla",
        "executable": program,
        "transfer_executable": "false",
        "arguments": quoted(arguments),
        "environment": quoted(f"{name}={value}" for name, value in work.environment.items()),
        "initialdir": work.folder,
        "input": f"{work.folder}/{INPUT}",
        "output": f"{work.folder}/{OUTPUT}",
        "error": f"{work.folder}/{ERRORS}",
        "should_transfer_files": "NO",
        "request_cpus": "1",
        "request_memory": str(work.memory_mb + pool.extra_memory_mb),
        "request_disk": str(DISK_KB),
        "allowed_execute_duration": str(math.ceil(work.hours * 3600)),
        "job_lease_duration": str(pool.lost_seconds),
        "leave_in_queue": f"JobStatus == 4 && time() - CompletionDate < {KEPT}",
        "notification": "never",
        "batch_name": "bdap",
        f"My.{RUN}": f'"{work.run}"',
        f"My.{HUB}": f'"{hub}"',
    }
    described = {key: value.replace("$", "$(DOLLAR)") for key, value in described.items()}
    return {**described, "requirements": f"({pool.requirements})"} if pool.requirements else described


def quoted(words: Iterable[str]) -> str:
    """Words as HTCondor's "new" syntax for arguments and environment has them."""
    inner = " ".join("'" + word.replace("'", "''") + "'" for word in words)
    return '"' + inner.replace('"', '""') + '"'
