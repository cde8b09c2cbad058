"""Real Sentinel-2 L2A ($BDAP_TEST_DATA): points and tiles equal what rasterio reads from the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.settings import Settings

from .conftest import agreement, asset, collection, item
from .engines import compiled
from .graphs import arg, band, call, load, ndvi_median, node, of


@pytest.fixture(scope="module")
def scenes(real_data: Path) -> tuple[Engine, dict[str, Any], list[dict[str, Any]], Path]:
    """An engine whose store is the real imagery, its collection and its items."""
    root = real_data / "s2-l2a-33T-cog"
    items = []
    for path in sorted(root.glob("*/*/*.json")):
        found = json.loads(path.read_text())
        found["collection"] = "s2"
        for one in found["assets"].values():
            one["href"] = "/eos/data/" + str((path.parent / one["href"]).resolve().relative_to(root.resolve()))
        found["assets"] = {Path(one["href"]).stem: one for one in found["assets"].values()}  # as ingest does
        items.append(found)
    assert len(items) == 10
    west, south, east, north = np.array([item["bbox"] for item in items]).T
    bbox = (west.min(), south.min(), east.max(), north.max())
    return (
        Engine(Settings(environment="demo", store={"data_root": root}, processing={"port": 1})),
        collection("s2", "public", "", bbox),
        items,
        root,
    )


@pytest.mark.parametrize("name", ["B02", "B03", "B04", "B08", "SCL"])
def test_points_equal_rasterio(scenes: Any, name: str) -> None:
    engine, described, items, root = scenes
    item = next(i for i in items if "33TWM_20230820" in i["id"])
    made = compiled(band(name, "s2"), [described], [item])
    random = np.random.default_rng(1)
    with rasterio.open(root / item["assets"][name]["href"].removeprefix("/eos/data/")) as file:
        for row, column in random.integers(0, 915, (40, 2)):
            x, y = file.xy(row, column)
            x, y = x + random.uniform(-55, 55), y + random.uniform(-55, 55)
            want = int(next(file.sample([(x, y)]))[0])
            lon, lat = (v[0] for v in rasterio.warp.transform(file.crs, "EPSG:4326", [x], [y]))
            assert engine.point(made, lon, lat)["values"][name] == (want or None)


@pytest.mark.parametrize("name", ["SCL", "B04"])
def test_tiles_equal_an_exact_warp(scenes: Any, name: str) -> None:
    engine, described, items, root = scenes
    item = next(i for i in items if "33TWM_20230820" in i["id"])
    grid = Grid.tile(10, 556, 364)
    got = engine.cube(compiled(band(name, "s2"), [described], [item]), grid).data[0]
    path = root / item["assets"][name]["href"].removeprefix("/eos/data/")
    both, equal = agreement(path, grid, got, classes=name == "SCL")
    assert both > 0.3 and equal >= 0.999


def test_masked_median_over_two_tiles_and_five_dates(scenes: Any) -> None:
    engine, described, items, _ = scenes
    graph = json.loads(json.dumps(ndvi_median()).replace('"fields"', '"s2"'))
    made = compiled(graph, [described], items)
    assert [len(step.scenes) for step in made.plan.loads[0].steps] == [2] * 5
    values = engine.cube(made, Grid.tile(9, 278, 182)).data
    valid = np.isfinite(values)
    assert valid.mean() > 0.5 and 0.3 < np.median(values[valid]) < 0.95


def test_indices_by_name_on_real_bands_equal_rasterio(scenes: Any) -> None:
    engine, described, items, root = scenes
    item = next(i for i in items if "33TWM_20230820" in i["id"])
    names = {"B": "B02", "G": "B03", "R": "B04", "N": "B08"}
    raw = {
        "a": load("s2"),
        "i": node("compute_indices", data=of("a"), indices=["NDVI", "NDWI", "VARI"], platform="sentinel-2"),
        "f": node("reduce_dimension", True, data=of("i"), dimension="t",
                  reducer=call("first", data=arg("data"))),
    }  # fmt: skip
    made = compiled(raw, [described], [item])
    assert set(made.plan.loads[0].bands) == set(names.values())
    path = root / item["assets"]["B04"]["href"].removeprefix("/eos/data/")
    with rasterio.open(path) as file:
        x, y = file.xy(400, 500)
        lon, lat = (v[0] for v in rasterio.warp.transform(file.crs, "EPSG:4326", [x], [y]))
    v = {}
    for variable, name in names.items():
        with rasterio.open(root / item["assets"][name]["href"].removeprefix("/eos/data/")) as file:
            v[variable] = float(next(file.sample([(x, y)]))[0])
    got = engine.point(made, lon, lat)["values"]
    assert got["NDVI"] == pytest.approx((v["N"] - v["R"]) / (v["N"] + v["R"]), rel=1e-5)
    assert got["NDWI"] == pytest.approx((v["G"] - v["N"]) / (v["G"] + v["N"]), rel=1e-5)
    assert got["VARI"] == pytest.approx((v["G"] - v["R"]) / (v["G"] + v["R"] - v["B"]), rel=1e-4)


def test_bits_of_a_real_quality_band_equal_numpy(real_data: Path) -> None:
    root = real_data / "landsat5-ga-nbar"
    path = next(root.glob("*PQ*/scene01/*.tif"))
    with rasterio.open(path) as file:
        box = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        pixels, places = (
            file.read(1),
            [file.xy(row, column) for row, column in ((5, 7), (200, 300), (400, 100), (77, 400))],
        )
        at = [rasterio.warp.transform(file.crs, "EPSG:4326", [x], [y]) for x, y in places]
        values = [int(pixels[file.index(x, y)]) for x, y in places]
    href = f"/eos/data/{path.relative_to(root)}"
    items = [item("pq", "a", "1992-03-23", box, 0, {"PQ": {**asset(href, "PQ"), "raster:bands": [{}]}})]
    raw = band("PQ", "pq")
    raw["flat"].pop("result")
    raw["bits"] = node("apply", True, data=of("flat"), process=call("has_bits", x=arg("x"), bits=[10, 11, 12, 13]))
    engine = Engine(Settings(environment="demo", store={"data_root": root}, processing={"port": 1}))
    made = compiled(raw, [collection("pq", "public", "", box)], items)
    assert len(np.unique(pixels)) > 2
    for (lon, lat), value in zip(at, values, strict=True):
        assert engine.point(made, lon[0], lat[0])["values"]["PQ"] == bool(value >> 10 & 15)
