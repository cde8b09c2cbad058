"""Process graphs as hypothesis strategies, from the registry's own specifications: right ones, and all kinds of wrong.

What a parameter gets is mostly of a type that it takes, sometimes anything; some graphs are broken on purpose.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from bdap_hub.processing.graphs.spec import Parameter, Process
from bdap_hub.processing.processes import REGISTRY

LOADS = ("load_collection", "load_stac", "load_result")
CUBES = sorted(name for name, one in REGISTRY.items() if name not in LOADS and any(p.takes(True) for p in one.parameters
                                                                                   if not p.callback))  # fmt: skip
PLAIN = sorted(name for name, one in REGISTRY.items() if name not in CUBES and name not in LOADS)
BANDS = ["B02", "B03", "B04", "B08", "SCL"]
TEXTS = [
    "", "t", "x", "y", "bands", "nir", "red", *BANDS, "2024-05-01", "2024-06-01T00:00:00Z", "2024-02-30", "month",
    "week", "dekad", "mean", "median", "bilinear", "near", "average", "PNG", "GTiff", "JSON", "EPSG:3035", "fields",
    "NDVI", "EVI", "../../etc/passwd", "%s{0}", "\u202e\U0001f30d", "a" * 5000,
    "9999-12-31", "0000-00-00", "-1", "P1D", "<script>", "' or 1=1 --",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 5, 0.5, -0.0, 1e308, -1e308, 5e-324, 10**30, -(10**300), 2**31, 2**63, 2**64, 1000, 10**6,
           10**9, 4326, 3857, 32632, 10**307, True]  # fmt: skip
BOXES = [
    {"west": 14.67, "south": 46.8, "east": 14.7, "north": 46.83},
    {"west": -180, "south": -90, "east": 180, "north": 90},
    {"west": 170, "south": -10, "east": -170, "north": 10},
    {"west": 1, "south": 1, "east": 0, "north": 0},
    {"west": 1e300, "south": -1e300, "east": 1e308, "north": 1e308, "crs": 3857},
    {"west": 0, "south": 0, "east": 1, "north": 1, "crs": 10**9},
    {"west": 4e6, "south": 2e6, "east": 5e6, "north": 3e6, "crs": 3035},
]
RINGS = [
    [[14.67, 46.8], [14.7, 46.8], [14.7, 46.83], [14.67, 46.8]],
    [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]],
    [[0, 0], [0, 0], [0, 0], [0, 0]],
    [[1e308, 0], [0, -1e308], [1, 1], [1e308, 0]],
    [[0, 0], [1e300, 80]],
    [],
]
SHAPES: list[Any] = [
    *({"type": "Polygon", "coordinates": [ring]} for ring in RINGS),
    {"type": "Point", "coordinates": [14.68, 46.81]},
    {"type": "LineString", "coordinates": RINGS[0]},
    {"type": "GeometryCollection", "geometries": []},
    {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"a": "\u202e"}, "geometry": None}]},
    {"type": "Feature", "properties": None, "geometry": {"type": "Polygon", "coordinates": [RINGS[0]]}},
    {"type": "Polygon"},
    {"type": []},
]
WILD = [math.nan, math.inf, -math.inf, 10**400, "\ud800", "a\u0000", {"\udfff": 1}]
"""What is no JSON to others: refused before the graph is looked at, so it is rare."""
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1), max_size=8)
numbers = st.sampled_from(NUMBERS) | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars | st.sampled_from(BOXES) | st.sampled_from(SHAPES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
intervals = st.lists(st.sampled_from([None, *TEXTS]), min_size=2, max_size=2)
long = st.sampled_from([1000, 30_000]).flatmap(lambda n: st.sampled_from([list(range(n)), ["a"] * n, [[0] * n] * 3]))
TYPES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "number": numbers,
    "integer": st.integers(-3, 400) | st.sampled_from([10**6, 2**31, 2**63, 10**30, -(10**300)]),
    "string": texts,
    "array": st.lists(scalars, max_size=5) | intervals | st.lists(st.lists(numbers, min_size=3, max_size=3), max_size=3)
    | st.lists(st.sampled_from(BANDS), max_size=3) | long,
    "object": st.sampled_from(BOXES) | st.sampled_from(SHAPES) | st.dictionaries(texts, scalars, max_size=3),
}  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """A process graph; most begin with a collection that is there and go on for some nodes."""
    nodes: dict[str, Any] = {"load": draw(loads())}
    for number in range(draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3, 5]))):
        process = REGISTRY[draw(st.sampled_from(CUBES if draw(st.integers(0, 4)) else PLAIN))]
        nodes[f"n{number}"] = draw(calls(process, list(nodes), (), 0))
    nodes[list(nodes)[-1]]["result"] = True
    return nodes if draw(st.integers(0, 5)) else draw(broken(nodes))


@st.composite
def loads(draw: st.DrawFn) -> Any:
    """A node that loads: nearly always what is there."""
    if not draw(st.integers(0, 14)):
        return draw(calls(REGISTRY[draw(st.sampled_from(LOADS))], [], (), 0))
    arguments: dict[str, Any] = {"id": "fields", "spatial_extent": None, "temporal_extent": None}
    if draw(st.booleans()):
        arguments["bands"] = draw(st.lists(st.sampled_from(BANDS), min_size=1, max_size=3))
    if not draw(st.integers(0, 9)):
        arguments["spatial_extent"] = draw(TYPES["object"])
    if not draw(st.integers(0, 9)):
        arguments["temporal_extent"] = draw(intervals)
    return {"process_id": "load_collection", "arguments": arguments}


@st.composite
def calls(draw: st.DrawFn, process: Process, names: list[str], known: tuple[str, ...], depth: int) -> Any:
    """A call of a process: its cubes come from nodes before it, or from the parameters that a callback has."""
    arguments = {}
    for one in process.parameters:
        if one.optional and draw(st.integers(0, 2)):
            continue
        arguments[one.name] = draw(values(one, names, known, depth))
    if not draw(st.integers(0, 99)):
        arguments[draw(texts)] = draw(anything)
    return {"process_id": process.id, "arguments": arguments}


@st.composite
def values(draw: st.DrawFn, one: Parameter, names: list[str], known: tuple[str, ...], depth: int) -> Any:
    """What a parameter gets."""
    if not draw(st.integers(0, 24)):
        return draw(anything)
    if one.callback and depth < 3:
        return {"process_graph": draw(callbacks(tuple(sorted(one.callback)), depth + 1))}
    if names and (one.takes(True) or not draw(st.integers(0, 5))):
        return {"from_node": draw(st.sampled_from([*names[-2:], *names[-1:] * 3]))}
    if known and draw(st.integers(0, 3)):
        return {"from_parameter": draw(st.sampled_from(known))}
    schema = draw(st.sampled_from(one.schemas))
    if "enum" in schema and draw(st.integers(0, 9)):
        return draw(st.sampled_from(schema["enum"]))
    kinds = schema.get("type", ["number", "string", "array"])
    return draw(TYPES[kinds if isinstance(kinds, str) else draw(st.sampled_from(kinds))])


@st.composite
def callbacks(draw: st.DrawFn, known: tuple[str, ...], depth: int) -> Any:
    """The process graph of a callback, of one to three nodes."""
    nodes: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 3))):
        process = REGISTRY[draw(st.sampled_from(PLAIN if draw(st.integers(0, 9)) else CUBES))]
        nodes[f"c{number}"] = draw(calls(process, list(nodes), known, depth))
    nodes[list(nodes)[-1]]["result"] = True
    return nodes


@st.composite
def broken(draw: st.DrawFn, nodes: Any) -> Any:
    """The graph with something wrong in its form."""
    name = draw(st.sampled_from(list(nodes)))
    kind = draw(st.integers(0, 10))
    if kind == 10:
        nodes[name]["arguments"][draw(texts)] = draw(st.sampled_from(WILD))
    elif kind == 0:
        nodes[name]["arguments"]["data"] = {"from_node": list(nodes)[-1]}  # a cycle
    elif kind == 1:
        nodes[name]["arguments"]["data"] = {"from_node": draw(texts)}
    elif kind == 2:
        nodes[name] = draw(anything)
    elif kind == 3:
        nodes[name]["process_id"] = draw(anything)
    elif kind == 4:
        nodes[name]["arguments"] = draw(anything)
    elif kind == 5:
        return draw(anything)
    elif kind == 6:
        nodes[name]["arguments"]["data"] = nested(draw(st.sampled_from([30, 200, 900])), draw(st.booleans()))
    elif kind == 7:
        nodes[draw(texts)] = nodes.pop(name)
    elif kind == 8:
        nodes[name].update({"result": draw(anything), "namespace": draw(anything), "description": draw(anything)})
    else:
        nodes |= {f"z{i}": {"process_id": "add", "arguments": {"x": i, "y": {"from_node": f"z{i + 1}"}}}
                  for i in range(draw(st.sampled_from([100, 450, 600])))}  # fmt: skip
    return nodes


def nested(depth: int, lists: bool) -> Any:
    """Lists in lists, or callbacks in callbacks."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"process_graph": {"a": {"process_id": "add", "arguments": {"x": value, "y": 1},
                                                              "result": True}}}  # fmt: skip
    return value
