"""Geometries that a graph gives by processes of its own, known before anything is read. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..cubes.cube import Cube
from ..cubes.vectors import as_geojson
from .graph import Graph, Node, Ref
from .interpret import NOWHERE, Context, nothing, run

CONSTANT = frozenset(
    {
        "filter_bbox",
        "filter_labels",
        "filter_vector",
        "load_geojson",
        "vector_buffer",
        "vector_reproject",
        "vector_to_random_points",
        "vector_to_regular_points",
    }
)
"""Processes that give the same geometries each time, if they get any."""


def geometries(graph: Graph, value: Any) -> Any:
    """The GeoJSON of an argument: as it stands there, or as the graph makes it; None where that shows later only."""
    if isinstance(value, Cube):
        return as_geojson(value)
    if not isinstance(value, Ref):
        return value
    nodes = _before(graph, value.node)
    if any(node.process not in CONSTANT for node in nodes):
        return None
    made = run(Graph(nodes, value.node), Context(NOWHERE, nothing))
    return as_geojson(made) if isinstance(made, Cube) else None


def folded(graph: Graph) -> Graph:
    """The graph with the geometries that it makes by itself in their place, so that no tile makes them again."""
    known: dict[str, Any] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        one = replace(node, arguments=_filled(node.arguments, known))
        if node.process in CONSTANT and not one.refs and node.id != graph.result:
            known[node.id] = run(Graph((one,), one.id), Context(NOWHERE, nothing))
        else:
            nodes.append(one)
    return Graph(tuple(nodes), graph.result)


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        return known.get(value.node, value)
    if isinstance(value, Mapping):
        return {key: _filled(inner, known) for key, inner in value.items()}
    return [_filled(inner, known) for inner in value] if isinstance(value, list) else value


def _before(graph: Graph, identifier: str) -> tuple[Node, ...]:
    """The nodes that one needs, and itself, in the graph's order."""
    wanted, todo = set[str](), [identifier]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += graph.node(name).refs
    return tuple(node for node in graph.nodes if node.id in wanted)
