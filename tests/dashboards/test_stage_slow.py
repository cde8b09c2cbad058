"""Who reads slowly, and a process that is busy, must not fill the memory of a dashboard that others look at."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bdap_hub.dashboards.stage.stage import children, wire
from bdap_hub.dashboards.stage.stage.children import Child, Children

from .staged import Staged, Visitor, staged

FRAMES, FRAME = 80, 2**20
FLOOD = f"""
import time
import ipywidgets as widgets
flood = widgets.Text(description="flood")
large, done = widgets.HTML(value="large"), widgets.HTML(value="not yet")
def flooded(_):
    for number in range({FRAMES}):
        time.sleep(0.04)
        large.value = f"{{number}} " + "x" * {FRAME}
    done.value = "all said"
flood.observe(flooded, "value")
widgets.VBox([flood, large, done])
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """Of a notebook that says a lot at one gesture."""
    with staged(tmp_path_factory.mktemp("flood"), FLOOD) as running:
        assert running.state()["mode"] == "fork", running.state()
        yield running


def test_who_does_not_read_is_disconnected_and_comes_back_to_the_state_of_then(stage: Staged):
    flood, done = stage.widget(description="flood"), stage.widget(value="not yet")
    with Visitor(stage) as quick:
        quick.set(stage.widget(value="large"), value="now there is a process")
        address = f"ws://127.0.0.1:{stage.port}/api/kernels/{quick.kernel}/channels?after=0"
        with connect(address, proxy=None, max_size=None, max_queue=1) as slow:
            states = quick.set(flood, value="a")
            assert states[done]["value"] == "all said" and quick.last > FRAMES  # who reads misses nothing
            read = 0
            with pytest.raises(ConnectionClosed):
                while slow.recv(timeout=60):
                    read += 1
            assert 0 < read < FRAMES
        with Visitor(stage, quick.kernel, f"after={read}") as again:
            assert (again.hello["alive"], again.hello["complete"]) == (True, False)  # its page asks for the whole state


async def test_a_busy_process_makes_its_visitor_wait():
    ends: list[socket.socket] = []

    async def fork(_request: dict[str, Any], link: socket.socket) -> int:
        ends.append(link.dup())
        return 0

    child = await Children(fork, 5, 60).make("a", {})
    await asyncio.wait_for(_opened(child), 30)
    large = wire.message("comm_msg", {"data": "x" * (children.MOST_UNREAD // 4)})
    for _ in range(3):
        await asyncio.wait_for(child.say(large), 30)
    saying = [asyncio.create_task(child.say(large)) for _ in range(2)]
    await asyncio.sleep(0.2)
    assert not saying[1].done()
    reading = asyncio.to_thread(_read, ends[0], 5 * children.MOST_UNREAD // 4)
    await asyncio.wait_for(asyncio.gather(reading, *saying), 60)
    child.end()
    ends[0].close()


async def _opened(child: Child) -> None:
    while child._writer is None:  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(0.01)


def _read(end: socket.socket, wanted: int) -> None:
    end.setblocking(True)
    while wanted > 0:
        wanted -= len(end.recv(1 << 20))
