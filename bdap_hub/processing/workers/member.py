"""A worker as the service sees it: its orders under way, and whether it still lives."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from .frames import Broken, Line

PING = 5.0
"""Seconds of silence, with orders under way, after which a worker is asked whether it lives."""


class Died(Exception):
    """The worker ended, or was ended, before its answer."""


class Asked:
    """An order under way. What the worker says of it is in `said`; None: the worker is no more."""

    def __init__(self) -> None:
        self.said: SimpleQueue[tuple[dict[str, Any], bytes] | None] = SimpleQueue()
        self.dropped: float | None = None
        self.slow = False


class Member:
    """The worker at the other end of a line. `changed` is called once it is ready, and once it is no more.

    `alone`: it draws for one order that must not share it.
    """

    def __init__(self, slot: int, line: Line, changed: Callable[[], None]) -> None:
        self.slot, self.alone, self.ready, self.gone, self.pid, self.drawn = slot, False, False, False, 0, 0
        self.born = self._heard = time.monotonic()
        self._line, self._changed, self._pidfd = line, changed, -1
        self._asked: dict[int, Asked] = {}
        self._numbers, self._lock, self._pinged = itertools.count(), threading.Lock(), 0.0
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    @property
    def load(self) -> int:
        """How many orders keep it busy; those that wait for the store do not."""
        return sum(not asked.slow for asked in list(self._asked.values()))

    def take(self) -> tuple[int, Asked]:
        """A place for an order, with its number; Died where the worker is no more."""
        number, asked = next(self._numbers), Asked()
        with self._lock:
            if self.gone:
                raise Died
            self._asked[number] = asked
        return number, asked

    def tell(self, head: Mapping[str, Any]) -> None:
        """Send it something; who waits hears from the listening thread where it cannot be sent."""
        with contextlib.suppress(Broken):
            self._line.say(head)

    def drop(self, number: int) -> None:
        """Nobody waits for this order any more; it counts until the worker has said so, too."""
        if (asked := self._asked.get(number)) is not None:
            asked.dropped = time.monotonic()
            self.tell({"do": "cancel", "id": number})

    def stuck(self, patience: float) -> bool:
        """Whether it neither ends what is dropped nor answers a ping within so many seconds. Asked again and again."""
        now, orders = time.monotonic(), list(self._asked.values())
        if not self.ready:
            return now - self.born > 2 * patience
        if any(asked.dropped is not None and now - asked.dropped > patience for asked in orders):
            return True
        if not orders or now - self._heard < PING:
            self._pinged = 0.0
        elif not self._pinged:
            self._pinged = now
            self.tell({"do": "ping"})
        return bool(self._pinged) and now - self._pinged > patience

    def end(self) -> None:
        """End the worker at once, whatever it does."""
        if self._pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._line.hang_up()

    def leave(self) -> None:
        """Have the worker end."""
        self._line.hang_up()

    def _listen(self) -> None:
        try:
            while True:
                head, body = self._line.hear()
                self._heard = time.monotonic()
                self._hear(head, body)
        except (Broken, KeyError, TypeError, ValueError):
            self._over()

    def _hear(self, head: dict[str, Any], body: bytes) -> None:
        what = head["is"]
        if what == "ready":
            self.pid = int(head["pid"])
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(self.pid)
            self.ready = True
            self._changed()
        elif what != "pong":
            over = what in ("drawn", "failed")
            self.drawn += what == "drawn"
            asked = self._asked.pop(head["id"], None) if over else self._asked.get(head["id"])
            if asked is not None:
                asked.slow = asked.slow or what == "slow"
                asked.said.put((head, body))

    def _over(self) -> None:
        with self._lock:
            self.gone, asked = True, list(self._asked.values())
            self._asked.clear()
        self.end()
        self._line.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        for each in asked:
            each.said.put(None)
        self._changed()
