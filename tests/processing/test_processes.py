"""Processes on data cubes against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes import values
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs import interpret
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import Context, run
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, call, load, node, of

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
    renamed = one("rename_labels", dimension="bands", source=["B08", "B04"], target=["x", "y"])
    assert on_cubes(renamed, a=cube()).labels["bands"] == ("y", "x")
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
        one("filter_bbox", extent={"west": 5, "south": 5, "east": 6, "north": 6, "crs": "+proj=utm +nadgrids=@f"}),
        "ProcessArgumentInvalid",
    ),
    (one("rename_labels", dimension="bands", target=["x", "y"]), "LabelsNotEnumerated"),
    (one("rename_labels", dimension="bands", target=["x"], source=["B04", "B08"]), "LabelMismatch"),
    (one("rename_labels", dimension="bands", target=["x"], source=["no"]), "LabelNotAvailable"),
    (one("rename_labels", dimension="bands", target=["B08"], source=["B04"]), "LabelExists"),
    (one("rename_dimension", source="t", target="x"), "DimensionExists"),
    (one("add_dimension", name="t", label="2024-01-01", type="temporal"), "DimensionExists"),
    (one("filter_bands"), "BandFilterParameterMissing"),
    (one("apply_kernel", kernel=[[1, 2], [3, 4]]), "KernelDimensionsUneven"),
    (one("reduce_spatial", reducer=call("mean", data=arg("data"))), "ProcessUnsupported"),
    (one("reduce_dimension", reducer=call("mean", data=arg("data")), dimension="x"), "ProcessUnsupported"),
    (one("mask_polygon", mask={"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}), "ProcessArgumentInvalid"),
    (one("filter_spatial", geometries={"type": "Circle"}), "ProcessArgumentInvalid"),
    (
        one("aggregate_temporal", intervals=[["2024-01-01", "2025-01-01"]] * 2, reducer=call("max", data=arg("data"))),
        "DistinctDimensionLabelsRequired",
    ),
    (
        one("aggregate_temporal", intervals=[["2024-02-01", "2024-01-01"]], reducer=call("max", data=arg("data"))),
        "TemporalExtentEmpty",
    ),
    (one("resample_cube_temporal", target=of("b"), dimension="none"), "DimensionNotAvailable"),
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
            old = ["B04", "B08", *names[2:width]]
            new = names[width : 2 * width]
            raw[f"other{i}"] = node("rename_labels", data=of(last), dimension="bands", source=old, target=new)
            raw[f"both{i}"] = node("merge_cubes", cube1=of(last), cube2=of(f"other{i}"))
            last, width = f"both{i}", 2 * width
        raw[last]["result"] = True
        return raw

    for make, few, many in ((bands, 20, 6000), (means, 5, 100), (doubled, 2, 7)):
        monkeypatch.setattr(values, "MOST_VALUES", 5000)
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
