"""The stage's page in a real browser: idioms of Voilà's own examples, gestures, a lost connection, a reload."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocket, expect

from .conftest import SLIDER
from .staged import Staged, Visitor, gone, staged

pytestmark = pytest.mark.browser

INTERACT = """
from ipywidgets import interact
from IPython.display import HTML, Markdown, display
@interact(x=(0, 10), word=["maize", "wheat"])
def show(x=3, word="wheat"):
    display(HTML(f"<p id='told'>{word} {x * x}</p>"))
    display(Markdown(f"**strong {word}**"))
"""
GRID = """
from ipywidgets import Button, GridspecLayout, Layout
grid = GridspecLayout(2, 3, height="120px")
grid[0, :] = Button(description="header", layout=Layout(width="auto", height="auto"))
grid[1, 0] = Button(description="left", layout=Layout(width="auto", height="auto"))
grid[1, 1:] = Button(description="right", layout=Layout(width="auto", height="auto"))
grid
"""
CHART = """
import numpy as np, bqplot.pyplot as plt, ipywidgets as w
scale = w.FloatSlider(value=1, max=4, description="scale")
figure = plt.figure(title="Yield", animation_duration=0)
marks = plt.scatter(np.arange(20.0), np.arange(20.0) ** 2)
top = w.HTML()
def rescale(change):
    marks.y = np.arange(20.0) ** 2 * scale.value
    top.value = f"<i id='top'>top {marks.y.max():.0f}</i>"
scale.observe(rescale, "value")
w.VBox([scale, figure, top])
"""
MANY = """
import datetime
day = datetime.date(2026, 5, 1)
tabs = w.Tab([w.HBox([w.Checkbox(True, description="irrigated"), w.Dropdown(options=["a", "b"])]),
              w.Accordion([w.Textarea("notes"), w.ColorPicker(value="green"), w.DatePicker(value=day)])])
tabs.titles = ["One", "Two"]
source, target = w.IntText(5, description="source"), w.IntText(description="target")
link = w.jslink((source, "value"), (target, "value"))
progress = w.IntProgress(3, max=10)
pressed = w.Output()
adds = w.Button(description="add one more")
def add(_):
    with pressed:
        print("a line of output")
        display(w.Button(description=f"made {progress.value}"))
    progress.value += 1
adds.on_click(add)
w.VBox([tabs, source, target, progress, adds, pressed])
"""
MAP = """
import ipyleaflet as leaflet, ipyvuetify as v
place = w.Label("nowhere")
shown = leaflet.Map(center=(45, 12), zoom=6, basemap={}, layers=())
shown.on_interaction(lambda **event: setattr(place, "value", "clicked") if event.get("type") == "click" else None)
count = v.Html(tag="b", children=["0 times"])
button = v.Btn(children=["Count"], color="primary")
def counted(*_):
    count.children = [f"{int(count.children[0].split()[0]) + 1} times"]
button.on_event("click", counted)
w.VBox([shown, place, button, count])
"""

BESIDE = """
product = w.IntSlider(description="beside")
w.HBox([w.VBox([product]), w.interactive_output(lambda product: print(product, "times"), {"product": product})])
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """Of a notebook with all of the idioms."""
    with staged(tmp_path_factory.mktemp("idioms"), INTERACT, GRID, CHART, MANY, MAP, BESIDE) as running:
        state = running.state()
        assert state["mode"] == "fork", state
        yield running


def _open(chromium: Browser, url: str) -> tuple[Page, list[str]]:
    """The drawn page and what it complained of."""
    page = chromium.new_context(viewport={"width": 1280, "height": 1400}).new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: errors.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, timeout=60_000)
    page.wait_for_selector("html[data-stage=ready]", timeout=60_000)
    return page, errors


def test_idioms_of_voilas_examples(stage: Staged, chromium: Browser, artifacts: Path):
    page, errors = _open(chromium, f"http://localhost:{stage.port}/")
    expect(page.locator("#told")).to_have_text("wheat 9")
    expect(page.locator(".widget-output strong")).to_have_text("strong wheat")
    expect(page.get_by_role("button", name="header")).to_be_visible()
    expect(page.locator(".bqplot svg.svg-figure")).to_be_visible()
    expect(page.locator(".leaflet-container")).to_be_visible()
    beside = page.locator(".widget-vbox").filter(has_text="beside").last.bounding_box()
    assert beside and beside["width"] > 250  # an output to its right leaves it room
    assert stage.state()["visitors"] == 0  # drawn without a process

    page.locator(".widget-dropdown select").first.select_option("maize")
    expect(page.locator("#told")).to_have_text("maize 9", timeout=30_000)
    assert stage.state()["visitors"] == 1
    page.locator(".noUi-handle").nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#top")).to_have_text("top 397", timeout=15_000)
    page.get_by_role("button", name="add one more").click()
    page.get_by_role("button", name="add one more").click()
    expect(page.get_by_role("button", name="made 4")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("a line of output")).to_have_count(2)
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("1 times")).to_be_visible(timeout=15_000)
    page.locator(".leaflet-container").click(position={"x": 200, "y": 200})
    expect(page.get_by_text("clicked")).to_be_visible(timeout=15_000)
    page.locator(".lm-TabBar-tab", has_text="Two").click()
    expect(page.locator("textarea")).to_have_value("notes")
    page.screenshot(path=artifacts / "stage-idioms.png", full_page=True)
    assert errors == []
    page.context.close()


