"""Until when something may take, which can be made sooner while it goes on."""

from __future__ import annotations

import time


class Deadline:
    """So many seconds from now. `cut`: it was made sooner."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self.cut = seconds, False
        self.restart()

    def restart(self) -> None:
        """Count from now on, unless it was made sooner."""
        if not self.cut:
            self._at = time.monotonic() + self._seconds

    @property
    def left(self) -> float:
        """Seconds that are left; below 0 once it is over."""
        return self._at - time.monotonic()

    def shorten(self, seconds: float) -> None:
        """At most so many seconds from now."""
        self._at, self.cut = min(self._at, time.monotonic() + seconds), True
