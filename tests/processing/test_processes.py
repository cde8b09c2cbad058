"""Each process against numpy or the standard's own words: one table of (process, arguments, expected)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from bdap_hub.errors import TooMuch
from bdap_hub.processing import cube as cube_module
from bdap_hub.processing import interpret
from bdap_hub.processing.cube import Cube, Series
from bdap_hub.processing.graph import GraphError, parse
from bdap_hub.processing.grid import Grid
from bdap_hub.processing.interpret import Context, run
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, call, load, node, of

N = None
SCALARS: list[tuple[str, dict[str, Any], Any]] = [
    ("add", {"x": 5, "y": 2.5}, 7.5),
    ("add", {"x": N, "y": 2.5}, N),
    ("subtract", {"x": 5, "y": 2.5}, 2.5),
    ("multiply", {"x": -2, "y": -4}, 8),
    ("divide", {"x": 5, "y": 2.5}, 2),
    ("divide", {"x": 1, "y": 0}, math.inf),
    ("mod", {"x": 27, "y": 5}, 2),
    ("mod", {"x": -27, "y": 5}, 3),
    ("power", {"base": 5, "p": -1}, 0.2),
    ("power", {"base": 1, "p": N}, N),
    ("normalized_difference", {"x": 5, "y": 3}, 0.25),
    ("absolute", {"x": -3.5}, 3.5),
    ("sqrt", {"x": 81}, 9),
    ("exp", {"p": 0}, 1),
    ("ln", {"x": 1}, 0),
    ("log", {"x": 1024, "base": 2}, 10),
    ("floor", {"x": -3.5}, -4),
    ("ceil", {"x": -3.5}, -3),
    ("int", {"x": -3.5}, -3),
    ("round", {"x": 2.5}, 2),
    ("round", {"x": 1234.5, "p": -2}, 1200),
    ("clip", {"x": -5, "min": -1, "max": 1}, -1),
    ("clip", {"x": N, "min": 0, "max": 1}, N),
    ("linear_scale_range", {"x": 0.3, "inputMin": -1, "inputMax": 1, "outputMin": 0, "outputMax": 255}, 165.75),
    ("linear_scale_range", {"x": 25.5, "inputMin": 0, "inputMax": 255}, 0.1),
    ("linear_scale_range", {"x": 500, "inputMin": 0, "inputMax": 255}, 1),
    ("eq", {"x": 1, "y": 1}, 1),
    ("eq", {"x": 1, "y": N}, N),
    ("eq", {"x": 1.02, "y": 1, "delta": 0.05}, 1),
    ("eq", {"x": "Test", "y": "test", "case_sensitive": False}, 1),
    ("eq", {"x": "Test", "y": "test"}, 0),
    ("eq", {"x": "1", "y": 1}, 0),
    ("neq", {"x": 1, "y": 2}, 1),
    ("neq", {"x": N, "y": 2}, N),
    ("lt", {"x": 1, "y": 2}, 1),
    ("lte", {"x": 2, "y": 2}, 1),
    ("gt", {"x": 1, "y": 2}, 0),
    ("gte", {"x": N, "y": 2}, N),
    ("between", {"x": 1, "min": 0, "max": 1}, 1),
    ("between", {"x": 1, "min": 0, "max": 1, "exclude_max": True}, 0),
    ("and", {"x": True, "y": N}, N),
    ("and", {"x": False, "y": N}, 0),
    ("or", {"x": True, "y": N}, 1),
    ("or", {"x": False, "y": N}, N),
    ("or", {"x": False, "y": False}, 0),
    ("xor", {"x": True, "y": False}, 1),
    ("not", {"x": False}, 1),
    ("not", {"x": N}, N),
    ("if", {"value": True, "accept": 5, "reject": 7}, 5),
    ("if", {"value": N, "accept": 5, "reject": 7}, 7),
    ("if", {"value": False, "accept": 5}, N),
    ("is_nodata", {"x": N}, 1),
    ("is_valid", {"x": 3}, 1),
    ("is_nan", {"x": 3}, 0),
    ("min", {"data": [5, N, 2, 8]}, 2),
    ("max", {"data": [5, N, 2, 8]}, 8),
    ("max", {"data": [5, N], "ignore_nodata": False}, N),
    ("sum", {"data": [5, N, 1]}, 6),
    ("sum", {"data": [N, N]}, N),
    ("product", {"data": [5, N, 2]}, 10),
    ("mean", {"data": [1, 0, 3, 2]}, 1.5),
    ("mean", {"data": [9, 2.5, N, -2.5]}, 3),
    ("mean", {"data": []}, N),
    ("mean", {"data": [1, N], "ignore_nodata": False}, N),
    ("median", {"data": [1, 3, 3, 6, 7, 8, 9]}, 6),
    ("median", {"data": [1, 2, 3, 4, 5, 6, 8, 9]}, 4.5),
    ("median", {"data": [-1, -0.5, N, 1]}, -0.5),
    ("median", {"data": [-1, 0, N, 1], "ignore_nodata": False}, N),
    ("median", {"data": [N]}, N),
    ("sd", {"data": [-1, 1, 3, N]}, 2),
    ("variance", {"data": [-1, 1, 3, N]}, 4),
    ("variance", {"data": [1]}, N),
    ("first", {"data": [N, 2, 3]}, 2),
    ("first", {"data": [N, 2, 3], "ignore_nodata": False}, N),
    ("last", {"data": [0, 2, N]}, 2),
    ("count", {"data": [0, N, 3]}, 2),
    ("count", {"data": [0, N, 3], "condition": True}, 3),
    ("count", {"data": [5, 1, 3], "condition": call("gt", x=arg("x"), y=2)}, 2),
    ("array_element", {"data": [9, 8, 7], "index": 2}, 7),
    ("array_element", {"data": [9], "index": 5, "return_nodata": True}, N),
]


def evaluate(process: str, arguments: dict[str, Any]) -> Any:
    return run(parse({"a": node(process, True, **arguments)}, REGISTRY), Context(Grid.point(0, 0), lambda n: None))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(("process", "arguments", "expected"), SCALARS)
def test_on_single_values(process: str, arguments: dict[str, Any], expected: Any) -> None:
    got = float(np.asarray(evaluate(process, arguments)))
    assert math.isnan(got) if expected is None else got == pytest.approx(expected, rel=1e-6)


def test_every_process_but_those_on_cubes_is_in_the_table() -> None:
    cubes = {name for name, p in REGISTRY.items() if p.returns.name == "datacube"}
    assert set(REGISTRY) - cubes == {row[0] for row in SCALARS}


@pytest.mark.parametrize("name", ["min", "max", "sum", "mean", "median", "sd", "variance", "product"])
def test_reducers_on_arrays_equal_numpy(name: str) -> None:
    random = np.random.default_rng(3)
    data = random.normal(size=(7, 2, 30, 20)).astype(np.float32)
    data[random.random(data.shape) < 0.4] = np.nan
    data[:, 0, 0, 0] = np.nan
    reference = {
        "sd": lambda d, axis: np.nanstd(d, axis, ddof=1),
        "variance": lambda d, axis: np.nanvar(d, axis, ddof=1),
        "product": np.nanprod,
    }
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        want = reference.get(name, getattr(np, f"nan{name}", None))(data.astype(np.float64), axis=0)
    if name in ("sum", "product"):
        want[np.isnan(data).all(axis=0)] = np.nan
    got = REGISTRY[name].function(Series(data))
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-6)


DATES = ("2024-01-10T10:00:00Z", "2024-02-10T10:00:00Z", "2024-03-10T10:00:00Z")


def cube(bands: tuple[str, ...] = ("B04", "B08"), dates: tuple[str, ...] = DATES) -> Cube:
    data = np.arange(len(dates) * len(bands) * 12, dtype=np.float32).reshape(len(dates), len(bands), 3, 4)
    data[0, 0, 0, 0] = np.nan
    return Cube(data, ("t", "bands", "y", "x"), {"t": dates, "bands": bands}, {"red": "B04", "nir": "B08"})


def on_cubes(raw: dict[str, Any], **cubes: Cube) -> Cube:
    """The graph's result, where load_collection of id k gives cubes[k]."""
    graph = parse(raw, REGISTRY)
    ids = {n.id: n.arguments.get("id") for n in graph.nodes}
    result = run(graph, Context(Grid.tile(0, 0, 0), lambda n: cubes[ids[n]]))
    assert isinstance(result, Cube)
    return result


