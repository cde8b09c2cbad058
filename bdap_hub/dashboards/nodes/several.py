"""Releases on this machine and on its nodes: which one a release is started on, where it is found again.

The same releases have the same order of machines everywhere (rendezvous hashing): processes that know nothing of each
other choose alike, and a machine that goes moves its own releases alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...errors import Unavailable
from ...units import bytes_of
from ..running import copies
from ..running.runtime import Ending, Launch, Runtime
from .order import can_travel

GONE_SECONDS = 6.0  # longer than nobody asks a silent node
log = logging.getLogger("bdap.dashboards")


@dataclass(frozen=True)
class Place:
    """A machine: what runs releases there, and how many bytes of memory it could give out."""

    name: str
    runtime: Runtime
    room: Callable[[], int]


def room() -> int:
    """Bytes of memory that could be given out on this machine."""
    lines = dict(row.split(":", 1) for row in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def ranked(release: str, names: Sequence[str]) -> list[str]:
    """The machines in the order in which that release would have them. PURE."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{release} on {name}".encode()).digest())


class Later:
    """A runtime that is made when something is first asked of it: what is wrong with its engine is its own affair."""

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._make, self._made = make, cast(Runtime | None, None)

    def __getattr__(self, name: str) -> Any:
        self._made = self._made or self._make()
        return getattr(self._made, name)


class SeveralRuntime:
    """The first place is this machine. `publishes`: what is started is a new version, which is looked at here first.

    A machine that does not answer for `GONE_SECONDS` counts as gone: what ran there is started elsewhere, once, and
    ends there when it is back.
    """

    def __init__(self, places: Sequence[Place], publishes: bool = False) -> None:
        self.places, self.here, self.publishes = {place.name: place for place in places}, places[0], publishes
        self._at: dict[str, str] = {}
        self._silent_since: dict[str, float] = {}

    def start(self, launch: Launch) -> None:
        """On the first of its machines that answers and has room for it; what is left of it elsewhere goes."""
        if self.address(launch.name) is not None:
            return
        last: Unavailable | None = None
        for place in self._choice(launch):
            try:
                place.runtime.start(launch)
            except Unavailable as error:
                log.warning("%s does not start on %s: %s", launch.name, place.name, error.message)
                last = error
                continue
            self._at[launch.name] = place.name
            for other in self.places.values():
                if other is not place:
                    with contextlib.suppress(Unavailable):
                        other.runtime.stop(launch.name)
            return
        raise last or Unavailable("no machine of the dashboards answers", "try again in a moment")

    def address(self, name: str) -> str | None:
        """Where it answers: where it was last, or on any other machine.

        Unavailable while its own machine does not answer and is not yet gone for good.
        """
        if self.publishes and (found := self.here.runtime.address(name)) is not None:
            return found
        for place, found in self._all(lambda place: place.runtime.address(name), self._known_first(name)):
            if found is not None:
                self._at[name] = place.name
                return found
        if (known := self._at.get(name, "")) in self._silent_since and not self._is_gone(known):
            raise Unavailable(f"{known} does not answer just now", "try again in a moment")
        self._at.pop(name, None)
        return None

    def logs(self, name: str) -> str:
        """What it wrote on the machine where it is, or was."""
        return next(
            (said for _, said in self._all(lambda at: at.runtime.logs(name), self._known_first(name)) if said), ""
        )

    def memory(self, name: str) -> int:
        """What it holds, wherever it is."""
        return sum(held for _, held in self._all(lambda place: place.runtime.memory(name)))

    def ended(self) -> dict[str, Ending]:
        """Of all machines that answer, but what goes on elsewhere."""
        goes_on = self.running()
        found = [ended for _, ended in self._all(lambda place: place.runtime.ended())]
        return {name: end for ended in found for name, end in ended.items() if name not in goes_on}

    def stop(self, name: str) -> None:
        """On all machines; one that is away is told by the rounds once it is back. What publishes, publishes here."""
        self._at.pop(name, None)
        for _ in self._all(lambda place: place.runtime.stop(name)):
            pass
        if self.publishes:
            self.here.runtime.stop(name)

    def running(self) -> dict[str, float]:
        """Of all machines that answer."""
        found: dict[str, float] = {}
        for _, running in self._all(lambda place: place.runtime.running()):
            found |= {name: max(started, found.get(name, 0.0)) for name, started in running.items()}
        return found

    def tidy(self) -> None:
        """Of what runs twice, since its machine was away for a while, the one stays that visitors are led to."""
        running = {place.name: found for place, found in self._all(lambda place: place.runtime.running())}
        for name, at in _twice(running).items():
            stays = self._at.get(name, "")
            stays = stays if stays in at else max(at, key=lambda place: running[place][name])
            for place in at:
                if place != stays:
                    log.info("ending %s on %s: it goes on on %s", name, place, stays)
                    with contextlib.suppress(Unavailable):
                        self.places[place].runtime.stop(name)

    def stop_all(self) -> None:
        """On all machines that answer."""
        for _ in self._all(lambda place: place.runtime.stop_all()):
            pass

    def _choice(self, launch: Launch) -> list[Place]:
        """Where it may run, the best first: who has room before who has not, then who has fewer of its copies."""
        if self.publishes or not can_travel(launch):
            return [self.here]
        release, _ = copies.split(launch.name)
        order = [self.places[name] for name in ranked(release, sorted(self.places))]
        room = {place.name: left for place, left in self._all(lambda place: place.room(), order)}
        needs = bytes_of(launch.means.memory) if launch.means else 0
        others = [at for name, at in self._at.items() if copies.split(name)[0] == release]
        there = [place for place in order if place.name in room]
        return sorted(there, key=lambda place: (room[place.name] < needs, others.count(place.name)))

    def _is_gone(self, name: str) -> bool:
        since = self._silent_since.get(name)
        return since is not None and time.monotonic() - since > GONE_SECONDS

    def _known_first(self, name: str) -> list[Place]:
        return sorted(self.places.values(), key=lambda place: place.name != self._at.get(name, self.here.name))

    def _all[T](self, ask: Callable[[Place], T], places: Sequence[Place] = ()) -> Iterator[tuple[Place, T]]:
        """The answers of all that answer; Unavailable where none does."""
        answered = False
        last: Unavailable | None = None
        for place in places or self.places.values():
            try:
                found = ask(place)
            except Unavailable as error:
                self._silent_since.setdefault(place.name, time.monotonic())
                last = error
                continue
            self._silent_since.pop(place.name, None)
            answered = True
            yield place, found
        if not answered:
            raise last or Unavailable("no machine of the dashboards answers", "try again in a moment")


def _twice(running: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Releases that run on more than one machine, with these. PURE."""
    at: dict[str, list[str]] = {}
    for place, names in running.items():
        for name in names:
            at.setdefault(name, []).append(place)
    return {name: places for name, places in at.items() if len(places) > 1}
