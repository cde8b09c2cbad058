"""Dates that are worked through one by one give what all of them at once give, and no more is read than it takes."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import Graph, Node, Ref
from bdap_hub.processing.graphs.rewrite import LOADS
from bdap_hub.processing.graphs.streams import streams

from .conftest import X, Y, Z, asset, collection, item, write_tiff
from .engines import compiled, engine_on
from .graphs import arg, call, is_cloud, load, ndvi_median, node, of

TILE = Grid.tile(Z, X, Y)
REDUCERS = ("max", "min", "first", "last", "sum", "mean", "count", "median", "sd", "product")


def whole(made: Compiled) -> Compiled:
    """The same, evaluated for all dates at once."""
    return replace(made, streams=(), cut=made.graph)


def over_time(reducer: str, **arguments: Any) -> dict[str, Any]:
    """The cloud-masked NDVI, reduced over time."""
    raw = ndvi_median()
    raw["median"]["arguments"]["reducer"] = call(reducer, data=arg("data"), **arguments)
    return raw


@pytest.fixture(scope="module")
def engine(fields: Any) -> Engine:
    return engine_on(fields[0])


@pytest.mark.parametrize("reducer", REDUCERS)
def test_date_by_date_gives_what_all_at_once_gives(fields: Any, engine: Engine, reducer: str) -> None:
    made = compiled(over_time(reducer), [fields[1]], fields[2])
    assert [stream.running for stream in made.streams] == [reducer]
    got, want = (engine.cube(graph, TILE) for graph in (made, whole(made)))
    assert (got.dims, got.labels, got.aliases) == (want.dims, want.labels, want.aliases)
    assert got.data.dtype == want.data.dtype and np.isfinite(want.data).any()
    np.testing.assert_array_equal(got.data, want.data)


@pytest.mark.parametrize("reducer", ["max", "median"])
def test_no_dates_pixels_outlive_their_tile(fields: Any, engine: Engine, reducer: str) -> None:
    """Whatever is in a cycle stays until Python looks for such: tiles' pixels would fill the memory meanwhile."""
    made = compiled(over_time(reducer), [fields[1]], fields[2])

    def cubes() -> set[int]:
        return {id(one) for one in gc.get_objects() if type(one) is Cube}  # not isinstance: some are proxies

    gc.collect()
    gc.disable()
    try:
        before, result, deadline = cubes(), engine.cube(made, TILE), time.monotonic() + 30
        while (left := cubes() - before) != {id(result)} and time.monotonic() < deadline:
            time.sleep(0.01)  # a thread may be about to let go of its last one
        assert left == {id(result)}
    finally:
        gc.enable()


@pytest.mark.parametrize("process", sorted(LOADS))
def test_whatever_loads_is_worked_through_date_by_date(process: str) -> None:
    """By the shapes of a graph: a load of any kind, one date's maths, a reducer."""
    cube = Cube(np.zeros((2, 1, 1, 1), np.float32), ("t", "bands", "y", "x"), {"t": ("a", "b"), "bands": ("c",)})
    reducer = Node("flat", "reduce_dimension", {"data": Ref("data"), "dimension": "t", "reducer": Graph((), "")})
    graph = Graph((Node("data", process, {}), reducer), "flat")
    (found,) = streams(graph, {"data": cube, "flat": cube})
    assert [step.id for step in found.steps] == ["data"]
    other = Graph((Node("data", "sort_by_chance", {}), reducer), "flat")
    assert streams(other, {"data": cube, "flat": cube}) == ()


@pytest.mark.parametrize(
    ("reducer", "arguments"),
    [("max", {"ignore_nodata": False}), ("first", {"ignore_nodata": False}), ("count", {"condition": True})],
)
def test_reducers_with_a_condition_get_all_dates(fields: Any, engine: Engine, reducer: str, arguments: Any) -> None:
    made = compiled(over_time(reducer, **arguments), [fields[1]], fields[2])
    assert [stream.running for stream in made.streams] == [""]
    np.testing.assert_array_equal(engine.cube(made, TILE).data, engine.cube(whole(made), TILE).data)


def test_what_somebody_else_needs_as_a_whole_is_not_cut(fields: Any, engine: Engine) -> None:
    two = {
        "data": load(bands=["B04"]),
        "low": node("reduce_dimension", data=of("data"), reducer=call("min", data=arg("data")), dimension="t"),
        "high": node("reduce_dimension", data=of("data"), reducer=call("max", data=arg("data")), dimension="t"),
        "range": node("merge_cubes", True, cube1=of("high"), cube2=of("low"),
                      overlap_resolver=call("subtract", x=arg("x"), y=arg("y"))),
    }  # fmt: skip
    made = compiled(two, [fields[1]], fields[2])
    assert made.streams == ()
    assert (engine.cube(made, TILE).data >= 0).any()


