"""Pictures of items show the item's own pixels, whatever lies beside its files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from bdap_hub.catalogue.thumbnail import draw
from bdap_hub.settings import StoreSettings

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SIDE = 1024
HREF = "/eos/projects/forest/x.tif"


@pytest.fixture
def store(tmp_path: Path) -> StoreSettings:
    """A project's folder with a raster that grows from left to right; beside it what another project hides: stripes."""
    found = StoreSettings(root=tmp_path)
    for name in ("forest", "agriculture"):
        (found.projects / name).mkdir(parents=True)
    _write(found.projects / "forest" / "x.tif", np.tile(np.arange(SIDE), (SIDE, 1)))
    _write(found.projects / "agriculture" / "x.tif", np.tile(np.arange(SIDE // 2) % 2 * 1000, (SIDE // 2, 1)))
    return found


def _write(path: Path, pixels: Any) -> None:
    shape = {"width": pixels.shape[1], "height": pixels.shape[0], "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:3857", transform=Affine.scale(10, -10), **shape) as file:
        file.write(pixels.astype("uint16"), 1)


def _drawn(store: StoreSettings, href: str = HREF) -> Any:
    band = {"data_type": "uint16", "scale": 1, "offset": 0}
    png = draw(store, {"assets": {"x": {"href": href, "roles": ["data"], "raster:bands": [band]}}})
    if png is None:
        return None
    with rasterio.open(io.BytesIO(png)) as file:
        return file.read(1).astype(int)


def _grows(picture: Any) -> bool:
    return bool((np.diff(picture, axis=1) >= 0).all() and picture.min() < 10 and picture.max() > 245)


def test_a_link_beside_a_file_shows_nobody_elses_pixels(store: StoreSettings) -> None:
    assert _grows(_drawn(store))
    file = store.path_of(HREF)
    file.with_name("x.tif.ovr").symlink_to(store.projects / "agriculture" / "x.tif")
    with rasterio.open(file) as plain:  # what GDAL alone would show
        assert not _grows(plain.read(1, out_shape=(256, 256)).astype(int) // 4)
    assert _grows(_drawn(store))


def test_a_file_that_names_its_overviews_is_not_drawn(store: StoreSettings) -> None:
    with rasterio.open(store.path_of(HREF), "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(store.projects / "agriculture" / "x.tif"))
    assert _drawn(store) is None


def test_a_link_in_the_place_of_a_file_is_not_drawn(store: StoreSettings) -> None:
    file = store.path_of(HREF)
    file.rename(file.with_name("y.tif"))
    file.symlink_to(file.with_name("y.tif"))
    assert _drawn(store) is None and _grows(_drawn(store, HREF.replace("x.tif", "y.tif")))
