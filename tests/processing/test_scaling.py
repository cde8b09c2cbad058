"""Scale and offset: as stored by default, physical on request, and never a jump where Sentinel-2 changed its offset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from affine import Affine

from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.bands import as_given
from bdap_hub.processing.graphs.graph import Graph, GraphError, Node, Ref
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.graphs.rewrite import physical_loads
from bdap_hub.processing.graphs.scaling import Scale, declared, onto
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.results.pixels import Evaluator
from bdap_hub.settings import Settings

from .conftest import X, Y, Z, collection, item, write_tiff
from .engines import compiled, engine_on
from .graphs import arg, call, load, node, of

GRID = Grid.tile(Z, X, Y)
BOX = tuple(GRID.bounds())
S2 = {"scale": 0.0001, "offset": -0.1}

DECLARED: list[tuple[Mapping[str, Any], Mapping[str, Any], str, Scale]] = [
    ({}, {}, "B04", Scale()),
    ({}, {"scale": 2, "offset": 3}, "x", Scale(2, 3)),
    ({}, {"raster:scale": 2, "raster:offset": 3}, "x", Scale(2, 3)),
    ({}, {"scale": 0}, "x", Scale()),  # a scale of 0 would make all values one
    ({}, {"scale": "nan", "offset": True}, "x", Scale()),
    ({}, S2, "B04", Scale(0.0001, -0.1)),
    ({"s2:processing_baseline": "05.09"}, S2, "B04", Scale(0.0001, -0.1)),
    ({"s2:processing_baseline": "05.09"}, {"scale": 0.0001}, "B04", Scale(0.0001, -0.1)),
    ({"s2:processing_baseline": "05.09"}, {}, "B04", Scale(1, -1000)),
    ({"s2:processing_baseline": "05.09"}, {}, "AOT", Scale()),
    ({"s2:processing_baseline": "03.00"}, S2, "B04", Scale(0.0001)),
    ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, S2, "B04", Scale(0.0001)),
    ({"earthsearch:boa_offset_applied": True}, S2, "red", Scale(0.0001)),
    ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, S2, "B04", Scale(0.0001, -0.1)),
    ({"constellation": "sentinel-2", "processing:version": "05.10"}, {}, "B8A", Scale(1, -1000)),
    ({"constellation": "landsat", "processing:version": "05.10"}, {}, "B04", Scale()),
]


@pytest.mark.parametrize(("properties", "band", "name", "scale"), DECLARED)
def test_what_an_item_declares(properties: Any, band: Any, name: str, scale: Scale) -> None:
    found = declared({"properties": properties}, band, names=(name,))
    assert (found.scale, found.offset) == pytest.approx((scale.scale, scale.offset))


def test_a_shift_is_a_whole_number_where_it_should_be() -> None:
    assert onto(Scale(0.0001, -0.1), Scale(0.0001)) == (1.0, -1000.0)
    assert onto(Scale(0.01), Scale()) == (0.01, 0.0)


def store(tmp_path: Path, dates: Mapping[str, tuple[int, Any]], **properties: Mapping[str, Any]) -> Any:
    """One-pixel-value files for each date with its `raster:bands`; the engine, and graphs made ready on them."""
    items = []
    place = Affine(GRID.xres, 0, GRID.left, 0, -GRID.yres, GRID.top)
    for date, (stored, raster) in dates.items():
        pixels = np.full((256, 256), stored, np.uint16)
        pixels[0, 0] = 0
        write_tiff(tmp_path / f"data/s/{date}.tif", pixels, "EPSG:3857", place, overviews=())
        described = {"href": f"/eos/data/s/{date}.tif", "type": "image/tiff", "roles": ["data"]}
        described |= {"eo:bands": [{"name": "B04"}], "raster:bands": [{"nodata": 0, **raster}]}
        made = item("s", f"s-{date}", date, BOX, 0, {"B04": described})
        made["properties"] |= properties.get(f"on_{date[:4]}", {})
        items.append(made)
    return engine_on(tmp_path), items


def series(engine: Any, items: Any, graph: Any, described: Any = None) -> list[float | None]:
    made = compiled(graph, [described or collection("s", "public", "", BOX)], items)
    west, _, east, north = BOX
    values = engine.point(made, (west + east) / 2, north - (north - BOX[1]) / 2)["values"]
    return [bands["B04"] for bands in values.values()]


PLAIN = {"data": load("s", bands=["B04"]), "all": node("save_result", True, data=of("data"), format="PNG")}
PHYSICAL = {
    "data": load("s", bands=["B04"]),
    "physical": node("physical_values", data=of("data")),
    "all": node("save_result", True, data=of("physical"), format="PNG"),
}


def test_a_series_across_baseline_4_does_not_jump(tmp_path: Path) -> None:
    """The same reflectance, 0.2, stored as 2000 before and as 3000 since; one item hides it, one has it taken off."""
    old, new = {"s2:processing_baseline": "03.01"}, {"s2:processing_baseline": "05.09"}
    engine, items = store(
        tmp_path,
        {"2021-06-01": (2000, S2), "2022-06-01": (3000, S2), "2023-06-01": (3000, {}), "2024-06-01": (2000, S2)},
        on_2021=old,
        on_2022=new,
        on_2023=new,
        on_2024=new | {"earthsearch:boa_offset_applied": True},
    )
    items[2]["assets"]["B04"]["raster:bands"] = [{"nodata": 0, "scale": 0.0001}]
    assert series(engine, items, PLAIN) == [2000] * 4
    assert series(engine, items, PHYSICAL) == pytest.approx([0.2] * 4)
    assert series(engine, items[1:2], PLAIN) == [2000]  # whichever dates are chosen
    for found in items:  # the control: without a baseline all is as it is stored
        found["properties"] = {"datetime": found["properties"]["datetime"]}
        found["assets"]["B04"]["raster:bands"] = [{"nodata": 0}]
    assert series(engine, items, PLAIN) == [2000, 3000, 3000, 2000]


def test_raw_products_with_the_shift_declared_by_hand(tmp_path: Path) -> None:
    """As `bdap catalogue ingest --scale 0.0001 --offset -0.1` writes them: no property tells the mission."""
    engine, items = store(tmp_path, {"2022-06-01": (3000, S2)})
    assert series(engine, items, PLAIN) == [2000]
    engine, items = store(tmp_path, {"2022-06-01": (3000, {"scale": 0.0001, "offset": -0.2})})  # not that shift
    assert series(engine, items, PLAIN) == [3000]


def test_the_collection_says_in_which_scale_values_are_given() -> None:
    """Clients apply scale and offset by the collection's metadata: these must fit what load_collection gives."""
    raw = {"scale": 0.0001, "offset": -0.1}
    assets = {"B04": {"bands": [{"raster:scale": 0.0001, "raster:offset": -0.1}], "raster:bands": [raw]}}
    other = {"lwir": {"raster:bands": [{"scale": 0.00341802, "offset": 149}]}, "SCL": {"roles": ["data"]}}
    assert as_given(assets | other) == {
        "B04": {
            "bands": [{"raster:scale": 0.0001, "raster:offset": 0}],
            "raster:bands": [{"scale": 0.0001, "offset": 0}],
        },
        **other,
    }


