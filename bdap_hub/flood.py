"""Counts refusals that come in floods, so that nobody fills the audit log. Knows nothing of the database.

Per process. What is held back is counted in memory for a minute: a process that is killed takes that minute's counts
with it, never the events themselves that came first.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

WINDOW = 60.0  # seconds
EACH = 10  # refusals of one kind in a window that are written one by one
ALL = 600  # refusals of all kinds in a window that are written one by one


class Kind(NamedTuple):
    """What makes two refusals alike."""

    person: str
    action: str
    reason: str
    address: str


class Flood:
    """Decides which refusals are written. `write(kind, count)` gets those that were not, when their window ends."""

    def __init__(
        self, write: Callable[[Kind, int], None], *, window: float = WINDOW, each: int = EACH, all_: int = ALL
    ) -> None:
        self._write = write
        self._window, self._each, self._all = window, each, all_
        self._lock = threading.Lock()
        self._seen: Counter[Kind] = Counter()
        self._held: Counter[Kind] = Counter()
        self._timer: threading.Timer | None = None

    def admits(self, kind: Kind) -> bool:
        """Whether this one is to be written. If not, it has been counted."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._window, self.close)
                self._timer.daemon = True
                self._timer.start()
            room = self._seen.total() < self._all
            if room and self._seen[kind] < self._each:
                self._seen[kind] += 1
                return True
            # Too many kinds to tell them apart: an attacker who changes names or addresses fills no memory either.
            self._held[kind if room or kind in self._seen else Kind("", kind.action, "", "")] += 1
            return False

    def close(self) -> None:
        """End the window: hand over what was counted. Called by the timer, and at the end of the process."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            held, self._timer = self._held, None
            self._seen, self._held = Counter(), Counter()
        for kind, count in held.items():
            self._write(kind, count)
