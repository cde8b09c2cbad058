"""Processes along time, on y and x, and on dimensions: small cubes whose answer is known."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.processes.temporal import period_label

from .graphs import arg, call, load, node, of

MEAN, MAX = call("mean", data=arg("data")), call("max", data=arg("data"))
SQUARE = Grid("EPSG:3857", 0, 60, 10, 10, 6, 6)


def evaluate(
    process: str, grid: Grid = SQUARE, whole: bool = True, /, a: Any = None, b: Any = None, **args: Any
) -> Any:
    """The result of one process on cube a (and b) as `data`, on a grid that is all there is."""
    given = {"data": of("a"), **args}
    raw = {"a": load("a"), "b": load("b"), "r": node(process, True, **given)}
    graph = parse(raw, REGISTRY)
    cubes = {n.id: {"a": a, "b": b}[n.arguments["id"]] for n in graph.nodes if n.process == "load_collection"}
    return run(graph, Context(grid, cubes.__getitem__, whole=whole))


def series(values: Any, dates: Any) -> Cube:
    """A cube of one pixel with these values on these dates."""
    return Cube(np.float64(values).reshape(-1, 1, 1), ("t", "y", "x"), {"t": tuple(dates)})


def values(cube: Cube) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in cube.data.ravel()]


LABELS = [
    ("2024-02-29T23:30:00", "hour", "2024-02-29-23"),
    ("2024-12-31", "day", "2024-366"),
    ("2024-12-30", "week", "2025-01"),
    ("2023-01-01", "week", "2022-52"),
    ("2024-01-31", "dekad", "2024-03"),
    ("2024-02-01", "dekad", "2024-04"),
    ("2024-12-31", "dekad", "2024-36"),
    ("2024-02-29", "month", "2024-02"),
    ("2023-12-01", "season", "2023-djf"),
    ("2024-02-29", "season", "2023-djf"),
    ("2024-03-01", "season", "2024-mam"),
    ("2024-11-30", "season", "2024-son"),
    ("2024-04-30", "tropical-season", "2023-ndjfma"),
    ("2024-05-01", "tropical-season", "2024-mjjaso"),
    ("2024-02-29", "year", "2024"),
    ("2029-12-31", "decade", "2020"),
    ("2030-12-31", "decade-ad", "2021"),
]


@pytest.mark.parametrize(("moment", "period", "label"), LABELS)
def test_labels_of_periods(moment: str, period: str, label: str) -> None:
    assert period_label(datetime.fromisoformat(moment), period) == label


def test_months_without_dates_are_there_without_data() -> None:
    got = evaluate(
        "aggregate_temporal_period",
        a=series([1, 3, 7], ["2023-11-02", "2023-11-20", "2024-02-01"]),
        period="month",
        reducer=MEAN,
    )
    assert got.labels["t"] == ("2023-11", "2023-12", "2024-01", "2024-02")
    assert values(got) == [2, None, None, 7]


@pytest.mark.parametrize("period", ["hour", "day", "week", "dekad", "month", "season", "year", "decade"])
def test_no_period_between_the_first_and_the_last_is_left_out(period: str) -> None:
    got = evaluate(
        "aggregate_temporal_period", a=series([1, 2], ["2024-02-20", "2024-03-12"]), period=period, reducer=MAX
    )
    counts = {"hour": 21 * 24 + 1, "day": 22, "week": 4, "dekad": 4, "month": 2, "season": 2, "year": 1, "decade": 1}
    assert len(got.labels["t"]) == counts[period] and values(got)[0] in (1, 2)


def test_intervals_may_overlap_and_exclude_their_end() -> None:
    dates = ["2024-01-01", "2024-01-11", "2024-01-21"]
    spans = [["2024-01-01", "2024-01-11"], ["2024-01-05", None], ["2025-01-01", "2026-01-01"]]
    got = evaluate("aggregate_temporal", a=series([1, 2, 4], dates), intervals=spans, reducer=MAX, labels=["a", 2, "c"])
    assert got.labels["t"] == ("a", 2, "c") and values(got) == [1, 4, None]


def test_intervals_of_times_go_round_midnight() -> None:
    dates = [f"2024-01-01T{hour:02}:00:00Z" for hour in (5, 6, 17, 18)]
    got = evaluate(
        "aggregate_temporal",
        a=series([1, 2, 4, 8], dates),
        intervals=[["06:00:00", "18:00:00"], ["18:00:00", "06:00:00"]],
        reducer=call("sum", data=arg("data")),
    )
    assert values(got) == [6, 9]


def test_each_date_of_the_target_takes_the_nearest() -> None:
    data = series([1, np.nan, 3], ["2024-01-01", "2024-01-11", "2024-01-21"])
    target = series([0, 0, 0], ["2024-01-06", "2024-01-12", "2025-01-01"])
    got = evaluate("resample_cube_temporal", a=data, b=target, target=of("b"))
    assert got.labels["t"] == target.labels["t"] and values(got) == [1, None, 3]
    near = evaluate("resample_cube_temporal", a=data, b=target, target=of("b"), valid_within=20)
    assert values(near) == [1, 3, None]


def test_anomaly_is_what_differs_from_the_normal() -> None:
    dates = [f"{year}-{month:02}-15" for year in (2001, 2002) for month in range(1, 13)]
    data = series(np.arange(24), dates)
    normal = evaluate("climatological_normal", a=data, period="month", climatology_period=[2001, 2002])
    assert normal.labels["t"] == tuple(f"{m:02}" for m in range(1, 13)) and values(normal) == [m + 6 for m in range(12)]
    months = evaluate("aggregate_temporal_period", a=data, period="month", reducer=MEAN)
    assert values(evaluate("anomaly", a=months, b=normal, normals=of("b"), period="month")) == [-6] * 12 + [6] * 12


def test_a_winter_counts_whole_or_not_at_all() -> None:
    dates = [f"{year}-{month:02}-15" for year in (2001, 2002) for month in range(1, 13)]
    got = evaluate(
        "climatological_normal", a=series(np.arange(24), dates), period="season", climatology_period=[2001, 2002]
    )
    assert got.labels["t"] == ("djf", "mam", "jja", "son")
    assert values(got)[0] == (11 + 12 + 13) / 3  # December 2001 to February 2002; neither end has a whole winter


def naive_kernel(data: Any, kernel: Any) -> Any:
    out = np.zeros_like(data)
    for y, x in np.ndindex(*data.shape):
        for (i, j), weight in np.ndenumerate(kernel):
            row, column = y + i - kernel.shape[0] // 2, x + j - kernel.shape[1] // 2
            if 0 <= row < data.shape[0] and 0 <= column < data.shape[1]:
                out[y, x] += weight * data[row, column]
    return out


def test_a_kernel_weighs_the_pixels_around() -> None:
    random = np.random.default_rng(5)
    data, kernel = random.normal(size=(6, 6)), random.normal(size=(3, 5))
    got = evaluate("apply_kernel", a=Cube(data, ("y", "x"), {}), kernel=kernel.tolist(), factor=2)
    np.testing.assert_allclose(got.data, 2 * naive_kernel(data, kernel), atol=1e-12)
    holes = data.copy()
    holes[2, 3] = np.nan
    got = evaluate("apply_kernel", a=Cube(holes, ("y", "x"), {}), kernel=kernel.tolist(), replace_invalid=7)
    holes[2, 3] = 7
    np.testing.assert_allclose(got.data, naive_kernel(holes, kernel), atol=1e-12)


def polygon(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box in metres of web Mercator as a GeoJSON polygon in degrees."""
    degrees = 180 / (np.pi * 6378137)
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return {"type": "Polygon", "coordinates": [[[x * degrees, y * degrees] for x, y in ring]]}


