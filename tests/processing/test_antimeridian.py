"""Scenes across the antimeridian: both sides are drawn, and what is drawn is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from bdap_hub.processing.cubes.extent import WORLD, Bounds, lonlat, overlap
from bdap_hub.processing.engine.evaluate import Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.settings import Settings

from .conftest import DATES, asset, collection, item
from .engines import compiled
from .graphs import band

FIJI = Bounds(178.0, -18.0, 182.0, -16.0)


@pytest.mark.parametrize(
    ("other", "meets", "common"),
    [
        ((179, -17, 179.5, -16.5), True, (179, -17, 179.5, -16.5)),
        ((-180, -17, -179, -16.5), True, (-180, -17, -179, -16.5)),
        ((-178, -17, -170, -16.5), True, (-178, -17, -178, -16.5)),
        ((-177, -17, -170, -16.5), False, None),
        ((170, -17, 177, -16.5), False, None),
        ((-179, -10, -178, -5), False, None),
        (WORLD, True, FIJI),
        ((179, -17, 183, -16), True, (179, -17, 182, -16)),
    ],
)
def test_boxes_beyond_180(other: Any, meets: bool, common: Any) -> None:
    box = Bounds(*other)
    assert FIJI.meets(box) is meets and box.meets(FIJI) is meets
    if common is not None:
        assert overlap(FIJI, box) == overlap(box, FIJI) == Bounds(*common)


def east_of(lon: Any) -> Any:
    """Longitudes from 0 to 360, so that they have no step at 180."""
    return np.where(np.asarray(lon) < 0, np.asarray(lon) + 360, lon)


def value_at(lon: Any, lat: Any) -> Any:
    """What the scenes hold at a place."""
    return 1000 + 1000 * (east_of(lon) - 178) - 300 * (lat + 18)


SCENES = {
    "degrees": ("EPSG:4326", Affine(0.01, 0, 178, 0, -0.01, -16), (200, 400)),
    "utm": ("EPSG:32760", Affine(1000, 0, 700_000, 0, -1000, 8_220_000), (200, 300)),
}


def scene(root: Path, name: str) -> tuple[Engine, Any]:
    """A file that crosses 180 degrees, with `value_at` in it, and a graph that reads it."""
    crs, transform, (height, width) = SCENES[name]
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*(transform @ (columns, rows)))
    assert lon.min() < -179 or lon.max() > 180.5
    path = root / "data/fiji/x.tif"
    path.parent.mkdir(parents=True)
    profile = {"width": width, "height": height, "count": 1, "dtype": "float32", "crs": crs, "transform": transform}
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(value_at(lon, lat).astype(np.float32), 1)
    west, east = float(east_of(lon).min()), float(east_of(lon).max())
    bbox = (west, float(lat.min()), east - 360, float(lat.max()))  # as GeoJSON has it: west is greater than east
    items = [item("fiji", "x", DATES[0], bbox, 0, {"B04": asset("/eos/data/fiji/x.tif", "B04")})]
    engine = Engine(Settings(environment="demo", store={"root": root}, processing={"port": 1}))
    return engine, compiled(band("B04", "fiji"), [collection("fiji", "public", "", bbox)], items)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("side", [1023, 0], ids=["west of it", "east of it"])
def test_tiles_on_both_sides(tmp_path: Path, name: str, side: int) -> None:
    engine, made = scene(tmp_path, name)
    grid = Grid.tile(10, side, 560)
    got = engine.cube(made, grid).data[0]
    xs, ys = np.meshgrid(*grid.centres())
    lon, lat = np.vectorize(lonlat)(xs, ys)
    inside = np.isfinite(got)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(got[inside], value_at(lon, lat)[inside], atol=8)
    assert made.plan.bounds.meets(grid.bounds())
    engine.close()


@pytest.mark.parametrize("name", SCENES)
def test_points_on_both_sides_and_none_on_the_other_side_of_the_earth(tmp_path: Path, name: str) -> None:
    engine, made = scene(tmp_path, name)
    for lon in (179.5, -179.7):
        assert engine.point(made, lon, -17)["values"]["B04"] == pytest.approx(value_at(lon, -17), abs=15)
    assert engine.point(made, 0.5, -17)["values"]["B04"] is None
    engine.close()


@pytest.mark.parametrize("extent", [(-180, -179), (178.5, 179.5)])
def test_an_extent_on_one_side(tmp_path: Path, extent: tuple[float, float]) -> None:
    engine, made = scene(tmp_path, "degrees")
    west, east = extent
    box = {"west": west, "south": -17.5, "east": east, "north": -16.5}
    raw = band("B04", "fiji", spatial_extent=box)
    items = [item("fiji", "x", DATES[0], (178, -18, -178, -16), 0, {"B04": asset("/eos/data/fiji/x.tif", "B04")})]
    made = compiled(raw, [collection("fiji", "public", "", (178, -18, -178, -16))], items)
    middle = (west + east) / 2
    assert engine.point(made, middle, -17)["values"]["B04"] == pytest.approx(value_at(middle, -17), abs=15)
    assert engine.point(made, 180 - (middle + 180) if middle < 0 else -179.9, -17)["values"]["B04"] is None
    found = engine.histogram(made, Bounds(west, -17.5, east, -16.5), 10)["statistics"]
    assert found["valid"] == pytest.approx(100 * 100, abs=250)
    engine.close()
