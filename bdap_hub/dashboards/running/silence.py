"""The Docker engine's silence, said in a sentence and at once: who asks while it lasts holds up nobody else."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, Protocol

from docker.errors import DockerException
from requests.exceptions import RequestException

from ...errors import Unavailable

LOOK_SECONDS = 10.0
"""So long the answer to a look may take; what changes something may take longer."""
SILENT_SECONDS = 5.0
"""So long nobody asks again."""


class Silence:
    """Of one engine, as one process of ours meets it."""

    def __init__(self) -> None:
        self._until = 0.0

    @contextlib.contextmanager
    def asking(self, quick: bool = True) -> Iterator[None]:
        """Unavailable where the engine does not answer, or did not a moment ago, or refuses.

        Only what it answers at once tells of its silence: one container that cannot be removed is no such sign.
        """
        if time.monotonic() < self._until:
            raise away()
        try:
            yield
        except RequestException:
            if quick:
                self._until = time.monotonic() + SILENT_SECONDS
            raise away() from None
        except DockerException as error:
            raise Unavailable(f"the Docker engine failed: {type(error).__name__}", "try again in a moment") from None


def away() -> Unavailable:
    """What everybody is told meanwhile."""
    return Unavailable("the Docker engine does not answer", "try again in a moment")


class _Asks(Protocol):
    silence: Silence


def asks[S: _Asks, **P, R](method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method that asks the engine what it knows."""
    return _asking(method, quick=True)


def changes[S: _Asks, **P, R](method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method that has the engine do something, which may take its time."""
    return _asking(method, quick=False)


def _asking[S: _Asks, **P, R](method: Callable[Concatenate[S, P], R], quick: bool) -> Callable[Concatenate[S, P], R]:
    @functools.wraps(method)
    def wrapped(self: S, *args: P.args, **kwargs: P.kwargs) -> Any:
        with self.silence.asking(quick):
            return method(self, *args, **kwargs)

    return wrapped
