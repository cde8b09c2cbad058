"""Headers that ingest reads are the file's own: what it, or somebody beside it, leads to is neither read nor opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from bdap_hub.catalogue import headers
from bdap_hub.errors import BadRequest

PLACE = (
    'PROJCS["{name}",GEOGCS["x",DATUM["x",SPHEROID["b",6377397,299.15]],PRIMEM["Greenwich",0],UNIT["degree",'
    '0.0174532925199433]],PROJECTION["Mercator_1SP"],PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]{end}]'
)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    path = tmp_path / "20250601_B04.tif"
    shape = {"width": 64, "height": 64, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:3857", transform=Affine.scale(10, -10), **shape) as file:
        file.write(np.ones((64, 64), "uint16"), 1)
    return path


def names_a_pipe(path: Path) -> None:
    """PROJ would wait for it with Python's lock held, and ingest with it, to the end of days."""
    os.mkfifo(path.with_name("pipe"))
    grids = f"+proj=merc +a=6378137 +b=6378137 +nadgrids={path.with_name('pipe')}"
    end = f',EXTENSION["PROJ4","{grids}"]'
    Path(f"{path}.aux.xml").write_text(
        f"<PAMDataset><SRS>{PLACE.format(name='x', end=end).replace('"', '&quot;')}</SRS></PAMDataset>"
    )


def has_a_link_beside(path: Path) -> None:
    other = path.with_name("other.tif")
    other.write_bytes(path.read_bytes())
    Path(f"{path}.ovr").symlink_to(other)


def names_overviews(path: Path) -> None:
    path.with_name("other.tif").write_bytes(path.read_bytes())
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(path.with_name("other.tif")))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (names_a_pipe, "a coordinate reference system that names files"),
        (has_a_link_beside, "a file beside it that is a link"),
        (names_overviews, "names another file as its overviews"),
    ],
)
def test_what_leads_elsewhere_is_refused(raster: Path, spoil: Callable[[Path], None], words: str) -> None:
    assert headers.read(raster, "B04").epsg == 3857
    spoil(raster)
    with pytest.raises(BadRequest, match=words):
        headers.read(raster, "B04")


def test_a_harmless_file_beside_counts(raster: Path) -> None:
    own = PLACE.format(name="mine", end="").replace('"', "&quot;")
    Path(f"{raster}.aux.xml").write_text(f"<PAMDataset><SRS>{own}</SRS></PAMDataset>")
    found = headers.read(raster, "B04")
    assert found.epsg is None and "mine" in found.wkt2
