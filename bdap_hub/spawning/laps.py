"""Where the time of a start goes, for the hub's log and the bench."""

from __future__ import annotations

import time


class Laps:
    """A stop watch: call it with the name of what has just been done."""

    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._laps: list[str] = []

    def __call__(self, what: str) -> None:
        now = time.perf_counter()
        self._laps.append(f"{what} {now - self._last:.3f}")
        self._last = now

    def __str__(self) -> str:
        """Such as: 0.900 s (decide 0.010, plan 0.020, ...)."""
        return f"{self._last - self._begun:.3f} s ({', '.join(self._laps)})"
