"""What rasters take and give of geometries: masks, zonal statistics, pieces of cubes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import rasterio.features
from affine import Affine

from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.cubes.vectors import features_of
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.graphs.zones import folded
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.results.plainfiles import as_features

from .conftest import X, Y, Z
from .engines import compiled, engine_on
from .geometries import (
    EMPTY,
    FIELDS,
    LONLAT,
    METRES,
    UTM,
    along,
    chain,
    evaluate,
    polygon,
    several,
)
from .graphs import arg, call, load, node, of


def raster() -> Cube:
    values = np.random.default_rng(2).normal(size=(2, 40, 60))
    values[:, 4, 5] = np.nan
    return Cube(values, ("bands", "y", "x"), {"bands": ("B04", "B08")})


def inside(index: int) -> Any:
    """Which pixels a field covers, by rasterio on coordinates of the grid."""
    boxes = [(3, 12, 13, 2), (20, 35, 50, 15)]
    west, south, east, north = boxes[index]
    shape = {
        "type": "Polygon",
        "coordinates": [[(west, south), (east, south), (east, north), (west, north), (west, south)]],
    }
    return rasterio.features.geometry_mask([shape], (40, 60), Affine.identity(), invert=True)


def zonal(**more: Any) -> dict[str, Any]:
    return {
        "a": load("a"),
        "g": node("load_geojson", data=FIELDS),
        "z": node(
            "aggregate_spatial", True, data=of("a"), geometries=of("g"), reducer=call("mean", data=arg("data")), **more
        ),
    }


def test_zonal_statistics_are_a_vector_cube_with_the_features() -> None:
    cube = evaluate(zonal(), a=raster())
    want = [[np.nanmean(band[inside(index)]) for band in raster().data] for index in (0, 1)]
    np.testing.assert_allclose(cube.aligned(("geometry", "bands"))[:2], want)
    assert np.isnan(cube.aligned(("geometry", "bands"))[2]).all()
    found = as_features(cube)["features"]
    assert found[1]["properties"] == {
        "name": "b",
        "area": 600,
        "B04": pytest.approx(want[1][0]),
        "B08": pytest.approx(want[1][1]),
    }
    assert found[2] == {**EMPTY, "properties": {"name": "nothing", "B04": None, "B08": None}}
    assert found[0]["geometry"] == FIELDS["features"][0]["geometry"]
    direct = zonal()
    direct["z"]["arguments"]["geometries"] = FIELDS
    np.testing.assert_array_equal(evaluate(direct, a=raster()).data, cube.data)


def test_zonal_statistics_count_their_pixels() -> None:
    cube = evaluate(zonal(target_dimension="stats"), a=raster())
    counts = cube.aligned(("geometry", "bands", "stats"))[:, 0, 1:]
    np.testing.assert_array_equal(counts, [[100, 99], [600, 600], [0, 0]])


@pytest.mark.parametrize(
    ("process", "arguments"),
    [
        ("focal_statistics", {"statistic": "mean"}), ("morphology", {"operation": "open"}),
        ("gaussian_filter", {"sigma": 1}),
        ("edge_detection", {}), ("slope", {}), ("hillshade", {}), ("terrain_index", {"index": "tpi"}),
        ("to_scl_dilation_mask", {}), ("apply_kernel", {"kernel": [[1]]}),
        ("apply_neighborhood", {"process": call("absolute", x=1), "size": along(8, 8)}),
    ],
)  # fmt: skip
def test_neighbourhoods_need_pixels(process: str, arguments: Any) -> None:
    raw = zonal()
    raw["z"].pop("result")
    raw["f"] = node(process, True, data=of("z"), **arguments)
    with pytest.raises(GraphError) as error:
        evaluate(raw, a=Cube(raster().data[:1], ("bands", "y", "x"), {"bands": ("SCL",)}))
    assert error.value.code == "DimensionNotAvailable"


def test_a_band_of_zonal_statistics_can_be_taken_further() -> None:
    raw = zonal()
    raw["z"].pop("result")
    raw["s"] = node("filter_labels", data=of("z"), dimension="geometry", condition=call("eq", x=arg("value"), y=1))
    raw["r"] = node("reduce_dimension", True, data=of("s"), dimension="bands", reducer=call("max", data=arg("data")))
    (one,) = as_features(evaluate(raw, a=raster()))["features"]
    want = max(np.nanmean(band[inside(1)]) for band in raster().data)
    assert one["properties"] == {"name": "b", "area": 600, "value": pytest.approx(want)}


def by_vector(process: str, argument: str, /, **more: Any) -> dict[str, Any]:
    return {
        "a": load("a"),
        "g": node("load_geojson", data=FIELDS),
        "m": node(process, True, data=of("a"), **{argument: of("g")}, **more),
    }


@pytest.mark.parametrize(("process", "argument"), [("mask_polygon", "mask"), ("filter_spatial", "geometries")])
def test_vector_cubes_mask_and_filter_rasters(process: str, argument: str) -> None:
    got = evaluate(by_vector(process, argument), a=raster()).data
    kept = inside(0) | inside(1)
    np.testing.assert_array_equal(got, np.where(kept, raster().data, np.nan))


def test_each_polygon_is_put_through_a_process_of_cubes() -> None:
    above = {
        "process_graph": {
            "m": node("reduce_spatial", data=arg("data"), reducer=call("mean", data=arg("data"))),
            "d": node("merge_cubes", True, cube1=arg("data"), cube2=of("m"),
                      overlap_resolver=call("subtract", x=arg("x"), y=arg("y"))),
        }
    }  # fmt: skip
    got = evaluate(by_vector("apply_polygon", "geometries", process=above), a=raster()).data
    want = np.full_like(raster().data, np.nan)
    for index in (0, 1):
        for band, out in zip(raster().data, want, strict=True):
            out[inside(index)] = (band - np.nanmean(band[inside(index)]))[inside(index)]
    np.testing.assert_allclose(got, want)
    twice = by_vector("apply_polygon", "geometries", process=above)
    twice["g"]["arguments"]["data"] = several(polygon(3, 12, 13, 2), polygon(12, 12, 20, 2))
    with pytest.raises(GraphError) as error:
        evaluate(twice, a=raster())
    assert error.value.code == "GeometriesOverlap"


def pieces(size: Any, overlap: Any = None) -> dict[str, Any]:
    """What is above the mean of each window with what lies around it."""
    above = {
        "process_graph": {
            "m": node("reduce_spatial", data=arg("data"), reducer=call("mean", data=arg("data"))),
            "d": node("merge_cubes", True, cube1=arg("data"), cube2=of("m"),
                      overlap_resolver=call("subtract", x=arg("x"), y=arg("y"))),
        }
    }  # fmt: skip
    return {
        "a": load("a"),
        "n": node("apply_neighborhood", True, data=of("a"), process=above, size=size, overlap=overlap),
    }


@pytest.mark.parametrize(("width", "height", "more"), [(10, 20, 0), (20, 10, 3), (None, None, 0)])
def test_windows_are_put_through_a_process_of_cubes(width: int | None, height: int | None, more: int) -> None:
    cube = replace(raster(), data=np.nan_to_num(raster().data))
    got = evaluate(pieces(along(width, height), along(more, more) if more else None), a=cube).data
    padded = np.pad(cube.data, ((0, 0), (more, more), (more, more)), constant_values=np.nan)
    want = np.empty_like(cube.data)
    for top in range(0, 40, height or 40):
        for left in range(0, 60, width or 60):
            around = padded[:, top : top + (height or 40) + 2 * more, left : left + (width or 60) + 2 * more]
            here = np.s_[:, top : top + (height or 40), left : left + (width or 60)]
            want[here] = cube.data[here] - np.nanmean(around, axis=(1, 2))[:, None, None]
    np.testing.assert_allclose(got, want)


@pytest.mark.parametrize(
    "size",
    [
        [{"dimension": "t", "value": "P1M"}],
        [{"dimension": "x", "value": 100, "unit": "m"}],
        [{"dimension": "x", "value": 2.5, "unit": "px"}],
        along(0, 5),
        along(7, 8),
    ],
)
def test_windows_that_are_not_done_are_refused(size: Any) -> None:
    with pytest.raises(GraphError) as error:
        evaluate(pieces(size), a=raster())
    assert error.value.code in ("ProcessArgumentUnsupported", "ProcessArgumentInvalid")


def test_no_seam_shows_between_tiles_of_windows(fields: Any) -> None:
    raw = {"a": load(bands=["B04"]), "n": pieces(along(32, 16), along(4, 4))["n"]}
    raw["n"].pop("result")
    raw["f"] = node("reduce_dimension", True, data=of("n"), reducer=call("first", data=arg("data")), dimension="t")
    made = compiled(raw, [fields[1]], fields[2][:1])
    assert made.margin == 35
    engine = engine_on(fields[0])
    whole = engine.cube(made, replace(Grid.tile(Z, X, Y), width=512, height=512)).data[0]
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        got = engine.cube(made, Grid.tile(Z, X + dx, Y + dy)).data[0]
        np.testing.assert_allclose(got, whole[dy * 256 :, dx * 256 :][:256, :256], atol=1e-2)
    assert np.isfinite(whole).mean() > 0.9


def test_the_extent_of_geometries_is_pushed_to_the_search() -> None:
    raw = {
        "a": load("a"),
        "g": node("load_geojson", data=several(polygon(20, 35, 50, 15))),
        "p": node("vector_reproject", data=of("g"), projection=32633),
        "b": node("vector_buffer", geometries=of("p"), distance=100),
        "m": node("filter_spatial", True, data=of("a"), geometries=of("b")),
    }
    (query,) = queries(parse(raw, REGISTRY))
    west, north = LONLAT.transform(500_100, 5_199_950)
    assert query.bounds.west == pytest.approx(west, abs=2e-5) and query.bounds.north == pytest.approx(north, abs=2e-5)


def test_a_map_makes_its_geometries_once_and_its_points_know_nothing_of_them(fields: Any) -> None:
    bounds = Grid.tile(Z, X, Y).bounds()
    lon, lat = bounds.west + 0.02, bounds.north - 0.015
    raw = {
        "a": load(bands=["B04"]),
        "g": node("load_geojson", data={"type": "Point", "coordinates": [lon, lat]}),
        "p": node("vector_reproject", data=of("g"), projection=32633),
        "b": node("vector_buffer", geometries=of("p"), distance=700),
        "m": node("mask_polygon", data=of("a"), mask=of("b")),
        "r": node("reduce_dimension", True, data=of("m"), reducer=call("max", data=arg("data")), dimension="t"),
    }
    made = compiled(raw, [fields[1]], fields[2])
    assert [one.process for one in made.graph.nodes] == ["load_collection", "mask_polygon", "reduce_dimension"]
    engine = engine_on(fields[0])
    got = engine.cube(made, Grid.tile(Z, X, Y)).data[0]
    wide, tall = Grid.tile(Z, X, Y).ground()
    assert np.isfinite(got).sum() == pytest.approx(math.pi * 700**2 / (wide.mean() * tall.mean()), rel=0.02)
    assert engine.point(made, lon, lat)["values"]["B04"] > 0
    assert engine.point(made, lon + 0.02, lat)["values"]["B04"] is None


def test_a_graph_of_geometries_alone_is_no_map_but_has_a_result() -> None:
    graph = folded(parse(chain(METRES, ("vector_buffer", {"distance": 10})), REGISTRY))
    assert [one.process for one in graph.nodes] == ["vector_buffer"]
    assert len(features_of(run(graph, Context(UTM, lambda n: raster())))) == 3
