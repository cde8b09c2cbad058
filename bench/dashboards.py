"""Opening a dashboard through our gateway beside plain Voilà: the same notebook, interleaved, in the same run.

Both sides run Voilà as a local process by default; `--engine docker` measures ours as it is shipped.
"""

from __future__ import annotations

import argparse
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
from pathlib import Path

import httpx
import nbformat
import uvicorn
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, sync_playwright

from bdap_hub.dashboards.bundle import read_bundle
from bdap_hub.dashboards.gateway import create_gateway
from bdap_hub.dashboards.publish import Publisher, Wish
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.settings import ProjectSettings, Settings
from bdap_hub.web import HubLogin

from .common import Row, write

COMMAND = "make bench AREA=dashboards"
NOTEBOOK = """
import bqplot.pyplot as plt, ipyvuetify as v, ipywidgets as w
from ipyleaflet import Map, Polygon
m = Map(center=(45, 12), zoom=6, basemap={}, layers=())
m.add(Polygon(locations=[(44, 11), (46, 11), (46, 13)]))
fig = plt.figure(title="NDVI"); plt.plot([1, 2, 3], [2, 4, 3])
w.VBox([m, fig, v.Btn(children=["Refresh"], color="primary")])
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


def gateway_of(stack: ExitStack, settings: Settings) -> Publisher:
    """The gateway runs until the stack ends; what publishes to it."""
    runtime = make_runtime(settings)
    stack.callback(runtime.stop_all)
    port = settings.dashboards.gateway_port
    server = uvicorn.Server(uvicorn.Config(create_gateway(settings), host="127.0.0.1", port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    stack.callback(setattr, server, "should_exit", True)
    while not server.started:
        time.sleep(0.02)
    return Publisher(settings, Records(connect(settings.database)), runtime, HubLogin(settings, "dashboards"))


def _ours(stack: ExitStack, folder: Path, engine: str, content: bytes) -> str:
    """Publish and serve through the gateway; the dashboard's address."""
    settings = settings_of(folder, engine)
    publisher = gateway_of(stack, settings)
    publisher.publish(Wish("bench", "map", "Map", "", "public"), read_bundle("index.ipynb", content, 2**20), "bench")
    return settings.dashboards.address("bench", "map")


def _plain(stack: ExitStack, folder: Path, content: bytes) -> str:
    """Voilà as its documentation starts it; its address."""
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
            return url
        except httpx.HTTPError:
            time.sleep(0.1)
    raise TimeoutError("plain Voilà did not start in 60 s")


def _html(url: str) -> float:
    """Seconds until the whole page is there. The host name is sent as a browser would, the way is loopback."""
    parts = httpx.URL(url)
    start = time.perf_counter()
    answer = httpx.get(
        parts.copy_with(host="127.0.0.1"), headers={"Host": parts.netloc.decode()}, timeout=120, trust_env=False
    )
    answer.raise_for_status()
    assert "leaflet" in answer.text.lower() or "widget-view" in answer.text
    return time.perf_counter() - start


def _ten(url: str) -> float:
    """Seconds until ten visitors at once have their whole page."""
    start = time.perf_counter()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: _html(url), range(10)))
    return time.perf_counter() - start


def _rendered(browser: Browser, url: str, slow: bool) -> float:
    """Seconds until map, chart and button are visible in a fresh browser context (cold cache)."""
    context = browser.new_context()
    context.route(lambda u: "localhost" not in u, lambda route: route.abort())  # public CDNs: neither side waits
    page = context.new_page()
    if slow:
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        rate = {"latency": 40, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8, "offline": False}
        session.send("Network.emulateNetworkConditions", rate)
    start = time.perf_counter()
    page.goto(url, wait_until="commit", timeout=120_000)
    for selector in (".leaflet-container", ".bqplot svg.svg-figure", ".v-btn"):
        page.wait_for_selector(selector, timeout=120_000)
    taken = time.perf_counter() - start
    context.close()
    return taken


def _both(measure: Callable[[str], float], ours: str, plain: str, rounds: int) -> tuple[float, float]:
    """Medians of both, taken in turns so that whatever else the machine does hits both alike."""
    pairs = [(measure(ours), measure(plain)) for _ in range(rounds)]
    return round(statistics.median(p[0] for p in pairs), 3), round(statistics.median(p[1] for p in pairs), 3)


def main() -> None:
    """Measure and write bench/results/dashboards.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("process", "docker"), default="process")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    content = nbformat.writes(new_notebook(cells=[new_markdown_cell("# Map"), new_code_cell(NOTEBOOK)])).encode()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (root / "plain").mkdir()
        ours = _ours(stack, root / "ours", arguments.engine, content)
        plain = _plain(stack, root / "plain", content)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        stack.callback(browser.close)
        rounds = arguments.rounds
        cases = [
            ("full HTML, one visitor", _both(_html, ours, plain, rounds), 15.0),
            ("full HTML, ten visitors at once", _both(_ten, ours, plain, max(1, rounds // 3)), 50.0),
            ("interactive, loopback", _both(lambda u: _rendered(browser, u, False), ours, plain, rounds), 2.0),
            ("interactive, 10 Mbit/s 40 ms", _both(lambda u: _rendered(browser, u, True), ours, plain, 3), 3.0),
        ]
    note = f"engine={arguments.engine}"
    write(
        "dashboards",
        [
            Row(f"{case} ({note})", mine, "Voilà 0.5.13", theirs, "s", goal, COMMAND)
            for case, (mine, theirs), goal in cases
        ],
    )


if __name__ == "__main__":
    main()
