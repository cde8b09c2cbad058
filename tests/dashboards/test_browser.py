"""A visitor's real browser: the page works, and nothing is asked of anybody but the dashboard's own origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import SLIDER, Platform, notebook

pytestmark = pytest.mark.browser

CHARTS = r"""
import bqplot.pyplot as plt, ipyvuetify as v, ipywidgets as w
from ipyleaflet import Map, Polygon
m = Map(center=(45, 12), zoom=6, basemap={}, layers=())
m.add(Polygon(locations=[(44, 11), (46, 11), (46, 13)]))
fig = plt.figure(title="NDVI"); plt.plot([1, 2, 3], [2, 4, 3])
w.VBox([m, fig, v.Btn(children=["Refresh"], color="primary"), w.HTMLMath(r"$x^2$"), w.Button(icon="check")])
"""


def _open(chromium: Browser, url: str) -> tuple[Page, list[str], list[str]]:
    """The page, the addresses it asked for, and the errors it reported."""
    page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: errors.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, timeout=60_000)
    return page, asked, errors


def test_a_visitor_moves_a_slider(platform: Platform, chromium: Browser, artifacts: Path):
    made = platform.publish("ana", "slider", notebook(SLIDER), visibility="public").json()
    page, asked, errors = _open(chromium, made["url"])
    expect(page.locator("#square")).to_have_text("square is 9", timeout=30_000)
    named = page.get_by_role("slider", name="n", exact=True)
    expect(named).to_have_attribute("aria-valuetext", "3", timeout=15_000)
    named.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#square")).to_have_text("square is 16", timeout=15_000)
    expect(named).to_have_attribute("aria-valuetext", "4", timeout=15_000)
    page.screenshot(path=artifacts / "dashboard-slider.png")
    assert [url for url in asked if not url.startswith((made["url"], "data:", "blob:"))] == []
    assert errors == []
    page.context.close()


def test_maps_charts_and_components_come_from_the_own_origin(platform: Platform, chromium: Browser, artifacts: Path):
    made = platform.publish("ana", "charts", notebook(CHARTS, text="Formula $E=mc^2$"), visibility="public").json()
    page, asked, errors = _open(chromium, made["url"])
    expect(page.locator(".leaflet-container")).to_be_visible(timeout=40_000)
    expect(page.locator(".bqplot svg.svg-figure")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("button", name="Refresh")).to_be_visible(timeout=20_000)
    expect(page.locator("mjx-container").first).to_be_visible(timeout=20_000)
    icon = page.locator("button i.fa-check")
    family = icon.evaluate("e => getComputedStyle(e, '::before').content + getComputedStyle(e).fontFamily")
    assert "Font Awesome" in family, family
    page.screenshot(path=artifacts / "dashboard-charts.png")
    assert [url for url in asked if not url.startswith((made["url"], "data:", "blob:"))] == []
    assert errors == []
    page.context.close()


def test_a_member_enters_a_project_dashboard_through_the_hub(platform: Platform, published, chromium: Browser):
    made = published("project")
    page, _, _ = _open(chromium, made["url"])
    assert page.url.startswith(f"{platform.hub.url}/hub/login")
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", "test")
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url(made["url"], timeout=30_000)
    expect(page.locator("#square")).to_have_text("square is 9", timeout=30_000)
    cookies = {cookie["name"]: cookie["domain"] for cookie in page.context.cookies(made["url"])}
    assert set(cookies) == {"bdap-dashboard"}  # and none of the hub's
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_gallery_fits(platform: Platform, published, chromium: Browser, artifacts: Path, width: int):
    for visibility in ("public", "people", "project"):
        published(visibility)
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    url = f"{platform.hub.url}/services/dashboards/"
    page.goto(url)
    expect(page.get_by_role("heading", name="Shown-Public")).to_be_visible()
    assert page.get_by_role("heading", name="Shown-Project").count() == 0  # nobody is logged in
    page.goto(f"{url}login")
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", "test")
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url(url)
    expect(page.get_by_role("heading", name="Shown-Project")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=artifacts / f"gallery-{width}.png", full_page=True)
    page.get_by_role("link", name="About Shown-Project").click()
    expect(page.get_by_role("button", name="Take down")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=artifacts / f"dashboard-page-{width}.png", full_page=True)
    page.select_option("#visibility", "people")
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".badge").first).to_have_text("Everybody logged in")
    page.select_option("#visibility", "project")
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".badge").first).to_have_text("Project members")
    context.close()