def one(process: str, /, **arguments: Any) -> dict[str, Any]:
    return {"a": load("a"), "b": load("b"), "r": node(process, True, **{"data": of("a"), **arguments})}


def test_filter_temporal_excludes_the_end() -> None:
    got = on_cubes(one("filter_temporal", extent=["2024-01-10T10:00:00Z", "2024-03-10T10:00:00Z"]), a=cube())
    assert got.labels["t"] == DATES[:2]


def test_filter_bands_knows_common_names_and_keeps_the_order_asked_for() -> None:
    got = on_cubes(one("filter_bands", bands=["nir", "B04"]), a=cube())
    assert got.labels["bands"] == ("B08", "B04")
    np.testing.assert_array_equal(got.data[:, 0], cube().data[:, 1])


def test_ndvi_reduces_bands_or_adds_one() -> None:
    red, nir = cube().data[:, 0], cube().data[:, 1]
    got = on_cubes(one("ndvi"), a=cube())
    assert got.dims == ("t", "y", "x")
    np.testing.assert_allclose(got.data, (nir - red) / (nir + red))
    more = on_cubes(one("ndvi", target_band="NDVI"), a=cube())
    assert more.labels["bands"] == ("B04", "B08", "NDVI") and more.dims == ("t", "bands", "y", "x")
    np.testing.assert_array_equal(more.data[:, 2], got.data)


