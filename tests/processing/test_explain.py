"""`explain`: what it says of scales, files and costs is what happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine

from bdap_hub.errors import TooMuch
from bdap_hub.processing.engine import cost
from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.service.explain import explained

from .conftest import CLOUD, SIZE, X, Y, Z, asset, collection, item, write_tiff
from .engines import compiled, engine_on
from .graphs import band, load, ndvi_median, node, of
from .test_scaling import BOX, PHYSICAL, PLAIN, S2, store

BAND_BLOCKS = 4 * 9  # 512 x 512 pixels in blocks of 256, three dates of three bands


def test_the_cost_of_a_tile_is_what_is_decoded(fields: Any) -> None:
    engine = engine_on(fields[0])
    made = compiled(ndvi_median(), [fields[1]], fields[2])
    found = explained(engine.reader, made)["estimate"]
    z, x, y = found["tile"]["zxy"]
    assert z == Z and x in (X, X + 1) and y in (Y, Y + 1)
    assert engine.reader._blocks.used == 0  # nothing was decoded to find out
    engine.cube(made, Grid.tile(z, x, y))
    assert found["tile"] == {
        "zxy": [z, x, y],
        "pixels": 9 * 256 * 256,
        "blocks": len(engine.reader._blocks._entries),
        "bytes_to_decode": engine.reader._blocks.used,
    }


def test_the_cost_of_the_extent_is_all_of_its_files(fields: Any) -> None:
    made = compiled(ndvi_median(), [fields[1]], fields[2])
    found = explained(engine_on(fields[0]).reader, made)["estimate"]
    pixels = SIZE * SIZE
    assert found["extent"] == {
        "pixels": 9 * pixels,
        "blocks": BAND_BLOCKS,
        "bytes_to_decode": 3 * (2 * 2 + 1) * pixels,  # two bands of two bytes, SCL of one
    }
    west, south, east, north = BOX
    half = {"west": west, "south": south, "east": east, "north": north}
    made = compiled(ndvi_median(spatial_extent=half), [fields[1]], fields[2])
    part = explained(engine_on(fields[0]).reader, made)["estimate"]["extent"]["pixels"]
    assert part == pytest.approx(9 * pixels / 4, rel=0.01)


def without_overviews(root: Any, overviews: tuple[int, ...]) -> tuple[Engine, Compiled]:
    """A file of 8 MB that one tile, three zooms further out, shows as a whole."""
    grid = Grid.tile(Z, X >> 3 << 3, Y >> 3 << 3)
    place = Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
    write_tiff(root / "data/s/a.tif", np.full((2048, 2048), 7, np.uint16), "EPSG:3857", place, overviews)
    items = [item("s", "a", "2024-05-01", (-180, -80, 180, 80), 0, {"B04": asset("/eos/data/s/a.tif", "B04")})]
    engine = engine_on(root)
    engine.decoded = 7
    return engine, compiled(band("B04", "s"), [collection("s", "public", "", (-180, -80, 180, 80))], items)


def test_what_would_decode_too_much_is_refused_before_it_starts(tmp_path: Any) -> None:
    engine, made = without_overviews(tmp_path, ())
    afar = Grid.tile(Z - 3, X >> 3, Y >> 3)
    with pytest.raises(TooMuch, match=r"8 MB would have to be decoded.* the limit is 7 MB") as error:
        engine.cube(made, afar)
    assert "overviews" in error.value.remedy and engine.reader._blocks.used == 0
    assert np.nanmax(engine.cube(made, Grid.tile(Z, X, Y)).data) == 7  # near, a few blocks are enough
    engine.decoded = 8
    assert np.nanmax(engine.cube(made, afar).data) == 7


def test_a_mixed_series_is_estimated_by_files_of_all_its_dates(tmp_path: Any) -> None:
    """The first of ten files has overviews, the others have none."""
    grid = Grid.tile(Z, X >> 3 << 3, Y >> 3 << 3)
    place, box, items = Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top), (-180, -80, 180, 80), []
    large = np.full((2048, 2048), 7, np.uint16)
    for number in range(10):
        overviews = () if number else (2, 4, 8)
        write_tiff(tmp_path / f"data/s/{number}.tif", large, "EPSG:3857", place, overviews)
        files = {"B04": asset(f"/eos/data/s/{number}.tif", "B04")}
        items.append(item("s", f"s{number}", f"2024-05-{number + 10}", box, 0, files))
    engine, described = engine_on(tmp_path), [collection("s", "public", "", box)]
    engine.decoded = 70
    afar = Grid.tile(Z - 3, X >> 3, Y >> 3)
    with pytest.raises(TooMuch, match=r"72 MB would have to be decoded"):
        engine.cube(compiled(band("B04", "s", "mean"), described, items), afar)
    made = compiled(band("B04", "s", "mean"), described, items[:8])  # seven of eight without
    assert np.nanmax(engine.cube(made, afar).data) == 7
    small = np.full((256, 256), 7, np.uint16)
    for number in range(1, 10):
        write_tiff(tmp_path / f"data/s/{number}.tif", small, "EPSG:3857", place, ())
    found = explained(engine_on(tmp_path).reader, compiled(band("B04", "s", "mean"), described, items))["estimate"]
    assert found["extent"]["pixels"] == 2048 * 2048 + 9 * 256 * 256


def test_many_files_are_told_by_a_few_spread_over_them() -> None:
    assert list(cost.spread(range(1000), 16))[::15] == [0, 999] and len(cost.spread(range(1000), 16)) == 16
    assert list(cost.spread(range(3), 16)) == [0, 1, 2]


def test_with_overviews_every_scale_is_served(tmp_path: Any) -> None:
    engine, made = without_overviews(tmp_path, (2, 4, 8))
    engine.decoded = 0
    assert np.nanmax(engine.cube(made, Grid.tile(Z - 3, X >> 3, Y >> 3)).data) == 7


def test_scales_and_what_is_done_to_stored_numbers(tmp_path: Any) -> None:
    engine, items = store(
        tmp_path,
        {"2021-06-01": (2000, S2), "2022-06-01": (3000, S2), "2022-07-01": (3000, S2)},
        on_2021={"s2:processing_baseline": "03.01"},
        on_2022={"s2:processing_baseline": "04.00"},
    )
    described = collection("s", "public", "", BOX)
    (stored,) = explained(engine.reader, compiled(PLAIN, [described], items))["loads"]
    assert stored["values"] == "stored" and stored["scales"] == {"B04": {"scale": 0.0001, "offset": 0}}
    assert stored["read_as"] == [{"band": "B04", "gain": 1, "shift": -1000, "items": 2}]
    (physical,) = explained(engine.reader, compiled(PHYSICAL, [described], items))["loads"]
    assert physical["values"] == "physical" and physical["scales"] == {"B04": {"scale": 1, "offset": 0}}
    assert physical["read_as"] == [
        {"band": "B04", "gain": 0.0001, "shift": -0.1, "items": 2},
        {"band": "B04", "gain": 0.0001, "shift": 0, "items": 1},
    ]


def test_an_item_without_the_band_adds_no_file(fields: Any) -> None:
    missing = item("fields", "x", "2024-08-01", BOX, CLOUD[0], {"note": {"href": "/eos/x.txt", "type": "text/plain"}})
    raw = {"data": load(bands=["B04"]), "all": node("save_result", True, data=of("data"), format="PNG")}
    made = compiled(raw, [fields[1]], [missing, *fields[2]])
    assert explained(engine_on(fields[0]).reader, made)["estimate"]["files"] == 3


def test_items_without_bands_cost_nothing(fields: Any) -> None:
    engine, bare = engine_on(fields[0]), [{**one, "assets": {}} for one in fields[2]]
    made = compiled({"data": {**load(), "result": True}}, [fields[1]], bare)
    found = explained(engine.reader, made)
    assert found["files"] == [] and found["estimate"]["files"] == 0 and "tile" not in found["estimate"]
    made = compiled({"data": {**load(), "result": True}}, [fields[1]], [*bare[:1], *fields[2][1:]])
    assert explained(engine.reader, made)["estimate"]["tile"]["blocks"] > 0
