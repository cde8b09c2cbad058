"""The demo's supervisor with real processes: health, restart, ordered stop, and nobody left when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from bdap_hub.demo.supervisor import Part, Supervisor
from bdap_hub.errors import Unavailable
from tests.conftest import ROOT, free_port


def part(name: str, port: int) -> Part:
    """A real HTTP server."""
    return Part(
        name,
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        f"http://127.0.0.1:{port}/",
    )


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path / "log", dict(os.environ))
    yield made
    made.stop()


def test_starts_and_stops(supervisor):
    one, two = part("one", free_port()), part("two", free_port())
    supervisor.start(one, two, seconds=20)
    processes = [one.process, two.process]
    assert all(p.poll() is None for p in processes)
    supervisor.stop()
    assert all(p.poll() is not None for p in processes)


def test_what_dies_is_started_again(supervisor):
    one = part("one", free_port())
    supervisor.start(one, seconds=20)
    before = one.process.pid
    one.process.kill()
    one.process.wait(5)
    supervisor.watch()
    assert one.process.pid != before
    assert one.process.poll() is None


def test_what_cannot_start_shows_the_end_of_its_log(supervisor):
    broken = Part("broken", [sys.executable, "-c", "raise SystemExit('no such thing as x')"], "http://127.0.0.1:1/")
    with pytest.raises(Unavailable, match="no such thing as x"):
        supervisor.start(broken, seconds=20)


def test_what_keeps_dying_ends_the_demo(supervisor):
    port = free_port()
    supervisor.start(part("one", port), seconds=20)
    doomed = supervisor.parts[0]
    doomed.command = [sys.executable, "-c", "raise SystemExit('again')"]
    doomed.process.kill()
    with pytest.raises(Unavailable, match="keeps stopping"):
        for _ in range(500):
            supervisor.watch()
            time.sleep(0.1)


def test_killed_without_a_goodbye_it_takes_its_parts_along(tmp_path):
    port = free_port()
    script = (
        "import os, sys, time; from pathlib import Path; from bdap_hub.demo.supervisor import Part, Supervisor;"
        f"s = Supervisor(Path({str(tmp_path)!r}), dict(os.environ));"
        f"s.start(Part('one', [sys.executable, '-m', 'http.server', '{port}'], 'http://127.0.0.1:{port}/'));"
        "print(s.parts[0].process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.send_signal(signal.SIGKILL)
    parent.wait(5)
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive


def test_logs_are_private(supervisor):
    one = part("one", free_port())
    supervisor.start(one, seconds=20)
    assert supervisor.log(one).stat().st_mode & 0o777 == 0o600
