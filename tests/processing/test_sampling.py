"""How pixels of a file become pixels of a grid: against an exact warp, and against exact means when zoomed out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from bdap_hub.processing.cubes.extent import Bounds
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.loading import loaded
from bdap_hub.processing.engine.positions import Raster, positions
from bdap_hub.processing.engine.reader import Reader
from bdap_hub.processing.engine.sampling import _flat, passes, sampler
from bdap_hub.processing.graphs.plan import Load, Scene, Source, Step
from bdap_hub.settings import StoreSettings

from .conftest import agreement, write_tiff

LEFT, TOP = 500_000.0, 5_200_000.0
UTM = Raster("EPSG:32633", LEFT, TOP, 10, 10, ((10980, 10980), (5490, 5490), (2745, 2745), (1373, 1373), (687, 687)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise (16 bits), classes without any pattern, and a smooth surface, in UTM, with overviews."""
    root, random = tmp_path_factory.mktemp("store"), np.random.default_rng(3)
    wave = 5000 + 3000 * np.sin(np.add.outer(np.arange(1500) / 30, np.arange(1500) / 40))
    for name, pixels in (
        ("noise", random.integers(1, 60_000, (1500, 1500)).astype(np.uint16)),
        ("SCL", random.integers(1, 250, (1500, 1500)).astype(np.uint8)),
        ("wave", wave.astype(np.uint16)),
    ):
        write_tiff(root / f"data/{name}.tif", pixels, "EPSG:32633", Affine(10, 0, LEFT, 0, -10, TOP))
    return root


def read(store: Path, name: str, grid: Grid, into: Any = None) -> Any:
    reader = Reader(StoreSettings(root=store), 2**26)
    try:
        return reader.read(Source(f"/eos/data/{name}.tif", nearest=name == "SCL", nodata=0), grid, into)
    finally:
        reader.close()


def web(zoom: int, size: int = 256) -> Grid:
    """A tile in the middle of the files."""
    n, lon, lat = 2**zoom, 15.09, 46.88
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return Grid.tile(zoom, int((lon + 180) / 360 * n), int(y * n), size)


@pytest.mark.parametrize("name", ["noise", "SCL", "holes", "wide"])
def test_values_are_the_same_where_an_array_is_given_for_them(tmp_path: Path, name: str) -> None:
    """None of it is left as it was; numbers that 32 bits do not hold stay apart."""
    pixels = np.random.default_rng(5).integers(1, 250, (1000, 1000)).astype(np.int32 if name == "wide" else np.uint16)
    pixels[750:850, 650:750] *= name != "holes"
    write_tiff(tmp_path / f"data/{name}.tif", pixels, "EPSG:32633", Affine(10, 0, LEFT, 0, -10, TOP))
    into, alone = np.full((256, 256), -1, np.float32), read(tmp_path, name, web(14))
    found = read(tmp_path, name, web(14), into)
    np.testing.assert_array_equal(found, alone)
    assert found.dtype == (np.float64 if name == "wide" else np.float32)
    assert np.isnan(alone).any() == (name == "holes") and np.isfinite(alone).any()
    assert np.may_share_memory(found, into) == (name in ("noise", "holes"))


def test_bands_of_several_kinds_are_loaded_together(tmp_path: Path) -> None:
    """One of 64 bits, one of 32, one that does not reach here: the same as each alone, and nothing but holes."""
    pixels = np.random.default_rng(6).integers(1, 250, (1000, 1000))
    for name, kind, left in (("a", np.int32, LEFT), ("b", np.uint16, LEFT), ("c", np.uint8, LEFT + 90_000)):
        write_tiff(tmp_path / f"data/{name}.tif", pixels.astype(kind), "EPSG:32633", Affine(10, 0, left, 0, -10, TOP))
    sources = tuple(Source(f"/eos/data/{name}.tif", nodata=0) for name in "abc")
    step = Step("2024-06-01", (Scene("one", Bounds(10, 40, 20, 50), sources),))
    reader = Reader(StoreSettings(root=tmp_path), 2**26)
    try:
        cube = loaded(Load("n", "x", ("a", "b", "c"), (), (step,)), web(14), reader, map)
    finally:
        reader.close()
    assert cube.data.dtype == np.float64 and np.isnan(cube.data[0, 2]).all()
    for number, name in enumerate("ab"):
        np.testing.assert_array_equal(cube.data[0, number], read(tmp_path, name, web(14)))


@pytest.mark.parametrize("zoom", [14, 15, 17])
def test_nearest_equals_an_exact_warp(store: Path, zoom: int) -> None:
    both, equal = agreement(store / "data/SCL.tif", web(zoom), read(store, "SCL", web(zoom)), classes=True)
    assert both > 0.9 and equal >= 0.999


