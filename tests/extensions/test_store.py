"""The notices about the data store in a real JupyterLab, and the look behind them, which may hang."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jupyterlab_bdap import store
from jupyterlab_bdap.store import Store
from playwright.sync_api import Browser, Page, Route, expect

from tests.conftest import ROOT
from tests.extensions.conftest import EXTENSIONS
from tests.extensions.lab import TOKEN, Lab, jupyterlab

WORDS = "does not answer"
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def eos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """STAND-IN for the store: a folder, which is away when it is renamed."""
    found = tmp_path_factory.mktemp("stands-in") / "eos"
    found.mkdir()
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, eos: Path) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("lab"), BDAP_STORE=str(eos)) as running:
        yield running


def test_nobody_without_the_servers_token(lab: Lab, eos: Path) -> None:
    address = f"{lab.url}bdap/store"
    assert httpx.get(address, trust_env=False).status_code == 403
    answer = httpx.get(address, headers={"Authorization": f"token {TOKEN}"}, trust_env=False)
    assert answer.json() == {"mount": str(eos), "away": False}


@pytest.mark.parametrize(
    ("lines", "places"),
    [
        ([], []),
        (["/ /eos/data", "/x /eos/data/inner", "/ /home"], [("/eos/data", "/")]),
        (["/v/.away /eos/data", "/ /eos/projects/a", "/ /eoss"], [("/eos/data", "/v/.away"), ("/eos/projects/a", "/")]),
        (["/ /eos", "/d /eos/data"], [("/eos", "/")]),
    ],
)
def test_what_is_looked_at(lines: list[str], places: list[tuple[str, str]]) -> None:
    assert list(store._places("/eos", "\n".join(f"1 0 0:1 {line} rw - x x rw" for line in lines))) == places


def test_a_folder_that_is_gone_or_only_held_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not store.is_missing(str(tmp_path))
    assert store.is_missing(str(tmp_path / "none"))
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(store, "MOUNTS", mounts)
    for held, missing in (("/", False), ("/var/.away", True)):
        mounts.write_text(f"1 0 0:1 {held} {tmp_path} rw - x x rw")
        assert store.is_missing(str(tmp_path)) is missing


async def test_a_look_that_hangs_holds_up_nobody_and_none_follows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.2)
    monkeypatch.setattr(store, "FRESH", 0.0)
    looks, answers = [], threading.Event()

    def hangs(mount: str) -> bool:
        looks.append(mount)
        answers.wait(30)
        return False

    seen = Store("/eos", hangs)
    assert await asyncio.gather(seen.away(), seen.away()) == [True, True] and await seen.away()
    assert looks == ["/eos"]
    answers.set()
    deadline = time.monotonic() + 10
    while await seen.away() and time.monotonic() < deadline:
        pass  # it waits a little in each
    assert not await seen.away() and len(looks) > 1
    assert not await Store("", hangs).away(), "who has no store misses none"


def told(page: Page, text: str) -> None:
    """Waits until that is told; a page that comes into view looks at once."""
    toast = page.locator(".Toastify").get_by_text(text)
    deadline = time.monotonic() + 40
    while not toast.is_visible() and time.monotonic() < deadline:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(500)
    expect(toast).to_be_visible()


@pytest.mark.browser
def test_people_are_told_and_told_of_the_end(chromium: Browser, lab: Lab, eos: Path, artifacts: Path) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.goto(lab.open("field-notes.ipynb"))
        page.locator(".jp-NotebookPanel-toolbar").wait_for(timeout=60_000)
        expect(page.get_by_text(WORDS)).to_have_count(0)
        away = eos.rename(eos.with_name("away"))
        try:
            told(page, WORDS)
            expect(page.locator("[role=alert], [role=status]").filter(has_text=WORDS)).to_have_count(1)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 800})
                page.wait_for_timeout(500)
                page.screenshot(path=artifacts / f"lab-store-away-{width}.png")
        finally:
            away.rename(eos)
        told(page, "is back")
        expect(page.locator(".Toastify").get_by_text(WORDS)).to_have_count(0)
        page.screenshot(path=artifacts / "lab-store-back-390.png")


SLIDER = """
  const made = document.createElement("div");
  made.className = "jupyter-widgets widget-slider";
  made.innerHTML = '<label class="widget-label">Opacity</label><div class="noUi-target"><div class="noUi-handle" '
    + 'role="slider" tabindex="0"></div></div><div class="widget-readout">40%</div>';
  document.body.append(made);
"""


@pytest.mark.browser
def test_sliders_of_widgets_have_a_name(chromium: Browser, lab: Lab) -> None:
    """As ipywidgets draws one, without starting a kernel for it."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(lab.open("field-notes.ipynb"))
        page.locator(".jp-NotebookPanel-toolbar").wait_for(timeout=60_000)
        page.evaluate(SLIDER)
        slider = page.get_by_role("slider", name="Opacity", exact=True)
        expect(slider).to_have_attribute("aria-valuetext", "40%", timeout=20_000)
        page.locator(".widget-readout").evaluate("e => e.textContent = '45%'")
        expect(slider).to_have_attribute("aria-valuetext", "45%", timeout=20_000)


TILE = """
  window.heard = [];
  const made = document.createElement("img");
  made.className = "leaflet-tile";
  for (const kind of ["error", "load"]) made.addEventListener(kind, () => window.heard.push(kind));
  made.src = "/tiles/1/2/3.png";
  document.body.append(made);
"""


@pytest.mark.browser
@pytest.mark.parametrize(("losses", "asked", "heard"), [(2, 3, ["error", "load"]), (9, 3, ["error"])])
def test_tiles_that_did_not_come_are_asked_for_again(
    chromium: Browser, lab: Lab, losses: int, asked: int, heard: list[str]
) -> None:
    """As Leaflet draws one; it hears of a tile's first failure, and of its coming."""
    requests: list[str] = []

    def answer(route: Route) -> None:
        requests.append(route.request.url)
        if len(requests) <= losses:
            route.abort("internetdisconnected")
        else:
            route.fulfill(status=200, content_type="image/png", body=DOT)

    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(lab.open("field-notes.ipynb"))
        page.locator(".jp-NotebookPanel-toolbar").wait_for(timeout=60_000)
        page.wait_for_function("performance.getEntriesByType('resource').some((one) => one.name.endsWith('tiles.js'))")
        page.wait_for_timeout(1000)  # and is run
        page.route("**/tiles/**", answer)
        page.evaluate(TILE)
        deadline = time.monotonic() + 60
        while (len(requests), page.evaluate("window.heard")) != (asked, heard) and time.monotonic() < deadline:
            page.wait_for_timeout(200)
        page.wait_for_timeout(2000)  # nor is it asked for once more
        assert (len(requests), page.evaluate("window.heard")) == (asked, heard)


@pytest.mark.parametrize("name", ["sliders.js", "tiles.js"])
def test_dashboards_mend_widgets_as_the_lab_does(name: str) -> None:
    pages = ROOT / "bdap_hub/dashboards/voila/voila/templates/bdap/static" / name
    assert (EXTENSIONS / "jupyterlab-bdap/labextension/static" / name).read_bytes() == pages.read_bytes()
