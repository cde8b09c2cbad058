"""What people write in a notebook, and the openEO graph it becomes."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import bdap
import numpy as np
import pandas
import pytest
from bdap import filters
from bdap.maths import TIME

S2 = bdap.collection("s2")
B4, B8 = S2.band("B04"), S2.band("B08")
AREA = {"type": "Polygon", "coordinates": [[[8, 45], [9, 45], [9, 46], [8, 45]]]}
LOOSE = '{"a": {"process_id": "x", "arguments": {"d": {"from_node": "%s"}}, "result": true}}'


def node(process: str, /, **arguments: Any) -> dict[str, Any]:
    return {"process_id": process, "arguments": arguments}


def result(process: str, /, **arguments: Any) -> dict[str, Any]:
    return {**node(process, **arguments), "result": True}


def ref(name: str) -> dict[str, str]:
    return {"from_node": name}


def load(**arguments: Any) -> dict[str, Any]:
    return node("load_collection", **{"id": "s2", "spatial_extent": None, "temporal_extent": None, **arguments})


def band(name: str) -> dict[str, Any]:
    return node("array_element", data={"from_parameter": "data"}, label=name)


def over_bands(**nodes: Any) -> dict[str, Any]:
    reducer = {"process_graph": nodes}
    return {
        "loadcollection1": load(),
        "reducedimension1": result("reduce_dimension", data=ref("loadcollection1"), dimension="bands", reducer=reducer),
    }


CASES = {
    "a collection": (S2, {"loadcollection1": {**load(), "result": True}}),
    "days are both included": (
        S2.between("2025-04-01", "2025-09-30"),
        {"loadcollection1": {**load(temporal_extent=["2025-04-01", "2025-10-01"]), "result": True}},
    ),
    "a box and bands": (
        S2.inside((8, 45, 9, 46)).bands("B04", "B08"),
        {
            "loadcollection1": {
                **load(spatial_extent={"west": 8.0, "south": 45.0, "east": 9.0, "north": 46.0}, bands=["B04", "B08"]),
                "result": True,
            }
        },
    ),
    "a bare cloud cover means below": (
        S2.where(cloud_cover=20),
        {
            "loadcollection1": {
                **load(
                    properties={
                        "eo:cloud_cover": {"process_graph": {"lt1": result("lt", x={"from_parameter": "value"}, y=20)}}
                    }
                ),
                "result": True,
            }
        },
    ),
    "one band": (B8, over_bands(arrayelement1={**band("B08"), "result": True})),
    "maths on bands is one reducer": (
        (B8 - B4) / (B8 + B4),
        over_bands(
            arrayelement1=band("B08"),
            arrayelement2=band("B04"),
            subtract1=node("subtract", x=ref("arrayelement1"), y=ref("arrayelement2")),
            add1=node("add", x=ref("arrayelement1"), y=ref("arrayelement2")),
            divide1=result("divide", x=ref("subtract1"), y=ref("add1")),
        ),
    ),
    "numbers on either side": (
        1 - 2 * B8,
        over_bands(
            arrayelement1=band("B08"),
            multiply1=node("multiply", x=2, y=ref("arrayelement1")),
            subtract1=result("subtract", x=1, y=ref("multiply1")),
        ),
    ),
    "comparison and logic": (
        (B8 > 0.3) & ~(B4 == 3),
        over_bands(
            arrayelement1=band("B08"),
            gt1=node("gt", x=ref("arrayelement1"), y=0.3),
            arrayelement2=band("B04"),
            eq1=node("eq", x=ref("arrayelement2"), y=3),
            not1=node("not", x=ref("eq1")),
            and1=result("and", x=ref("gt1"), y=ref("not1")),
        ),
    ),
    "a power": (B8**2, over_bands(arrayelement1=band("B08"), power1=result("power", base=ref("arrayelement1"), p=2))),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_becomes_this_graph(name: str) -> None:
    cube, expected = CASES[name]
    assert cube.graph == expected


@pytest.mark.parametrize(
    ("cube", "process"),
    [
        (B8 + 1, "add"), (1 + B8, "add"), (B8 - 1, "subtract"), (B8 * 2, "multiply"), (B8 / 2, "divide"),
        (2 / B8, "divide"), (-B8, "multiply"), (abs(B8), "absolute"), (B8 < 1, "lt"), (B8 <= 1, "lte"), (B8 > 1, "gt"),
        (B8 >= 1, "gte"), (B8 == 1, "eq"), (B8 != 1, "neq"), (B8 & B4, "and"), (B8 | B4, "or"), (B8 ^ B4, "xor"),
        (~B8, "not"), (B8.apply("sqrt"), "sqrt"),
    ],
)  # fmt: skip
def test_each_operator_is_its_process(cube: bdap.Cube, process: str) -> None:
    reducer = cube.graph["reducedimension1"]["arguments"]["reducer"]["process_graph"]
    assert [each["process_id"] for each in reducer.values() if each.get("result")] == [process]


def test_over_time_then_pixel_by_pixel() -> None:
    graph = (S2.ndvi().median() > 0.4).graph
    assert [each["process_id"] for each in graph.values()] == [
        "load_collection",
        "reduce_dimension",
        "reduce_dimension",
        "apply",
    ]
    assert graph["reducedimension2"]["arguments"]["dimension"] == TIME
    callback = {"process_graph": {"gt1": result("gt", x={"from_parameter": "x"}, y=0.4)}}
    assert graph["apply1"] == result("apply", data=ref("reducedimension2"), process=callback)


def test_a_cloud_mask_reads_the_scene_classes_of_the_same_load() -> None:
    graph = S2.mask_clouds().graph
    assert [name for name in graph if name.startswith("load")] == ["loadcollection1"]
    assert graph["mask1"] == result("mask", data=ref("loadcollection1"), mask=ref("reducedimension1"))
    inner = graph["reducedimension1"]["arguments"]["reducer"]["process_graph"]
    assert [each["arguments"]["y"] for each in inner.values() if each["process_id"] == "eq"] == [3, 8, 9, 10]


def test_a_cloud_mask_loads_the_scene_classes_where_the_bands_lack_them() -> None:
    graph = S2.bands("B04").mask_clouds().graph
    assert [n["arguments"]["bands"] for n in graph.values() if n["process_id"] == "load_collection"] == [
        ["B04"],
        ["SCL"],
    ]


def test_equal_nodes_appear_once_although_written_twice() -> None:
    again = bdap.collection("s2")
    graph = (S2.ndvi().median() - again.ndvi().median().mask(again.ndvi().median() < 0)).graph
    processes = [each["process_id"] for each in graph.values()]
    assert processes.count("load_collection") == 1 and processes.count("merge_cubes") == 1


def test_different_times_are_merged_pixel_by_pixel() -> None:
    spring, summer = (
        S2.between(*days).ndvi().median() for days in (("2025-04-01", "2025-05-31"), ("2025-06-01", "2025-08-31"))
    )
    merged = (summer - spring).graph["mergecubes1"]
    resolver = {
        "process_graph": {"subtract1": result("subtract", x={"from_parameter": "x"}, y={"from_parameter": "y"})}
    }
    assert merged["arguments"]["overlap_resolver"] == resolver and merged["result"]


def test_filters_after_other_operations_are_nodes_of_their_own() -> None:
    late = S2.mask(B8 < 0).between("2025-04-01", "2025-04-30").inside((8, 45, 9, 46)).bands("B04")
    assert [n["process_id"] for n in late.graph.values()][-3:] == ["filter_temporal", "filter_bbox", "filter_bands"]


def test_a_colour_map_is_a_style_and_leaves_values_alone() -> None:
    plain = S2.ndvi().median()
    styled = plain.colormap("RdYlGn", -0.2, 0.9)
    options = {"colormap": "rdylgn", "min": -0.2, "max": 0.9}
    assert styled.graph["saveresult1"] == result(
        "save_result", data=ref("reducedimension2"), format="PNG", options=options
    )
    assert (styled > 0).key == (plain > 0).key


def test_a_stretch_scales_to_a_picture() -> None:
    scale = (
        S2.bands("B04", "B03", "B02").median().stretch(0, 0.3).graph["apply1"]["arguments"]["process"]["process_graph"]
    )
    expected = {"x": {"from_parameter": "x"}, "inputMin": 0, "inputMax": 0.3, "outputMin": 0, "outputMax": 255}
    assert scale["linearscalerange1"]["arguments"] == expected


@pytest.mark.parametrize(
    "cube", [S2, S2.ndvi(), S2.mask_clouds().ndvi().median().colormap("viridis", 0, 1), S2.where(cloud_cover=9)]
)
def test_json_goes_there_and_back(cube: bdap.Cube) -> None:
    again = bdap.from_json(cube.to_json())
    assert again.graph == cube.graph and again.style == cube.style


def test_cubes_are_immutable_and_short_to_look_at() -> None:
    before = S2.key
    S2.between("2025-01-01", "2025-01-02").where(cloud_cover=1).ndvi().median()
    assert S2.key == before
    with pytest.raises(AttributeError):
        S2.style = None  # type: ignore[misc]
    assert repr(S2.ndvi()) == "<Cube of s2: 2 processes, nothing read yet>"


@pytest.mark.parametrize(
    ("write", "part"),
    [
        (lambda: S2.between("2025-09-30", "2025-04-01"), "the dates are swapped: 2025-09-30 is after 2025-04-01"),
        (lambda: S2.between("April", "May"), "'April' is no date"),
        (lambda: S2.inside((9, 45, 8, 46)), "the box (9, 45, 8, 46) is empty"),
        (lambda: S2.during("2024").during("2023"), "no day from 2023-01-01 until 2024-01-01 is among those"),
        (lambda: S2.inside((8, 45, 9, 46)).inside((9, 45, 10, 46)), "(9, 45, 10, 46) does not meet the one chosen"),
        (lambda: S2.inside((10, -20, -10, 0)).inside((-20, -20, 20, 0)), "meet in two places"),
        (lambda: S2.mask_outside((9, 45, 8, 46)), "the box (9, 45, 8, 46) is empty"),
        (lambda: S2.ndvi().physical(), "physical() comes after maths"),
        (lambda: float("nan") < B4, "a cube and nan cannot be combined by gt"),
        (lambda: bdap.prop.cloud_cover < float("nan"), "cannot be compared with nan"),
        (lambda: S2.where(cloud_cover=float("nan")), "cloud_cover=nan is no number"),
        (lambda: B4.apply("max", y=float("nan")).graph, "nan is no number for a process"),
        (lambda: bdap.from_json("[1]"), "this is no process graph"),
        (lambda: bdap.from_json('{"a": 1}'), "this is no process graph"),
        (lambda: S2.apply_udf(np.sqrt), "is no function"),
        (lambda: S2.to_xarray(chunks="auto"), "chunks='auto' is no number of pixels"),  # type: ignore[arg-type]
        (lambda: S2.to_xarray(chunks={"x": 512}), "is no number of pixels"),  # type: ignore[arg-type]
        (lambda: S2.to_xarray(chunks=-1), "chunks=-1 is no number of pixels"),
        (lambda: S2.during(None), "None is no date"),
        (lambda: S2.during(pandas.NaT), "NaT is no date"),
        (lambda: S2.during(np.datetime64("NaT", "ns")), "'NaT' is no date"),
        (lambda: S2.during(["2024"]), "['2024'] is no date"),
        (lambda: S2.during(True), "True is no date"),
        (lambda: S2.during("2024-13"), "'2024-13' is no month"),
        (lambda: S2.inside("Ispra"), "'Ispra' is no box"),
        (lambda: S2.where(cloud_cover="few"), "cloud_cover='few' is no number"),
        (lambda: S2.ndvi().where(cloud_cover=1), "where() comes after another operation"),
        (lambda: S2.bands(), "bands() needs at least one name"),
        (lambda: S2.median().median(), "has no dates any more"),
        (lambda: S2.median().mask_clouds(), "mask_clouds() comes after a reduction over time"),
        (lambda: S2.reduce("average"), "there is no reducer 'average'"),
        (lambda: S2.mask(True), "mask() got True"),
        (lambda: S2.stretch(1, 1), "stretch(1, 1) is empty"),
        (lambda: S2.colormap("viridis", 1, 0), "colormap from 1 to 0 is empty"),
        (lambda: B8 + "1", "a cube and '1' cannot be combined by add"),
        (lambda: B8**B4, "to the power of"),
        (lambda: bool(B8), "neither true nor false"),
        (lambda: 0 < B8 < 1, "neither true nor false"),
        (lambda: bdap.from_json("{"), "this is no JSON"),
        (lambda: bdap.from_json("{}"), "0 result nodes"),
        (lambda: bdap.from_json(LOOSE % "b"), "no node 'b'"),
        (lambda: bdap.from_json(LOOSE % "a"), "circle"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_says_so_and_what_to_do(write: Any, part: str) -> None:
    with pytest.raises(bdap.BadCube) as error:
        write()
    assert part in error.value.message and error.value.remedy


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2025-01-01", "2025-01-01", ["2025-01-01", "2025-01-02"]),
        (date(2025, 12, 31), date(2025, 12, 31), ["2025-12-31", "2026-01-01"]),
        ("2025-01-01", datetime(2025, 1, 1, 12), ["2025-01-01", "2025-01-01T12:00:00Z"]),
        ("2025-01-01T00:00:00+02:00", "2025-01-02", ["2024-12-31T22:00:00Z", "2025-01-03"]),
        (datetime(2024, 6, 1), datetime(2024, 6, 30), ["2024-06-01", "2024-07-01"]),
        (pandas.Timestamp("2024-06-30"), pandas.Timestamp("2024-06-30"), ["2024-06-30", "2024-07-01"]),
        ("20240601", "20240601", ["2024-06-01", "2024-06-02"]),
        (2024, 2024, ["2024-01-01", "2025-01-01"]),
        (np.int64(2024), np.datetime64("2024-06"), ["2024-01-01", "2024-07-01"]),
        (np.datetime64("2024-06-30"), np.datetime64("2024-06-30", "ns"), ["2024-06-30", "2024-07-01"]),
        (np.datetime64("2024-06-30T10:30"), np.datetime64("2024-07-01"), ["2024-06-30T10:30:00Z", "2024-07-02"]),
        ("2024-06-30T10:15:00Z", "2024-06-30T10:15:00Z", ["2024-06-30T10:15:00Z", "2024-06-30T10:15:01Z"]),
    ],
)
def test_intervals(first: Any, last: Any, expected: list[str]) -> None:
    assert filters.interval(first, last) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"cloud_cover": "<= 20"}, {"eo:cloud_cover": ("lte", 20)}),
        ({"platform": "sentinel-2a"}, {"platform": ("eq", "sentinel-2a")}),
        ({"view:off_nadir": ">2.5"}, {"view:off_nadir": ("gt", 2.5)}),
    ],
)
def test_conditions(wanted: dict[str, Any], expected: dict[str, Any]) -> None:
    assert filters.conditions(wanted) == expected


def test_the_search_finds_what_the_load_reads() -> None:
    chosen = S2.between("2025-04-01", "2025-04-30").inside((8, 45, 9, 46)).where(cloud_cover=20)
    assert filters.search_of(chosen._node.arguments) == {
        "collections": ["s2"],
        "datetime": "2025-04-01T00:00:00Z/2025-04-30T23:59:59Z",
        "bbox": [8.0, 45.0, 9.0, 46.0],
        "query": {"eo:cloud_cover": {"lt": 20}},
    }


def searched(cube: bdap.Cube) -> dict[str, Any]:
    return filters.search_of(cube._load)


def test_a_second_choice_narrows_the_first() -> None:
    cloud = bdap.prop.cloud_cover
    both = {
        "op": "and",
        "args": [{"op": op, "args": [{"property": "eo:cloud_cover"}, v]} for op, v in ((">", 5), ("<", 20))],
    }
    for cube in (
        S2.where(cloud > 5, cloud < 20),
        S2.where(cloud > 5).where(cloud < 20),
        S2.where(cloud > 5, cloud_cover=20),
    ):
        assert searched(cube)["filter"]["op"] == "and" and "query" not in searched(cube)
    assert searched(S2.where(cloud > 5, cloud < 20))["filter"] == both
    assert searched(S2.where(cloud < 5, platform="a"))["query"] == {
        "eo:cloud_cover": {"lt": 5},
        "platform": {"eq": "a"},
    }
    assert S2.during("2024").during("2024-06", "2025")._load["temporal_extent"] == ["2024-06-01", "2025-01-01"]
    assert searched(S2.inside((8, 45, 10, 47)).inside((9, 44, 12, 46)))["bbox"] == [9, 45, 10, 46]


@pytest.mark.parametrize(
    ("one", "two", "bbox"),
    [
        ((170, -20, -170, -10), (175, -30, 179, -5), [175, -20, 179, -10]),
        ((170, -20, -170, -10), (-178, -30, -160, -5), [-178, -20, -170, -10]),
        ((170, -20, -170, -10), (175, -15, -175, 0), [175, -15, -175, -10]),
        ((170, -20, -170, -10), (-180, -90, 180, 90), [170, -20, -170, -10]),
        ((-180, -90, 180, 90), (170, -20, -170, -10), [170, -20, -170, -10]),
        ((-178, -20, -160, 0), (175, -15, -170, 10), [-178, -15, -170, 0]),
    ],
)
def test_boxes_narrow_across_the_antimeridian(one: Any, two: Any, bbox: list[float]) -> None:
    assert searched(S2.inside(one).inside(two))["bbox"] == bbox


def test_the_order_stays_where_an_area_is_chosen_afterwards() -> None:
    assert S2.sorted("-cloud_cover").inside(AREA).order == (("eo:cloud_cover", True),)


def test_numbers_of_numpy_are_numbers() -> None:
    one, half = np.int64(1), np.float32(0.5)
    for made, plain in (
        (B4.stretch(one, np.int64(9)), B4.stretch(1, 9)),
        (B4.mask_values(one, half + 3), B4.mask_values(1, 3.5)),
        (B4.colormap({one: "#063"}), B4.colormap({1: "#063"})),
        (B4.styled(breaks=np.array([1, 2])), B4.styled(breaks=[1, 2])),
        (B4.classify(np.array([0.5, 1.0])), B4.classify([0.5, 1.0])),
        (B4.classify({one: (half, None)}), B4.classify({1: (0.5, None)})),
        (B4**one > half, B4**1 > 0.5),
        (S2.where(bdap.prop.cloud_cover < one, platform=np.str_("a")), S2.where(cloud_cover=1, platform="a")),
    ):
        assert json.loads(made.to_json()) == json.loads(plain.to_json())
    assert "nothing read yet" in repr(B4.apply("max", y=np.nan))


def test_physical_comes_after_masks_also_wide_ones() -> None:
    wide = S2.mask_clouds(wide=True).mask_outside((8, 45, 9, 46)).physical()
    assert [each["process_id"] for each in wide.graph.values()][:2] == ["load_collection", "physical_values"]


def test_items_are_chosen_by_id() -> None:
    assert searched(S2.where(id="abc"))["query"] == {"id": {"eq": "abc"}}
    assert searched(S2.where(bdap.prop.id.isin(["a", "b"])))["ids"] == ["a", "b"]


@pytest.mark.parametrize(
    ("properties", "day"),
    [
        ({"datetime": "2024-06-01T10:00:00Z"}, "2024-06-01"),
        ({"datetime": None, "start_datetime": "2021-01-01T00:00:00Z"}, "2021-01-01"),
        ({}, ""),
    ],
)
def test_an_item_of_a_period_is_of_its_first_day(properties: dict[str, Any], day: str) -> None:
    assert filters.day_of({"properties": properties}) == day
