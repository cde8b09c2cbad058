"""Visits, and what each costs: seconds until something is there, processor time and memory of the server."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, TimeoutError

from .sides import Side

VIEWS = (".leaflet-container", ".bqplot svg.svg-figure", ".v-btn")
NAMED = {"text": ("h1",), "widgets": VIEWS, "answer": ("#said",)}
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"
"""Public CDNs are not there, so that neither side waits for them."""
POSITIONS = "--js-flags=--no-enable-lazy-source-positions"
"""A browser that is driven wants to know the lines of each error's stack, also of one that a script catches (jQuery
tries what the browser can); for that it reads whole scripts again, 0.3 to 0.6 s of processor time that no visitor's
browser takes. So it notes the lines when it first reads them, on all sides."""
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
MIDDLE = """() => {
  const box = document.querySelector(".v-btn")?.getBoundingClientRect();
  return box && box.height ? [box.x + box.width / 2, box.y + box.height / 2] : null;
}"""
"""Where the button is."""
Times = dict[str, float]


def html(side: Side) -> Times:
    """Seconds until the whole page is there. The host name is sent as a browser would, the way is loopback."""
    start = time.perf_counter()
    _fetch(side.url)
    return {"html": time.perf_counter() - start}


def ten(side: Side) -> Times:
    """Seconds until ten visitors at once have their whole page."""
    start = time.perf_counter()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: _fetch(side.url), range(10)))
    return {"html": time.perf_counter() - start}


def _fetch(url: str) -> None:
    parts = urlsplit(url)
    with contextlib.closing(HTTPConnection("127.0.0.1", parts.port or 80, timeout=120)) as way:
        way.request("GET", parts.path, headers={"Host": parts.netloc})
        answer = way.getresponse()
        text = answer.read().decode()
        assert answer.status == 200
        assert "leaflet" in text.lower() or "widget-view" in text


def visit(browser: Browser, side: Side, slow: bool) -> Times:
    """Seconds until each of NAMED is to be seen; the answer is clicked for as soon as the button is."""
    page = _page(browser, slow)
    page.goto(side.url, wait_until="commit", timeout=120_000)
    _use(page)
    found: dict[str, float] = page.evaluate("window.seen")
    page.context.close()
    return {name: milliseconds / 1000 for name, milliseconds in found.items()}


def cost(browser: Browser, side: Side, viewers: int, active: bool) -> tuple[float, float]:
    """CPU seconds and MiB a viewer of so many who look at it at the same time, with what it does to be ready again."""
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
    side.settle()
    # Less than what the system can tell counts as that: a tick of its clock, and a tenth of a MiB.
    found = max((side.cpu() - cpu) / viewers, 0.01), max((side.memory() - memory) / viewers, 0.1)
    for page in pages:
        page.context.close()
    return found


def in_turns(measure: Callable[[Side], Times], sides: Sequence[Side], rounds: int) -> list[Times]:
    """Medians of each side, taken in turns so that whatever else the machine does hits all alike."""
    taken: list[list[Times]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, times in zip(sides, taken, strict=True):
            times.append(measure(side))
            side.settle()
    return [{name: statistics.median(one[name] for one in times) for name in times[0]} for times in taken]


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


def _use(page: Page) -> None:
    """Click where the button is until it answers: a page may show its button before it hears it."""
    page.wait_for_function("window.seen.widgets", timeout=120_000)
    deadline = time.monotonic() + 60
    while not page.evaluate("window.seen.answer"):
        assert time.monotonic() < deadline, "the button never answered"
        if middle := page.evaluate(MIDDLE):  # none while what was painted gives way to what is drawn
            page.mouse.click(*middle)
        with contextlib.suppress(TimeoutError):
            page.wait_for_function("window.seen.answer", timeout=5000)  # so a click that was lost would show
