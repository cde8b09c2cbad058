"""The journey: log in with TOTP, a notebook, a map, publish it, somebody else opens it, an admin sees all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from ..conftest import ROOT
from .conftest import PHONE, Demo, log_in

pytestmark = [pytest.mark.docker, pytest.mark.browser]
TILES_DRAWN = """() => [...document.querySelectorAll('img.leaflet-tile-loaded')]
    .filter(i => i.naturalWidth > 0 && i.src.includes('/tiles/')).length"""  # not those of the base map
ALL_TILES = """() => [...document.querySelectorAll('img.leaflet-tile')].filter(i => i.src.includes('/tiles/'))
    .every(i => i.classList.contains('leaflet-tile-loaded'))"""
MINUTE = 60_000
FIRST = ROOT / "bdap_hub/demo/notebooks/first-map.ipynb"


def test_from_login_to_a_public_dashboard(demo: Demo, person, shots):
    page = person().new_page()
    shot = shots(page)
    log_in(demo, page, "ana", shot)

    spawn(demo, page, "agriculture", "lab", shot)
    run_notebook(demo, page, "first-map.ipynb", shot)
    click_the_map(page, shot)
    url = publish(demo, page, "ndvi-dashboard.ipynb", shot)

    visit_anonymously(person().new_page(), url, shots)
    visit_anonymously(person(viewport=PHONE).new_page(), url, shots, "-phone")
    look_as_admin(demo, person("olga").new_page(), url, shots)
    explore_on_a_phone(demo, person(viewport=PHONE).new_page(), shots)

    page.goto(f"{demo.hub}/hub/logout")
    page.get_by_role("button", name="Log out").click()  # of the provider, too
    page.wait_for_url(f"{demo.hub}/hub/**")
    shot("logged-out")
    page.goto(f"{demo.hub}/hub/home")
    expect(page.locator("input[type=password]")).to_be_visible()


def spawn(demo: Demo, page: Page, project: str, image: str, shot: Callable[[str], None]) -> None:
    """Choose and wait for JupyterLab."""
    page.goto(f"{demo.hub}/hub/home")
    if page.locator("#stop").is_visible():  # a demo that was used before
        page.locator("#stop").click()
        page.locator("#stop").wait_for(state="hidden", timeout=MINUTE)
    page.goto(f"{demo.hub}/hub/spawn")
    choice = page.locator(f"input[type=radio][value='{project}/{image}']")
    choice.check(force=True)
    shot("choose")
    page.locator("#spawn_form button[type=submit]").click()
    page.wait_for_url(re.compile(r"/user/ana/lab"), timeout=2 * MINUTE)
    page.wait_for_selector("#jp-main-dock-panel", timeout=MINUTE)
    page.locator(".jp-Launcher, .jp-NotebookPanel").locator("visible=true").first.wait_for(timeout=MINUTE)
    shot("jupyterlab")


def open_notebook(demo: Demo, page: Page, name: str) -> None:
    """Open a notebook of the home folder and wait for its kernel."""
    page.goto(f"{demo.hub}/user/ana/lab/tree/{name}")
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell", timeout=MINUTE)
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    for _ in range(60):  # idle, and still so two seconds later: JupyterLab may change the session while it loads
        expect(idle).to_be_visible(timeout=MINUTE)
        page.wait_for_timeout(2000)
        if idle.is_visible():
            return


def run_notebook(demo: Demo, page: Page, name: str, shot: Callable[[str], None]) -> None:
    """Run all cells; NDVI takes at most five lines, is drawn from our tiles, and no cell fails."""
    lines = [line for line in json.loads(FIRST.read_text())["cells"][3]["source"] if line.strip()]
    assert len(lines) <= 4 and "ndvi()" in "".join(lines)  # the fifth is `import bdap`
    open_notebook(demo, page, name)
    run_all(page)
    wait_for_tiles(page, 4)
    shot("map")
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []


def run_all(page: Page) -> None:
    """Run the open notebook from its menu."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_selector(".leaflet-container", timeout=2 * MINUTE)


def wait_for_tiles(page: Page, count: int) -> None:
    """Until that many map tiles hold pixels and the kernel has finished."""
    page.locator(".leaflet-container").first.scroll_into_view_if_needed()
    page.wait_for_function(f"({TILES_DRAWN})() >= {count}", timeout=2 * MINUTE)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=2 * MINUTE)
    page.locator(".leaflet-container").first.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)


