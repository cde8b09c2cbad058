"""Drawn tiles, kept by what their pixels depend on: whoever asks second, also at the same moment, costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from ..cancel import CallerGone, TooLate, check
from ..engine.cache import Cache

LOOK = 0.5
"""Seconds between two looks whether one who waits shall wait on."""


class Drawn:
    """A bounded store of images. `asked` counts what was wanted, `made` what had to be drawn for it.

    `slow` is called while a thread waits for another one's drawing.
    """

    def __init__(self, limit: int, slow: Callable[[], None] = lambda: None) -> None:
        self.asked = self.made = 0
        self._slow = slow
        self._kept: Cache[bytes] = Cache(limit, len)
        self._busy: dict[str, Future[bytes]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The image of a key, drawn where it is missing; who comes while it is drawn waits for it.

        Where it is drawn for one who has gone meanwhile, who waits draws it.
        """
        with self._lock:
            self.asked += 1
        while True:
            with self._lock:
                underway = self._busy.get(key)
                own = self._busy.setdefault(key, Future())
            if underway is None:
                return self._draw(key, make, own)
            try:
                return self._awaited(underway)
            except (CallerGone, TooLate):
                check()

    def _awaited(self, underway: Future[bytes]) -> bytes:
        """Its image once it is there. Who draws it may hang: this thread's place is another's, and may be given up."""
        while not wait((underway,), LOOK).done:
            check()
            self._slow()
        return underway.result()

    def _draw(self, key: str, make: Callable[[], bytes], own: Future[bytes]) -> bytes:
        try:
            image = self._kept.get(key, lambda: self._counted(make))
        except BaseException as error:
            self._over(key)
            own.set_exception(error)
            raise
        else:
            self._over(key)
            own.set_result(image)
            return image

    def _over(self, key: str) -> None:
        with self._lock:
            del self._busy[key]

    def _counted(self, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            self.made += 1
        return make()
