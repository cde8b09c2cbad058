"""A first gesture in a real browser has its effect: on a page that an earlier run made, or that is only painted yet."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bdap_hub.dashboards.snapshots.painted import clean, embed

from .conftest import notebook
from .staged import Staged, staged

pytestmark = pytest.mark.browser

COUNTS = """
import json
import ipywidgets as w
told = json.load(open("told.json"))
more = [w.Label(f"row {number}") for number in range(told["rows"])]
day = w.HTML(f"<b id='day'>{told['day']}</b>")
count, button = w.HTML("<i id='count'>0 times</i>"), w.Button(description=told["button"])
def counted(_):
    count.value = f"<i id='count'>{int(count.value.split('>')[1].split()[0]) + 1} times</i>"
button.on_click(counted)
size = w.Text(description="size", continuous_update=True)
twice = w.HTML("<i id='twice'></i>")
size.observe(lambda change: setattr(twice, "value", f"<i id='twice'>{change.new}{change.new}</i>"), "value")
w.VBox([*more, day, button, count, size, twice])
"""
NOTEBOOK = notebook(COUNTS)
FIRST = '{"rows": 0, "day": "Monday", "button": "Count"}'
PAINTED = '<div><button class="widget-button" style="width:148px;height:28px">Count</button></div>'


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as the first run made it."""
    folder = tmp_path_factory.mktemp("kept")
    with _run(folder, FIRST) as stage:
        assert stage.state()["mode"] == "fork", stage.state()
        return stage.get().text


def _run(folder: Path, told: str) -> AbstractContextManager[Staged]:
    folder.mkdir(exist_ok=True)
    folder.joinpath("told.json").write_text(told)
    return staged(folder, content=NOTEBOOK)


def _open(chromium: Browser, stage: Staged, html: str, hold: str = "/none") -> tuple[Page, list[Route]]:
    """The dashboard, whose page is that one as long as nothing of it is loaded anew."""
    size, own = {"width": 1280, "height": 800}, ["local-network-access"]  # Chromium takes the page for one from outside
    page = chromium.new_context(viewport=size, permissions=own).new_page()
    page.route(f"http://localhost:{stage.port}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    held: list[Route] = []
    page.route(hold, lambda route: held.append(route))
    page.goto(f"http://localhost:{stage.port}/", wait_until="domcontentloaded", timeout=60_000)
    return page, held


def _drawn(chromium: Browser, stage: Staged, html: str) -> Page:
    page, _ = _open(chromium, stage, html)
    page.wait_for_selector("html[data-stage=ready]", timeout=60_000)
    page.evaluate("window.here = document.getElementById('bdap-stage')")
    return page


def test_where_only_values_differ_they_are_taken_and_the_click_counts(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace("Monday", "Tuesday")) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        expect(page.locator("#day")).to_have_text("Monday")
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=30_000)
        assert page.evaluate("window.here.isConnected")  # the page itself stayed
        page.context.close()


def test_who_only_looks_has_the_new_values_without_a_process(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace("Monday", "Tuesday")) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.mouse.move(300, 300)
        expect(page.locator("#day")).to_have_text("Tuesday", timeout=30_000)
        assert stage.state()["visitors"] == 0
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        page.context.close()


def test_where_there_are_other_widgets_the_gesture_goes_to_its_successor(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace('"rows": 0', '"rows": 3')) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("row 2")).to_be_visible(timeout=30_000)  # made anew
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#count")).to_have_text("2 times", timeout=30_000)
        page.context.close()


def test_what_was_typed_is_in_the_new_page_too(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST.replace('"rows": 0', '"rows": 1')) as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.get_by_label("size").fill("12")
        expect(page.get_by_text("row 0")).to_be_visible(timeout=30_000)
        expect(page.locator("#twice")).to_have_text("1212", timeout=30_000)
        expect(page.get_by_label("size")).to_have_value("12")
        page.context.close()


def test_where_its_widget_is_gone_the_visitor_is_asked_to_do_it_again(
    tmp_path: Path, chromium: Browser, kept: str, artifacts: Path
):
    with _run(tmp_path, '{"rows": 2, "day": "Monday", "button": "Add"}') as stage:
        stage.state()
        page = _drawn(chromium, stage, kept)
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("Please do your last step once more")).to_be_visible(timeout=30_000)
        page.screenshot(path=artifacts / "stage-once-more.png")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#count")).to_have_text("1 times", timeout=30_000)
        page.context.close()


def test_a_click_on_what_is_only_painted_counts_once_it_is_drawn(tmp_path: Path, chromium: Browser, kept: str):
    with _run(tmp_path, FIRST) as stage:
        stage.state()
        page, held = _open(chromium, stage, embed(kept, [clean(PAINTED)]), "**/libembed-amd.js")
        box = page.locator("[inert] button").bounding_box()
        assert box
        page.wait_for_function("window.bdapStage")
        page.mouse.click(box["x"] + 20, box["y"] + 10)
        deadline = time.monotonic() + 60
        while not held:
            assert time.monotonic() < deadline
            page.wait_for_timeout(50)
        expect(page.locator("[inert] button")).to_have_count(1)  # it was painted all the time
        held[0].continue_()
        expect(page.locator("#count")).to_have_text("1 times", timeout=60_000)
        page.context.close()
