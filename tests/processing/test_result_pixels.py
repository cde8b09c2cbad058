"""Results on the data's own pixels, or those that a graph asks for: window by window they equal rasterio and GDAL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import reproject

from bdap_hub.processing.engine.grid import crs_of
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.results import geography
from bdap_hub.processing.results.lattice import Frame, Window, transform_of
from bdap_hub.processing.results.pixels import METHODS, Evaluator
from bdap_hub.processing.results.places import MOST_ZONES
from bdap_hub.settings import Settings

from .conftest import DATES, SIZE, truth
from .engines import compiled
from .graphs import arg, band, call, load, node, of

LAST = call("last", data=arg("data"))
ADDED = {"overlap_resolver": call("add", x=arg("x"), y=arg("y"))}


def evaluator(fields: Any, raw: Any, items: int = 1) -> Evaluator:
    settings = Settings(environment="demo", store={"root": fields[0]}, processing={"port": 1})
    return Evaluator(settings, compiled(raw, [fields[1]], fields[2][:items]))


def whole(made: Evaluator) -> Any:
    return made.cube(made.placed.window).data


def in_windows(made: Evaluator, side: int) -> Any:
    """The result put together from windows of an odd size."""
    area = made.placed.window
    rows = []
    for top in range(area.top, area.bottom, side):
        parts = []
        for left in range(area.left, area.right, side):
            part = Window(left, top, min(left + side, area.right), min(top + side, area.bottom))
            parts.append(made.cube(part).data)
        rows.append(np.concatenate(parts, axis=-1))
    return np.concatenate(rows, axis=-2)


def resampled(**asked: Any) -> dict[str, Any]:
    return {**band("B04"), "there": node("resample_spatial", True, data=of("flat"), **asked), "flat": _not_last()}


def _not_last() -> dict[str, Any]:
    return node("reduce_dimension", data=of("data"), reducer=call("first", data=arg("data")), dimension="t")


def test_the_result_is_the_file_pixel_for_pixel(fields: Any) -> None:
    made = evaluator(fields, band("B04"))
    want = truth(0)["B04"]
    got = whole(made)[0]
    assert made.placed.lattice.crs == "EPSG:3857" and got.shape == (SIZE, SIZE)
    np.testing.assert_array_equal(np.nan_to_num(got), want)
    assert np.isnan(got[want == 0]).all()


def test_a_box_in_the_datas_crs_is_cut_at_whole_pixels(fields: Any) -> None:
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        left, top = file.xy(100, 50, offset="ul")
        right, bottom = file.xy(180, 170, offset="ul")
    extent = {"west": left, "south": bottom, "east": right, "north": top, "crs": 3857}
    got = whole(evaluator(fields, band("B04", spatial_extent=extent)))[0]
    np.testing.assert_array_equal(got, truth(0)["B04"][100:180, 50:170])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_another_crs_equals_an_exact_gdal_warp(fields: Any, method: str) -> None:
    made = evaluator(fields, resampled(projection=32633, resolution=20, method=method))
    area = made.placed.window
    grid = made.placed.lattice.grid(area)
    assert (grid.crs, grid.xres, grid.yres) == ("EPSG:32633", 20, 20)
    want = np.full((1, grid.height, grid.width), np.nan, np.float32)
    source = np.where(truth(0)["B04"] == 0, np.nan, truth(0)["B04"]).astype(np.float32)
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        reproject(
            source, want, src_crs=file.crs, src_transform=file.transform, src_nodata=np.nan, dst_nodata=np.nan,
            dst_crs=crs_of(grid.crs), dst_transform=transform_of(grid), resampling=METHODS[method], tolerance=0,
        )  # fmt: skip
    assert np.isfinite(want).mean() > 0.9
    near = 0 if method in ("near", "mode", "max", "min", "med", "q1", "q3") else 2e-6  # what is mixed is rounded
    np.testing.assert_allclose(whole(made), want, rtol=near)
    np.testing.assert_allclose(in_windows(made, 97), want, rtol=near)


def test_average_to_a_coarser_grid_is_the_mean_of_the_pixels(fields: Any) -> None:
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        size = file.res[0] * 4
    got = whole(evaluator(fields, resampled(resolution=size, method="average")))[0]
    pixels = np.where(truth(0)["B04"] == 0, np.nan, truth(0)["B04"]).astype(float)
    with np.errstate(all="ignore"):
        blocks = pixels.reshape(128, 4, 128, 4).transpose(0, 2, 1, 3).reshape(128, 128, 16)
        want = np.nansum(blocks, -1) / np.isfinite(blocks).sum(-1)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_maths_happen_before_resampling_where_the_graph_says_so(fields: Any) -> None:
    square = {"process_graph": {"p": node("multiply", True, x=arg("x"), y=arg("x"))}}
    raw = resampled(resolution=100, projection=32633, method="average")
    before = {**raw, "square": node("apply", data=of("flat"), process=square)}
    before["there"] = {**raw["there"], "arguments": {**raw["there"]["arguments"], "data": of("square")}}
    after = {
        **raw,
        "there": {**raw["there"], "result": False},
        "s": node("apply", True, data=of("there"), process=square),
    }
    mean_of_squares, square_of_mean = (whole(evaluator(fields, graph)) for graph in (before, after))
    assert (mean_of_squares[np.isfinite(mean_of_squares)] > square_of_mean[np.isfinite(mean_of_squares)]).mean() > 0.99


def test_two_grids_meet_where_the_graph_brings_them_together(fields: Any) -> None:
    """A coarse cube on the pixels of a fine one: each fine pixel has the value of the coarse one that holds it."""
    raw = resampled(resolution=40, projection=32633, method="average")
    coarse = evaluator(fields, raw)
    raw["fine"] = node("resample_spatial", data=of("flat"), projection=32633, resolution=20, method="near")
    raw["there"] = {**raw["there"], "result": False}
    raw["onto"] = node("resample_cube_spatial", True, data=of("there"), target=of("fine"), method="near")
    onto = evaluator(fields, raw)
    got, want = whole(onto), whole(coarse)
    assert got.shape[-1] in (2 * want.shape[-1], 2 * want.shape[-1] - 1)
    twice = np.repeat(np.repeat(want, 2, -1), 2, -2)[..., : got.shape[-2], : got.shape[-1]]
    np.testing.assert_array_equal(got, twice)


def test_where_a_cube_lies_is_found_once_for_all_who_ask(fields: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each merge asked both its cubes, and these asked theirs: twice as many at each level."""
    raw = {**band("B04"), "m0": node("reduce_dimension", data=of("data"), reducer=LAST, dimension="t")}
    raw["flat"] = {**raw["flat"], "result": False}
    for n in range(1, 16):
        below = of(f"m{n - 2}" if n > 1 else "flat")
        raw[f"m{n}"] = node("merge_cubes", n == 15, cube1=of(f"m{n - 1}"), cube2=below, **ADDED)
    found, hull = list[int](), geography._hull

    def counted(frames: list[Frame]) -> Frame:
        found.append(len(frames))
        return hull(frames)

    monkeypatch.setattr(geography, "_hull", counted)
    window = evaluator(fields, raw).placed.window
    assert (window.width, window.height) == (SIZE, SIZE) and len(found) == 15 + 3


