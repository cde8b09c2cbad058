"""The pool as the service sees it: work goes in, the queue is looked at once for all who ask, work is taken out.

Several threads may call it. What goes wrong is told in the log; callers learn that the pool is away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import Unavailable
from ..settings import Settings
from .description import HUB, RUN, Work, describe
from .states import ATTRIBUTES, Standing, standings

log = logging.getLogger(__name__)
PACKAGE = Path(__file__).parents[2]
TOKEN = "htcondor-token"  # noqa: S105 - the name of a secret
FRESH = 2.0
"""Seconds for which a look at the queue, or that nobody answered, is good for all who ask."""


class PoolAway(Unavailable):
    """The pool does not answer."""


def hub_of(settings: Settings) -> str:
    """What tells this platform's work from another's in the same pool, which may have the same paths."""
    return hashlib.sha256(f"{settings.install_id} {settings.hub.public_url}".encode()).hexdigest()[:12]


class Pool:
    """The pool of `settings.batch`. `close` ends the process that talks to it.

    `mark` keeps work apart from the rest of this install's.
    """

    def __init__(self, settings: Settings, mark: str = "") -> None:
        self.settings, self.batch, self.hub = settings, settings.batch, hub_of(settings) + mark
        settings.secret(TOKEN)  # BadSettings where there is none
        self.process: subprocess.Popen[str] | None = None
        self.lock = threading.Lock()
        self.seen: dict[str, Standing] | None = None
        self.looked = self.failed = float("-inf")

    def submit(self, work: Work) -> None:
        """Hand over a piece of work. PoolAway where one cannot say whether it was taken: then look for it first."""
        with self.lock:
            self.seen = None
            self._ask("submit", description=describe(work, self.batch, self.hub))

    def standings(self, anew: bool = False) -> Mapping[str, Standing]:
        """Where everything stands that this install handed over, by run; at most `FRESH` seconds old."""
        with self.lock:
            if anew or self.seen is None or time.monotonic() - self.looked > FRESH:
                self.seen = None
                constraint = f'{HUB} == "{self.hub}" && {RUN} =!= undefined'
                self.seen = standings(self._ask("query", constraint=constraint, projection=list(ATTRIBUTES)))
                self.looked = time.monotonic()
            return self.seen

    def remove(self, clusters: Iterable[int]) -> None:
        """Take work out of the pool, whether it waits, runs or is done."""
        if wanted := [str(cluster) for cluster in clusters]:
            with self.lock:
                self.seen = None
                self._ask("remove", clusters=wanted)

    def machines(self) -> list[dict[str, Any]]:
        """What the pool says about its machines: one for each slot."""
        with self.lock:
            return list(self._ask("machines", projection=["Name", "State", "Cpus", "Memory"]))

    def close(self) -> None:
        """End the process that talks to the pool."""
        with self.lock:
            self._end()

    def _ask(self, verb: str, **asked: Any) -> Any:
        if time.monotonic() - self.failed < FRESH:
            raise PoolAway("the batch system does not answer")
        try:
            return self._answer({"verb": verb, **asked})
        except (OSError, ValueError, LookupError) as error:
            self._end()
            self.failed = time.monotonic()
            log.warning("the pool %s: %s: %s", self.batch.collector, verb, error)
            raise PoolAway("the batch system does not answer") from None

    def _answer(self, asked: Mapping[str, Any]) -> Any:
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        clock = threading.Timer(self.batch.answer_seconds, process.kill)
        clock.start()
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            clock.cancel()
        if not line:
            raise OSError(f"no answer in {self.batch.answer_seconds:g} s")
        answer = json.loads(line)
        if "error" in answer:
            raise OSError(answer["error"])
        return answer["answer"]

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None:
            token = self.settings.var.absolute() / "secrets" / TOKEN
            kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bdap_hub.batch.bindings"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**kept, "PYTHONPATH": str(PACKAGE)},
                start_new_session=True,
                text=True,
            )
            place = {"collector": self.batch.collector, "schedd": self.batch.schedd, "domain": self.batch.domain}
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps({**place, "token": str(token)}) + "\n")
        return self.process

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError, AttributeError):
                    stream.close()  # type: ignore[union-attr]
            self.process = None
