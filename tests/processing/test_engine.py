"""Plans and pixels without HTTP: what the engine gives equals numpy on the files' own pixels."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes.extent import Bounds
from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.engine.reader import FileUnavailable, Reader
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.settings import Settings, StoreSettings

from .conftest import CLOUD, DATES, SIZE, X, Y, Z, agreement, asset, collection, item, truth, write_tiff
from .graphs import CLOUDS, arg, band, call, load, ndvi_median, node, of


def engine_on(store: Path, **processing: Any) -> Engine:
    return Engine(Settings(environment="demo", store={"root": store}, processing={"port": 1, **processing}))


def compiled(raw: Any, collections: list[Any], items: list[Any], max_items: int = 100, whole: bool = False) -> Compiled:
    graph = parse(raw, REGISTRY)
    asked = queries(graph)
    found = {q.node: [i for i in items if i["collection"] == q.collection] for q in asked}
    made = plan.build(graph, asked, {c["id"]: c for c in collections}, found, max_items)
    assert plan.restore(made.dump()) == made
    return Compiled.of(graph, made, whole)


@pytest.fixture(scope="module")
def fields_engine(fields: Any) -> Engine:
    return engine_on(fields[0])


def expected_median() -> Any:
    layers = []
    for number in range(3):
        pixels = truth(number)
        red, nir = (np.where(pixels[b] == 0, np.nan, pixels[b].astype(np.float64)) for b in ("B04", "B08"))
        ndvi = (nir - red) / (nir + red)
        layers.append(np.where(np.isin(pixels["SCL"], CLOUDS), np.nan, ndvi))
    with warnings.catch_warnings(action="ignore"):  # pixels without any value
        return np.nanmedian(layers, axis=0)


def test_masked_ndvi_median_equals_numpy_at_every_pixel(fields: Any, fields_engine: Engine) -> None:
    made = compiled(ndvi_median(), [fields[1]], fields[2])
    whole = expected_median()
    for dx in (0, 1):
        for dy in (0, 1):
            got = fields_engine.cube(made, Grid.tile(Z, X + dx, Y + dy)).data
            want = whole[dy * 256 : dy * 256 + 256, dx * 256 : dx * 256 + 256]
            np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
            np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)


def test_a_tile_of_one_band_is_the_file_itself(fields: Any, fields_engine: Engine) -> None:
    made = compiled(band("B04"), [fields[1]], fields[2][:1])
    got = fields_engine.cube(made, Grid.tile(Z, X, Y)).data[0]
    want = truth(0)["B04"][:256, :256]
    assert np.isnan(got[want == 0]).all() and (want == 0).any()
    np.testing.assert_array_equal(got[want != 0], want[want != 0])


def test_classes_are_never_interpolated(fields: Any, fields_engine: Engine) -> None:
    made = compiled(band("SCL"), [fields[1]], fields[2][:1])
    odd = Grid("EPSG:3857", *(Grid.tile(Z, X, Y).left + 777.7, Grid.tile(Z, X, Y).top - 555.5), 3.3, 3.3, 300, 300)
    got = fields_engine.cube(made, odd).data
    assert set(np.unique(got[np.isfinite(got)])) <= {3.0, 4.0, 5.0, 8.0, 9.0}


@pytest.mark.parametrize(("row", "column"), [(100, 100), (0, 0), (511, 511), (300, 7)])
def test_a_point_is_the_pixel_that_rasterio_finds(fields: Any, fields_engine: Engine, row: int, column: int) -> None:
    made = compiled(band("B08"), [fields[1]], fields[2][:1])
    path = fields[0] / f"data/fields/{DATES[0]}/B08.tif"
    with rasterio.open(path) as file:
        x, y = file.xy(row, column)
        lon, lat = (v[0] for v in rasterio.warp.transform(file.crs, "EPSG:4326", [x + 2], [y - 3]))
        want = int(next(file.sample([(x + 2, y - 3)]))[0])
    assert fields_engine.point(made, lon, lat)["values"] == {"B08": want or None}


def test_a_point_shows_the_values_along_the_chain(fields: Any, fields_engine: Engine) -> None:
    grid = Grid.tile(Z, X, Y)
    lon, lat = grid.bounds().west + 0.02, grid.bounds().north - 0.02
    chain = fields_engine.point(compiled(ndvi_median(), [fields[1]], fields[2]), lon, lat)["chain"]
    assert {"data", "scl", "clouds", "clear", "ndvi", "median", "save"} == {step["node"] for step in chain}
    raw = next(step["values"] for step in chain if step["node"] == "data")
    assert list(raw) == [f"{d}T10:00:00Z" for d in DATES] and all(set(v) == {"B04", "B08"} for v in raw.values())


SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]


def sharpened(name: str = "B04") -> dict[str, Any]:
    raw = band(name)
    raw["flat"].pop("result")
    return {**raw, "k": node("apply_kernel", True, data=of("flat"), kernel=SHARPEN)}


def test_no_seam_shows_between_tiles_of_a_kernel(fields: Any, fields_engine: Engine) -> None:
    made = compiled(sharpened(), [fields[1]], fields[2][:1])
    tile = Grid.tile(Z, X, Y)
    whole = fields_engine.cube(made, replace(tile, width=512, height=512)).data[0]
    assert made.margin == 1
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        got = fields_engine.cube(made, Grid.tile(Z, X + dx, Y + dy)).data[0]
        np.testing.assert_allclose(got, whole[dy * 256 :, dx * 256 :][:256, :256], atol=1e-3)
    pixels = truth(0)["B04"].astype(float)
    want = 5 * pixels[255, 255] - pixels[254, 255] - pixels[256, 255] - pixels[255, 254] - pixels[255, 256]
    np.testing.assert_allclose(fields_engine.cube(made, tile).data[0, 255, 255], want, rtol=1e-6)


def test_a_point_of_a_kernel_looks_at_the_files_own_pixels(fields: Any, fields_engine: Engine) -> None:
    made = compiled(sharpened(), [fields[1]], fields[2][:1])
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        lon, lat = (v[0] for v in rasterio.warp.transform(file.crs, "EPSG:4326", *([v] for v in file.xy(300, 200))))
    pixels = truth(0)["B04"].astype(float)
    want = 5 * pixels[300, 200] - pixels[299, 200] - pixels[301, 200] - pixels[300, 199] - pixels[300, 201]
    found = fields_engine.point(made, lon, lat)
    assert found["values"] == {"B04": want}
    assert found["chain"][0]["values"][f"{DATES[0]}T10:00:00Z"] == {"B04": pixels[300, 200]}


def test_kernels_reach_only_so_far(fields: Any) -> None:
    raw = sharpened()
    raw["k"]["arguments"]["kernel"] = [[1] * 401]
    with pytest.raises(GraphError, match="200 pixels around"):
        compiled(raw, [fields[1]], fields[2][:1])


def test_a_map_of_whole_extents_is_refused(fields: Any) -> None:
    raw = band("B04")
    raw["flat"].pop("result")
    raw["r"] = node("reduce_dimension", True, data=of("flat"), reducer=call("mean", data=arg("data")), dimension="x")
    with pytest.raises(GraphError, match="whole extent"):
        compiled(raw, [fields[1]], fields[2][:1])


def test_histogram_counts_the_files_own_pixels(fields: Any, fields_engine: Engine) -> None:
    made = compiled(band("B04"), [fields[1]], fields[2][:1])
    tile = Grid.tile(Z, X, Y)
    box = Bounds(*Grid("EPSG:3857", tile.left - 1, tile.top + 1, tile.xres, tile.yres, 256, 256).bounds())
    found = fields_engine.histogram(made, box, 10)
    want = truth(0)["B04"][:256, :256]
    counts, edges = np.histogram(want[want != 0], bins=10)
    assert found["counts"] == counts.tolist()
    np.testing.assert_allclose(found["bins"], edges)
    assert found["statistics"]["nodata"] == (want == 0).sum()
    assert found["scale"]["resolution"] == pytest.approx(tile.xres)


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


def test_filters_are_pushed_to_the_search(fields: Any) -> None:
    graph = parse(
        {
            "all": load(properties={"eo:cloud_cover": call("lte", x=arg("value"), y=50)}),
            "when": node("filter_temporal", data=of("all"), extent=["2024-05-15", "2024-12-01"]),
            "where": node("filter_bbox", data=of("when"), extent={"west": 14, "south": 46, "east": 15, "north": 47}),
            "ndvi": node("ndvi", data=of("where")),
            "one": node(
                "reduce_dimension", True, data=of("ndvi"), reducer=call("max", data=arg("data")), dimension="t"
            ),
        },
        REGISTRY,
    )
    (query,) = queries(graph)
    assert query.search(10) == {
        "collections": ["fields"],
        "limit": 10,
        "bbox": [14.0, 46.0, 15.0, 47.0],
        "datetime": "2024-05-15T00:00:00Z/2024-12-01T00:00:00Z",
        "query": {"eo:cloud_cover": {"lte": 50}},
    }
    made = plan.build(graph, (query,), {"fields": fields[1]}, {query.node: fields[2]}, 10)
    assert made.loads[0].bands == ("B08", "B04")  # common names found, nothing else read
    assert [step.label[:10] for step in made.loads[0].steps] == [
        d for d, c in zip(DATES, CLOUD, strict=True) if c <= 50
    ][1:]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (band("B99"), "BandNotAvailable"),
        (band("B04", temporal_extent=["1999-01-01", "1999-02-01"]), "NoDataAvailable"),
        (band("B04", temporal_extent=["2024-02-01", "2024-01-01"]), "TemporalExtentEmpty"),
    ],
)
def test_a_graph_that_cannot_run_is_refused_when_posted(fields: Any, raw: Any, code: str) -> None:
    with pytest.raises(GraphError) as error:
        compiled(raw, [fields[1]], fields[2])
    assert error.value.code == code


def test_a_result_of_several_dates_or_bands_has_values_for_each(fields: Any, fields_engine: Engine) -> None:
    bounds = Grid.tile(Z, X, Y).bounds()
    lon, lat = bounds.west + 0.02, bounds.north - 0.02
    dates = compiled({"a": {**load(bands=["B04"]), "result": True}}, [fields[1]], fields[2])
    assert dates.drawable.undrawable == "" and [day[:10] for day in dates.dates] == list(DATES)
    assert [day[:10] for day in fields_engine.point(dates, lon, lat)["values"]] == list(DATES)
    two = compiled(band("B04", reducer="max") | {"data": load(bands=["B04", "B08"])}, [fields[1]], fields[2])
    assert "2 bands" in two.drawable.undrawable
    assert set(fields_engine.point(two, lon, lat)["values"]) == {"B04", "B08"}
    assert set(fields_engine.histogram(two, bounds, 4)["bands"]) == {"B04", "B08"}
    with pytest.raises(GraphError, match="2 bands"):
        fields_engine.tile(two, Z, X, Y)
    assert compiled(ndvi_median(), [fields[1]], fields[2]).drawable.undrawable == ""


def test_too_many_items_are_refused_with_their_number(fields: Any) -> None:
    with pytest.raises(GraphError, match="needs 3 items of fields; the limit is 2"):
        compiled(band("B04"), [fields[1]], fields[2], max_items=2)
    assert compiled(band("B04"), [fields[1]], fields[2], max_items=3)


def test_too_many_pixels_at_once_are_refused(fields: Any) -> None:
    made = compiled(ndvi_median(), [fields[1]], fields[2])
    with pytest.raises(TooMuch, match="3 dates of 2 bands"):
        engine_on(fields[0], max_cube_mb=1).cube(made, Grid.tile(Z, X, Y))


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


def decoded(png: bytes) -> tuple[Any, bytes, bytes]:
    """Indices or channels of a PNG of ours, its palette and its transparency, by the standard's own rules."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        size = struct.unpack(">I", png[at : at + 4])[0]
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0]
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + size
    width, height, _, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    channels = {3: 1, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    out = rows[:, 1:].copy()
    for number in range(1, height):
        if rows[number, 0] == 2:
            out[number] += out[number - 1]
    return out.reshape(height, width, channels), chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b"")


