"""A visitor's real browser at the gateway, the real stage behind: what shows before anything runs, and then lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bdap_hub.dashboards.running.runtime import make_runtime

from .conftest import SLIDER, Platform, notebook

pytestmark = pytest.mark.browser

HOST, RELEASE = "agriculture--kept", "agriculture--kept--v1"
CHART = SLIDER.replace("widgets.VBox([slider, out,", "widgets.VBox([slider, out, figure,").replace(
    "slider =",
    "import bqplot.pyplot as plt\nfigure = plt.figure(title='Yield')\nplt.plot([1, 2, 3], [2, 4, 3])\nslider =",
)


@pytest.fixture(scope="module")
def kept(platform: Platform) -> Iterator[str]:
    """The address of a dashboard that a painter has looked at."""
    platform.settings.dashboards.painter = "on"
    try:
        made = platform.publish("ana", "kept", notebook(CHART), visibility="public")
    finally:
        platform.settings.dashboards.painter = ""
    assert made.status_code == 201, made.text
    yield str(made.json()["url"])


@pytest.fixture
def stopped(platform: Platform, kept: str) -> str:
    """The same, and nothing of it runs."""
    make_runtime(platform.settings).stop(RELEASE)
    platform.gateway.keeper._ready.pop(RELEASE, None)
    return kept


def _page(chromium: Browser, url: str, width: int = 1280, scripts: bool = True) -> Page:
    context = chromium.new_context(viewport={"width": width, "height": 800}, java_script_enabled=scripts)
    page = context.new_page()
    page.goto(url, wait_until="domcontentloaded", timeout=60_000)
    return page


@pytest.mark.parametrize("width", [1280, 390])
def test_it_shows_before_any_script_and_any_container(
    platform: Platform, stopped: str, chromium: Browser, artifacts: Path, width: int
):
    page = _page(chromium, stopped, width, scripts=False)
    expect(page.get_by_text("Fields of wheat")).to_be_visible()
    expect(page.get_by_text("square is 9")).to_be_visible()
    expect(page.locator("svg path").first).to_be_visible()
    assert page.locator("link[data-media]").evaluate_all("links => links.map((one) => one.media)") == ["print"] * 3
    assert page.locator("head style").last.inner_text().count("{") > 20
    page.screenshot(path=artifacts / f"dashboard-painted-{width}.png")
    assert RELEASE not in make_runtime(platform.settings).running()
    page.context.close()


def test_its_style_sheets_are_put_on_before_it_is_drawn(platform: Platform, kept: str, chromium: Browser):
    page = _page(chromium, kept)
    page.wait_for_function("document.documentElement.dataset.stage === 'ready'", timeout=60_000)
    media = page.locator("link[data-media]").evaluate_all(
        "links => links.map((one) => [one.media, Boolean(one.sheet)])"
    )
    assert media == [["all", True]] * 3
    page.context.close()


@pytest.mark.parametrize("lost", ["**/lab/index.css", "**/html-manager/dist/manager.js"])
def test_a_file_that_does_not_come_holds_nothing_else_up(kept: str, chromium: Browser, lost: str):
    context = chromium.new_context()
    page = context.new_page()
    page.route(lost, lambda route: route.abort())
    page.goto(kept, wait_until="domcontentloaded", timeout=60_000)
    stage = "ready" if "css" in lost else "failed"
    page.wait_for_function("stage => document.documentElement.dataset.stage === stage", arg=stage, timeout=60_000)
    page.wait_for_function("[...document.querySelectorAll('link[data-media]')].every((one) => one.media === 'all')")
    context.close()


def test_a_page_that_nobody_sees_is_drawn_all_the_same(kept: str, chromium: Browser):
    """As in a frame of another site that is not in view, where the browser paints nothing."""
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script("window.requestAnimationFrame = () => 0")
    page.goto(kept, wait_until="domcontentloaded", timeout=60_000)
    page.wait_for_function("document.documentElement.dataset.stage === 'ready'", timeout=60_000, polling=200)
    context.close()


def test_a_gesture_starts_it_and_a_reload_finds_it_again(
    platform: Platform, stopped: str, chromium: Browser, artifacts: Path
):
    page = _page(chromium, stopped)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.wait_for_function("document.documentElement.dataset.stage === 'ready'", timeout=60_000)
    expect(page.locator("#square")).to_have_count(1)  # what was painted has made room
    page.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#square")).to_have_text("square is 16", timeout=60_000)
    page.screenshot(path=artifacts / "dashboard-kept.png")
    page.reload(wait_until="domcontentloaded")
    expect(page.locator("#square")).to_have_text("square is 16", timeout=30_000)
    other = _page(chromium, stopped)
    other.wait_for_function("document.documentElement.dataset.stage === 'ready'", timeout=60_000)
    expect(other.locator("#square")).to_have_text("square is 9", timeout=30_000)  # each their own
    other.locator(".noUi-handle").focus()
    other.keyboard.press("ArrowLeft")
    expect(other.locator("#square")).to_have_text("square is 4", timeout=30_000)
    expect(page.locator("#square")).to_have_text("square is 16")
    assert errors == []
    other.context.close()
    page.context.close()
