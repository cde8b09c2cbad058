"""Geometries that a graph gives by processes of its own, known before anything is read. PURE."""

from __future__ import annotations

from typing import Any

from ..cubes.cube import Cube
from ..cubes.vectors import as_geojson
from .graph import Graph, Node, Ref
from .interpret import NOWHERE, Context, nothing, run

CONSTANT = frozenset(
    {"load_geojson", "vector_reproject", "vector_buffer", "filter_vector", "filter_labels", "vector_to_regular_points"}
)
"""Processes that give the same geometries each time."""


def geometries(graph: Graph, value: Any) -> Any:
    """The GeoJSON of an argument: as it stands there, or as the graph makes it; None where that shows later only."""
    if not isinstance(value, Ref):
        return value
    nodes = _before(graph, value.node)
    if any(node.process not in CONSTANT for node in nodes):
        return None
    made = run(Graph(nodes, value.node), Context(NOWHERE, nothing))
    return as_geojson(made) if isinstance(made, Cube) else None


def _before(graph: Graph, identifier: str) -> tuple[Node, ...]:
    """The nodes that one needs, and itself, in the graph's order."""
    wanted, todo = set[str](), [identifier]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += graph.node(name).refs
    return tuple(node for node in graph.nodes if node.id in wanted)
