"""Has something happen between two steps of what is tested, without waiting for chance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bdap_hub.catalogue import ingest
from bdap_hub.errors import Busy


def then(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, step: Callable[[], Any], *, before: bool = False
) -> None:
    """Once, after (or before) what `owner` calls `name` has done its work, and before its caller goes on."""
    real, steps = getattr(owner, name), [step]

    def interrupted(*given: Any, **named: Any) -> Any:
        if before and steps:
            steps.pop()()
        found = real(*given, **named)
        if steps:
            steps.pop()()
        return found

    monkeypatch.setattr(owner, name, interrupted)


def together(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    first: Callable[[], httpx.Response],
    second: Callable[[], httpx.Response],
    *,
    before: bool = False,
) -> list[httpx.Response]:
    """Two requests: the first goes on from its step `name` once the second has ended, or waits for its turn."""
    real, on = ingest.locked, threading.Event()

    @contextmanager
    def locked(home: Path) -> Iterator[None]:
        try:
            with real(home):
                yield
        except Busy:
            on.set()
            raise

    def step() -> None:
        later.append(pool.submit(second))
        later[0].add_done_callback(lambda _: on.set())
        assert on.wait(60)

    later: list[Future[Any]] = []
    monkeypatch.setattr(ingest, "locked", locked)
    with ThreadPoolExecutor(1) as pool:
        then(monkeypatch, owner, name, step, before=before)
        return [first(), later[0].result()]
