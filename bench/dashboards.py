"""Opening a dashboard through our gateway beside plain Voilà: the same notebook, interleaved, in the same run.

Ours is executed once and forked for each visitor (`--runtime voila`: plain Voilà behind our gateway). Both are local
processes by default; `--engine docker` measures ours as it is shipped, without CPU and memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import docker
import httpx
import nbformat
import uvicorn
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.gateway.serving import create_gateway
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.settings import ProjectSettings, Settings
from bdap_hub.web import HubLogin
from tests.browser import FLAGS, deaf_chromium

from . import processes
from .common import Row, write

COMMAND = "make bench AREA=dashboards"
VIEWERS = 5
NOTEBOOK = """
import bqplot.pyplot as plt, ipyvuetify as v, ipywidgets as w
from ipyleaflet import Map, Polygon
m = Map(center=(45, 12), zoom=6, basemap={}, layers=())
m.add(Polygon(locations=[(44, 11), (46, 11), (46, 13)]))
fig = plt.figure(title="NDVI"); plt.plot([1, 2, 3], [2, 4, 3])
b = v.Btn(children=["Refresh"], color="primary")
said = w.HTML()
b.on_event("click", lambda *_: setattr(said, "value", "<i id='said'>refreshed</i>"))
w.VBox([m, fig, b, said])
"""


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_of(folder: Path, engine: str, **dashboards: object) -> Settings:
    """Of an install of its own in that folder."""
    vault = folder / "secrets"
    vault.mkdir(parents=True)
    for name in ("signing", "service-dashboards"):
        (vault / name).write_text(name * 8)
    port = _port()
    return Settings(
        environment="demo",
        var=folder,
        spawning={"engine": engine},
        dashboards={
            "gateway_port": port,
            "origin": f"http://dashboards.localhost:{port}",
            "network": f"bdapbench-{port}",
            **dashboards,
        },
        projects=(ProjectSettings(name="bench", title="Bench", group="bench"),),
    )


def gateway_of(stack: ExitStack, settings: Settings, threads: list[int] | None = None) -> Publisher:
    """The gateway runs until the stack ends; what publishes to it. Its thread's number is added to `threads`."""
    runtime = make_runtime(settings)
    if settings.spawning.engine == "docker":
        stack.callback(_forget_network, settings.dashboards.network)
    stack.callback(runtime.stop_all)
    port = settings.dashboards.gateway_port
    server = uvicorn.Server(uvicorn.Config(create_gateway(settings), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    stack.callback(setattr, server, "should_exit", True)
    while not server.started:
        time.sleep(0.02)
    (threads if threads is not None else []).append(thread.native_id or 0)
    return Publisher(settings, Records(connect(settings.database)), runtime, HubLogin(settings, "dashboards"))


def _forget_network(name: str) -> None:
    for network in docker.from_env().networks.list(names=[name]):
        network.remove()


@dataclass(frozen=True)
class Side:
    """One of the two: its address, the process that serves it (None: in a container) and threads of this one."""

    url: str
    pid: int | None
    threads: tuple[int, ...] = ()

    def cpu(self) -> float:
        """Seconds so far, of the server and all that it started."""
        return processes.cpu(processes.tree(self.pid or 0)) + processes.thread_cpu(*self.threads)

    def memory(self) -> float:
        """MiB now."""
        return processes.pss(processes.tree(self.pid or 0))


def _ours(stack: ExitStack, folder: Path, engine: str, runtime: str, content: bytes) -> Side:
    """Published, and served through the gateway."""
    settings, threads = settings_of(folder, engine, runtime=runtime), list[int]()
    publisher = gateway_of(stack, settings, threads)
    publisher.publish(Wish("bench", "map", "Map", "", "public"), read_bundle("index.ipynb", content, 2**20), "bench")
    files = list((folder / "dashboards/run").glob("*.json"))
    pid = int(json.loads(files[0].read_text())["pid"]) if files else None
    return Side(settings.dashboards.address("bench", "map"), pid, tuple(threads))


def _plain(stack: ExitStack, folder: Path, content: bytes) -> Side:
    """Voilà as its documentation starts it."""
    (folder / "index.ipynb").write_bytes(content)
    port = _port()
    command = [sys.executable, "-m", "voila", "index.ipynb", "--no-browser", f"--port={port}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)
    url = f"http://localhost:{port}/"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}_ready", timeout=5, trust_env=False)
            return Side(url, process.pid)
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("plain Voilà did not start in 60 s")


def _html(url: str) -> float:
    """Seconds until the whole page is there. The host name is sent as a browser would, the way is loopback."""
    parts = urlsplit(url)
    start = time.perf_counter()
    with contextlib.closing(HTTPConnection("127.0.0.1", parts.port or 80, timeout=120)) as way:
        way.request("GET", parts.path, headers={"Host": parts.netloc})
        answer = way.getresponse()
        text = answer.read().decode()
        assert answer.status == 200
        assert "leaflet" in text.lower() or "widget-view" in text
    return time.perf_counter() - start


def _ten(url: str) -> float:
    """Seconds until ten visitors at once have their whole page."""
    start = time.perf_counter()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: _html(url), range(10)))
    return time.perf_counter() - start


