"""Drawn tiles, kept by what their pixels depend on: whoever asks second, also at the same moment, costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from ..engine.cache import Cache


class Drawn:
    """A bounded store of images. `asked` counts what was wanted, `made` what had to be drawn for it."""

    def __init__(self, limit: int) -> None:
        self.asked = self.made = 0
        self._kept: Cache[bytes] = Cache(limit, len)
        self._busy: dict[str, Future[bytes]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The image of a key, drawn where it is missing; who comes while it is drawn waits for it."""
        with self._lock:
            self.asked += 1
            underway = self._busy.get(key)
            own = self._busy.setdefault(key, Future())
        if underway is not None:
            return underway.result()
        try:
            image = self._kept.get(key, lambda: self._counted(make))
        except BaseException as error:
            own.set_exception(error)
            raise
        else:
            own.set_result(image)
            return image
        finally:
            with self._lock:
                del self._busy[key]

    def _counted(self, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            self.made += 1
        return make()