def test_other_scales_are_brought_to_the_collections(tmp_path: Path) -> None:
    kelvin = {"scale": 0.01, "offset": 273.15}
    engine, items = store(
        tmp_path, {"2020-01-01": (1000, kelvin), "2020-01-02": (20, {"scale": 0.5, "offset": 273.15})}
    )
    described = collection("s", "public", "", BOX)
    assert series(engine, items, PHYSICAL, described) == pytest.approx([283.15, 283.15])
    described["item_assets"] = {
        "B04": {"type": "image/tiff", "bands": [{"raster:scale": 0.01, "raster:offset": 273.15}]}
    }
    assert series(engine, items, PLAIN, described) == pytest.approx([1000, 1000])
    assert series(engine, items[1:], PLAIN, described) == pytest.approx([1000])


def test_a_single_scale_is_left_to_the_user_as_the_standard_says(tmp_path: Path) -> None:
    landsat = {"scale": 0.0000275, "offset": -0.2}
    engine, items = store(tmp_path, {"2020-01-01": (18000, landsat)})
    assert series(engine, items, PLAIN) == [18000]
    assert series(engine, items, PHYSICAL) == pytest.approx([0.295])


def test_nodata_is_a_stored_number(tmp_path: Path) -> None:
    """1000 with the offset -1000 is 0, and has a value; 0 is nodata, and stays it."""
    engine, items = store(tmp_path, {"2022-06-01": (1000, S2)}, on_2022={"s2:processing_baseline": "04.00"})
    made = compiled(PLAIN, [collection("s", "public", "", BOX)], items)
    native = Evaluator(Settings(environment="demo", store={"root": tmp_path}, processing={"port": 1}), made)
    for values in (engine.cube(made, GRID).data[0, 0], native.cube(native.placed.window).data[0, 0]):
        assert np.isnan(values[0, 0]) and (values.ravel()[1:] == 0).all()