def click_the_map(page: Page, shot: Callable[[str], None]) -> None:
    """A click shows the value there, the steps that led to it, and its season."""
    leaflet = page.locator(".leaflet-container").first
    leaflet.scroll_into_view_if_needed()
    leaflet.click()
    popup = page.locator(".leaflet-popup-content")
    expect(popup).to_contain_text(re.compile(r"-?\d+[.,]\d+"), timeout=MINUTE)
    expect(leaflet.locator(".leaflet-control .bqplot circle, .leaflet-control .bqplot path.dot").nth(2)).to_be_attached(
        timeout=MINUTE
    )
    page.wait_for_timeout(1500)  # the popup fades in, the chart is drawn
    shot("value-and-season")
    popup.get_by_text("How it came about").click()
    expect(popup).to_contain_text("load_collection")
    shot("steps")


def publish(
    demo: Demo,
    page: Page,
    name: str,
    shot: Callable[[str], None],
    title: str = "NDVI through the season",
    slug: str = "ndvi",
) -> str:
    """Publish by the notebook's button, to the public; the address that the dialog shows."""
    open_notebook(demo, page, name)
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    panel.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="Publish").click()
    dialog = page.locator(".jp-Dialog-content")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Title").fill(title)
    dialog.get_by_label("Address").fill(slug)
    dialog.locator("input[type=radio][value=public]").check()
    shot("publish")
    dialog.get_by_role("button", name="Publish").click()
    link = page.locator(".jp-Dialog-content a[href*='dashboards.localhost']")
    link.wait_for(timeout=2 * MINUTE)
    shot("published")
    url = link.get_attribute("href")
    assert url
    page.keyboard.press("Escape")
    return url


def visit_anonymously(page: Page, url: str, shots, suffix: str = "", slide: bool = True) -> None:
    """Without an account: the dashboard draws, its slider changes what is shown, nothing comes from elsewhere."""
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda r: (
            elsewhere.append(r.url)
            if not re.search(r"//[\w.-]*(localhost|127\.0\.0\.1)", r.url) and r.url.startswith("http")
            else None
        ),
    )
    lost: list[str] = []

    def lose(route: Route) -> None:  # the first ones, once, as where the network changes
        url = route.request.url
        if len(lost) == 3 or url in lost:
            route.fallback()
            return
        lost.append(url)
        route.abort("internetdisconnected")

    shot = shots(page)
    page.route("**/tiles/**", lose)
    page.goto(url)
    page.wait_for_selector(".leaflet-container", timeout=2 * MINUTE)
    page.wait_for_function(f"({TILES_DRAWN})() >= 2", timeout=2 * MINUTE)
    page.wait_for_function(ALL_TILES, timeout=MINUTE)
    assert len(lost) == 3
    page.wait_for_timeout(1500)  # the rest of the tiles, for the picture
    shot(f"dashboard{suffix}")
    assert elsewhere == []
    if not slide:
        return
    before = page.locator("body").inner_text()
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("text => document.body.innerText !== text", arg=before, timeout=MINUTE)
    page.wait_for_timeout(1500)
    shot(f"slider{suffix}")
    assert elsewhere == []


def explore_on_a_phone(demo: Demo, page: Page, shots) -> None:
    """The explorer that the demo has published by itself: from the gallery to a picture, without an account."""
    shot = shots(page)
    page.goto(f"{demo.hub}/services/dashboards/")
    link = page.get_by_role("link", name="Collections Explorer", exact=True).first
    for _ in range(90):  # it is published once the demo is ready
        if link.count():
            break
        page.wait_for_timeout(2000)
        page.reload()
    address = link.get_attribute("href")
    assert address
    page.goto(address)
    page.get_by_role("button", name="Sentinel-2 like demo scenes").click(timeout=2 * MINUTE)
    page.wait_for_function(f"({TILES_DRAWN})() >= 2", timeout=2 * MINUTE)
    page.wait_for_url(re.compile("collection=sentinel-2-demo"), timeout=MINUTE)
    shot("explorer-phone")


def look_as_admin(demo: Demo, page: Page, url: str, shots) -> None:
    """Olga sees the person, the server and the dashboard."""
    shot = shots(page)
    for part, text in (("people", "ana"), ("servers", "agriculture"), ("dashboards", "NDVI through the season")):
        page.goto(f"{demo.hub}/services/admin/{part}")
        expect(page.locator("main")).to_contain_text(text)
        shot(f"admin-{part}")
    page.goto(f"{demo.hub}/services/dashboards/")
    expect(page.locator("main")).to_contain_text("NDVI through the season")
    shot("gallery")