VIEWS = (".leaflet-container", ".bqplot svg.svg-figure", ".v-btn")
NAMED = {"text": ("h1",), "widgets": VIEWS, "answer": ("#said",)}
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"
"""Public CDNs are not there, so that neither side waits for them."""
SEEN = """(() => {
  const named = NAMED, seen = window.seen = {};
  const visible = (one) => one && one.checkVisibility() && one.getBoundingClientRect().height > 0;
  const look = () => {
    for (const [name, selectors] of Object.entries(named))
      if (!seen[name] && selectors.every((one) => visible(document.querySelector(one)))) seen[name] = performance.now();
    requestAnimationFrame(look);
  };
  look();
})()""".replace("NAMED", json.dumps(NAMED))
"""Notes in the page itself when something is to be seen: milliseconds since somebody opened it."""


def _page(browser: Browser, slow: bool = False) -> Page:
    """In a fresh browser context (cold cache), in which all of the page fits."""
    context = browser.new_context(viewport={"width": 1280, "height": 1100})
    page = context.new_page()
    page.add_init_script(SEEN)
    if slow:
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        rate = {"latency": 40, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8, "offline": False}
        session.send("Network.emulateNetworkConditions", rate)
    return page


def _seen(browser: Browser, url: str, slow: bool, what: str) -> float:
    """Seconds until it is to be seen; an answer is clicked for as soon as the button is."""
    page = _page(browser, slow)
    page.goto(url, wait_until="commit", timeout=120_000)
    if what == "answer":
        _use(page)
    page.wait_for_function("what => window.seen[what]", arg=what, timeout=120_000)
    taken = float(page.evaluate("what => window.seen[what]", what)) / 1000
    page.context.close()
    return taken


def _use(page: Page) -> None:
    """Click where the button is until it answers: a page may show its button before it hears it."""
    page.wait_for_function("window.seen.widgets", timeout=120_000)
    deadline = time.monotonic() + 60
    while not page.evaluate("window.seen.answer"):
        assert time.monotonic() < deadline, "the button never answered"
        box = page.locator(".v-btn").first.bounding_box(timeout=5000)
        if box:
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        with contextlib.suppress(TimeoutError):
            page.wait_for_function("window.seen.answer", timeout=5000)  # so a click that was lost would show


def _cost(browser: Browser, side: Side, viewers: int, active: bool) -> tuple[float, float]:
    """CPU seconds and MiB a viewer of so many who look at it at the same time."""
    cpu, memory = side.cpu(), side.memory()
    pages = []
    for _ in range(viewers):
        page = _page(browser)
        page.goto(side.url, wait_until="commit", timeout=120_000)
        for selector in VIEWS:
            page.wait_for_selector(selector, timeout=120_000)
        if active:
            _use(page)
        pages.append(page)
    time.sleep(1)
    # Less than what the system can tell counts as that: a tick of its clock, and a tenth of a MiB.
    found = max((side.cpu() - cpu) / viewers, 0.01), max((side.memory() - memory) / viewers, 0.1)
    for page in pages:
        page.context.close()
    return found


