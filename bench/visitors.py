"""Many visitors of one dashboard at once, each with a state of their own, through the gateway and a real container.

`python -m bench.visitors --visitors 100 --minutes 15`. Visitors are websocket clients that say what a page would, not
browsers; each has a loopback address of its own, so that no limit is raised: all settings are the defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import httpx
import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.releases.publish import Publisher, Wish

from . import processes
from .common import Row, write
from .dashboards.sides import gateway_of, settings_of

COMMAND = "python -m bench.visitors --visitors {} --minutes {:g}"
PATIENCE, AGAIN = 60.0, 70.0
"""Seconds that an answer may take, and after which nothing of a visitor who left may be there."""
NOTEBOOK = """
import ipywidgets as w
from ipyleaflet import Map
place = Map(center=(45, 12), zoom=6, basemap={}, layers=())
number, who, said, seen = w.IntSlider(max=10**9), w.Text(description="who"), w.HTML(), []
def show(change):
    seen.append(number.value)
    said.value = f"{who.value}|{number.value}|{place.zoom:g}|{len(seen)}"
number.observe(show, "value")
w.VBox([place, number, who, said])
"""


@dataclass
class Told:
    """What visitors met."""

    opens: int = 0
    returns: int = 0
    gestures: int = 0
    waits: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Widgets:
    """Their ids, from the page."""

    place: str
    number: str
    who: str
    said: str


class Wrong(Exception):
    """What should not be."""


def new_kernel() -> str:
    """As a page chooses it."""
    return str(uuid4())


@dataclass
class Visitor:
    """Comes, sets its slider, text and map, leaves; comes back to its process or as somebody new."""

    url: httpx.URL
    address: str
    told: Told
    until: float
    pause: float
    least: int = 0
    answered: int = 0
    name: str = ""
    kernel: str = ""
    last: int = 0
    count: int = 0

    async def live(self) -> None:
        """Until the time is over; whatever goes wrong is counted."""
        while self._stays():
            try:
                await self._visit()
            except Wrong as error:
                self.told.failures[str(error)] += 1
            except (httpx.HTTPError, WebSocketException, OSError, TimeoutError) as error:
                self.told.failures[f"{type(error).__name__}"] += 1
            await asyncio.sleep(random.uniform(0, self.pause))

    def _stays(self) -> bool:
        """Until the time is over; a slow machine's visitor a while longer, until the least was answered."""
        patience = PATIENCE if self.answered < self.least else 0
        return time.monotonic() < self.until + patience

    async def _visit(self) -> None:
        """Opens the page, once in a while breaks off and comes back to the same process."""
        widgets = await self._page()
        self.name, self.kernel, self.last, self.count = uuid4().hex[:8], new_kernel(), 0, 0
        for stay in range(random.randint(1, 3)):
            async with self._socket() as socket:
                self.told.returns += stay > 0
                await self._welcome(socket, alive=stay > 0)
                if not stay:
                    await self._set(socket, widgets.who, value=self.name)
                for _ in range(random.randint(2, 8)):
                    if not self._stays():
                        return
                    await self._gesture(socket, widgets)
                    await asyncio.sleep(random.uniform(0.5, 1.5) * self.pause)
            await asyncio.sleep(random.uniform(0, 5))

    async def _page(self) -> Widgets:
        way = httpx.AsyncHTTPTransport(local_address=self.address)
        async with httpx.AsyncClient(transport=way, timeout=PATIENCE, trust_env=False) as client:
            host = {"Host": self.url.netloc.decode(), "Accept": "text/html"}
            while (answer := await client.get(self.url.copy_with(host="127.0.0.1"), headers=host)).status_code == 503:
                self.told.waits += 1  # a waiting page, which opens it by itself
                await asyncio.sleep(float(answer.headers.get("retry-after", 2)))
        if answer.status_code != 200:
            raise Wrong(f"the page answers {answer.status_code}")
        self.told.opens += 1
        return widgets_in(answer.text)

    def _socket(self) -> connect:
        own = str(self.url).rstrip("/")
        address = own.replace("http", "ws", 1) + f"/api/kernels/{self.kernel}/channels?after={self.last}"
        there = {"host": "127.0.0.1", "local_addr": (self.address, 0)}
        return connect(address, origin=own, proxy=None, max_size=None, open_timeout=PATIENCE, **there)  # type: ignore[arg-type]

    async def _welcome(self, socket: ClientConnection, alive: bool) -> None:
        while "stage" not in (content := (await self._next(socket))["content"]):
            pass
        if content["stage"]["alive"] is not alive:
            raise Wrong("its process was not kept" if alive else "it is given another's process")

    async def _gesture(self, socket: ClientConnection, widgets: Widgets) -> None:
        """Both are set, and what the notebook makes of them is this visitor's alone."""
        zoom, value = random.randint(1, 18), random.randint(1, 10**9)
        await self._set(socket, widgets.place, zoom=zoom)
        begun = time.perf_counter()
        asked = await self._set(socket, widgets.number, value=value)
        self.count += 1
        answer = await self._answer(socket, widgets.said, asked)
        self.told.seconds.append(time.perf_counter() - begun)
        self.told.gestures += 1
        self.answered += 1
        if answer != f"{self.name}|{value}|{zoom}|{self.count}":
            raise Wrong("another's state" if not answer.startswith(f"{self.name}|") else "a state that is not its own")

    async def _answer(self, socket: ClientConnection, said: str, asked: str) -> str:
        found = ""
        while True:
            message = await self._next(socket)
            content, data = message["content"], message["content"].get("data", {})
            if content.get("comm_id") == said and "value" in data.get("state", {}):
                found = data["state"]["value"]
            if message["header"]["msg_type"] == "status" and message["parent_header"].get("msg_id") == asked:
                return found

    async def _next(self, socket: ClientConnection) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await socket.recv())
        self.last = max(self.last, message.get("metadata", {}).get("number", 0))
        stage = message["content"].get("stage", {})
        if stage.get("full") or stage.get("ended"):
            raise Wrong("there is no room for its process" if stage.get("full") else "its process has ended")
        return message

    async def _set(self, socket: ClientConnection, widget: str, **state: object) -> str:
        header = {"msg_id": uuid4().hex, "msg_type": "comm_msg", "session": "s", "username": "", "version": "5.3"}
        content = {"comm_id": widget, "data": {"method": "update", "state": state, "buffer_paths": []}}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        await socket.send(json.dumps(message))
        return header["msg_id"]


