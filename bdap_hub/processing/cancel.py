"""Ends an evaluation from outside: its threads ask between reads and steps whether they shall go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..errors import BdapError, Busy, Unavailable


class CallerGone(Busy):
    """Whoever asked has gone: nobody reads the answer."""

    def __init__(self) -> None:
        super().__init__("the caller has gone")


class TooLate(Unavailable):
    """It took longer than an evaluation may. The code is openEO's; its status 408 would have browsers ask again."""

    code = "RequestTimeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the evaluation took longer than {seconds:g} s",
            "choose fewer dates or bands or a smaller area, or make it a batch job",
        )


class Cancel:
    """Whether an evaluation shall end, and why. What it raises is the first reason given."""

    def __init__(self) -> None:
        self.reason: BdapError | None = None

    def now(self, reason: BdapError) -> None:
        """End it at its next read or step."""
        self.reason = self.reason or reason

    def run(self, work: Callable[[], Any]) -> Any:
        """Do this, in this thread, until it is over or cancelled."""
        with under(self):
            check()
            return work()


NEVER = Cancel()
"""What threads listen to that evaluate for nobody."""
_current: ContextVar[Cancel] = ContextVar("cancel", default=NEVER)


def current() -> Cancel:
    """What this thread's evaluation listens to."""
    return _current.get()


def check() -> None:
    """Raise the reason for which this thread's evaluation shall end, if there is one."""
    if (reason := _current.get().reason) is not None:
        raise reason


@contextmanager
def under(cancel: Cancel) -> Iterator[None]:
    """Meanwhile this thread listens to `cancel`."""
    token = _current.set(cancel)
    try:
        yield
    finally:
        _current.reset(token)