def test_band_maths_by_array_element() -> None:
    reducer = {
        "process_graph": {
            "r": node("array_element", data=arg("data"), label="B04"),
            "n": node("array_element", data=arg("data"), index=1),
            "s": node("sum", True, data=[of("r"), of("n"), 1]),
        }
    }
    got = on_cubes(one("reduce_dimension", reducer=reducer, dimension="bands"), a=cube())
    np.testing.assert_array_equal(got.data[1], cube().data[1].sum(axis=0) + 1)
    assert got.data[0, 0, 0] == cube().data[0, 1, 0, 0] + 1  # no data is ignored by sum


def test_apply_keeps_shape_and_no_data() -> None:
    got = on_cubes(one("apply", process=call("linear_scale_range", x=arg("x"), inputMin=0, inputMax=100)), a=cube())
    np.testing.assert_allclose(got.data, np.clip(cube().data, 0, 100) / 100)


def test_mask_hides_where_true_and_not_where_zero_or_no_data() -> None:
    mask = Cube(np.float32([[0, 1, np.nan, 5]] * 3), ("y", "x"), {})
    got = on_cubes(one("mask", mask=of("b")), a=cube(), b=mask)
    assert np.isnan(got.data[..., [1, 3]]).all()
    np.testing.assert_array_equal(got.data[..., [0, 2]], cube().data[..., [0, 2]])
    replaced = on_cubes(one("mask", mask=of("b"), replacement=-1), a=cube(), b=mask)
    assert (replaced.data[..., [1, 3]] == -1).all()


def test_mask_by_date_is_spread_over_the_bands() -> None:
    mask = Cube(np.zeros((3, 3, 4), np.float32), ("t", "y", "x"), {"t": DATES})
    mask.data[1] = 1
    got = on_cubes(one("mask", mask=of("b")), a=cube(), b=mask)
    assert np.isnan(got.data[1]).all() and np.isfinite(got.data[2]).all()


def test_merge_of_bands_of_dates_and_of_overlaps() -> None:
    add = call("add", x=arg("x"), y=arg("y"))
    raw = {
        "a": load("a"),
        "b": load("b"),
        "m": node("merge_cubes", True, cube1=of("a"), cube2=of("b"), overlap_resolver=add),
    }
    bands = on_cubes(raw, a=cube(("B04",)), b=cube(("B08",)))
    assert bands.labels["bands"] == ("B04", "B08") and bands.data.shape == (3, 2, 3, 4)
    dates = on_cubes(raw, a=cube(dates=DATES[1:]), b=cube(dates=DATES[:1]))
    assert dates.labels["t"] == DATES
    np.testing.assert_array_equal(dates.data[0], cube(dates=DATES[:1]).data[0])
    same = on_cubes(raw, a=cube(), b=cube())
    np.testing.assert_array_equal(same.data, 2 * cube().data)
    flat = Cube(np.full((3, 4), 100, np.float32), ("y", "x"), {})
    np.testing.assert_array_equal(on_cubes(raw, a=cube(), b=flat).data, cube().data + 100)
    part = on_cubes(raw, a=cube(("B04", "B08")), b=cube(("B08", "B02")))
    assert part.labels["bands"] == ("B04", "B08", "B02")
    np.testing.assert_array_equal(part.data[:, 1], cube().data[:, 1] + cube(("B08", "B02")).data[:, 0])


def test_labels_and_dimensions() -> None:
    assert on_cubes(one("rename_labels", dimension="bands", target=["x", "y"]), a=cube()).labels["bands"] == ("x", "y")
    flat = Cube(np.zeros((3, 4), np.float32), ("y", "x"), {})
    added = on_cubes(one("add_dimension", name="bands", label="NDVI", type="bands"), a=flat)
    assert (added.dims, added.labels) == (("bands", "y", "x"), {"bands": ("NDVI",)})
    assert on_cubes(one("drop_dimension", name="bands"), a=added).dims == ("y", "x")


