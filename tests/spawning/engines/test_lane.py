"""An engine that hangs holds up nobody but who waits for it.

A socket that takes calls and does not answer stands for it; the clients and the lanes are the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docker
import pytest

from bdap_hub.errors import Unavailable
from bdap_hub.spawning.engines import lane as module
from bdap_hub.spawning.engines.lane import Lane


class Hangs:
    """An engine's socket; `hung`: it takes calls and says nothing."""

    def __init__(self) -> None:
        self.hung = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                body, kind = (b"OK", b"text/plain") if b"_ping" in head else (b'{"NCPU": 2}', b"application/json")
                if not self.hung:
                    header = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
                    writer.write(header + body)
        writer.close()


@pytest.fixture
async def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Hangs, Lane]]:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    monkeypatch.setattr(module, "PING", 0.3)
    hangs, path = Hangs(), tmp_path / "docker.sock"
    server = await asyncio.start_unix_server(hangs.serve, path)

    def connect(seconds: float) -> Any:
        return docker.APIClient(base_url=f"unix://{path}", version="1.41", timeout=seconds)

    yield hangs, Lane("far", connect, threads=2)
    server.close()


async def test_who_waits_for_a_hung_engine_is_told_and_who_comes_next_at_once(engine: tuple[Hangs, Lane]) -> None:
    hangs, lane = engine
    assert (await lane.call("info", seconds=4))["NCPU"] == 2
    hangs.hung = True
    begun = time.monotonic()
    waiting = [asyncio.create_task(lane.call("info", seconds=4)) for _ in range(6)]  # more than it has threads
    ticks = 0
    while not all(task.done() for task in waiting):  # the loop goes on
        await asyncio.sleep(0.05)
        ticks += 1
    assert ticks > 5 and time.monotonic() - begun < 5
    for task in waiting:
        with pytest.raises(Unavailable, match="far does not answer"):
            task.result()
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await lane.call("info", seconds=4)
    assert time.monotonic() - begun < 2  # half of what it would wait


async def test_one_that_comes_back_is_asked_again(engine: tuple[Hangs, Lane]) -> None:
    hangs, lane = engine
    hangs.hung = True
    with pytest.raises(Unavailable):
        await lane.call("info", seconds=4)
    hangs.hung = False
    for _ in range(100):
        try:
            assert (await lane.call("info", seconds=5))["NCPU"] == 2
            return
        except Unavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("it stays closed")


async def test_a_slow_answer_of_a_living_engine_is_waited_for(engine: tuple[Hangs, Lane]) -> None:
    _, lane = engine
    assert await lane.run(lambda client: time.sleep(1.5) or "late") == "late"


async def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    lane = Lane("gone", lambda seconds: docker.APIClient(base_url=f"unix://{tmp_path}/none.sock", version="1.41"))
    with pytest.raises(Unavailable, match="gone does not answer"):
        await asyncio.wait_for(lane.call("info"), 3)
