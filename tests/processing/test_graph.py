"""Process graphs: what is refused, with which openEO code and sentence; what normalising does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdap_hub.processing.graphs.graph import GraphError, digest
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import MAX_NODES, parse
from bdap_hub.processing.processes import REGISTRY

from .graphs import arg, band, call, load, ndvi_median, node, of

GOOD = band("B04")


def reduced(reducer: Any) -> dict[str, Any]:
    return {"a": load(), "b": node("reduce_dimension", True, data=of("a"), reducer=reducer, dimension="t")}


BAD = [
    ("nothing", {}, "ProcessGraphMissing", "empty"),
    ("not an object", [1], "ProcessGraphMissing", "not an object"),
    ("no result", {"a": load()}, "ProcessGraphInvalid", "0 nodes carry 'result': true"),
    (
        "two results",
        {"a": {**load(), "result": True}, "b": {**load(), "result": True}},
        "ProcessGraphInvalid",
        "2 nodes",
    ),
    ("missing required", {"a": node("load_collection", True, id="x")}, "ProcessArgumentRequired", "'spatial_extent'"),
    ("no process", {"a": {"arguments": {}, "result": True}}, "ProcessGraphInvalid", "node 'a'"),
    (
        "unknown process",
        {"a": node("cloud_detection", True)},
        "ProcessUnsupported",
        "node 'a': process 'cloud_detection'",
    ),
    ("unknown namespace", {"a": {**load(), "namespace": "me", "result": True}}, "ProcessUnsupported", "node 'a'"),
    ("missing argument", {"a": node("load_collection", True)}, "ProcessArgumentRequired", "needs 'id'"),
    ("unknown argument", {"a": {**load(spam=1), "result": True}}, "ProcessArgumentUnsupported", "no argument 'spam'"),
    (
        "wrong type",
        {"a": {**load(bands="B04"), "result": True}},
        "ProcessArgumentInvalid",
        "'bands' of load_collection must be array or null, but is",
    ),
    (
        "number for text",
        {"a": {**load(), "arguments": {**load()["arguments"], "id": 5}, "result": True}},
        "ProcessArgumentInvalid",
        "must be string, but is 5",
    ),
    (
        "boolean for number",
        reduced(call("add", x=True, y=1)),
        "ProcessArgumentInvalid",
        "must be number or null, but is true",
    ),
    (
        "arguments no object",
        {"a": {"process_id": "add", "arguments": [1], "result": True}},
        "ProcessArgumentInvalid",
        "not an object",
    ),
    ("unknown node", {"a": node("ndvi", True, data=of("zz"))}, "ProcessGraphInvalid", "'zz', which does not exist"),
    ("itself", {"a": node("ndvi", True, data=of("a"))}, "ProcessGraphInvalid", "wait for one another"),
    (
        "cycle",
        {"a": node("ndvi", data=of("b")), "b": node("ndvi", True, data=of("a"))},
        "ProcessGraphInvalid",
        "wait for one another",
    ),
    (
        "cube for number",
        {"a": load(), "b": node("add", True, x=of("a"), y=1)},
        "ProcessArgumentInvalid",
        "'x' of add must be a plain value, but 'a' gives a data cube",
    ),
    (
        "number for cube",
        {"a": node("add", x=1, y=1), "b": node("ndvi", True, data=of("a"))},
        "ProcessArgumentInvalid",
        "must be a data cube",
    ),
    ("no callback", reduced(3), "ProcessArgumentInvalid", "'reducer' of reduce_dimension must be process graph"),
    (
        "unknown parameter",
        reduced(call("mean", data=arg("x"))),
        "ProcessParameterMissing",
        "'x', which nobody hands in",
    ),
    ("parameter at top", {"a": node("add", True, x=arg("data"), y=1)}, "ProcessParameterMissing", "'data'"),
    (
        "reference to a list",
        {"a": node("add", True, x={"from_parameter": []}, y=1)},
        "ProcessArgumentInvalid",
        "one name",
    ),
    (
        "reference and more",
        {"a": node("ndvi", True, data={"from_node": "a", "b": 1})},
        "ProcessArgumentInvalid",
        "one name",
    ),
    ("bad callback", reduced(call("nope", data=arg("data"))), "ProcessUnsupported", "'nope'"),
    ("too many nodes", {f"n{i}": load() for i in range(MAX_NODES + 1)}, "ProcessGraphComplexity", str(MAX_NODES)),
]


@pytest.mark.parametrize(("raw", "code", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_refused(raw: Any, code: str, words: str) -> None:
    with pytest.raises(GraphError) as error:
        parse(raw, REGISTRY)
    assert (error.value.code, error.value.status) == (code, 400)
    assert words in error.value.message


@pytest.mark.parametrize("raw", [GOOD, ndvi_median(), reduced(call("mean", data=arg("data")))])
def test_accepted(raw: Any) -> None:
    assert parse(raw, REGISTRY).nodes


def test_deep_callbacks_are_refused() -> None:
    inner: Any = call("mean", data=arg("data"))
    for _ in range(12):
        inner = {"process_graph": {"c": node("count", True, data=arg("data"), condition=inner)}}
    with pytest.raises(GraphError, match="levels of callbacks"):
        parse(reduced(inner), REGISTRY)


def test_names_order_and_dead_branches_do_not_change_the_digest() -> None:
    shuffled = {**dict(reversed(list(ndvi_median().items()))), "unused": load("elsewhere")}
    assert digest(parse(shuffled, REGISTRY)) == digest(parse(ndvi_median(), REGISTRY))


def test_equal_calls_are_merged() -> None:
    raw = {
        "a": load(),
        "b": load(),
        "m": node(
            "merge_cubes", True, cube1=of("a"), cube2=of("b"), overlap_resolver=call("add", x=arg("x"), y=arg("y"))
        ),
    }
    assert [n.process for n in parse(raw, REGISTRY).nodes] == ["load_collection", "merge_cubes"]


def test_another_constant_is_another_digest() -> None:
    other = ndvi_median()
    other["save"]["arguments"]["options"]["min"] = -0.5
    assert digest(parse(other, REGISTRY)) != digest(parse(ndvi_median(), REGISTRY))


BANDS = [
    (call("array_element", data=arg("data"), label="B04"), ("B04",)),
    (call("array_element", data=arg("data"), index=0), None),
    (call("mean", data=arg("data")), None),
]


@pytest.mark.parametrize(("reducer", "bands"), BANDS)
def test_only_the_bands_that_are_used_are_asked_for(reducer: Any, bands: Any) -> None:
    raw = {"a": load(), "b": node("reduce_dimension", True, data=of("a"), reducer=reducer, dimension="bands")}
    assert [q.used for q in queries(parse(raw, REGISTRY))] == [bands]


def test_no_extent_is_pushed_past_a_mask() -> None:
    raw = {
        "a": load(bands=["B04"]),
        "m": load(bands=["SCL"]),
        "k": node("mask", data=of("a"), mask=of("m")),
        "f": node("filter_temporal", True, data=of("k"), extent=["2024-01-01", "2024-02-01"]),
    }
    assert all(q.interval == (None, None) for q in queries(parse(raw, REGISTRY)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["from_node", "from_parameter", "process_graph", "process_id", "arguments", "result", "a", "data"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)  # a busy machine is no defect
@given(
    JSON, st.sampled_from(sorted(REGISTRY)), st.dictionaries(st.sampled_from(["data", "x", "y", "reducer", "id"]), JSON)
)
def test_any_json_is_a_graph_or_a_graph_error(junk: Any, process: str, arguments: Any) -> None:
    for raw in (junk, {"a": junk}, {"a": {"process_id": process, "arguments": arguments, "result": True}}):
        try:
            queries(parse(raw, REGISTRY))
        except GraphError as error:
            assert error.message


TRIANGLE = {"type": "Polygon", "coordinates": [[[5, 45], [6, 45], [6, 47], [5, 45]]]}
UTM = {"west": 500_000, "south": 5_000_000, "east": 600_000, "north": 5_100_000, "crs": 32632}
EXTENTS = [
    (load(spatial_extent=TRIANGLE), None, (5, 45, 6, 47)),
    (load(), node("filter_spatial", True, data=of("a"), geometries=TRIANGLE), (5, 45, 6, 47)),
    (load(), node("filter_bbox", True, data=of("a"), extent=UTM), (9.0, 45.15, 10.29, 46.06)),
]


@pytest.mark.parametrize(("first", "second", "bounds"), EXTENTS)
def test_extents_go_to_the_catalogue(first: Any, second: Any, bounds: Any) -> None:
    raw = {"a": first, "b": second} if second else {"a": {**first, "result": True}}
    (query,) = queries(parse(raw, REGISTRY))
    assert query.bounds == pytest.approx(bounds, abs=0.01)


def test_extents_that_do_not_meet_are_refused() -> None:
    raw = {"a": load(spatial_extent=UTM), "b": node("filter_spatial", True, data=of("a"), geometries=TRIANGLE)}
    with pytest.raises(GraphError, match="node 'a': the graph's spatial extents do not meet"):
        queries(parse(raw, REGISTRY))


def test_a_neighbourhood_needs_what_lies_beyond_the_filter() -> None:
    box = {"west": 5, "south": 45, "east": 6, "north": 47}
    raw = {
        "a": load(),
        "k": node("apply_kernel", data=of("a"), kernel=[[1, 1, 1]]),
        "f": node("filter_bbox", data=of("k"), extent=box),
        "t": node("filter_temporal", True, data=of("f"), extent=["2024-01-01", "2024-02-01"]),
    }
    (query,) = queries(parse(raw, REGISTRY))
    assert query.bounds == (-180, -90, 180, 90) and query.interval.start is not None


def test_labels_of_other_processes_are_no_bands() -> None:
    reducer = {"process_graph": {
        "more": node("array_append", data=arg("data"), value=1, label="B04"),
        "all": node("sum", True, data=of("more")),
    }}  # fmt: skip
    raw = {"a": load(), "b": node("reduce_dimension", True, data=of("a"), reducer=reducer, dimension="bands")}
    assert [q.bands for q in queries(parse(raw, REGISTRY))] == [None]


def test_arguments_are_nested_only_so_deep() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    with pytest.raises(GraphError, match="nested deeper"):
        parse({"a": node("constant", True, x=deep)}, REGISTRY)
