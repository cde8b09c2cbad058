"""The whole way on real Sentinel-2 ($BDAP_TEST_DATA): found by words and place, values as rasterio reads them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bdap
import numpy as np
import pytest
import rasterio
import rasterio.warp

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.processing.app import create_app as create_processing
from tests.extensions.season import Season

SCENE = "33TWM"


@pytest.fixture(scope="module")
def real(hub: Any, real_data: Path) -> Iterator[tuple[bdap.Client, Path]]:
    """The real scenes ingested as they lie; ana's client, and the folder of the scenes."""
    folder = hub.settings.store.data / "s2-l2a-33T-cog"
    shutil.rmtree(hub.settings.var / "catalogue", ignore_errors=True)
    shutil.copytree(real_data / "s2-l2a-33T-cog", folder)
    report = ingest(hub.settings, folder, "sentinel-2-l2a", "Sentinel-2 L2A, Slovenia", "public")
    assert (report.added, report.errors) == (10, [])
    hub.serve(create_catalogue(hub.settings), hub.settings.catalogue.port)
    hub.serve(create_processing(hub.settings), hub.settings.processing.port)
    yield Season(bdap.Client(), folder, hub).client_of("ana"), folder
    shutil.rmtree(folder)


def red_and_nir(folder: Path, day: str, lon: float, lat: float) -> tuple[float, float]:
    """What lies in the files at a place, as reflectance."""
    found = []
    for band in ("B04", "B08"):
        (path,) = folder.rglob(f"*{SCENE}*{day}*/{band}.tif")
        with rasterio.open(path) as file:
            x, y = rasterio.warp.transform("EPSG:4326", file.crs, [lon], [lat])
            found.append(float(next(file.sample([(x[0], y[0])]))[0]) / 10000)
    return found[0], found[1]


def test_from_words_to_values(real: tuple[bdap.Client, Path]) -> None:
    client, folder = real
    assert [each["id"] for each in bdap.search("ndvi 120 m", client)][:1] == ["sentinel-2-l2a"]
    cube = bdap.collection("sentinel-2-l2a", client).on("Maribor", around=3).during("2023-08")
    clear = cube.sorted("cloud_cover").limit(1)
    (day,) = clear.dates()
    lon, lat = 15.6455, 46.5547
    red, nir = red_and_nir(folder, day.replace("-", ""), lon, lat)
    assert clear.index("NDVI").first().value(lon, lat) == pytest.approx((nir - red) / (nir + red), abs=1e-5)
    found = clear.index("NDVI").first().to_xarray()
    assert rasterio.crs.CRS.from_wkt(found.spatial_ref.attrs["crs_wkt"]).to_epsg() == 32633
    assert -0.2 < float(found.mean()) < 0.9 and np.isfinite(found).mean() > 0.9