BLOCK = polygon(14, 14, 36, 44)  # holds the centres 15 … 35 by 15 … 35
INSIDE = np.zeros((6, 6), bool)
INSIDE[2:5, 1:4] = True


def test_a_polygon_holds_the_pixels_whose_centre_it_holds() -> None:
    data = Cube(np.arange(36.0).reshape(6, 6), ("y", "x"), {})
    feature = {"type": "Feature", "properties": {}, "geometry": BLOCK}
    for mask in (BLOCK, feature, {"type": "FeatureCollection", "features": [feature]}):
        got = evaluate("mask_polygon", a=data, mask=mask).data
        np.testing.assert_array_equal(np.isfinite(got), INSIDE)
        np.testing.assert_array_equal(got[INSIDE], data.data[INSIDE])
    np.testing.assert_array_equal(np.isfinite(evaluate("mask_polygon", a=data, mask=BLOCK, inside=True).data), ~INSIDE)
    np.testing.assert_array_equal(evaluate("filter_spatial", a=data, geometries=BLOCK).data[INSIDE], data.data[INSIDE])
    assert (evaluate("mask_polygon", a=data, mask=BLOCK, replacement=-1).data[~INSIDE] == -1).all()


def test_a_replacement_leaves_no_data_alone() -> None:
    got = evaluate("mask_polygon", a=Cube(np.full((6, 6), np.nan), ("y", "x"), {}), mask=BLOCK, replacement=-1)
    assert np.isnan(got.data).all()