def test_nearest_of_an_overview_equals_an_exact_warp_of_it(store: Path, tmp_path: Path) -> None:
    grid = web(12)
    with rasterio.open(store / "data/SCL.tif", overview_level=0) as file:
        write_tiff(tmp_path / "half.tif", file.read(1), "EPSG:32633", file.transform, overviews=())
    both, equal = agreement(tmp_path / "half.tif", grid, read(store, "SCL", grid), classes=True)
    assert both > 0.5 and equal >= 0.999


@pytest.mark.parametrize("zoom", [14, 15, 17])
def test_bilinear_equals_an_exact_warp_within_one(store: Path, zoom: int) -> None:
    both, equal = agreement(store / "data/wave.tif", web(zoom), read(store, "wave", web(zoom)), classes=False)
    assert both > 0.9 and equal == 1


def means(pixels: Any, offset: float, scale: float, size: int) -> Any:
    """The exact means of square footprints of `scale` pixels, by the area of each pixel in them."""
    edges = offset + np.arange(size + 1) * scale
    low, high = edges[:-1, None], edges[1:, None]
    at = np.arange(pixels.shape[0])
    weights = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None) / scale
    return weights @ pixels @ weights.T


@pytest.mark.parametrize(("scale", "bound"), [(1.25, 0.13), (1.5, 0.15), (1.9, 0.18)])
def test_zoomed_out_a_value_stands_for_its_whole_footprint(store: Path, scale: float, bound: float) -> None:
    """The error beside exact means of noise, as a share of its spread; without smoothing it is larger."""
    grid = Grid("EPSG:32633", LEFT + 203.7, TOP - 203.7, 10 * scale, 10 * scale, 400, 400)
    with rasterio.open(store / "data/noise.tif") as file:
        pixels = file.read(1).astype(np.float64)
    exact = means(pixels, 20.37, scale, 400)
    smoothed = read(store, "noise", grid)
    how = sampler(grid, Raster("EPSG:32633", LEFT, TOP, 10, 10, ((1500, 1500),)))
    assert how is not None and how.blur and passes(how.blur) >= 1
    plain = replace(how, blur=0.0).take(pixels[how.top : how.bottom, how.left : how.right].astype(np.uint16), 0, False)
    spread = pixels.std()
    errors = [float(np.sqrt(np.mean((found - exact) ** 2))) / spread for found in (smoothed, plain)]
    assert errors[0] < bound
    assert errors[1] > 1.3 * errors[0]


def test_no_seam_shows_when_zoomed_out(store: Path) -> None:
    whole = web(12, 512)
    got = read(store, "noise", whole)
    part = replace(whole, width=256, height=256)
    for dx in (0, 256):
        for dy in (0, 256):
            at = replace(part, left=whole.left + dx * whole.xres, top=whole.top - dy * whole.yres)
            np.testing.assert_allclose(read(store, "noise", at), got[dy : dy + 256, dx : dx + 256], atol=30)


@pytest.mark.parametrize("zoom", [3, 6, 8, 10, 13, 18])
def test_positions_are_those_of_an_exact_projection(zoom: int) -> None:
    grid = web(zoom)
    columns, rows, scale = positions(grid, UTM)
    xs, ys = grid.centres()
    x, y = np.meshgrid(xs, ys)
    px, py = (np.asarray(v) for v in rasterio.warp.transform("EPSG:3857", "EPSG:32633", x.ravel(), y.ravel()))
    exact = [((px - LEFT) / 10).reshape(256, 256), ((TOP - py) / 10).reshape(256, 256)]
    near = (np.abs(exact[0] - 5490) < 11_000) & (np.abs(exact[1] - 5490) < 11_000)
    assert near.any()
    for found, want in zip((columns, rows), exact, strict=True):
        assert np.abs(found - want)[near].max() < 0.001 * max(1, scale)


def test_the_whole_world_is_no_place_for_a_zone_but_no_error(store: Path) -> None:
    found = read(store, "noise", web(0))
    assert found is None or np.isfinite(found).sum() <= 4


def test_values_on_a_files_own_grid_are_as_they_are_stored(store: Path) -> None:
    grid = Grid("EPSG:32633", LEFT + 120, TOP - 340, 10, 10, 300, 200)
    with rasterio.open(store / "data/noise.tif") as file:
        np.testing.assert_array_equal(read(store, "noise", grid), file.read(1)[34:234, 12:312])


@pytest.mark.parametrize("shape", [(300, 400), (2**15, 2**16), (2**15 + 1, 2**16), (2**16, 2**17)])
def test_the_last_pixel_of_a_large_window_has_its_index(shape: tuple[int, int]) -> None:
    rows, columns = (np.array([0, size - 1], np.int32) for size in shape)
    assert _flat(rows, columns, shape).tolist() == [0, shape[0] * shape[1] - 1]
