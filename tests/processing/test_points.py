"""Files on no grid that tell where some of their pixels are, as radar products do: drawn where GDAL puts them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.warp import reproject

from bdap_hub.processing.cancel import CallerGone, Cancel, under
from bdap_hub.processing.engine.cost import native_tile
from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid, crs_of
from bdap_hub.processing.engine.headers import item_of_raster
from bdap_hub.processing.engine.reader import FileUnavailable, Reader
from bdap_hub.processing.engine.watch import Watch
from bdap_hub.processing.graphs.bands import Source
from bdap_hub.processing.results.geography import Geography
from bdap_hub.processing.results.pixels import NativeReader
from bdap_hub.settings import Settings, StoreSettings

from .conftest import asset, collection, item
from .engines import compiled
from .graphs import load, node, of
from .test_odd_files import assert_alike, smooth

WIDTH, HEIGHT = 700, 500
HREF = "/eos/data/odd/x.tif"


def place(column: Any, row: Any, west: float = 15.0) -> tuple[Any, Any]:
    """Where that pixel's corner is: turned by 12 degrees and bent, as along an orbit."""
    x = west + 1e-4 * (0.98 * column + 0.2 * row) + 2e-9 * column * column
    return x, 45 + 0.7e-4 * (0.2 * column - 0.98 * row) + 1e-9 * column * row


def written(root: Path, points: list[GroundControlPoint], pixels: Any = None, **profile: Any) -> Path:
    path = root / "data/odd/x.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = smooth(HEIGHT, WIDTH) if pixels is None else pixels
    options: dict[str, Any] = {"tiled": True, "blockxsize": 256, "blockysize": 256, "nodata": 0, **profile}
    with rasterio.open(
        path, "w", driver="GTiff", width=pixels.shape[1], height=pixels.shape[0], count=1, dtype=pixels.dtype,
        crs="EPSG:4326", gcps=points, **options,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    return path


def known(west: float = 15.0) -> list[GroundControlPoint]:
    """A net of points over the file."""
    found = []
    for row in np.linspace(0, HEIGHT, 12):
        for column in np.linspace(0, WIDTH, 16):
            x, y = place(column, row, west)
            found.append(GroundControlPoint(row=row, col=column, x=(x + 180) % 360 - 180, y=y))
    return found


def by_gdal(path: Path, grid: Grid, resampling: Resampling) -> Any:
    """A warp by GDAL's polynomials through the points, which are within 0.1 pixels of a spline here."""
    out = np.full((grid.height, grid.width), np.nan)
    with rasterio.open(path) as file:
        gcps, crs = file.gcps
        reproject(
            file.read(1), out, gcps=gcps, src_crs=crs, src_nodata=0, dst_nodata=np.nan, dst_crs=crs_of(grid.crs),
            dst_transform=Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top), resampling=resampling,
            tolerance=0,
        )  # fmt: skip
    return out


def drawn(root: Path, box: tuple[float, ...]) -> tuple[Any, Engine]:
    """A graph of its only band, which is drawn; and the engine for it."""
    raw = {"data": load("odd", bands=["VV"]), "all": node("save_result", True, data=of("data"), format="PNG")}
    items = [item("odd", "x", "2021-08-09", box, 0, {"VV": asset(HREF, "VV")})]
    engine = Engine(Settings(environment="demo", store={"root": root}, processing={"port": 1}))
    return compiled(raw, [collection("odd", "public", "", box)], items), engine


@pytest.mark.parametrize("west", [15.0, 179.97], ids=["Europe", "antimeridian"])
def test_tiles_are_where_gdal_puts_them(tmp_path: Path, west: float) -> None:
    path = written(tmp_path, known(west))
    reader = Reader(StoreSettings(root=tmp_path), 2**24)
    made, engine = drawn(tmp_path, tuple(item_of_raster(reader, HREF)["bbox"]))
    grid = Grid.tile(*native_tile(made.plan, engine.reader))
    got = engine.cube(made, grid).data[0, 0]
    engine.close()
    if west < 100:  # GDAL's spline knows no antimeridian
        assert_alike(got, by_gdal(path, grid, Resampling.bilinear), 1.0)
        exact = reader.read(Source(HREF, nearest=True, nodata=0), grid)
        assert_alike(exact, by_gdal(path, grid, Resampling.nearest), 0, 0.99)
    column, row = 350, 250
    lon, lat = place(column + 0.5, row + 0.5, west)
    point = Grid.point((lon + 180) % 360 - 180, lat)
    with rasterio.open(path) as file:
        assert reader.read(Source(HREF), point)[0, 0] == file.read(1)[row, column]
    assert np.isfinite(got).mean() > 0.5
    assert reader.read(Source(HREF), Grid.point(lon - 90, lat)) is None