def test_zonal_statistics() -> None:
    data = np.stack([np.arange(36.0).reshape(6, 6), np.ones((6, 6))])
    data[0, 2, 1] = np.nan
    cube = Cube(data, ("bands", "y", "x"), {"bands": ("a", "b")})
    zones = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": g} for g in (BLOCK, polygon(0, 0, 11, 11))
    ]}  # fmt: skip
    got = evaluate("aggregate_spatial", a=cube, geometries=zones, reducer=MEAN)
    assert got.kind("geometry") == "geometry" and got.labels["geometry"] == (0, 1)
    np.testing.assert_allclose(got.aligned(("geometry", "bands")), [[np.nanmean(data[0][INSIDE]), 1], [30, 1]])
    counted = evaluate("aggregate_spatial", a=cube, geometries=zones, reducer=MEAN, target_dimension="what")
    assert counted.labels["what"] == ("value", "total_count", "valid_count")
    np.testing.assert_allclose(counted.aligned(("bands", "geometry", "what"))[0, :, 1:], [[9, 8], [1, 1]])
    mean = evaluate("reduce_spatial", a=cube, reducer=MEAN)
    np.testing.assert_allclose(mean.data, [np.nanmean(data[0]), 1])


def test_windows() -> None:
    data = Cube(np.arange(36.0).reshape(6, 6), ("y", "x"), {})
    got = evaluate("aggregate_spatial_window", a=data, reducer=MAX, size=[3, 2]).data
    assert got[0, 0] == got[1, 2] == 8 and got[0, 3] == 11 and got[5, 5] == 35


@pytest.mark.parametrize("align", ["upper-left", "upper-right", "lower-left", "lower-right"])
@pytest.mark.parametrize("boundary", ["pad", "trim"])
def test_windows_are_aligned_at_a_corner(align: str, boundary: str) -> None:
    values = np.arange(35.0).reshape(5, 7)
    got = evaluate(
        "aggregate_spatial_window",
        a=Cube(values, ("y", "x"), {}),
        reducer=MEAN,
        size=[3, 2],
        boundary=boundary,
        align=align,
    ).data
    flip = np.s_[:: -1 if align.startswith("lower") else 1, :: -1 if align.endswith("right") else 1]
    turned, want = values[flip], np.empty((5, 7))
    for top, left in itertools.product((0, 2, 4), (0, 3, 6)):
        window = turned[top : top + 2, left : left + 3]
        whole = window.shape == (2, 3) or boundary == "pad"
        want[top : top + 2, left : left + 3] = window.mean() if whole else np.nan
    np.testing.assert_allclose(got, want[flip])
    with pytest.raises(TooMuch):
        evaluate("aggregate_spatial_window", a=Cube(values, ("y", "x"), {}), reducer=MEAN, size=[10**6, 10**6])