@pytest.mark.parametrize("levels", [2, 25])
def test_grids_that_meet_again_and_again_are_refused(levels: int, fields: Any) -> None:
    """Each level needs the one before on two grids more: at 25, on millions."""
    raw: dict[str, Any] = {**band("B04"), "m0": node("resample_spatial", data=of("flat"), resolution=40)}
    raw["flat"] = {**raw["flat"], "result": False}
    for n in range(1, levels + 1):
        for size, name in ((20, "a"), (30, "b")):
            raw[f"{name}{n}"] = node("resample_spatial", data=of(f"m{n - 1}"), projection=32633, resolution=size)
        raw[f"m{n}"] = node("merge_cubes", n == levels, cube1=of(f"a{n}"), cube2=of(f"b{n}"), **ADDED)
    if levels == 2:
        assert 4 < len(evaluator(fields, raw).placed.zones) < MOST_ZONES
        return
    with pytest.raises(GraphError, match="more than 100 grids") as refused:
        evaluator(fields, raw)
    assert refused.value.code == "ProcessGraphComplexity"


def test_neighbourhoods_show_no_seams_between_windows(fields: Any) -> None:
    kernel = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    raw = {**band("B04"), "flat": _not_last()}
    raw["smooth"] = node("apply_kernel", True, data=of("flat"), kernel=kernel, factor=1 / 16)
    made = evaluator(fields, raw)
    np.testing.assert_array_equal(in_windows(made, 101), whole(made))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"method": "geocode", "resolution": 20}, "ProcessArgumentInvalid"),
        ({"resolution": -1}, "ProcessArgumentInvalid"),
        ({"projection": 999999}, "ProcessArgumentInvalid"),
    ],
)
def test_what_cannot_be_resampled_is_refused(fields: Any, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(GraphError) as refused:
        whole(evaluator(fields, resampled(**asked)))
    assert refused.value.code == code


def test_an_extent_between_two_pixels_centres_is_refused(fields: Any, tmp_path: Path) -> None:
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        x, y = file.xy(10, 40, offset="ul")
    extent = {"west": x - 1, "south": y - 1, "east": x + 1, "north": y + 1, "crs": 3857}
    with pytest.raises(GraphError) as refused:
        evaluator(fields, band("B04", spatial_extent=extent))
    assert refused.value.code == "NoDataAvailable"


def test_load_twice_reads_with_its_own_dates(fields: Any) -> None:
    raw = {
        "a": load(bands=["B04"], temporal_extent=[DATES[0], DATES[1]]),
        "b": load(bands=["B08"], temporal_extent=[DATES[0], DATES[1]]),
        "both": node("merge_cubes", True, cube1=of("a"), cube2=of("b")),
    }
    made = evaluator(fields, raw, 3)
    got = made.cube(made.placed.window)
    assert got.labels["bands"] == ("B04", "B08")
    np.testing.assert_array_equal(np.nan_to_num(got.data[0, 1]), truth(0)["B08"])
