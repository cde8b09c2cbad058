"""Time that a jump of this machine's clock does not reach. PURE but for the two clocks it reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable

JUMP = 30.0  # seconds: less is the clock being set right little by little


class Clock:
    """The wall's clock, as it would be had it not jumped; `jumped` says by how much it did, until `believe`."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self.believe()

    def now(self) -> float:
        """Seconds since the epoch; a jump that is not believed yet is left out."""
        return self._steady() + self._offset if self.jumped() else self._wall()

    def jumped(self) -> float:
        """The seconds by which it jumped, 0 where it did not. What is less than a jump is believed at once."""
        step = self._wall() - self._steady() - self._offset
        if abs(step) > JUMP:
            return step
        self.believe()
        return 0.0

    def believe(self) -> None:
        """From now on what the wall's clock says is the time."""
        self._offset = self._wall() - self._steady()


class Quiet:
    """For how long nothing was heard of each of several things, by the steady clock.

    The wall's clock counts once: for what was last heard before we listened.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._heard: dict[Hashable, tuple[object, float]] = {}

    def seconds(self, thing: Hashable, sign: object, before: float = 0.0) -> float:
        """`sign` changes whenever something is heard; `before`: seconds of silence when we first look."""
        known, now = self._heard.get(thing), self._steady()
        if known is None or known[0] != sign:
            self._heard[thing] = (sign, now - (max(0.0, before) if known is None else 0.0))
        return now - self._heard[thing][1]

    def heard(self, thing: Hashable) -> None:
        """Something was heard just now that changes no sign."""
        self._heard[thing] = (self._heard.get(thing, (None, 0.0))[0], self._steady())

    def keep(self, things: Collection[Hashable]) -> None:
        """Forget all others."""
        self._heard = {thing: found for thing, found in self._heard.items() if thing in things}
