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

from .conftest import agreement, collection
from .graphs import band, ndvi_median
from .test_engine import compiled


@pytest.fixture(scope="module")
def scenes(real_data: Path) -> tuple[Engine, dict[str, Any], list[dict[str, Any]], Path]:
    """An engine whose store is the real imagery, its collection and its items."""
    root = real_data / "s2-l2a-33T-cog"
    items = []
    for path in sorted(root.glob("*/*/*.json")):
        found = json.loads(path.read_text())
        found["collection"] = "s2"
        for asset in found["assets"].values():
            asset["href"] = "/eos/data/" + str((path.parent / asset["href"]).resolve().relative_to(root.resolve()))
        found["assets"] = {Path(asset["href"]).stem: asset for asset in found["assets"].values()}  # as ingest does
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
