"""Real data's odd files, made here and (with $BDAP_TEST_DATA) real: what is read equals what rasterio and GDAL read."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import transform, transform_bounds

from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid, crs_of
from bdap_hub.processing.engine.reader import Reader
from bdap_hub.processing.engine.sampling import sampler
from bdap_hub.processing.graphs.bands import Source
from bdap_hub.settings import Settings, StoreSettings

from .conftest import asset, collection, item
from .engines import compiled
from .graphs import load, node, of

ALPS = Affine(10, 0, 4_450_000, 0, -10, 2_650_000)


def smooth(height: int = 600, width: int = 600, top: float = 9000.0) -> Any:
    """A surface without steps, so that bilinear values can be compared."""
    y, x = np.mgrid[:height, :width] / 40.0
    return ((np.sin(x) * np.cos(y / 2) + 1) / 2 * (top - 1) + 1).astype(np.uint16)


def write(path: Path, pixels: Any, crs: Any = "EPSG:3035", place: Affine = ALPS, **profile: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels[np.newaxis] if pixels.ndim == 2 else pixels
    given: dict[str, Any] = {"driver": "GTiff", "dtype": bands.dtype, "crs": crs, "transform": place, **profile}
    with rasterio.open(path, "w", count=len(bands), height=bands.shape[1], width=bands.shape[2], **given) as file:
        file.write(bands)
    return path


def beside(folder: Path, source: Path, name: str = "x.tif") -> Path:
    """The file in the store of a test: a real one is copied there."""
    path = folder / "data/odd" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read_bytes())
    return path


def middle_tile(path: Path, coarser: int = 0) -> Grid:
    """The tile in the middle of a file whose pixels are not larger than its own, or so many zooms coarser."""
    with rasterio.open(path) as file:
        west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        metres = file.res[0] * (111_320 if file.crs.is_geographic else 1)
    lon, lat = (west + east) / 2, (south + north) / 2
    z = int(np.ceil(np.log2(156_543 * np.cos(np.radians(lat)) / metres))) - coarser
    n = 2**z
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return Grid.tile(z, int((lon + 180) / 360 * n), int(y * n))


def by_gdal(path: Path, grid: Grid, resampling: Resampling, band: int = 1, **options: Any) -> Any:
    """An exact warp; NaN where there is no data."""
    out = np.full((grid.height, grid.width), np.nan, np.float64)
    with rasterio.open(path, **options) as file:
        rasterio.warp.reproject(
            rasterio.band(file, band),
            out,
            dst_transform=Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top),
            dst_crs=crs_of(grid.crs),
            dst_nodata=np.nan,
            resampling=resampling,
            tolerance=0,
        )
    return out


def read(root: Path, grid: Grid, band: int = 1, nearest: bool = False, name: str = "x.tif") -> Any:
    return Reader(StoreSettings(root=root), 2**26).read(Source(f"/eos/data/odd/{name}", band, nearest), grid)


def assert_alike(got: Any, want: Any, within: float, share: float = 0.999) -> None:
    both = np.isfinite(got) & np.isfinite(want)
    assert both.mean() > 0.2
    assert (np.isfinite(got) == np.isfinite(want)).mean() > 0.97
    assert (np.abs(got - want)[both] <= within).mean() >= share


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", ["laea", "jp2", "jp2 called tif", "overviews beside it", "south up"])
def test_formats_and_grids(tmp_path: Path, kind: str) -> None:
    path, pixels = tmp_path / "data/odd/x.tif", smooth()
    match kind:
        case "laea":
            write(path, pixels, tiled=True, blockxsize=256, blockysize=256)
        case "jp2":
            path = write(path.with_suffix(".jp2"), pixels, driver="JP2OpenJPEG", quality="100", reversible="yes")
        case "jp2 called tif":  # the CRS lies in .aux.xml alone
            lossless = {"driver": "JP2OpenJPEG", "quality": "100", "reversible": "yes", "gmljp2": "no", "geojp2": "no"}
            write(path.with_suffix(".jp2"), pixels, None, Affine.identity(), **lossless).rename(path)
            numbers = ", ".join(map(str, ALPS.to_gdal()))
            where = f"<SRS>EPSG:3035</SRS><GeoTransform>{numbers}</GeoTransform>"
            Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{where}</PAMDataset>")
        case "overviews beside it":
            write(path, pixels, tiled=True, blockxsize=256, blockysize=256)
            with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as file:
                file.build_overviews([2, 4], Resampling.average)
            assert Path(f"{path}.ovr").exists()
            assert len(Reader(StoreSettings(root=tmp_path), 2**20).file("/eos/data/odd/x.tif").raster.sizes) == 3
        case "south up":
            write(path, pixels[::-1], place=Affine(10, 0, ALPS.c, 0, 10, ALPS.f - 6000))
    grid = middle_tile(path)
    got = read(tmp_path, grid, name=path.name)
    assert_alike(got, by_gdal(path, grid, Resampling.bilinear), 1)
    exact = read(tmp_path, grid, nearest=True, name=path.name)
    assert_alike(exact, by_gdal(path, grid, Resampling.nearest), 0)


def test_two_tiles_half_a_pixel_apart(tmp_path: Path) -> None:
    """Where both have data the first in the order of time and id counts; beyond it the second goes on."""
    first = write(tmp_path / "data/odd/a.tif", smooth(400, 600), place=ALPS, nodata=0)
    second = write(tmp_path / "data/odd/b.tif", smooth(400, 600), place=ALPS @ Affine.translation(0, 199.5), nodata=0)
    grid = middle_tile(first)
    grid = Grid.tile(14, *(int(v) for v in _tile_of(grid, first)))
    box = (5, 40, 20, 50)
    items = [item("odd", n, "2024-01-01", box, 0, {"B04": asset(f"/eos/data/odd/{n}.tif", "B04")}) for n in "ab"]
    raw = {"data": load("odd", bands=["B04"]), "all": node("save_result", True, data=of("data"), format="PNG")}
    engine = Engine(Settings(environment="demo", store={"root": tmp_path}, processing={"port": 1}))
    got = engine.cube(compiled(raw, [collection("odd", "public", "", box)], items), grid).data
    assert got.shape[0] == 1
    one, two = (by_gdal(path, grid, Resampling.bilinear) for path in (first, second))
    assert np.isnan(one).any() and np.isfinite(one).any()
    assert_alike(got[0, 0], np.where(np.isfinite(one), one, two), 1, 0.995)
    engine.close()


def _tile_of(grid: Grid, path: Path) -> tuple[float, float]:
    """The tile at zoom 14 that holds the lower edge of a file."""
    del grid
    with rasterio.open(path) as file:
        (lon,), (lat,) = transform(file.crs, "EPSG:4326", *([v] for v in file.xy(file.height - 1, file.width // 2)))
    n = 2**14
    return (lon + 180) / 360 * n, (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * n


@pytest.fixture(params=["made", "real"])
def classes(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A class map in degrees with overviews."""
    if request.param == "real":
        found = request.getfixturevalue("real_data") / "worldcover-n00e006/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"
        return beside(tmp_path, found)
    random = np.random.default_rng(2)
    pixels = np.kron(random.choice([0, 10, 30, 80, 95], (64, 64)), np.ones((64, 64))).astype(np.uint8)
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "nodata": 0}
    path = write(tmp_path / "data/odd/x.tif", pixels, "EPSG:4326", Affine(1 / 4096, 0, 6, 0, -1 / 4096, 1), **options)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8, 16], Resampling.nearest)
    return path


