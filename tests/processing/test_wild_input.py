"""What fuzzing found: input that once made the service fail is refused; what is like it, but good, is not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bdap_hub.errors import BadRequest
from bdap_hub.processing.cubes.extent import WORLD, box
from bdap_hub.processing.cubes.geometry import parts
from bdap_hub.processing.engine.inquiry import binned
from bdap_hub.processing.graphs.expand import expand
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.interpret import NOWHERE, Context, run
from bdap_hub.processing.graphs.needs import margin, queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.graphs.plan import Plan
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.results.formats import wanted
from bdap_hub.processing.results.values import summary
from bdap_hub.processing.service.bodies import parsed

from .graphs import arg, call, load, node, of

BOX = {"west": 0, "south": 0, "east": 1, "north": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"x": NaN}', "NaN"),
        ('{"x": -Infinity}', "Infinity"),
        ('{"x": 1e400}', "double"),
        ('{"x": 1' + "0" * 400 + "}", "double"),
        ('{"x": "\\ud800"}', "half"),
        ('{"\\udfff": 1}', "half"),
        ('{"x": "a\\u0000"}', "null"),
        ("[" * 100_000, "deep"),
        ('{"x": "\xff"}', "JSON"),
    ],
)
def test_what_others_could_not_read_back_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        parsed(text.encode("latin-1"))


def test_whole_characters_and_large_numbers_are_taken() -> None:
    text = r'{"x": "\ud83c\udf0d", "y": 1e308, "z": 123456789012345678901234567890, "w": "\\u0000"}'
    assert parsed(text.encode()) == {"x": "🌍", "y": 1e308, "z": 123456789012345678901234567890, "w": r"\u0000"}


@pytest.mark.parametrize(
    "far",
    [{"west": 1e300, "south": -1e300, "east": 1e308, "north": 1e308, "crs": 3857},
     {**BOX, "north": 1e9, "crs": 3857}, {**BOX, "north": 10**400}],
)  # fmt: skip
def test_a_box_far_from_earth_is_refused(far: dict[str, Any]) -> None:
    with pytest.raises(GraphError):
        box(far)
    assert box({**BOX, "crs": 3857}).degrees().north > 0


def graph_with(late: Any, load_extent: Any = None, parameters: tuple[str, ...] = ()) -> Any:
    """A graph whose filter_bbox takes `late`, and whose load takes `load_extent`."""
    raw = {
        "box": node("constant", x=BOX),
        "data": load(spatial_extent=load_extent),
        "cut": node("filter_bbox", True, data=of("data"), extent=late),
    }
    return parse(raw, REGISTRY, parameters)


def test_an_extent_that_another_node_gives_narrows_nothing() -> None:
    assert queries(graph_with(BOX))[0].bounds == (0, 0, 1, 1)
    assert queries(graph_with(of("box")))[0].bounds == (-180, -90, 180, 90)


def test_a_band_name_that_another_node_gives_is_not_one_to_read() -> None:
    raw = {
        "name": node("text_concat", data=["B", "08"], separator=""),
        "data": load(),
        "out": node("filter_bands", True, data=of("data"), bands=[of("name")]),
    }
    assert queries(parse(raw, REGISTRY))[0].used is None
    raw["out"]["arguments"]["bands"] = ["B08"]
    assert queries(parse(raw, REGISTRY))[0].used == ("B08",)


def test_what_is_loaded_is_written_out() -> None:
    with pytest.raises(GraphError, match="'spatial_extent' of load_collection comes from elsewhere"):
        queries(graph_with(BOX, load_extent=of("box")))


@pytest.mark.parametrize("argument", ["format", "options"])
def test_what_is_saved_is_written_out(argument: str) -> None:
    raw = {"name": node("constant", x="PNG"), "data": load()}
    late = {"format": "PNG", argument: of("name") if argument == "format" else {"colormap": of("name")}}
    with pytest.raises(GraphError, match=f"'{argument}' of save_result comes from elsewhere"):
        parse({**raw, "out": node("save_result", True, data=of("data"), **late)}, REGISTRY)


def test_a_format_that_is_none_is_named_before_the_graph_is_planned() -> None:
    for name, good in (("_\x18v", False), ("png", True)):
        graph = parse({"data": load(), "out": node("save_result", True, data=of("data"), format=name)}, REGISTRY)
        if good:
            assert wanted(graph).format.name == "PNG"
        else:
            with pytest.raises(GraphError, match="cannot be written"):
                wanted(graph)


def test_a_load_that_waits_for_a_parameter_asks_for_nothing_yet() -> None:
    assert queries(graph_with(BOX, load_extent=arg("where"), parameters=("where",))) == ()


def test_a_mask_does_not_keep_filters_from_the_catalogue() -> None:
    raw = {
        "data": load(),
        "clear": node("mask", data=of("data"), mask=of("hidden")),
        "hidden": node("apply", data=of("other"), process=call("is_nan", x=arg("x"))),
        "other": load(bands=["SCL"]),
        "some": node("filter_bands", True, data=of("clear"), bands=["B04"]),
    }
    assert ("B04",) in [query.used for query in queries(parse(raw, REGISTRY))]


def features(deep: int) -> Any:
    """A point in so many features."""
    shape: Any = {"type": "Point", "coordinates": [1, 2]}
    for _ in range(deep):
        shape = {"type": "Feature", "properties": {}, "geometry": shape}
    return shape


@pytest.mark.parametrize("odd", [{"type": []}, {"type": {}}, {"type": "Feature"}, features(900)])
def test_what_is_no_geometry_is_refused(odd: Any) -> None:
    with pytest.raises(GraphError, match="not a GeoJSON geometry"):
        parts(odd)
    assert parts({"type": "FeatureCollection", "features": [features(1)]}) == [features(0)]


@pytest.mark.parametrize("sigma", [1.7976931348623157e308, -1.7976931348623157e308])
def test_a_gaussian_of_any_width_has_a_reach(sigma: float) -> None:
    def reach(sigma: float) -> int:
        graph = {"data": load(), "out": node("gaussian_filter", True, data=of("data"), sigma=sigma)}
        return margin(parse(graph, REGISTRY))

    assert reach(2) == 6
    if sigma < 0:
        assert reach(sigma) == 0  # refused when it runs on no data
    else:
        with pytest.raises(GraphError, match="pixels around it"):
            reach(sigma)


def nest(depth: int) -> bytes:
    return b'{"x": ' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("deep", [nest(151), b"[" * 151 + b"]" * 151, b'{"a": "}}}\\"", "b": ' + nest(150) + b"}"])
def test_what_is_nested_too_deep_is_refused(deep: bytes) -> None:
    with pytest.raises(BadRequest, match="more than 150 deep"):
        parsed(deep)


def test_brackets_in_texts_nest_nothing() -> None:
    assert parsed(nest(150)) and parsed(b'["' + b"[" * 1000 + b'\\"[[", "{"]')


def test_callbacks_within_callbacks_end_in_a_sentence() -> None:
    graph: Any = {"a": node("add", True, x=1, y=1)}
    for _ in range(200):
        graph = {"a": node("apply", True, data=1, process={"process_graph": graph})}
    with pytest.raises(GraphError):
        parse(expand(graph, {}, REGISTRY), REGISTRY)


@pytest.mark.parametrize("east", [541, -1e300])
def test_no_place_lies_so_far_east(east: float) -> None:
    """Beyond 180 lies what crosses the antimeridian."""
    assert parts({"type": "Point", "coordinates": [190, 0]})
    with pytest.raises(GraphError):
        parts({"type": "Point", "coordinates": [east, 0]})


def test_statistics_of_huge_numbers_are_json() -> None:
    """What is beyond doubles is None, as JSON has no infinity; what is not stays."""
    found = summary(np.array([1e308, 1e308, -1e308]))
    assert found["sum"] is None or math.isfinite(found["sum"])
    assert found["sd"] is None and found["max"] == 1e308
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("values", "bins"),
    [([1e308, 1e308, -1e308, -1.7e308], 10), ([1e300] * 3, 1), ([1e18, 1e18 + 128], 1), ([0, 4], 10)],
)
def test_histograms_of_huge_numbers_and_near_ones(values: list[float], bins: int) -> None:
    found = binned(np.array([*values, np.nan]), 10)
    assert sum(found["counts"]) == len(values) and len(found["counts"]) == bins
    assert found["statistics"]["max"] == max(values) and found["statistics"]["nodata"] == 1
    assert json.dumps(found, allow_nan=False)


def test_a_reach_that_cannot_be_computed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is a stand-in: none of today's is known to fail so."""
    graph = parse({"a": load(), "b": node("focal_statistics", True, data=of("a"), statistic="mean", size=5)}, REGISTRY)
    assert margin(graph) == 2
    broken = replace(REGISTRY["focal_statistics"], reach=lambda arguments: len(arguments["size"]))
    monkeypatch.setitem(REGISTRY, "focal_statistics", broken)
    with pytest.raises(GraphError, match=r"node 'b' \(focal_statistics\): .* how far it looks"):
        margin(graph)


def test_data_are_not_loaded_within_a_callback() -> None:
    loading = {"process_graph": {"inner": {**load(), "result": True}}}
    raw = {"data": load(), "each": node("array_apply", True, data=[1, 2], process=loading)}
    graph, nothing = parse(raw, REGISTRY), Plan("none", (), (), WORLD)
    with pytest.raises(GraphError, match="loaded within a callback"):
        run(graph, Context(NOWHERE, nothing.load))