@pytest.mark.parametrize("crs", [4326, 3857, 32631, 3035])
def test_a_box_holds_the_pixels_whose_centre_it_holds(crs: int) -> None:
    grid = Grid("EPSG:3857", 400_000, 6_600_000, 1000, 1000, 40, 30)
    to = Transformer.from_crs(3857, crs, always_xy=True)
    xs, ys = np.meshgrid(*grid.centres())
    px, py = to.transform(xs, ys)
    west, east = (px[0, 8] + px[0, 9]) / 2, (px[0, 30] + px[0, 31]) / 2
    south, north = (py[20, 20] + py[21, 20]) / 2, (py[5, 20] + py[6, 20]) / 2
    extent = {"west": west, "east": east, "south": south, "north": north, "crs": crs}
    data = Cube(np.ones((30, 40)), ("y", "x"), {})
    want = (px >= west) & (px <= east) & (py >= south) & (py <= north)
    got = np.isfinite(evaluate("filter_bbox", grid, a=data, extent=extent).data)
    assert 0.2 < want.mean() < 0.8
    np.testing.assert_array_equal(got, want)


def test_values_along_a_dimension() -> None:
    data = series([4, np.nan, 8, 6], [f"2024-01-0{d}" for d in (1, 2, 3, 5)])
    filled = evaluate(
        "apply_dimension", a=data, dimension="t", process=call("array_interpolate_linear", data=arg("data"))
    )
    assert values(filled) == [4, 6, 8, 6] and filled.labels == data.labels
    shares = call("quantiles", data=arg("data"), probabilities=[0.0, 0.5])
    some = evaluate("apply_dimension", a=data, dimension="t", process=shares, target_dimension="q")
    assert (some.dims, some.labels["q"], values(some)) == (("q", "y", "x"), (0, 1), [4, 6])
    banded = Cube(data.data[:, np.newaxis], ("t", "bands", "y", "x"), {"t": data.labels["t"], "bands": ("B04",)})
    into = evaluate("apply_dimension", a=banded, dimension="t", process=shares, target_dimension="bands")
    assert (into.dims, into.labels, into.kind("bands"), values(into)) == (
        ("bands", "y", "x"), {"bands": (0, 1)}, "bands", [4, 6])  # fmt: skip
    with pytest.raises(GraphError, match="'t' has more than one label"):
        evaluate("apply_dimension", a=banded, dimension="bands", process=shares, target_dimension="t")
    sums = evaluate("apply_dimension", a=data, dimension="t", process=call("cumsum", data=arg("data")))
    assert values(sums) == [4, None, 12, 18]


def test_flattened_and_unflattened_is_the_same() -> None:
    data = np.arange(2 * 3 * 4.0).reshape(2, 3, 2, 2)
    cube = Cube(data, ("t", "bands", "y", "x"), {"t": ("2020", "2021"), "bands": ("a", "b", "c")})
    flat = evaluate("flatten_dimensions", a=cube, dimensions=["t", "bands"], target_dimension="X")
    assert flat.labels["X"] == tuple("~".join(pair) for pair in itertools.product(("2020", "2021"), "abc"))
    np.testing.assert_array_equal(flat.data, data.reshape(6, 2, 2))
    back = evaluate("unflatten_dimension", a=flat, dimension="X", target_dimensions=["year", "band"])
    np.testing.assert_array_equal(back.aligned(("year", "band", "y", "x")), data)


def test_filters_by_label_and_trims() -> None:
    data = np.ones((4, 2, 2))
    data[[0, 2]] = np.nan
    cube = Cube(data, ("t", "y", "x"), {"t": ("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04")})
    assert evaluate("trim_cube", a=cube).labels["t"] == cube.labels["t"][1:]
    condition = call("text_ends", data=arg("value"), pattern="3")
    assert evaluate("filter_labels", a=cube, dimension="t", condition=condition).labels["t"] == ("2020-01-03",)


def test_labels_of_y_and_x_are_the_grids() -> None:
    cube = Cube(np.ones((6, 6)), ("y", "x"), {})
    assert evaluate("dimension_labels", a=cube, dimension="x") == [5, 15, 25, 35, 45, 55]
    assert evaluate("dimension_labels", a=cube, dimension="y") == [55, 45, 35, 25, 15, 5]