def test_a_class_map_at_every_zoom(classes: Path) -> None:
    root, native = classes.parents[2], middle_tile(classes)
    with rasterio.open(classes) as file:
        west, south, east, north = file.bounds
        known = {0.0, *map(float, range(10, 101, 5))}
    reader = Reader(StoreSettings(root=root), 2**26)
    raster = reader.file("/eos/data/odd/x.tif").raster
    lon, lat = (west + east) / 2, (south + north) / 2
    top = round(np.log2(2 * np.pi * 6378137 / 256 / native.xres))
    for z in range(top + 2):
        y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
        grid = Grid.tile(z, int((lon + 180) / 360 * 2**z), int(y * 2**z))
        got = reader.read(Source("/eos/data/odd/x.tif", nearest=True), grid)
        how = sampler(grid, raster)
        assert got is not None and how is not None and set(np.unique(got[np.isfinite(got)])) <= known
        if how.decimate == 1:
            options = {"overview_level": how.level - 1} if how.level else {}
            want = by_gdal(classes, grid, Resampling.nearest, **options)
            both = np.isfinite(got) & np.isfinite(want)
            assert (got == want)[both].mean() >= 0.999 if both.any() else z > 3


@pytest.fixture(params=["made", "real"])
def radar(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Backscatter in dB: negative floats in strips, nodata -99, no overviews."""
    if request.param == "real":
        name = "s1-grd-sigma0/S1A__IW___A_20150309T173017_VV_grd_mli_geo_norm_db.tif"
        return beside(tmp_path, request.getfixturevalue("real_data") / name)
    pixels = (smooth(220, 270).astype(np.float32) / 9000 * 25 - 28).astype(np.float32)
    pixels[:40, :60] = -99
    return write(
        tmp_path / "data/odd/x.tif", pixels, "EPSG:32631", Affine(20, 0, 600_000, 0, -20, 5_700_000), nodata=-99
    )


def test_radar_in_decibels(radar: Path) -> None:
    root, grid = radar.parents[2], middle_tile(radar)
    got = read(root, grid)
    assert np.nanmin(got) > -60 and np.nanmax(got) < 30  # nodata takes no part
    assert_alike(got, by_gdal(radar, grid, Resampling.bilinear), 0.02, 0.97)
    assert_alike(read(root, grid, nearest=True), by_gdal(radar, grid, Resampling.nearest), 0)
    zoomed = read(root, middle_tile(radar, coarser=2))
    assert np.nanmin(zoomed) > -60


@pytest.fixture(params=["made", "real"])
def quality(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Bits of quality in an odd CRS (MGA zone 55), strips, without nodata."""
    if request.param == "real":
        folder = request.getfixturevalue("real_data") / "landsat5-ga-nbar"
        return beside(tmp_path, next(folder.glob("*PQ*/scene01/*.tif")))
    bits = np.random.default_rng(4).choice([16383, 16127, 15359, 4096], (404, 456)).astype(np.uint16)
    return write(tmp_path / "data/odd/x.tif", bits, "EPSG:28355", Affine(25, 0, 640_000, 0, -25, 6_080_000))


def test_bits_of_quality_are_never_mixed(quality: Path) -> None:
    described = {**asset("/eos/data/odd/x.tif", "PQ"), "classification:bitfields": [], "raster:bands": [{}]}
    box = (140, -40, 155, -30)
    items = [item("odd", "x", "1992-03-23", box, 0, {"PQ": described})]
    raw = {"data": load("odd", bands=["PQ"]), "all": node("save_result", True, data=of("data"), format="PNG")}
    engine = Engine(Settings(environment="demo", store={"root": quality.parents[2]}, processing={"port": 1}))
    made, grid = compiled(raw, [collection("odd", "public", "", box)], items), middle_tile(quality)
    got = engine.cube(made, grid).data[0, 0]
    with rasterio.open(quality) as file:
        assert set(np.unique(got[np.isfinite(got)])) <= set(np.unique(file.read(1)).astype(float))
    assert_alike(got, by_gdal(quality, grid, Resampling.nearest), 0)
    engine.close()


@pytest.fixture(params=["made", "real"])
def dates(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """68 dates of NDVI (NaN: no data), a file each; the values."""
    if request.param == "real":
        path = request.getfixturevalue("real_data") / "s2-slovenia-timeseries/NDVI_68dates.tif"
        with rasterio.open(path) as file:
            values, crs, place = file.read(), file.crs, file.transform
    else:
        random = np.random.default_rng(6)
        values, crs, place = random.uniform(-0.2, 0.9, (68, 101, 100)).astype(np.float32), "EPSG:32633", None
        values[random.random(values.shape) < 0.3] = np.nan
        values[[5, 40]] = np.nan  # dates without any data
        place = Affine(10, 0, 465_000, 0, -10, 5_080_000)
    for number, pixels in enumerate(values):
        write(tmp_path / f"data/odd/{number:02}.tif", pixels, crs, place)
    return tmp_path, values, crs, place


def test_a_series_of_68_dates(dates: Any) -> None:
    root, values, crs, place = dates
    box = (10, 40, 20, 50)
    items = []
    for number in range(68):
        described = {**asset(f"/eos/data/odd/{number:02}.tif", "NDVI"), "raster:bands": [{}]}
        day = (date(2015, 7, 11) + timedelta(days=13 * number)).isoformat()
        items.append(item("odd", f"{number:02}", day, box, 0, {"NDVI": described}))
    raw = {"data": load("odd", bands=["NDVI"]), "all": node("save_result", True, data=of("data"), format="PNG")}
    engine = Engine(Settings(environment="demo", store={"root": root}, processing={"port": 1}))
    made = compiled(raw, [collection("odd", "public", "", box)], items)
    assert len(made.plan.loads[0].steps) == 68
    for row, column in ((3, 7), (50, 51), (100, 99)):
        x, y = place @ (column + 0.5, row + 0.5)
        (lon,), (lat,) = transform(crs, "EPSG:4326", [x], [y])
        series = [each["NDVI"] for each in engine.point(made, lon, lat)["values"].values()]
        want = [None if np.isnan(v) else v for v in values[:, row, column]]
        assert series == pytest.approx(want)
    engine.close()