def test_a_mask_without_dates_serves_them_all(fields: Any, engine: Engine) -> None:
    raw = {
        "data": load(bands=["B04"]),
        "scl": load(bands=["SCL"]),
        "one": node("reduce_dimension", data=of("scl"), reducer=call("first", data=arg("data")), dimension="t"),
        "clouds": node("reduce_dimension", data=of("one"), reducer=is_cloud(), dimension="bands"),
        "clear": node("mask", data=of("data"), mask=of("clouds")),
        "mean": node("reduce_dimension", True, data=of("clear"), reducer=call("mean", data=arg("data")), dimension="t"),
    }
    made = compiled(raw, [fields[1]], fields[2])
    assert len(made.streams) == 2 and any(stream.outside for stream in made.streams)
    got, want = (engine.cube(graph, TILE).data for graph in (made, whole(made)))
    np.testing.assert_array_equal(got, want)
    assert np.isnan(got).any() and np.isfinite(got).any()


def scenes(store: Path, values: list[Any], classes: list[int]) -> tuple[Any, list[Any]]:
    """One date for each value: B04 of that value, or the given pixels, and SCL of one class."""
    place, items = Affine(TILE.xres, 0, TILE.left, 0, -TILE.yres, TILE.top), []
    for number, (value, scl) in enumerate(zip(values, classes, strict=True)):
        assets = {}
        for name, pixels in (("B04", value), ("SCL", scl)):
            path = store / f"data/dates/{number}/{name}.tif"
            full = np.broadcast_to(np.asarray(pixels, np.uint16), (256, 256))
            write_tiff(path, full, "EPSG:3857", place, overviews=())
            assets[name] = asset(f"/eos/data/dates/{number}/{name}.tif", name)
        items.append(item("dates", f"d{number}", f"2024-0{number + 1}-01", tuple(TILE.bounds()), 0, assets))
    return collection("dates", "public", "", tuple(TILE.bounds())), items


def masked(reducer: str) -> dict[str, Any]:
    return {
        "data": load("dates", bands=["B04"]),
        "scl": load("dates", bands=["SCL"]),
        "clouds": node("reduce_dimension", data=of("scl"), reducer=is_cloud(), dimension="bands"),
        "clear": node("mask", data=of("data"), mask=of("clouds")),
        "flat": node(
            "reduce_dimension", True, data=of("clear"), reducer=call(reducer, data=arg("data")), dimension="t"
        ),
    }


def read_by(engine: Engine, made: Compiled) -> tuple[Any, set[str]]:
    """The result, and which files had to be opened for it."""
    data = engine.cube(made, TILE).data
    return data, {"/".join(version.path.split("/")[-2:]) for version in engine.reader._files._entries}


def test_of_what_a_mask_hides_nothing_is_read(tmp_path: Path) -> None:
    described, items = scenes(tmp_path, [1, 2, 3], [4, 9, 4])
    data, opened = read_by(engine_on(tmp_path), compiled(masked("max"), [described], items))
    assert (data == 3).all()
    assert opened == {"0/SCL.tif", "1/SCL.tif", "2/SCL.tif", "0/B04.tif", "2/B04.tif"}


def test_first_ends_when_each_pixel_has_a_value(tmp_path: Path) -> None:
    half = np.full((256, 256), 7)
    half[:, :100] = 0
    described, items = scenes(tmp_path, [half, 5, 6, 8, 9, 4], [4] * 6)
    raw = {**masked("first")}
    data, opened = read_by(engine_on(tmp_path, threads=1), compiled(raw, [described], items))
    assert (data[..., 100:] == 7).all() and (data[..., :100] == 5).all()
    assert {"0/B04.tif", "1/B04.tif"} <= opened and not opened & {"4/B04.tif", "5/B04.tif"}


def test_dates_elsewhere_are_no_data_and_count_as_such(tmp_path: Path) -> None:
    described, items = scenes(tmp_path, [1, 2, 3], [4, 4, 4])
    bounds = TILE.bounds()
    for far in items[1:]:
        far["bbox"] = [bounds.west + 5, bounds.south, bounds.east + 5, bounds.north]
    raw = masked("sum")
    raw["flat"] = node(
        "reduce_dimension", True, data=of("missing"), reducer=call("sum", data=arg("data")), dimension="t"
    )
    raw["missing"] = node("apply", data=of("data"), process=call("is_nodata", x=arg("x")))
    made = compiled(raw, [described], items)
    data, opened = read_by(engine_on(tmp_path), made)
    assert made.streams and (data == 2).all() and opened == {"0/B04.tif"}