YEAR = 31557600.0
HARMONIC = {"process_graph": {
    "p0": node("array_element", data=arg("parameters"), index=0),
    "p1": node("array_element", data=arg("parameters"), index=1),
    "p2": node("array_element", data=arg("parameters"), index=2),
    "w": node("multiply", x=arg("x"), y=2 * np.pi / YEAR),
    "c": node("cos", x=of("w")),
    "s": node("sin", x=of("w")),
    "pc": node("multiply", x=of("p1"), y=of("c")),
    "ps": node("multiply", x=of("p2"), y=of("s")),
    "sum": node("add", x=of("p0"), y=of("pc")),
    "all": node("add", True, x=of("sum"), y=of("ps")),
}}  # fmt: skip


def test_a_curve_is_fitted_to_each_pixel_and_predicts() -> None:
    random = np.random.default_rng(2)
    dates = [
        f"20{year}-{month:02}-{day:02}T00:00:00Z" for year in (22, 23) for month in range(1, 13) for day in (4, 18)
    ]
    seconds = np.array([datetime.fromisoformat(d).timestamp() for d in dates])
    truth = random.normal(size=(3, 4, 5))
    angle = 2 * np.pi * seconds / YEAR
    design = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
    data = np.einsum("pyx,pt->tyx", truth, design)
    data[random.random(data.shape) < 0.3] = np.nan
    data[:, 0, 0] = np.nan
    cube = Cube(data, ("t", "y", "x"), {"t": tuple(dates)})
    fit = call("fit_curve", data=arg("data"), parameters=[1, 1, 1], function=HARMONIC)
    found = evaluate("apply_dimension", a=cube, dimension="t", target_dimension="p", process=fit)
    assert np.isnan(found.data[:, 0, 0]).all()
    truth[:, 0, 0] = np.nan
    np.testing.assert_allclose(found.data, truth, atol=1e-6)
    labels = ["2024-05-01", "2024-09-01"]
    raw = {
        "a": load("a"),
        "r": node("predict_curve", True, parameters=of("a"), function=HARMONIC, dimension="p", labels=labels),
    }
    later = run(parse(raw, REGISTRY), Context(SQUARE, lambda n: found))
    angle = 2 * np.pi * np.array([datetime.fromisoformat(d + "T00:00:00Z").timestamp() for d in labels]) / YEAR
    want = truth[0] + truth[1] * np.cos(angle)[:, None, None] + truth[2] * np.sin(angle)[:, None, None]
    np.testing.assert_allclose(later.data, want, atol=1e-5)
    assert later.labels["p"] == tuple(labels)


@pytest.mark.parametrize(("process", "arguments"), [
    ("reduce_spatial", {"reducer": MEAN}),
    ("aggregate_spatial", {"geometries": BLOCK, "reducer": MEAN}),
    ("trim_cube", {}),
])  # fmt: skip
def test_what_needs_the_whole_extent_is_refused_on_a_part(process: str, arguments: dict[str, Any]) -> None:
    data = Cube(np.ones((1, 6, 6)), ("t", "y", "x"), {"t": ("2024-01-01",)})
    evaluate(process, SQUARE, True, a=data, **arguments)
    with pytest.raises(GraphError, match="whole extent"):
        evaluate(process, SQUARE, False, a=data, **arguments)


def test_a_curve_that_is_not_linear_is_found_by_steps() -> None:
    decay = {"process_graph": {
        "a": node("array_element", data=arg("parameters"), index=0),
        "b": node("array_element", data=arg("parameters"), index=1),
        "bx": node("multiply", x=of("b"), y=arg("x")),
        "e": node("exp", p=of("bx")),
        "y": node("multiply", True, x=of("a"), y=of("e")),
    }}  # fmt: skip
    places = [0, 1, 2, 3, 5, 8]
    raw = {
        "l": node("array_create_labeled", data=[2.5 * float(np.exp(-0.4 * x)) for x in places], labels=places),
        "f": node("fit_curve", True, data=of("l"), parameters=[1, 0], function=decay),
    }
    found = run(parse(raw, REGISTRY), Context(SQUARE, lambda n: series([], [])))
    assert found == pytest.approx([2.5, -0.4], abs=1e-5)
