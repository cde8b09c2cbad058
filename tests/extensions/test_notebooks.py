"""The demo notebooks against the real catalogue and processing services: cell by cell, and as a dashboard in Voilà."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bdap
import httpx
import nbformat
import numpy as np
import pytest
import rasterio
import rasterio.warp
from nbclient import NotebookClient
from playwright.sync_api import Browser, Page, Response, expect

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.demo.data import generate
from bdap_hub.processing.app import create_app as create_processing
from tests.conftest import free_port
from tests.emptied import emptied
from tests.extensions.conftest import environment
from tests.extensions.lab import end

NOTEBOOKS = Path(__file__).parents[2] / "bdap_hub" / "demo" / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
SIZE = 384


@pytest.fixture(scope="module")
def services(hub: Any) -> dict[str, str]:
    """Catalogue and processing with a small season of demo data; the environment of ana's notebook server."""
    settings = hub.settings
    data = emptied(settings)
    generate(data, size=SIZE)
    for name, visibility, project in (("sentinel-2-demo", "public", ""), ("forest-plots", "project", "forest")):
        report = ingest(settings, data / name, name, name, visibility, project)
        assert report.added and not report.errors, str(report)
    hub.serve(create_catalogue(settings), settings.catalogue.port)
    hub.serve(create_processing(settings), settings.processing.port)
    return environment(hub, "ana")


@pytest.fixture(scope="module")
def client(services: dict[str, str]) -> bdap.Client:
    """The library as ana uses it."""
    return bdap.Client(
        services["JUPYTERHUB_API_TOKEN"], services["BDAP_PROCESSING_URL"], services["BDAP_CATALOGUE_URL"]
    )


def band(hub: Any, day: str, name: str) -> tuple[np.ndarray, Any]:
    with rasterio.open(hub.settings.store.data / "sentinel-2-demo" / day / f"{name}.tif") as file:
        return file.read(1).astype(float), file


def test_a_value_is_what_the_file_says(hub: Any, client: bdap.Client) -> None:
    red, file = band(hub, "2025-07-10", "B04")
    nir, _ = band(hub, "2025-07-10", "B08")
    lon, lat = rasterio.warp.transform(file.crs, "EPSG:4326", *[[v] for v in file.xy(100, 150)])
    cube = bdap.collection("sentinel-2-demo", client).between("2025-07-10", "2025-07-10")
    expected = (nir[100, 150] - red[100, 150]) / (nir[100, 150] + red[100, 150])
    assert cube.ndvi().median().value(lon[0], lat[0]) == pytest.approx(expected, abs=1e-3)
    assert cube.band("B08").first().value(lon[0], lat[0]) == nir[100, 150]
    for threshold in (nir[100, 150] - 1, nir[100, 150] + 1):
        above = (cube.band("B08") > float(threshold)).first()
        assert above.value(lon[0], lat[0]) == float(nir[100, 150] > threshold)


def test_tiles_are_pictures(client: bdap.Client) -> None:
    cube = bdap.collection("sentinel-2-demo", client).mask_clouds().ndvi().median().colormap("rdylgn", 0, 1)
    west, south, east, north = client.service(cube.key, cube.graph).bounds
    z, n = 12, 2**12
    x = int((west + east + 360) / 720 * n)
    y = int((1 - np.arcsinh(np.tan(np.radians((south + north) / 2))) / np.pi) / 2 * n)
    url = cube.tiles_url().replace("{z}", str(z)).replace("{x}", str(x)).replace("{y}", str(y))
    tile = httpx.get(url, timeout=60, trust_env=False)
    assert tile.status_code == 200 and tile.content.startswith(b"\x89PNG") and len(tile.content) > 1000


def test_what_one_may_not_see_and_what_is_not_there(client: bdap.Client) -> None:
    assert [each["id"] for each in bdap.collections(client)] == ["sentinel-2-demo"]
    for cube, statuses in (
        (bdap.collection("forest-plots", client).ndvi().median(), {403, 404}),
        (bdap.collection("sentinel-2-demo", client).band("B99").median(), {400}),
    ):
        with pytest.raises(bdap.ServiceError) as error:
            cube.tiles_url()
        assert error.value.status in statuses and error.value.remedy


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_clean_and_short(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 10 and notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)
    # It may name no address: all it shows comes from the platform.
    assert not re.search(r"https?://", (NOTEBOOKS / name).read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, services: dict[str, str], tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("assert map.messages == [], map.messages\nprint('no message')"))
    run = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    run.execute(env=services)
    assert notebook.cells[-1].outputs[0].text == "no message\n"


@pytest.fixture(scope="module")
def dashboard(services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard notebook served by Voilà."""
    port = free_port()
    folder = tmp_path_factory.mktemp("voila")
    command = [sys.executable, "-m", "voila", str(NOTEBOOKS / "ndvi-dashboard.ipynb"), f"--port={port}", "--no-browser"]
    with (folder / "voila.log").open("w") as log:
        process = subprocess.Popen(command, env=services, cwd=folder, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            yield url
        finally:
            end(process)


@pytest.mark.browser
def test_the_dashboard_in_a_browser(chromium: Browser, dashboard: str, hub: Any, artifacts: Path) -> None:
    answers: list[Response] = []
    asked: set[str] = set()
    page = chromium.new_page(viewport={"width": 1360, "height": 860})
    page.on("response", lambda answer: answers.append(answer))
    page.on("request", lambda request: asked.add(request.url))
    page.goto(dashboard, timeout=90_000)
    expect(page.get_by_role("heading", name="How green are the fields?")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("dates are free of clouds")).to_be_visible(timeout=60_000)
    _tiles_drawn(page)
    page.screenshot(path=artifacts / "dashboard-first.png")
    before = set(_tiles(answers))
    page.get_by_role("slider").nth(1).focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.wait_for_function("n => document.querySelectorAll('.leaflet-tile-loaded').length > 0", arg=0, timeout=30_000)
    _until(page, lambda: set(_tiles(answers)) - before)
    box = page.locator(".leaflet-container").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.55)
    expect(page.locator(".leaflet-popup")).to_contain_text("NDVI", timeout=30_000)
    _tiles_drawn(page)
    page.screenshot(path=artifacts / "dashboard-slid.png")
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_timeout(1500)
    page.screenshot(path=artifacts / "dashboard-phone.png", full_page=True)
    page.close()
    assert {answer.status for answer in answers if "/tiles/" in answer.url} == {200}
    # Voilà's stock template asks a CDN for an icon font; the platform's own template does not, nor does the notebook.
    origins = {match[0] for url in asked if (match := re.match(r"https?://[^/]+", url))} - {"https://cdn.jsdelivr.net"}
    assert origins == {dashboard.rstrip("/"), hub.url}


def _tiles(answers: list[Response]) -> list[str]:
    return [answer.url.split("?")[0].split("/tiles/")[1].split("/")[0] for answer in answers if "/tiles/" in answer.url]


def _tiles_drawn(page: Page) -> None:
    page.wait_for_function(
        "() => { const all = document.querySelectorAll('.leaflet-tile');"
        " return all.length > 0 && all.length === document.querySelectorAll('.leaflet-tile-loaded').length }",
        timeout=60_000,
    )


def _until(page: Page, found: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "nothing happened in time"
        page.wait_for_timeout(100)