def test_both_ways_in_one_graph_and_through_filters(tmp_path: Path) -> None:
    engine, items = store(tmp_path, {"2020-01-01": (18000, {"scale": 0.0001}), "2020-02-01": (0, {"scale": 0.0001})})
    graph = {
        "data": load("s", bands=["B04"]),
        "first": node("filter_temporal", data=of("data"), extent=["2020-01-01", "2020-01-31"]),
        "physical": node("physical_values", data=of("first")),
        "twice": node("physical_values", data=of("physical")),
        "ratio": node(
            "merge_cubes",
            True,
            cube1=of("first"),
            cube2=of("twice"),
            overlap_resolver=call("divide", **{"x": arg("x"), "y": arg("y")}),
        ),
    }
    assert [query.physical for query in queries(parse(graph, REGISTRY))] == [False, True]
    assert series(engine, items, graph) == pytest.approx([10000])


@pytest.mark.parametrize("count", [2, 200])
def test_the_geometries_before_many_of_them_are_written_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each had a copy of its own, which was written out to be hashed."""
    ring = [[0.0, 0.0], *([n / 1000, 1.0] for n in range(1000)), [0.0, 0.0]]
    graph: dict[str, Any] = {
        "data": load("s", bands=["B04"]),
        "area": node("filter_spatial", data=of("data"), geometries={"type": "Polygon", "coordinates": [ring]}),
        "p0": node("physical_values", data=of("area")),
        "m0": node("merge_cubes", cube1=of("area"), cube2=of("p0")),
    }
    for n in range(1, count):
        graph[f"p{n}"] = node("physical_values", data=of("area"))
        graph[f"m{n}"] = node("merge_cubes", n == count - 1, cube1=of(f"m{n - 1}"), cube2=of(f"p{n}"))
    whole = physical_loads(Graph(tuple(Node(name, one["process_id"], _refs(one)) for name, one in graph.items()), "m0"))
    assert len(whole.nodes) == len(graph) + 1 and len({id(n.arguments.get("geometries")) for n in whole.nodes}) == 2
    written, dumps = list[int](), json.dumps

    def counted(value: Any, **how: Any) -> str:
        written.append(len(text := dumps(value, **how)))
        return text

    monkeypatch.setattr("bdap_hub.processing.graphs.parse.json", SimpleNamespace(dumps=counted))
    parsed = parse(graph, REGISTRY)
    processes = [one.process for one in parsed.nodes]
    assert processes.count("filter_spatial") == processes.count("load_collection") == 2
    assert len(dumps(ring)) < sum(written) < 2 * len(dumps(ring)) + 200 * len(graph)


def _refs(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A node's arguments as the parser leaves them."""
    given = raw["arguments"].items()
    return {key: Ref(one["from_node"]) if isinstance(one, dict) and "from_node" in one else one for key, one in given}


def test_after_maths_nobody_knows_the_scale() -> None:
    graph = {
        "data": load("s", bands=["B04"]),
        "more": node("apply", data=of("data"), process=call("add", x=arg("x"), y=1)),
        "physical": node("physical_values", True, data=of("more")),
    }
    with pytest.raises(GraphError, match="takes what a load or a filter gives, not what apply gives"):
        parse(graph, REGISTRY)
    graph["physical"]["arguments"]["data"] = of("data")
    assert [n.process for n in parse(graph, REGISTRY).nodes] == ["load_collection"]
