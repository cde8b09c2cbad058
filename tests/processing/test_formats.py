"""Files as they come: masks, alpha bands, rotated grids. What is read equals what rasterio reads, or is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.reader import FileUnavailable, Reader
from bdap_hub.processing.engine.watch import Watch
from bdap_hub.processing.graphs.bands import Source
from bdap_hub.processing.results.pixels import NativeReader
from bdap_hub.settings import StoreSettings

from .conftest import X, Y, Z

GRID = Grid.tile(Z, X, Y)
PLACE = Affine(GRID.xres, 0, GRID.left, 0, -GRID.yres, GRID.top)
HREF = "/eos/data/x.tif"


def pixels(bands: int = 1, size: int = 512) -> Any:
    return np.random.default_rng(3).integers(1, 250, (bands, size, size)).astype(np.uint8)


def written(root: Path, bands: Any, transform: Affine = PLACE, **profile: Any) -> Path:
    """`bands` as x.tif of the store's data."""
    path = root / "data/x.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", **profile}
    given: dict[str, Any] = {"crs": "EPSG:3857", "dtype": bands.dtype, "driver": "GTiff", **options}
    with rasterio.open(path, "w", count=count, width=width, height=height, transform=transform, **given) as file:
        file.write(bands)
    return path


def read(root: Path, grid: Grid = GRID, band: int = 1, **source: Any) -> Any:
    return Reader(StoreSettings(root=root), 2**24).read(Source(HREF, band, **source), grid)


@pytest.mark.parametrize("beside", [False, True], ids=["in the file", "beside it"])
@pytest.mark.parametrize("z", [Z, Z - 1], ids=["native", "overview"])
def test_a_mask_hides_pixels(tmp_path: Path, beside: bool, z: int) -> None:
    """In a process of its own first: a driver of GDAL crashed on the overviews of such files."""
    mask = np.full((512, 512), 255, np.uint8)
    mask[:100, :64] = 0
    bands = pixels(3)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not beside):
        path = written(tmp_path, bands, photometric="rgb")
        with rasterio.open(path, "r+") as file:
            file.write_mask(mask)
            file.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    assert Path(f"{path}.msk").exists() == beside
    code = "import sys; from bdap_hub.processing.engine.reader import *; from pathlib import Path; "
    code += f"Reader(StoreSettings(root=Path(sys.argv[1])), 2**24).file('{HREF}')"
    assert subprocess.run([sys.executable, "-c", code, tmp_path], timeout=120, check=False).returncode == 0
    grid = Grid.tile(z, X >> (Z - z), Y >> (Z - z))
    got = read(tmp_path, grid, 2, nearest=True)
    step = 2 ** (Z - z)
    want = np.where(mask == 0, np.nan, bands[1].astype(np.float32))[::step, ::step]
    np.testing.assert_array_equal(got, want[:256, :256])  # both tiles begin where the file does


def test_an_alpha_band_hides_pixels_of_the_others(tmp_path: Path) -> None:
    bands = pixels(4)
    bands[3] = 255
    bands[3, :50, :50] = 0
    written(tmp_path, bands, photometric="rgb", alpha="yes")
    own = NativeReader(StoreSettings(root=tmp_path), Watch(5)).read(Source(HREF, 3), GRID)
    for got in (read(tmp_path, band=3, nearest=True), own):
        np.testing.assert_array_equal(np.isnan(got), bands[3, :256, :256] == 0)
        np.testing.assert_array_equal(got[60:], bands[2, 60:256, :256])


def test_hidden_pixels_do_not_bleed_into_their_neighbours(tmp_path: Path) -> None:
    bands = np.full((2, 512, 512), 100, np.uint8)
    bands[0, :, 100:] = 7
    bands[1] = 255
    bands[1, :, 100:] = 0
    written(tmp_path, bands, alpha="yes")
    half = Grid("EPSG:3857", GRID.left + GRID.xres / 2, GRID.top, GRID.xres, GRID.yres, 256, 256)
    got = read(tmp_path, half)
    assert set(np.unique(got[np.isfinite(got)])) == {100.0}


@pytest.mark.parametrize(
    ("profile", "transform", "why"),
    [
        ({}, PLACE @ Affine.rotation(20), "rotated grid"),
        ({"crs": None}, PLACE, "no coordinate reference system"),
        ({"dtype": "complex64"}, PLACE, "complex numbers"),
    ],
)
def test_what_is_not_read_is_refused_with_its_reason(tmp_path: Path, profile: Any, transform: Any, why: str) -> None:
    written(tmp_path, pixels().astype(profile.get("dtype", "uint8")), transform, **profile)
    with pytest.raises(FileUnavailable, match=f"{HREF} .*{why}"):
        read(tmp_path)
    written(tmp_path, pixels())
    assert np.isfinite(read(tmp_path)).all()
