"""The Collections Explorer, published as a dashboard and seen by a stranger's browser, beside the real services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.dashboards.bundles.client import publish
from bdap_hub.demo.data import generate
from bdap_hub.processing.app import create_app as create_processing
from tests.emptied import emptied

from .conftest import API, Platform

pytestmark = pytest.mark.browser
FOLDER = Path(__file__).parents[2] / "extensions" / "collections-explorer"
SECONDS = 60_000
MOST_SERVICES = 8
"""Far fewer than all that the tests look at: visitors do not run into the limit."""
DRAWN = """() => {
 const all = [...document.querySelectorAll('img.leaflet-tile')].filter(one => one.src.includes('/tiles/'));
 return all.length > 1 && all.every(one => one.complete && one.classList.contains('leaflet-tile-loaded')) }"""
GROUND = "() => [...document.querySelectorAll('.leaflet-tile-loaded')].some(one => one.src.includes('/basemaps/'))"
DAY = "collection=sentinel-2-demo&date=2025-07-10"


@pytest.fixture(scope="module")
def explorer(platform: Platform) -> Iterator[str]:
    """The address of the published explorer, with a small season that is public, and plots of forest's alone."""
    settings = platform.hub.settings
    data = emptied(settings)
    generate(data, size=384)
    ingest(settings, data / "sentinel-2-demo", "sentinel-2-demo", "Season near Ispra", "public", "")
    ingest(settings, data / "dem-demo", "dem-demo", "Heights", "public", "", pattern="(?P<band>elevation)")
    ingest(settings, data / "forest-plots", "forest-plots", "Forest plots", "project", "forest")
    platform.hub.serve(create_catalogue(settings), settings.catalogue.port)
    few = settings.model_copy(deep=True)
    few.processing.most_services = MOST_SERVICES
    platform.hub.serve(create_processing(few), settings.processing.port)
    token = platform.hub.token("olga")  # who may see the plots
    made = publish(f"{platform.hub.url}/services/dashboards", token, FOLDER, project="forest", visibility="public")
    yield str(made["url"])
    bearer = {"Authorization": f"Bearer {token}"}
    httpx.delete(f"{platform.hub.url}{API}/{made['id']}", headers=bearer, timeout=60)  # nor do other tests find it


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Page]:
    """A browser without an account, that fails the test when a script fails."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def show(page: Page, url: str) -> None:
    page.goto(url, timeout=SECONDS)
    expect(page.get_by_role("heading", name="Collections Explorer")).to_be_visible(timeout=SECONDS)
    expect(page.locator(".explorer .state")).to_have_text("", timeout=SECONDS)


def drawn(page: Page) -> None:
    page.wait_for_function(DRAWN, timeout=SECONDS)


def test_from_the_list_to_values_at_a_place(
    explorer: str, visitor: Page, artifacts: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(visitor, explorer)
    visitor.get_by_label("Search collections").fill("nir sentinel-2")
    expect(visitor.locator(".card")).to_have_count(1)
    visitor.get_by_label("Search collections").fill("radar")
    expect(visitor.get_by_text("No collection has these words.")).to_be_visible()
    visitor.get_by_label("Search collections").fill("")
    expect(visitor.get_by_role("button", name="Season near Ispra")).to_be_visible(timeout=SECONDS)
    visitor.wait_for_function(GROUND, timeout=SECONDS)
    visitor.screenshot(path=artifacts / "explorer-list.png")
    visitor.get_by_role("button", name="Season near Ispra").press("Enter")
    drawn(visitor)
    visitor.get_by_label("Show").select_option("index:NDVI")
    expect(visitor.locator("aside")).to_contain_text("0.9", timeout=SECONDS)  # of the legend
    visitor.get_by_role("button", name="2025", exact=True).click()
    expect(visitor.locator(".caption.left b")).to_have_text("2025", timeout=SECONDS)
    visitor.get_by_role("button", name="10 July 2025: 1 item").click()
    expect(visitor.locator(".caption.left b")).to_have_text("10 July 2025", timeout=SECONDS)
    drawn(visitor)
    visitor.locator(".leaflet-container").click()
    expect(visitor.locator(".place")).to_contain_text(re.compile(r"NDVI.*dates: lowest"), timeout=SECONDS)
    expect(visitor).to_have_url(re.compile(r"date=2025-07-10&look=index:NDVI.*&place=45\."), timeout=SECONDS)
    visitor.screenshot(path=artifacts / "explorer-place.png")
    assert "Forest plots" not in visitor.content()
    visitor.get_by_text("The same picture in a notebook").click()
    assert messages_of(visitor.locator("pre").inner_text(), platform, monkeypatch) == []
    lab = visitor.get_by_role("link", name="Open in my lab").get_attribute("href")
    assert lab and lab.startswith(f"{platform.hub.url}/hub/user-redirect/bdap/explored?view=")


def messages_of(code: str, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the copied cell as ana's notebook would; what its map complains of."""
    settings = platform.hub.settings
    monkeypatch.setenv("BDAP_TOKEN", platform.hub.token("ana"))
    monkeypatch.setenv("BDAP_PROCESSING_URL", f"{settings.processing.url}/services/processing")
    monkeypatch.setenv("BDAP_CATALOGUE_URL", f"{settings.catalogue.url}/services/catalogue")
    namespace: dict[str, Any] = {}
    exec(code.replace("\nbdap.Map(", "\nmade = bdap.Map("), namespace)
    return list(namespace["made"].messages)


