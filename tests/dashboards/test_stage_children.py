"""The server's side of visitors' processes: what is kept of what they said, and who must make room."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from typing import Any

import pytest

from bdap_hub.dashboards.stage.stage import children, wire
from bdap_hub.dashboards.stage.stage.children import Child, Children, Frame, Full

LARGE = children.BACKLOG_BYTES // 2 - 10_000


class Forks:
    """Stands for the zygote: keeps the other ends of the sockets, where the tests speak for the processes."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []

    async def __call__(self, _request: dict[str, Any], link: socket.socket) -> int:
        self.ends.append(link.dup())
        return 0

    def close(self) -> None:
        for end in self.ends:
            end.close()


@pytest.fixture
async def forks() -> Any:
    """Closed at the end."""
    made = Forks()
    yield made
    made.close()


async def _says(child: Child, end: socket.socket, text: str) -> None:
    """In its process something large is said, in JSON alone."""
    before = child.last
    sending = asyncio.to_thread(wire.send, end, wire.message("comm_msg", {"data": text}))
    await asyncio.gather(sending, _until(lambda: child.last > before))


async def _until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_what_was_said_is_kept_up_to_a_limit_that_counts_all_of_it(forks: Forks):
    child = await Children(forks, 5, 60).make("a", {})
    for letter in "ab":
        await _says(child, forks.ends[0], letter * LARGE)
    missed: list[Frame] = []
    assert child.missed(missed, 0) is True and len(missed) == 2
    assert json.loads(missed[1])["metadata"]["number"] == 2
    await _says(child, forks.ends[0], "c" * LARGE)
    missed = []
    assert child.missed(missed, 0) is False  # the page takes the whole state anew
    assert len(missed) == 2 and child.missed([], 1) is True
    await _says(child, forks.ends[0], "d" * 3 * LARGE)
    assert child.missed([], 3) is False and child.missed([], 4) is True
    child.end()


async def test_a_process_that_runs_its_cells_is_left_and_makes_no_room(forks: Forks):
    all_of_them = Children(forks, 1, 0.0)
    child = await all_of_them.make("a", {"run": True})
    all_of_them.sweep()
    assert not child.ended
    with pytest.raises(Full):
        await all_of_them.make("b", {})
    all_of_them.keep = 60.0
    child.left_at -= 100
    wire.send(forks.ends[0], {"run": {}})
    await child.run
    all_of_them.sweep()
    assert not child.ended  # its visitor has a minute from now on
    child.left_at -= 100
    all_of_them.sweep()
    assert child.ended


async def test_who_left_longest_ago_makes_room(forks: Forks):
    all_of_them = Children(forks, 2, 60.0)
    first, second = await all_of_them.make("a", {}), await all_of_them.make("b", {})
    await all_of_them.make("c", {})
    assert first.ended and not second.ended
    all_of_them.end_all()


async def test_one_that_ended_while_it_was_made_is_not_handed_out():
    async def fork(_request: dict[str, Any], _link: socket.socket) -> int:
        all_of_them.end_all()
        return process.pid

    process = await asyncio.create_subprocess_exec("sleep", "60")
    all_of_them = Children(fork, 2, 60.0)
    with pytest.raises(RuntimeError, match="ended"):
        await all_of_them.make("a", {})
    assert await process.wait() == -signal.SIGKILL


async def test_who_left_makes_room_where_the_system_gives_no_process(forks: Forks):
    """It may give fewer than there are places."""
    none_left = [True]

    async def fork(request: dict[str, Any], link: socket.socket) -> int:
        if none_left and request["id"] != "a":
            none_left.clear()
            raise Full
        return await forks(request, link)

    everybody = Children(fork, 5, 60)
    ana = await everybody.make("a", {})
    ben = await everybody.make("b", {})
    assert ana.ended and not ben.ended and list(everybody.alive) == ["b"]
    ben.attach(lambda *_: None)
    none_left.append(True)
    with pytest.raises(Full):
        await everybody.make("c", {})
    assert not ben.ended and list(everybody.alive) == ["b"]
    ben.end()
