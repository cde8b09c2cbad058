"""The same journey on Sentinel-2 scenes that we did not make: ingested by the documented command, equal to rasterio.

The scenes come from $BDAP_TEST_DATA; without it, the demo's own collection is ingested a second time from a copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
from playwright.sync_api import Page, expect
from rasterio.warp import transform

from .conftest import ROOT, Demo, ask
from .test_journey import MINUTE, open_notebook, publish, run_all, spawn, visit_anonymously, wait_for_tiles

pytestmark = [pytest.mark.docker, pytest.mark.browser]
NOTEBOOK = "their-scenes.ipynb"


@pytest.fixture(scope="module")
def scenes(demo: Demo) -> tuple[str, Path, str]:
    """Collection, folder and day of a second collection of this demo, described by `bdap catalogue ingest`."""
    data = demo.var / "store" / "data"
    given = os.environ.get("BDAP_TEST_DATA", "")
    source = Path(given) / "s2-l2a-33T-cog" / "sentinel-2-l2a" if given else data / "sentinel-2-demo"
    name, day = ("sentinel-2-l2a", "2023-08-20") if given else ("sentinel-2-copy", "2025-07-10")
    folder = data / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".truth"))
    command = [str(Path(sys.executable).parent / "bdap"), "catalogue", "ingest", str(folder), "--collection", name]
    environment = {**os.environ, "BDAP_CONFIG": str(demo.var / "bdap.yaml")}
    done = subprocess.run(
        [*command, "--title", "Scenes", "--visibility", "people"],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert " 0 with errors" in done.stdout, done.stdout
    return name, folder, day


def test_from_ingest_to_a_published_map_with_rasterios_values(demo: Demo, person, scenes, shots):
    collection, folder, day = scenes
    page = person("ana").new_page()
    shot = shots(page)
    spawn(demo, page, "agriculture", "lab", lambda _: None)
    write_notebook(demo, page, collection, day)
    open_notebook(demo, page, NOTEBOOK)
    run_all(page)
    wait_for_tiles(page, 4)
    shot("real-map")

    page.locator(".leaflet-container").first.click(position={"x": 420, "y": 260})
    popup = page.locator(".leaflet-popup-content")
    expect(popup).to_contain_text("B08", timeout=MINUTE)
    page.wait_for_timeout(500)
    shot("real-value")
    text = popup.inner_text()
    shown = {band: float(value) for band, value in re.findall(r"(B0[48])\s+(-?[\d.]+)", text)}
    lat, lon = (float(x) for x in re.search(r"(-?\d+\.\d{4,}), (-?\d+\.\d{4,})", text).groups())
    assert shown == read_with_rasterio(folder, day, lon, lat)
    ndvi = float(re.search(r"NDVI\s+(-?[\d.]+)", text).group(1))
    assert ndvi == pytest.approx((shown["B08"] - shown["B04"]) / (shown["B08"] + shown["B04"]), abs=2e-4)

    url = publish(demo, page, NOTEBOOK, shot, title="Their scenes", slug="their-scenes")
    visit_anonymously(person().new_page(), url, shots, "-real", slide=False)


def write_notebook(demo: Demo, page: Page, collection: str, day: str) -> None:
    """A small notebook in ana's home: NDVI of one day, and the two bands it is made of."""
    source = [
        "import bdap",
        f"scene = bdap.collection('{collection}').between('{day}', '{day}')",
        "ndvi = scene.ndvi().first().colormap('rdylgn', 0, 0.9)",
        "map = bdap.Map()",
        "for band in ('B04', 'B08'):",
        "    map.add(scene.bands(band).first(), band, opacity=0)",
        "map.add(ndvi, 'NDVI')",
    ]
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "source": "\n".join(source), "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    content = {
        "cells": [{**cell, "execution_count": None}],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    notebook = {"type": "notebook", "format": "json", "content": content}
    assert ask(page, f"/user/ana/api/contents/{NOTEBOOK}", "PUT", notebook)[0] in (200, 201)


def read_with_rasterio(folder: Path, day: str, lon: float, lat: float) -> dict[str, float]:
    """What the files of that day hold there: the first scene that has a value."""
    found: dict[str, float] = {}
    for band in ("B04", "B08"):
        for path in sorted(folder.rglob(f"{band}.tif")):
            if day.replace("-", "") not in str(path).replace("-", ""):
                continue
            with rasterio.open(path) as file:
                (x,), (y,) = transform("EPSG:4326", file.crs, [lon], [lat])
                value = next(file.sample([(x, y)]))[0]
                if value != file.nodata:
                    found.setdefault(band, float(value))
    return found