def test_png_of_one_band_is_a_palette_with_transparent_nodata(fields: Any, fields_engine: Engine) -> None:
    made = compiled(ndvi_median(), [fields[1]], fields[2])
    index, palette, alpha = decoded(fields_engine.tile(made, Z, X, Y))
    values = fields_engine.cube(made, Grid.tile(Z, X, Y)).data
    assert ((index[..., 0] == 0) == np.isnan(values)).all() and alpha[0] == 0 and set(alpha[1:]) == {255}
    valid = np.isfinite(values)
    np.testing.assert_allclose(index[..., 0][valid], 1 + (values[valid] + 1) / 2 * 254, atol=0.51)
    assert len(palette) == 256 * 3


def test_png_of_three_bands_is_rgb_with_transparency_only_where_needed(fields: Any, fields_engine: Engine) -> None:
    raw = {
        "data": load(bands=["B04", "B03", "B02"]),
        "flat": node("reduce_dimension", data=of("data"), reducer=call("first", data=arg("data")), dimension="t"),
        "save": node(
            "save_result", True, data=of("flat"), format="PNG", options={"min": 0, "max": [10000, 5000, 2500]}
        ),
    }
    made = compiled(raw, [fields[1]], fields[2])
    pixels, _, _ = decoded(fields_engine.tile(made, Z, X, Y))
    assert pixels.shape == (256, 256, 4)
    first = truth(0)
    hole = first["B04"][:256, :256] == 0
    assert (pixels[..., 3][~hole] == 255).all()
    for channel, (name, top) in enumerate((("B04", 10000), ("B03", 5000), ("B02", 2500))):
        want = np.clip(first[name][:256, :256] / top * 255, 0, 255)
        np.testing.assert_allclose(pixels[..., channel][~hole], want[~hole], atol=0.51)
    assert decoded(fields_engine.tile(made, Z, X + 1, Y + 1))[0].shape == (256, 256, 3)
    assert SIZE == 512


@pytest.mark.parametrize(
    "options",
    [{"colormap": "nope"}, {"min": 5, "max": 5}, {"min": "a"}, {"stretch": 1}, {"max": [1, 2]}, {"min": True}],
)
def test_a_wrong_style_is_refused(fields: Any, options: Any) -> None:
    raw = ndvi_median()
    raw["save"]["arguments"]["options"] = options
    with pytest.raises(GraphError) as error:
        compiled(raw, [fields[1]], fields[2])
    assert error.value.code == "ProcessArgumentInvalid"


def _tile_at(lon: float, lat: float, z: int) -> tuple[int, int]:
    n = 2**z
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return int((lon + 180) / 360 * n), int(y * n)
