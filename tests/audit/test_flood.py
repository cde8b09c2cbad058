"""Refusals that come in floods are counted: nothing goes unrecorded, and nobody fills the disk."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import audit, database
from bdap_hub.flood import ALL, EACH, Flood, Kind
from tests.conftest import ROOT

ANA = Kind("ana", "tile", "no-right", "192.0.2.1")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = database.connect(f"sqlite:///{tmp_path}/state.sqlite")
    yield found
    audit.flush()


def refuse(store: Any, times: int, **values: str) -> None:
    for number in range(times):
        audit.record(store, **{**ANA._asdict(), "subject": str(number), **values}, allowed=False)


def test_the_first_are_written_at_once_and_the_rest_is_counted(store: Any) -> None:
    refuse(store, 130)
    assert [event.subject for event in audit.latest(store, 200)] == [str(n) for n in range(EACH)][::-1]
    audit.flush()
    newest = audit.latest(store, 200)[0]
    assert len(audit.latest(store, 200)) == EACH + 1
    assert (newest.person, newest.action, newest.outcome, newest.address) == ("ana", "tile", "refused", "192.0.2.1")
    assert newest.reason == "no-right, and 120 more within a minute"


def test_other_kinds_are_not_held_back(store: Any) -> None:
    refuse(store, 50)
    for change in ({"person": "ben"}, {"action": "login"}, {"reason": "other"}, {"address": "192.0.2.2"}):
        before = len(audit.latest(store, 200))
        refuse(store, 1, **change)
        assert len(audit.latest(store, 200)) == before + 1, change


def test_what_is_allowed_is_always_written(store: Any) -> None:
    for _ in range(EACH * 3):
        audit.record(store, person="ana", action="tile")
    assert len(audit.latest(store, 200)) == EACH * 3


def test_a_flood_of_ever_new_kinds_is_bounded_and_counted(store: Any) -> None:
    for number in range(ALL + 400):
        refuse(store, 1, reason=f"there is no project {number}", address=f"192.0.2.{number % 200}")
    audit.flush()
    found = audit.latest(store, 2000)
    assert len(found) == ALL + 1
    assert (found[0].person, found[0].action, found[0].address) == ("", "tile", "")
    assert found[0].reason == "of too many kinds to tell: and 400 more within a minute"


def test_after_the_minute_the_next_is_written_again() -> None:
    written: list[tuple[Kind, int]] = []
    flood = Flood(lambda kind, count: written.append((kind, count)), window=0.2, each=2)
    assert [flood.admits(ANA) for _ in range(5)] == [True, True, False, False, False]
    deadline = time.monotonic() + 5
    while not written and time.monotonic() < deadline:
        time.sleep(0.02)
    assert written == [(ANA, 3)]
    assert flood.admits(ANA)
    flood.close()
    assert written == [(ANA, 3)]


def test_threads_count_exactly() -> None:
    written: list[int] = []
    flood = Flood(lambda kind, count: written.append(count))
    admitted: list[bool] = []
    threads = [
        threading.Thread(target=lambda: admitted.extend(flood.admits(ANA) for _ in range(500))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flood.close()
    assert (sum(admitted), sum(written)) == (EACH, 2000 - EACH)


SERVE = """
import sys
from bdap_hub import audit, cli, database
store = database.connect(sys.argv[1])
for number in range(30):
    audit.record(store, person="ana", action="tile", allowed=False, reason="no-right")
if sys.argv[2] == "serve":
    cli.root._service = lambda tree, name: (app, ["127.0.0.1"], 0)
    async def app(scope, receive, send):
        while (await receive())["type"] != "lifespan.shutdown":
            print("ready", flush=True)
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    cli.main(["serve", "admin"])
"""


@pytest.mark.parametrize("how", ["exit", "serve"])
def test_counts_are_written_when_the_process_ends(store: Any, tmp_path: Path, how: str) -> None:
    """Also when systemd ends a service: uvicorn passes SIGTERM on, which would end the process on the spot."""
    command = [sys.executable, "-c", SERVE, f"sqlite:///{tmp_path}/state.sqlite", how]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "BDAP_ENVIRONMENT": "demo"}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    if how == "serve":
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()
    assert audit.latest(store)[0].reason == "no-right, and 20 more within a minute"
