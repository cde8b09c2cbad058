"""The map in a real browser with real services: mouse, keyboard and phone; pictures of it; failing tiles in words."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.conftest import EXPECT, free_port
from tests.extensions.conftest import EXTENSIONS
from tests.extensions.lab import end
from tests.extensions.season import DATES, Season, season

pytestmark = pytest.mark.browser
CELLS = (
    """
import bdap
cube = bdap.collection("season")
greenness = cube.ndvi().colormap("rdylgn", -1, 1)
median = cube.ndvi().median().colormap("rdylgn", -1, 1)
map = bdap.Map(height="440px")
map.add(cube.bands("B04", "B03", "B02").median().stretch(0, 10000), "true colour").add(median, "NDVI")""",
    """
days = bdap.Map(height="300px").add(greenness, "days")
days""",
    """
pen = bdap.Map(height="440px").add(median, "NDVI").draw()
pen""",
    """
both = bdap.Map(height="300px").add(median, "NDVI").swipe("NDVI", cube.band("B08").max())
both""",
    """
bdap.Map(height="200px").add(cube.band("B99").median(), "wrong")""",
)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def running(hub: Any) -> Iterator[Season]:
    """Catalogue, processing and a season of known pixels."""
    with season(hub) as made:
        yield made


@pytest.fixture(scope="module")
def address(running: Season, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The notebook of these maps as Voilà serves it, with a kernel for each visit."""
    folder = tmp_path_factory.mktemp("maps")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "maps.ipynb")
    settings = running.hub.settings
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(EXTENSIONS / "bdap" / "src"),
        "PYTHONWARNINGS": "ignore",
        "JUPYTERHUB_API_TOKEN": running.hub.token("ana"),
        "BDAP_PROCESSING_URL": f"{settings.processing.url}/services/processing",
        "BDAP_CATALOGUE_URL": f"{settings.catalogue.url}/services/catalogue",
    }
    port = free_port()
    command = [sys.executable, "-m", "voila", "maps.ipynb", f"--port={port}", "--no-browser"]
    with (folder / "voila.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            _answers(port, process, folder / "voila.log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            end(process)


def _answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"Voilà did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """The page with all its maps drawn."""
    page = chromium.new_page(viewport={"width": 1280, "height": 2000})
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.asked = list[str]()  # type: ignore[attr-defined]
    page.on("request", lambda request: _note(page, request))
    page.goto(address, timeout=120_000)
    expect(page.locator(".leaflet-container")).to_have_count(5, timeout=120_000)
    _drawn(page)
    yield page
    page.close()
    expect.set_options(timeout=EXPECT)


def _note(page: Page, request: Request) -> None:
    page.asked.append(request.url)  # type: ignore[attr-defined]


def _drawn(page: Page) -> None:
    """Until tiles are there, and a moment for the rest."""
    page.wait_for_function("() => document.querySelectorAll('.leaflet-tile-loaded').length > 20", timeout=60_000)
    page.wait_for_timeout(3000)


def a_map(page: Page, number: int) -> Any:
    found = page.locator(".leaflet-container").nth(number)
    found.scroll_into_view_if_needed()
    return found


def apart(one: Locator, other: Locator) -> bool:
    """Whether two do not lie on one another."""
    a, b = one.bounding_box(), other.bounding_box()
    assert a and b
    beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
    return beside or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]


def inside(one: Locator, other: Locator) -> bool:
    """Whether one is seen whole within the other."""
    a, b = one.bounding_box(), other.bounding_box()
    assert a and b
    across = b["x"] <= a["x"] and a["x"] + a["width"] <= b["x"] + b["width"]
    return across and b["y"] <= a["y"] and a["y"] + a["height"] <= b["y"] + b["height"]


def laid_out(found: Locator, card: Locator, chart: Locator, values: Locator, marked: Locator) -> bool:
    """Whether a map's card is whole, with its chart and values beside one another, and its mark seen beside it."""
    whole = inside(card, found) and inside(values, card) and inside(chart, card)
    return whole and apart(values, chart) and apart(marked, card) and inside(marked, found)


def until(page: Page, true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "nothing happened in time"
        page.wait_for_timeout(100)


def test_maps_say_what_they_show_and_what_is_wrong(page: Page, artifacts: Path) -> None:
    first = a_map(page, 0)
    expect(first.get_by_role("group", name=re.compile("^NDVI: colours from"))).to_be_visible()
    expect(a_map(page, 4).get_by_role("alert")).to_contain_text("B99")  # on the map
    expect(page.locator(".jp-OutputArea, .jp-RenderedHTMLCommon").get_by_role("alert")).not_to_have_count(1)  # the cell
    page.screenshot(path=artifacts / "maps.png")


def test_the_panel_by_keyboard(page: Page, artifacts: Path) -> None:
    first = a_map(page, 0)
    first.get_by_role("button", name="Layers (2)").focus()
    page.keyboard.press("Enter")
    box = first.get_by_role("checkbox", name="true colour")
    expect(box).to_be_checked()
    legend = first.get_by_role("group", name=re.compile("red B04"))
    expect(legend).to_be_visible()
    box.focus()
    page.keyboard.press("Space")
    expect(legend).to_have_count(0)  # legends are those of visible layers
    page.keyboard.press("Space")
    expect(legend).to_be_visible()
    names = first.locator(".leaflet-top.leaflet-right")
    expect(names).to_contain_text(re.compile("NDVI.*true colour", re.DOTALL))
    first.get_by_title("Move true colour up").focus()
    page.keyboard.press("Enter")
    expect(names).to_contain_text(re.compile("true colour.*NDVI", re.DOTALL))
    page.screenshot(path=artifacts / "maps-panel.png")
    first.get_by_title("Move true colour down").click()
    expect(names).to_contain_text(re.compile("NDVI.*true colour", re.DOTALL))
    first.get_by_role("button", name="Layers (2)").click()


def test_a_click_tells_value_steps_and_season(page: Page, artifacts: Path) -> None:
    first = a_map(page, 0)
    first.click()
    popup = first.locator(".leaflet-popup-content")
    expect(popup).to_contain_text(re.compile(r"NDVI\s*-?[\d.]+\s*true colour\s*B04 [\d.]+"))
    popup.get_by_text("How it came about").click()
    expect(popup).to_contain_text("read (load_collection)")
    expect(popup).to_contain_text(DATES[0])
    expect(first.locator(".bqplot").first).to_be_visible()
    page.wait_for_timeout(1000)  # it is animated
    page.screenshot(path=artifacts / "maps-click.png")


def test_a_slider_shows_what_was_loaded_ahead(page: Page) -> None:
    second = a_map(page, 1)
    asked = page.asked  # type: ignore[attr-defined]
    until(page, lambda: any(f"time={DATES[1]}" in url for url in asked))  # nobody has asked for it yet
    assert not any(f"time={DATES[0]}" in url for url in asked)
    second.get_by_role("button", name="‹").click()
    expect(second.get_by_role("slider").first).to_be_visible()
    layers = "[...e.querySelectorAll('.leaflet-layer')].filter(l => l.style.opacity == '1')"
    seen = f"e => {layers}.filter(l => l.innerHTML.includes('time={DATES[1]}')).length"
    until(page, lambda: second.evaluate(seen) == 1)
    until(page, lambda: any(f"time={DATES[0]}" in url for url in asked))
    second.click(position={"x": 640, "y": 150})
    expect(second.locator(".leaflet-popup-content")).to_contain_text("days")
    second.get_by_role("button", name="‹").click()
    until(page, lambda: second.evaluate(seen.replace(DATES[1], DATES[0])) == 1)
    expect(second.locator(".leaflet-popup")).to_have_count(1)


def test_what_is_drawn_becomes_a_chart(page: Page, artifacts: Path) -> None:
    third = a_map(page, 2)
    box = third.bounding_box()
    assert box
    third.get_by_title("Draw a rectangle").click()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.6, steps=5)
    page.mouse.up()
    expect(third.locator(".bqplot rect.bar").nth(5)).to_be_attached()
    third.get_by_label("Show").select_option("Statistics")
    expect(third).to_contain_text("standard deviation")
    third.get_by_label("Show").select_option("Time series")
    expect(third.locator(".bqplot").first).to_be_visible()
    page.wait_for_timeout(1000)
    page.screenshot(path=artifacts / "maps-drawn.png")
    expect(third.locator(".leaflet-popup")).to_have_count(0)  # drawing is no click


def test_a_curtain_by_keyboard_and_under_a_click(page: Page, artifacts: Path) -> None:
    fourth = a_map(page, 3)
    curtain = fourth.locator("input[type=range]").first
    expect(curtain).to_be_attached()
    fourth.click(position={"x": 700, "y": 200})
    expect(fourth.locator(".leaflet-popup-content")).to_contain_text("right")
    page.wait_for_timeout(500)
    clips = "e => [...e.querySelectorAll('.leaflet-layer')].filter(l => l.style.clip).length"
    until(page, lambda: fourth.evaluate(clips) >= 2)  # still two sides
    page.screenshot(path=artifacts / "maps-curtain.png")


def test_on_a_phone(chromium: Browser, address: str, artifacts: Path) -> None:
    page = chromium.new_page(viewport=PHONE)
    page.set_default_timeout(60_000)
    page.goto(address, timeout=120_000)
    expect(page.locator(".leaflet-container")).to_have_count(5, timeout=120_000)
    _drawn(page)
    second = a_map(page, 1)
    back = second.get_by_role("button", name="›")
    expect(back).to_be_visible()
    where, legend = back.bounding_box(), second.get_by_role("group", name=re.compile("^days")).bounding_box()
    assert where and legend and legend["y"] + legend["height"] <= where["y"]  # they do not lie on one another
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for number in (0, 1):  # high with two layers; low with a slider of dates
        found = a_map(page, number)
        high = found.bounding_box()["height"]
        for place in (0.6, 0.15):
            found.click(position={"x": 150, "y": high * place})
            chart, values = found.locator(".bqplot").first, found.locator(".leaflet-bottom table").first
            card = found.locator(".leaflet-widgetcontrol").filter(has=page.get_by_title("Close the chart"))
            legend = found.get_by_role("group", name=re.compile("^(NDVI|days): colours from"))
            marked = found.locator(".leaflet-overlay-pane path[stroke='#fff']")
            expect(values).to_contain_text(re.compile(r"(NDVI|days)\s*-?[\d.]+"))
            expect(chart).to_be_visible()
            page.wait_for_timeout(1500)  # the map moves, the chart grows
            until(page, partial(laid_out, found, card, chart, values, marked))
            page.screenshot(path=artifacts / f"maps-phone-{number}-{place}.png")
            expect(found.locator(".leaflet-popup")).to_have_count(0)
            expect(legend).to_have_count(0)  # the card is in its place
            found.get_by_title("Close the chart").click()
            expect(legend).to_be_visible()
            expect(card).to_have_count(0)
    page.close()


def test_a_tile_that_fails_is_told_in_words(page: Page, running: Season, artifacts: Path) -> None:
    for date in DATES:
        (running.root / f"data/season/{date}/B08.tif").write_bytes(b"damaged")
    fourth = a_map(page, 3)
    fourth.get_by_role("button", name="Zoom in").click()
    alert = fourth.get_by_role("alert").first
    expect(alert).to_contain_text(re.compile("B08.tif"), timeout=60_000)
    page.screenshot(path=artifacts / "maps-failed.png")
    told = page.get_by_role("alert").filter(has_text="B08.tif")
    expect(told).to_have_count(2)  # on the map, where both layers are told by one message, and in the cell
    fourth.get_by_role("button", name="Close", exact=True).first.click()
    expect(told).to_have_count(0)