def test_zoomed_out_values_stand_for_their_footprint(tmp_path: Path) -> None:
    written(tmp_path, known(), np.where(np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2, 100, 300).astype(np.uint16))
    reader = Reader(StoreSettings(root=tmp_path), 2**24)
    made, engine = drawn(tmp_path, tuple(item_of_raster(reader, HREF)["bbox"]))
    z, x, y = native_tile(made.plan, engine.reader)
    engine.close()
    got = reader.read(Source(HREF, nodata=0), Grid.tile(z - 2, x >> 2, y >> 2))
    assert np.nanmedian(np.abs(got - 200)) < 3  # of 100 and 300 side by side


def test_results_have_all_pixels_at_their_size(tmp_path: Path) -> None:
    path = written(tmp_path, known())
    reader = NativeReader(StoreSettings(root=tmp_path), Watch(5))
    box = tuple(item_of_raster(reader, HREF)["bbox"])
    corners = [place(column, row) for column in (0, WIDTH) for row in (0, HEIGHT)]
    for at, side in ((0, 0), (2, 0), (1, 1), (3, 1)):  # west, east, south, north
        assert box[at] == pytest.approx((min if at < 2 else max)(corner[side] for corner in corners), abs=1e-6)
    made, engine = drawn(tmp_path, box)
    engine.close()
    geography = Geography(made.graph, made.plan, reader)
    lattice = geography.lattice(made.graph.result)
    assert (lattice.xres, lattice.yres) == pytest.approx((1e-4, 0.7e-4), rel=0.03)
    grid = lattice.grid(geography.window(made.graph.result, lattice))
    got = reader.read(Source(HREF, nodata=0), grid)
    assert_alike(got, by_gdal(path, grid, Resampling.bilinear), 11.0)  # 0.1 pixels, where it is steepest
    assert np.isfinite(got).sum() == pytest.approx(WIDTH * HEIGHT, rel=0.05)


def on_a_line() -> list[GroundControlPoint]:
    return [GroundControlPoint(row=n, col=n, x=15 + n / 1000, y=45 - n / 1000) for n in range(9)]


def scattered(count: int) -> list[GroundControlPoint]:
    """Places that have nothing to do with each other."""
    random = np.random.default_rng(7)
    values = zip(*(random.uniform(low, high, count) for low, high in ((0, HEIGHT), (0, WIDTH), (14, 16), (44, 46))),
                 strict=True)  # fmt: skip
    return [GroundControlPoint(row=row, col=column, x=x, y=y) for row, column, x, y in values]


def minute() -> list[GroundControlPoint]:
    return [GroundControlPoint(row=row, col=column, x=15 + column * 1e-13, y=45 + row * 1e-13)
            for row in (0, 500) for column in (0, 700)]  # fmt: skip


def test_places_that_contradict_each_other_hold_nobody_up(tmp_path: Path) -> None:
    """Each position costs as much as there are points: meanwhile others go on, and it ends when nobody waits."""
    written(tmp_path, scattered(500))
    reader = Reader(StoreSettings(root=tmp_path), 2**24)
    points = reader.file(HREF).raster.points
    assert points is not None
    x, y = np.meshgrid(np.linspace(14, 16, 256), np.linspace(44, 46, 256))
    ticks: list[float] = []
    working = threading.Thread(target=points.locate, args=(x, y))
    working.start()
    while working.is_alive():
        ticks.append(time.monotonic())
        time.sleep(0.002)
    assert len(ticks) > 5
    gone = Cancel()
    gone.now(CallerGone())
    with pytest.raises(CallerGone), under(gone):
        points.locate(x, y)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (known()[:3], "tells 3 of its places, not 4 to 500"),
        (scattered(501), "tells 501 of its places, not 4 to 500"),
        (on_a_line(), "tells places twice, or on one line"),
        ([*known(), known()[0]], "tells places twice, or on one line"),
        ([*known(), GroundControlPoint(row=1, col=1, x=float("nan"), y=45)], "places that are nowhere"),
        ([*known(), GroundControlPoint(row=1, col=1, x=15, y=1e12)], "places that are nowhere"),
        ([*known(), GroundControlPoint(row=1, col=1, x=15, y=91)], "beyond its poles"),
        ([*known(-60)[::9], *known(60)[::9], *known(170)[::9]], "on more than half of the Earth"),
        (minute(), "nothing follows for the others"),
    ],
)
def test_points_that_do_not_say_where_it_lies(tmp_path: Path, points: list[GroundControlPoint], why: str) -> None:
    written(tmp_path, points)
    reader = Reader(StoreSettings(root=tmp_path), 2**24)
    with pytest.raises(FileUnavailable, match=f"{HREF} .*{why}"):
        reader.file(HREF)
    written(tmp_path, known())
    assert Reader(StoreSettings(root=tmp_path), 2**24).file(HREF).raster.points is not None
