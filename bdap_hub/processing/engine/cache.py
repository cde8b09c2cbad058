"""A cache bounded by the sum of what its entries hold, which threads share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class Cache[V]:
    """A least-recently-used cache, bounded by the sum of its entries' sizes. Safe to share between threads."""

    def __init__(self, limit: int, size: Callable[[V], int] = lambda value: 1) -> None:
        self.limit, self.used, self._size = limit, 0, size
        self._entries: OrderedDict[Any, V] = OrderedDict()
        self._lock = threading.Lock()
        self._busy: dict[Any, threading.Lock] = {}

    def get(self, key: Any, make: Callable[[], V]) -> V:
        """The entry, made where it is missing; who comes while it is made waits for it."""
        while True:
            with self._lock:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return self._entries[key]
                underway = self._busy.get(key)
                if underway is None:
                    own = self._busy[key] = threading.Lock()
                    own.acquire()
                    break
            with underway:  # then look again: it may have failed
                pass
        try:
            value = make()
            self._keep(key, value)
            return value
        finally:
            with self._lock:
                del self._busy[key]
            own.release()

    def ready(self, key: Any) -> V | None:
        """The entry, where it is there; never waits."""
        with self._lock:
            return self._entries.get(key)

    def _keep(self, key: Any, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            self.used += self._size(value)
            while self.used > self.limit and self._entries:
                self.used -= self._size(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.used = 0