def test_on_a_phone(explorer: str, chromium: Browser, artifacts: Path) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    show(page, f"{explorer}?{DAY}&look=index:NDVI")
    drawn(page)
    page.locator(".leaflet-container").tap()
    expect(page.locator(".values")).to_contain_text(re.compile(r"NDVI\) \d"), timeout=SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".explorer").evaluate("e => e.scrollWidth <= e.clientWidth")
    page.screenshot(path=artifacts / "explorer-phone.png")
    context.close()


def test_an_address_brings_back_what_was_seen(explorer: str, visitor: Page, artifacts: Path) -> None:
    query = f"{DAY}&look=index:NDVI&with=sentinel-2-demo&with-date=2025-05-16&with-look=natural&at=45.8600,8.5600,14"
    show(visitor, f"{explorer}?{query}")
    drawn(visitor)
    expect(visitor.locator(".caption.left")).to_contain_text("10 July 2025")
    expect(visitor.locator(".caption.right")).to_contain_text("16 May 2025")
    expect(visitor).to_have_url(f"{explorer}?{query}", timeout=SECONDS)
    divider = visitor.get_by_role("slider")
    before = visitor.locator(".leaflet-sbs-divider").bounding_box()
    divider.focus()
    visitor.keyboard.press("ArrowRight")
    visitor.wait_for_function(
        "x => document.querySelector('.leaflet-sbs-divider').getBoundingClientRect().x != x", arg=before["x"]
    )
    visitor.screenshot(path=artifacts / "explorer-compare.png")


def test_two_dates_then_two_collections(explorer: str, visitor: Page, artifacts: Path) -> None:
    show(visitor, f"{explorer}?{DAY}")
    visitor.get_by_role("button", name="Compare with another date").click()
    expect(visitor.locator(".caption.right b")).to_have_text("16 May 2025", timeout=SECONDS)  # June is cloudy
    visitor.get_by_role("button", name="Another collection on the right").click()
    visitor.get_by_role("button", name="Heights").click()
    expect(visitor.locator(".caption.right")).to_contain_text("Heights", timeout=SECONDS)
    drawn(visitor)
    expect(visitor).to_have_url(
        re.compile("collection=sentinel-2-demo&date=2025-07-10.*&with=dem-demo"), timeout=SECONDS
    )
    visitor.get_by_role("button", name="Stop comparing").click()
    expect(visitor.locator(".caption.right")).to_have_count(0, timeout=SECONDS)
    expect(visitor).not_to_have_url(re.compile("with="), timeout=SECONDS)


@pytest.mark.parametrize("name", ["nothing-here", "forest-plots"])
def test_a_collection_one_may_not_see_is_as_one_that_is_not_there(explorer: str, visitor: Page, name: str) -> None:
    show(visitor, f"{explorer}?collection={name}&at=north")
    alert = visitor.get_by_role("alert")
    expect(alert).to_contain_text(f"There is no collection “{name}”, or it is not open to you")
    expect(alert).to_contain_text("“north” is no place on the map")
    assert "Forest plots" not in visitor.content()
