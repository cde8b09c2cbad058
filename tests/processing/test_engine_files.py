"""The engine and files: other grids, several files of a day, damage, and what lies outside."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.reader import FileUnavailable, Reader
from bdap_hub.settings import StoreSettings

from .conftest import DATES, X, Y, Z, agreement, asset, collection, item, truth, write_tiff
from .engines import compiled, engine_on
from .graphs import band


def test_utm_is_projected_as_gdal_does(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    smooth = (5000 + 3000 * np.sin(np.add.outer(np.arange(700) / 30, np.arange(700) / 40))).astype(np.uint16)
    classes = random.integers(1, 12, (700, 700)).astype(np.uint8)
    transform = Affine(10, 0, 500_000, 0, -10, 5_200_000)
    write_tiff(tmp_path / "data/utm/B04.tif", smooth, "EPSG:32633", transform)
    write_tiff(tmp_path / "data/utm/SCL.tif", classes, "EPSG:32633", transform)
    assets = {name: asset(f"/eos/data/utm/{name}.tif", name) for name in ("B04", "SCL")}
    bbox = rasterio.warp.transform_bounds("EPSG:32633", "EPSG:4326", 500_000, 5_193_000, 507_000, 5_200_000)
    described, items = collection("utm", "public", "", bbox), [item("utm", "a", "2024-05-01", bbox, 0, assets)]
    x, y = _tile_at(15.05, 46.92, 14)
    grid, engine = Grid.tile(14, x, y), engine_on(tmp_path)
    for name in ("SCL", "B04"):
        got = engine.cube(compiled(band(name, "utm"), [described], items), grid).data[0]
        both, equal = agreement(tmp_path / f"data/utm/{name}.tif", grid, got, classes=name == "SCL")
        assert both > 0.9 and equal > 0.999


def test_scenes_of_one_day_are_one_step_and_fill_each_other(tmp_path: Path) -> None:
    grid = Grid.tile(Z, X, Y)
    left, right = np.full((256, 256), 7, np.uint16), np.full((256, 256), 9, np.uint16)
    left[:, 128:] = 0
    items = []
    for name, pixels in (("a", left), ("b", right)):
        write_tiff(
            tmp_path / f"data/two/{name}.tif",
            pixels,
            "EPSG:3857",
            Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top),
        )
        items.append(
            item("two", name, DATES[0], tuple(grid.bounds()), 0, {"B04": asset(f"/eos/data/two/{name}.tif", "B04")})
        )
    made = compiled(band("B04", "two"), [collection("two", "public", "", tuple(grid.bounds()))], items)
    assert [len(step.scenes) for step in made.plan.loads[0].steps] == [2]
    got = engine_on(tmp_path).cube(made, grid).data[0]
    assert (got[:, :128] == 7).all() and (got[:, 128:] == 9).all()


@pytest.mark.parametrize("damage", ["vanished", "truncated", "not a raster"])
def test_a_damaged_file_is_named_without_the_servers_path(tmp_path: Path, damage: str) -> None:
    grid = Grid.tile(Z, X, Y)
    path = tmp_path / "data/bad/B04.tif"
    write_tiff(path, truth(0)["B04"], "EPSG:3857", Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top))
    items = [item("bad", "a", DATES[0], tuple(grid.bounds()), 0, {"B04": asset("/eos/data/bad/B04.tif", "B04")})]
    made = compiled(band("B04", "bad"), [collection("bad", "public", "", tuple(grid.bounds()))], items)
    engine = engine_on(tmp_path)
    assert np.isfinite(engine.cube(made, grid).data).any()
    match damage:
        case "vanished":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:60_000])
        case _:
            path.write_text("nothing")
    with pytest.raises(FileUnavailable, match=re.escape("/eos/data/bad/B04.tif")) as error:
        engine.cube(made, grid)
    assert str(tmp_path) not in str(error.value.public())


@pytest.mark.parametrize(
    "href", ["/eos/../../etc/passwd", "/etc/passwd", "/vsicurl/http://127.0.0.1/x.tif", "/eos/data/link.tif"]
)
def test_no_file_outside_the_store_is_opened(tmp_path: Path, href: str) -> None:
    grid, store = Grid.tile(Z, X, Y), tmp_path / "store"
    write_tiff(
        tmp_path / "outside.tif", truth(0)["B04"], "EPSG:3857", Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
    )
    (store / "data").mkdir(parents=True)
    (store / "data/link.tif").symlink_to(tmp_path / "outside.tif")
    items = [item("out", "a", DATES[0], tuple(grid.bounds()), 0, {"B04": asset(href, "B04")})]
    made = compiled(band("B04", "out"), [collection("out", "public", "", tuple(grid.bounds()))], items)
    with pytest.raises(FileUnavailable, match="not on the store"):
        engine_on(store).cube(made, grid)


VRT = """<VRTDataset rasterXSize="256" rasterYSize="256"><SRS>EPSG:3857</SRS>
<GeoTransform>0, 10, 0, 0, 0, -10</GeoTransform><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>
<SourceFilename relativeToVRT="1">../farms/secret.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""
PAM = """<PAMDataset><Metadata domain="OVERVIEWS">
<MDI key="OVERVIEW_FILE">:::BASE:::../farms/secret.tif</MDI></Metadata></PAMDataset>"""