def _both(measure: Callable[[str], float], ours: Side, plain: Side, rounds: int) -> tuple[float, float]:
    """Medians of both, taken in turns so that whatever else the machine does hits both alike."""
    pairs = [(measure(ours.url), measure(plain.url)) for _ in range(rounds)]
    return round(statistics.median(p[0] for p in pairs), 3), round(statistics.median(p[1] for p in pairs), 3)


def _times(browser: Browser, ours: Side, plain: Side, rounds: int) -> list[tuple[str, tuple[float, float], str, float]]:
    """Cases of seconds: name, both sides, unit, goal."""

    def both(slow: bool, what: str, rounds: int) -> tuple[float, float]:
        return _both(lambda url: _seen(browser, url, slow, what), ours, plain, rounds)

    few = max(1, rounds // 2)
    return [
        ("full HTML, one visitor", _both(_html, ours, plain, rounds), "s", 15.0),
        ("full HTML, ten visitors at once", _both(_ten, ours, plain, max(1, rounds // 3)), "s", 50.0),
        ("text is visible, loopback", both(False, "text", rounds), "s", 15.0),
        ("text is visible, 10 Mbit/s 40 ms", both(True, "text", few), "s", 40.0),
        ("widgets are visible, loopback", both(False, "widgets", rounds), "s", 2.0),
        ("widgets are visible, 10 Mbit/s 40 ms", both(True, "widgets", few), "s", 3.0),
        ("a button has answered, loopback", both(False, "answer", rounds), "s", 2.0),
        ("a button has answered, 10 Mbit/s 40 ms", both(True, "answer", few), "s", 3.0),
    ]


def _costs(browser: Browser, ours: Side, plain: Side) -> list[tuple[str, tuple[float, float], str, float]]:
    """Cases of CPU time and memory a viewer."""
    looks = [_cost(browser, side, VIEWERS, False) for side in (ours, plain)]
    acts = [_cost(browser, side, VIEWERS, True) for side in (ours, plain)]
    return [
        ("CPU of the server, a visitor who looks", (round(looks[0][0], 3), round(looks[1][0], 3)), "s", 10.0),
        ("CPU of the server, a visitor who clicks", (round(acts[0][0], 3), round(acts[1][0], 3)), "s", 10.0),
        ("memory of a visitor who looks", (round(looks[0][1], 1), round(looks[1][1], 1)), "MiB", 8.0),
        ("memory of a visitor who clicks", (round(acts[0][1], 1), round(acts[1][1], 1)), "MiB", 8.0),
    ]


def main() -> None:
    """Measure and write bench/results/dashboards.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("process", "docker"), default="process")
    parser.add_argument("--runtime", choices=("fork", "voila"), default="fork")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    content = nbformat.writes(new_notebook(cells=[new_markdown_cell("# Map"), new_code_cell(NOTEBOOK)])).encode()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (root / "plain").mkdir()
        ours = _ours(stack, root / "ours", arguments.engine, arguments.runtime, content)
        plain = _plain(stack, root / "plain", content)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=deaf_chromium(root), args=[*FLAGS, NOWHERE])
        stack.callback(browser.close)
        cases = _times(browser, ours, plain, arguments.rounds)
        if ours.pid:
            cases += _costs(browser, ours, plain)
    note = f"engine={arguments.engine}, runtime={arguments.runtime}"
    write(
        "dashboards",
        [
            Row(f"{case} ({note})", mine, "Voilà 0.5.13", theirs, unit, goal, COMMAND)
            for case, (mine, theirs), unit, goal in cases
        ],
    )


if __name__ == "__main__":
    main()
