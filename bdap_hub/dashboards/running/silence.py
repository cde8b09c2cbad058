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
    def asking(self) -> Iterator[None]:
        """Unavailable where the engine does not answer, or did not a moment ago, or refuses."""
        if time.monotonic() < self._until:
            raise away()
        try:
            yield
        except RequestException:
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
    """A method that asks the engine."""

    @functools.wraps(method)
    def wrapped(self: S, *args: P.args, **kwargs: P.kwargs) -> Any:
        with self.silence.asking():
            return method(self, *args, **kwargs)

    return wrapped