@pytest.mark.parametrize("trick", ["none", "vrt", "linked overviews", "vrt overviews", "named overviews"])
def test_a_projects_file_shows_no_other_projects_pixels(tmp_path: Path, trick: str) -> None:
    place = Affine(10, 0, 0, 0, -10, 0)
    own, secret = tmp_path / "projects/forest/x.tif", tmp_path / "projects/farms/secret.tif"
    write_tiff(own, np.full((256, 256), 5, np.uint16), "EPSG:3857", place, overviews=())
    write_tiff(secret, np.full((128, 128), 6, np.uint16), "EPSG:3857", place, overviews=())
    match trick:
        case "vrt":
            own.write_text(VRT)
        case "linked overviews":
            Path(f"{own}.ovr").symlink_to("../farms/secret.tif")
        case "vrt overviews":
            Path(f"{own}.ovr").write_text(VRT.replace("256", "128"))
        case "named overviews":
            Path(f"{own}.aux.xml").write_text(PAM)
        case _:  # what GDAL writes beside a file of its own does no harm
            Path(f"{own}.aux.xml").write_text("<PAMDataset></PAMDataset>")
    reader = Reader(StoreSettings(root=tmp_path), 2**20)
    if trick == "none":
        file = reader.file("/eos/projects/forest/x.tif")
        assert [file.level(k).read(1).max() for k in range(len(file.units))] == [5]
        return
    why = {"vrt": "is damaged or not a raster", "named overviews": "names another file as its overviews"}
    with pytest.raises(FileUnavailable, match=why.get(trick, "a link or of another format")):
        reader.file("/eos/projects/forest/x.tif")


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    grid = Grid.tile(Z, X, Y)
    where, place = tmp_path / "data/new/B04.tif", Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
    write_tiff(where, np.full((256, 256), 5, np.uint16), "EPSG:3857", place)
    items = [item("new", "a", DATES[0], tuple(grid.bounds()), 0, {"B04": asset("/eos/data/new/B04.tif", "B04")})]
    made = compiled(band("B04", "new"), [collection("new", "public", "", tuple(grid.bounds()))], items)
    engine = engine_on(tmp_path)
    before = engine.touched(made.plan, grid)
    assert (engine.cube(made, grid).data == 5).all()
    write_tiff(where.with_name("next.tif"), np.full((256, 256), 6, np.uint16), "EPSG:3857", place)
    where.with_name("next.tif").replace(where)
    assert engine.touched(made.plan, grid) != before
    assert (engine.cube(made, grid).data == 6).all()


def _tile_at(lon: float, lat: float, z: int) -> tuple[int, int]:
    n = 2**z
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return int((lon + 180) / 360 * n), int(y * n)