def test_a_lost_connection_and_a_reload_go_on(tmp_path: Path, chromium: Browser, artifacts: Path):
    with staged(tmp_path, SLIDER) as stage:
        stage.state()
        page, _ = _open(chromium, f"http://localhost:{stage.port}/")
        page.locator(".noUi-handle").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#square")).to_have_text("square is 16", timeout=30_000)
        page.evaluate("window.bdapStage.connection.socket.close()")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#square")).to_have_text("square is 25", timeout=30_000)
        page.reload()
        page.wait_for_selector("html[data-stage=ready]", timeout=60_000)
        expect(page.locator("#square")).to_have_text("square is 25", timeout=30_000)
        page.locator(".noUi-handle").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#square")).to_have_text("square is 36", timeout=30_000)
        assert stage.state()["visitors"] == 1
        other, _ = _open(chromium, f"http://localhost:{stage.port}/")
        expect(other.locator("#square")).to_have_text("square is 9")
        for pid in stage.processes()[1:]:
            os.kill(pid, signal.SIGKILL)  # as when memory runs out
        expect(page.get_by_role("button", name="Load again")).to_be_visible(timeout=30_000)
        page.screenshot(path=artifacts / "stage-ended.png")
        page.get_by_role("button", name="Load again").click()
        page.wait_for_selector("html[data-stage=ready]", timeout=60_000)
        expect(page.locator("#square")).to_have_text("square is 9", timeout=30_000)
        page.context.close()
        other.context.close()


def _right(page: Page) -> None:
    page.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")


def test_where_there_is_no_room_the_gesture_waits_until_there_is(tmp_path: Path, chromium: Browser):
    with staged(tmp_path, SLIDER, children=1) as stage:
        stage.state()
        with Visitor(stage) as ana:
            ana.set(stage.widget(description="n"), value=5)
            page, _ = _open(chromium, f"http://localhost:{stage.port}/")
            _right(page)
            expect(page.get_by_text("as soon as there is room")).to_be_visible(timeout=30_000)
            page.wait_for_function("window.bdapStage.connection.pause > 1000")  # it has been tried again
            expect(page.get_by_role("button", name="Load again")).to_have_count(0)
        expect(page.locator("#square")).to_have_text("square is 16", timeout=30_000)
        expect(page.get_by_text("as soon as there is room")).to_have_count(0)
        page.context.close()


def test_what_was_sent_and_never_came_is_sent_again(tmp_path: Path, chromium: Browser):
    with staged(tmp_path, SLIDER) as stage:
        stage.state()
        page, _ = _open(chromium, f"http://localhost:{stage.port}/")
        for square in (16, 25):  # before it has a process, and after
            _right(page)
            page.wait_for_function("window.bdapStage.connection.ready")
            page.evaluate("window.bdapStage.connection.socket.send = () => {}")
            page.evaluate("window.bdapStage.connection.socket.close()")
            expect(page.locator("#square")).to_have_text(f"square is {square}", timeout=30_000)
        for waiting in ("sent", "callbacks"):  # an answer may come a moment later
            page.wait_for_function(f"window.bdapStage.connection.{waiting}.size === 0")
        page.context.close()


def test_a_page_of_a_query_whose_process_is_gone_says_so(tmp_path: Path, chromium: Browser):
    cell = "import os\nregion = os.environ.get('QUERY_STRING') or 'none'"
    with staged(tmp_path, cell, SLIDER) as stage:
        before = stage.state() and stage.processes()
        page = chromium.new_context().new_page()

        def kill(route: Route) -> None:
            _imports, own = [pid for pid in stage.processes() if pid not in before]
            os.kill(own, signal.SIGKILL)
            assert gone([own])
            route.continue_()

        page.route("**/live.js", kill)
        page.goto(f"http://localhost:{stage.port}/?region=IT")
        expect(page.get_by_role("button", name="Load again")).to_be_visible(timeout=30_000)
        assert stage.state()["visitors"] == 0  # none without the query
        page.unroute("**/live.js")
        page.get_by_role("button", name="Load again").click()
        _right(page)
        expect(page.locator("#square")).to_have_text("square is 16", timeout=30_000)
        page.context.close()


OLDER = """
new MutationObserver(() => {  // the page as an earlier run of the notebook made it
  const told = document.getElementById("bdap-stage");
  if (!told || window.older) return;
  window.older = true;
  told.textContent = told.textContent.replace("DIGEST", "0000000000000000").replace('"names":"', '"names":"0');
}).observe(document, { childList: true, subtree: true });
"""


def test_a_page_that_loads_itself_anew_leaves_no_connection_behind(tmp_path: Path, chromium: Browser):
    with staged(tmp_path, SLIDER) as stage:
        digest = stage.state()["page"]
        page = chromium.new_context().new_page()
        sockets: list[WebSocket] = []
        page.on("websocket", lambda socket: sockets.append(socket))
        page.add_init_script(OLDER.replace("DIGEST", digest))
        held: list[Route] = []
        page.route("**/_stage/page", lambda route: held.append(route))
        page.goto(f"http://localhost:{stage.port}/")
        page.wait_for_selector("html[data-stage=ready]", timeout=60_000)
        assert page.evaluate("document.getElementById('bdap-stage').textContent").count("0" * 16) == 1
        _right(page)
        deadline = time.monotonic() + 60
        while not held:  # the key met this page: between the two there is none for a moment
            assert time.monotonic() < deadline
            page.wait_for_timeout(50)
        held[0].continue_()
        page.wait_for_function(f"document.getElementById('bdap-stage')?.textContent.includes('{digest}')")
        expect(page.locator("#square")).to_have_text("square is 16", timeout=60_000)
        _right(page)
        expect(page.locator("#square")).to_have_text("square is 25", timeout=30_000)
        assert [socket.is_closed() for socket in sockets] == [True, False]
        page.context.close()
