"""Who reads slowly, and a process that is busy, must not fill the memory of a dashboard that others look at."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import tornado.web
from websockets.asyncio.client import connect as connected
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bdap_hub.dashboards.stage.stage import children, plain, wire
from bdap_hub.dashboards.stage.stage.children import Child, Children
from bdap_hub.dashboards.stage.stage.plain import ProxiedSocket

from ..conftest import free_port
from .staged import Staged, Visitor, staged

FRAMES, FRAME = 80, 2**20
FLOOD = f"""
import ipywidgets as widgets
flood, large = widgets.Text(description="flood"), widgets.HTML(value="large")
flood.observe(lambda change: setattr(large, "value", change.new + "x" * {FRAME}), "value")
widgets.VBox([flood, large])
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """Of a notebook that says a lot at each gesture."""
    with staged(tmp_path_factory.mktemp("flood"), FLOOD) as running:
        assert running.state()["mode"] == "fork", running.state()
        yield running


def test_who_does_not_read_is_disconnected_and_comes_back_to_the_state_of_then(stage: Staged):
    flood, large = stage.widget(description="flood"), stage.widget(value="large")
    with Visitor(stage) as quick:
        quick.set(large, value="now there is a process")
        address = f"ws://127.0.0.1:{stage.port}/api/kernels/{quick.kernel}/channels?after=0"
        with connect(address, proxy=None, max_size=None, max_queue=1) as slow:
            for number in range(FRAMES):  # who reads, each before the next is said, misses nothing
                assert quick.set(flood, value=f"{number} ")[large]["value"].startswith(f"{number} x")
            numbers = []
            with pytest.raises(ConnectionClosed):
                while frame := slow.recv(timeout=60):
                    numbers.append(json.loads(frame).get("metadata", {}).get("number", 0))
            assert 0 < numbers[-1] < quick.last
        with Visitor(stage, quick.kernel, f"after={numbers[-1]}") as again:
            assert (again.hello["alive"], again.hello["complete"]) == (True, False)  # its page asks for the whole state


class _Says(ProxiedSocket):
    """Something larger than may wait, and then so many small things."""

    def on_message(self, frame: str | bytes) -> None:
        self.pass_on("é" * LARGE)
        for number in range(int(frame)):
            self.pass_on(f"{number}".ljust(SMALL))


LARGE, SMALL = 2**24, 2**14


@pytest.mark.parametrize(("small", "reads"), [(8, True), (2 * 2**20 // SMALL, False)])
async def test_one_large_message_is_no_sign_of_who_reads_slowly(
    monkeypatch: pytest.MonkeyPatch, small: int, reads: bool
):
    monkeypatch.setattr(plain, "MOST_UNSENT", 2**20)
    port = free_port()
    server = tornado.web.Application([("/", _Says, {"stage": None})]).listen(port, "127.0.0.1")
    async with connected(f"ws://127.0.0.1:{port}/", proxy=None, max_size=None, max_queue=1) as visitor:
        await visitor.send(str(small))
        async with asyncio.timeout(60):
            if reads:
                assert [len(await visitor.recv()) for _ in range(1 + small)] == [LARGE, *[SMALL] * small]
            else:
                with pytest.raises(ConnectionClosed):
                    while True:
                        await visitor.recv()
    server.stop()


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
