"""Where the dates of a graph can be worked through one by one, so that never all pixels of all dates are held. PURE.

A reducer over time takes its values date by date where everything before it treats each date by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..cubes.cube import Cube
from .graph import Graph, Node, Param, Ref, holds_code, walk
from .rewrite import LOADS

EACH = frozenset(
    {
        "apply", "apply_kernel", "aspect", "compute_indices", "edge_detection", "filter_bands", "filter_bbox",
        "filter_spatial", "filter_temporal", "focal_statistics", "gaussian_filter", "hillshade", "inspect",
        "mask", "mask_polygon", "mask_scl_dilation", "merge_cubes", "morphology", "ndvi", "physical_values",
        "reduce_dimension", "resample_cube_spatial", "resample_spatial", "slope", "terrain_index",
        "to_scl_dilation_mask", *LOADS,
    }
)  # fmt: skip
"""Processes that give for each date what they make of that date alone."""
TIME = "t"


@dataclass(frozen=True)
class Stream:
    """The reducer `node` over time, and the nodes before it that are run for each date, in order.

    `outside` are results that all dates need; `shapes` are those of the nodes' results, on no pixel.
    """

    node: Node
    steps: tuple[Node, ...]
    outside: frozenset[str]
    labels: tuple[Any, ...]
    shapes: Mapping[str, Cube]

    @property
    def graph(self) -> Graph:
        """The nodes before the reducer."""
        return Graph(self.steps, self.node.arguments["data"].node)

    @property
    def running(self) -> str:
        """The id of the reducer where it is one process on all values and nothing else; '' otherwise."""
        callback = self.node.arguments["reducer"]
        only = callback.nodes[0] if isinstance(callback, Graph) and len(callback.nodes) == 1 else None
        if only is None or only.arguments.get("data") != Param("data"):
            return ""
        more = {name: value for name, value in only.arguments.items() if name != "data" and value is not None}
        return only.process if more in ({}, {"ignore_nodata": True}) else ""


def streams(graph: Graph, shapes: Mapping[str, Any]) -> tuple[Stream, ...]:
    """The streams of a graph, given the result of each of its nodes on no pixel."""
    each: set[str] = set()
    for node in graph.nodes:
        if _each(node, shapes, each):
            each.add(node.id)
    found = []
    for node in graph.nodes:
        data = node.arguments.get("data")
        over_time = node.process == "reduce_dimension" and node.arguments["dimension"] == TIME
        whole = any(_foreign(value) for value in node.arguments.values() if isinstance(value, Graph))
        if over_time and not whole and isinstance(data, Ref) and data.node in each:
            found.append(_stream(node, graph, each, shapes))
    return tuple(stream for stream in found if stream is not None)


def _stream(node: Node, graph: Graph, each: set[str], shapes: Mapping[str, Any]) -> Stream | None:
    """None where somebody else needs what comes before the reducer as a whole."""
    wanted = {node.arguments["data"].node}
    for other in reversed(graph.nodes):
        if other.id in wanted:
            wanted |= other.refs & each
    others = (other for other in graph.nodes if other.id not in wanted and other.id != node.id)
    if graph.result in wanted or any(other.refs & wanted for other in others):
        return None
    steps = tuple(other for other in graph.nodes if other.id in wanted)
    outside = frozenset(ref for other in steps for ref in other.refs) - wanted
    labels = shapes[node.arguments["data"].node].labels[TIME]
    return Stream(node, steps, outside, labels, {other.id: shapes[other.id] for other in steps})


def _each(node: Node, shapes: Mapping[str, Any], each: set[str]) -> bool:
    """Whether a node's result of one date depends on that date alone."""
    result = shapes.get(node.id)
    if node.process not in EACH or not isinstance(result, Cube) or result.labels.get(TIME, ()) == ():
        return False
    if node.process == "reduce_dimension" and node.arguments["dimension"] == TIME:
        return False
    labels = result.labels[TIME]
    for ref in node.refs:
        before = shapes.get(ref)
        if isinstance(before, Cube) and TIME in before.dims and (ref not in each or before.labels[TIME] != labels):
            return False
    return not any(_foreign(value) for value in walk(node.arguments) if isinstance(value, Graph))


def _foreign(callback: Graph) -> bool:
    """Whether a callback starts code of a person, which is better asked once."""
    return holds_code(callback)


def cut(graph: Graph, found: Sequence[Stream]) -> Graph:
    """The graph without what is run date by date; its reducers name only what they need besides."""
    gone = {node.id for stream in found for node in stream.steps}
    reducers = {
        stream.node.id: replace(stream.node, arguments={"outside": [Ref(ref) for ref in sorted(stream.outside)]})
        for stream in found
    }
    return Graph(tuple(reducers.get(node.id, node) for node in graph.nodes if node.id not in gone), graph.result)
