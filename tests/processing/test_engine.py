"""Plans and pixels without HTTP: what the engine gives equals numpy on the files' own pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import rasterio

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes.extent import Bounds
from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs import plan
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

from .conftest import CLOUD, DATES, X, Y, Z, truth
from .engines import compiled, engine_on, expected_median
from .graphs import arg, band, call, load, ndvi_median, node, of


@pytest.fixture(scope="module")
def fields_engine(fields: Any) -> Engine:
    return engine_on(fields[0])


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


def test_a_graph_made_ready_holds_no_values(fields: Any) -> None:
    """One of few words has many labels, and 200 are kept."""
    many = call("array_create", data=[0], repeat=5000)
    raw = {
        "data": load(bands=["B04"]),
        "long": node("apply_dimension", data=of("data"), process=many, dimension="bands"),
        "wide": node("apply_dimension", True, data=of("long"), process=many, dimension="t"),
    }
    wide = compiled(raw, [fields[1]], fields[2])
    assert wide.result.data.shape == (5000, 5000, 1, 1) and not any(wide.result.data.strides)
    assert [len(wide.result.labels[name]) for name in ("t", "bands")] == [5000, 5000]
    (stream,) = compiled(ndvi_median(), [fields[1]], fields[2]).streams
    assert stream.shapes and not any(any(cube.data.strides) for cube in stream.shapes.values())


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