def widgets_in(page: str) -> Widgets:
    """Of a page of that notebook."""
    text = page.partition('type="application/vnd.jupyter.widget-state+json">')[2].partition("</script>")[0]
    models = {model["model_name"]: one for one, model in json.loads(text)["state"].items()}
    return Widgets(*(models[name] for name in ("LeafletMapModel", "IntSliderModel", "TextModel", "HTMLModel")))


def content() -> bytes:
    """The notebook's."""
    return nbformat.writes(new_notebook(cells=[new_code_cell(NOTEBOOK)])).encode()


def opened(publisher: Publisher) -> httpx.URL:
    """The dashboard, published."""
    wish = Wish("bench", "visitors", "Visitors", "", "public")
    publisher.publish(wish, read_bundle("index.ipynb", content(), 2**20), "bench")
    return httpx.URL(publisher.settings.dashboards.address("bench", "visitors"))


async def crowd(url: httpx.URL, visitors: int, seconds: float, pause: float, least: int = 0) -> Told:
    """So many of them, for so long; each at least until so many of its gestures are answered."""
    told, until = Told(), time.monotonic() + seconds
    addresses = (f"127.1.{number // 250}.{number % 250 + 1}" for number in range(visitors))
    await asyncio.gather(*(Visitor(url, address, told, until, pause, least).live() for address in addresses))
    return told


class Sandbox:
    """The release's container as the host sees it."""

    def __init__(self, publisher: Publisher) -> None:
        name = f"bdap-{publisher.settings.install_id}-bench--visitors--v1"
        self._container = docker.from_env().containers.get(name)
        self.peak, self.most = 0.0, 0

    def pids(self) -> list[int]:
        """All of its processes."""
        return [int(row[1]) for row in self._container.top()["Processes"]]

    def look(self) -> tuple[float, int]:
        """MiB and processes now; the most of both is kept."""
        pids = self.pids()
        memory = processes.pss(pids)
        self.peak, self.most = max(self.peak, memory), max(self.most, len(pids))
        return memory, len(pids)

    async def watch(self) -> None:
        """Looks every ten seconds."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(10)


async def _measured(url: httpx.URL, sandbox: Sandbox, visitors: int, minutes: float, pause: float) -> Told:
    watch = asyncio.create_task(sandbox.watch())
    try:
        return await crowd(url, visitors, minutes * 60, pause)
    finally:
        watch.cancel()


def _rows(told: Told, start: tuple[float, int], sandbox: Sandbox, end: tuple[float, int], command: str) -> list[Row]:
    parts = statistics.quantiles(told.seconds, n=20)
    goals: list[tuple[str, float, str]] = [
        ("pages opened", told.opens, "pages"),
        ("came back to their process", told.returns, "times"),
        ("gestures answered", told.gestures, "gestures"),
        ("failures", sum(told.failures.values()), "visits"),
        ("waiting pages", told.waits, "pages"),
        ("a gesture, median", round(parts[9], 3), "s"),
        ("a gesture, 95 of 100", round(parts[18], 3), "s"),
        ("memory before", round(start[0], 1), "MiB"),
        ("memory, the most", round(sandbox.peak, 1), "MiB"),
        ("memory a minute after", round(end[0], 1), "MiB"),
        ("processes before", start[1], "processes"),
        ("processes, the most", sandbox.most, "processes"),
        ("processes a minute after", end[1], "processes"),
    ]
    return [Row(case, value, "none", 0.0, unit, None, command) for case, value, unit in goals]


def main() -> None:
    """Measure and write bench/results/visitors.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--pause", type=float, default=5, help="seconds between two gestures of one visitor")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        publisher = gateway_of(stack, settings_of(folder, "docker", visitors=wanted.visitors * 3 // 2))
        url = opened(publisher)
        sandbox = Sandbox(publisher)
        start = sandbox.look()
        told = asyncio.run(_measured(url, sandbox, wanted.visitors, wanted.minutes, wanted.pause))
        time.sleep(AGAIN)
        end = sandbox.look()
    print("failures:", dict(told.failures) or "none")
    write("visitors", _rows(told, start, sandbox, end, COMMAND.format(wanted.visitors, wanted.minutes)))


if __name__ == "__main__":
    main()
