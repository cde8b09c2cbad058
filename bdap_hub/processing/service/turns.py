"""Whose turn it is: persons take turns, however many evaluations each of them asks for. For one event loop alone."""

from __future__ import annotations

from asyncio import Future
from collections import OrderedDict, deque

from ...errors import Busy


class Turns:
    """So many places; who finds none waits, at most `queue` in all.

    When the queue is full, the last one of whoever waits most often makes room for a person who waits less often.
    """

    def __init__(self, places: int, queue: int) -> None:
        self.free, self.queue = places, queue
        self._waiting: OrderedDict[str, deque[Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def ask(self, person: str, place: Future[None]) -> None:
        """`place` is done once there is one; Busy where too many wait, there or here."""
        if self.free and not self._waiting:
            self.free -= 1
            place.set_result(None)
            return
        if self.waiting >= self.queue:
            self._make_room(person)
        self._waiting.setdefault(person, deque()).append(place)

    def give(self) -> None:
        """A place is free: for the person whose turn it is."""
        while self._waiting:
            person, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[person] = places  # at the end: the others come first
            if not place.done():
                place.set_result(None)
                return
        self.free += 1

    def forget(self, person: str, place: Future[None]) -> None:
        """Who asked for it waits no more; a place that was given meanwhile is given on."""
        places = self._waiting.get(person, deque())
        if place in places:
            places.remove(place)
            if not places:
                del self._waiting[person]
        elif place.done() and not place.cancelled() and place.exception() is None:
            self.give()

    def _make_room(self, person: str) -> None:
        """Send away the last of whoever waits most often; Busy where that is this person."""
        most = max(self._waiting, key=lambda name: len(self._waiting[name]), default=person)
        if len(self._waiting.get(most, ())) <= len(self._waiting.get(person, ())) + 1:
            raise busy(2)
        self._waiting[most].pop().set_exception(busy(2))


def busy(seconds: int) -> Busy:
    """Too much is asked for at once."""
    return Busy("the processing service is busy", "try again in a moment", retry_after=seconds)