def test_filter_bbox_hides_what_lies_outside() -> None:
    data = Cube(np.ones((256, 256), np.float32), ("y", "x"), {})
    got = on_cubes(one("filter_bbox", extent={"west": 0, "south": 0, "east": 180, "north": 85}), a=data).data
    assert np.isfinite(got[:127, 129:]).all() and np.isnan(got[:, :127]).all() and np.isnan(got[129:]).all()


REFUSED = [
    (one("filter_bands", bands=["B99"]), "BandNotAvailable"),
    (one("reduce_dimension", reducer=call("mean", data=arg("data")), dimension="z"), "DimensionNotAvailable"),
    (
        one("reduce_dimension", reducer=call("array_element", data=arg("data"), label="x"), dimension="t"),
        "ArrayElementNotAvailable",
    ),
    (
        one("reduce_dimension", reducer=call("array_element", data=arg("data"), index=9), dimension="t"),
        "ArrayElementNotAvailable",
    ),
    (
        one("reduce_dimension", reducer=call("array_element", data=arg("data")), dimension="t"),
        "ArrayElementParameterMissing",
    ),
    (one("ndvi", nir="B99"), "BandNotAvailable"),
    (one("ndvi", target_band="B04"), "BandExists"),
    (one("mask", mask=of("b")), "IncompatibleDataCubes"),
    (one("save_result", format="MP3"), "FormatUnsuitable"),
    (one("filter_temporal", extent=["2024-01-01"]), "ProcessArgumentInvalid"),
    (one("filter_temporal", extent=["never", None]), "ProcessArgumentInvalid"),
    (one("filter_bbox", extent={"west": 5}), "ProcessArgumentInvalid"),
    (one("filter_bbox", extent={"west": 5, "south": 5, "east": 4, "north": 6}), "ProcessArgumentInvalid"),
    (
        one("filter_bbox", extent={"west": 5, "south": 5, "east": 6, "north": 6, "crs": 32633}),
        "ProcessArgumentUnsupported",
    ),
    (one("drop_dimension", name="t"), "DimensionLabelCountMismatch"),
    ({"a": load("a"), "m": node("merge_cubes", True, cube1=of("a"), cube2=of("a"))}, "OverlapResolverMissing"),
]


@pytest.mark.parametrize(("raw", "code"), REFUSED)
def test_refused_with_the_nodes_name(raw: Any, code: str) -> None:
    with pytest.raises(GraphError) as error:
        on_cubes(raw, a=cube(), b=cube(("x", "y"), DATES[:1]))
    assert error.value.code == code and error.value.message.startswith("node '")


def test_a_few_lines_cannot_ask_for_more_memory_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def bands(count: int) -> dict[str, Any]:
        return one("filter_bands", bands=["B04"] * count)

    def means(count: int) -> dict[str, Any]:
        return one("apply", process=call("mean", data=[arg("x")] * count))

    def doubled(times: int) -> dict[str, Any]:
        names = [f"b{i}" for i in range(2 ** (times + 1))]
        raw, last, width = {"a": load("a"), "b": load("b")}, "a", 2
        for i in range(times):
            new = names[width : 2 * width]
            raw[f"other{i}"] = node("rename_labels", data=of(last), dimension="bands", target=new)
            raw[f"both{i}"] = node("merge_cubes", cube1=of(last), cube2=of(f"other{i}"))
            last, width = f"both{i}", 2 * width
        raw[last]["result"] = True
        return raw

    for make, few, many in ((bands, 20, 6000), (means, 5, 100), (doubled, 2, 7)):
        monkeypatch.setattr(cube_module, "MOST_VALUES", 5000)
        assert np.isfinite(on_cubes(make(few), a=cube()).data).any()
        with pytest.raises(TooMuch, match="values"):
            on_cubes(make(many), a=cube())


def test_results_are_forgotten_after_their_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpret, "MOST_BYTES", 6 * cube().data.nbytes)
    raw: dict[str, Any] = {"a0": load("a")}
    for i in range(30):
        raw[f"a{i + 1}"] = node("apply", data=of(f"a{i}"), process=call("add", x=arg("x"), y=1))
    long = {**raw, "a30": {**raw["a30"], "result": True}}
    np.testing.assert_array_equal(on_cubes(long, a=cube()).data, cube().data + 30)
    for i in range(30):  # the same, but each is needed again at the end
        before = of(f"m{i - 1}") if i else of("a0")
        adds = call("add", x=arg("x"), y=arg("y"))
        raw[f"m{i}"] = node("merge_cubes", cube1=before, cube2=of(f"a{30 - i}"), overlap_resolver=adds)
    raw["m29"]["result"] = True
    with pytest.raises(TooMuch, match="at once"):
        on_cubes(raw, a=cube())
