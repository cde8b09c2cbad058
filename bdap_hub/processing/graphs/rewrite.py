"""`physical_values` is folded into what is read: a marked copy of the load, so that it costs nothing. PURE."""

from __future__ import annotations

from dataclasses import replace

from .graph import Graph, GraphError, Node, Ref

LOADS = frozenset({"load_collection", "load_stac", "load_result", "load_uploaded_files"})
KEEPS = frozenset({"filter_bands", "filter_bbox", "filter_labels", "filter_spatial", "filter_temporal", "mask"})
"""Processes between a load and `physical_values` that leave numbers as they are."""


def physical_loads(graph: Graph) -> Graph:
    """The graph without `physical_values`: its consumers take a copy of the chain below, whose load is marked."""
    nodes: dict[str, Node] = {}
    taken, copied = {node.id for node in graph.nodes}, dict[str, str]()
    for node in graph.nodes:
        chain = _chain(node, nodes, taken, copied) if node.process == "physical_values" else [node]
        nodes |= {one.id: one for one in chain}
    return Graph(tuple(nodes.values()), graph.result)


def _chain(node: Node, before: dict[str, Node], taken: set[str], copied: dict[str, str]) -> list[Node]:
    """Copies of the nodes from the load up to `node`, the last in its place and under its id.

    `copied` has the copy of each node that was copied before: it is taken, and so is all below it.
    """
    copies: list[Node] = []
    name, at = node.id, _below(node, before)
    while at.process in KEEPS:
        copied.setdefault(at.id, name)
        source = _below(at, before)
        known = copied.get(source.id)
        below = known or _free(source.id, taken)
        copies.append(replace(at, id=name, arguments={**at.arguments, "data": Ref(below)}))
        if known is not None:
            return copies[::-1]
        name, at = below, source
    if at.process not in LOADS:
        raise GraphError(
            "ProcessArgumentInvalid",
            f"node {node.id!r}: physical_values takes what a load or a filter gives, not what {at.process} gives",
            "put it right after the load, before maths",
        )
    copied.setdefault(at.id, name)
    return [replace(at, id=name, physical=True), *reversed(copies)]


def _below(node: Node, before: dict[str, Node]) -> Node:
    data = node.arguments["data"]
    return before[data.node] if isinstance(data, Ref) else replace(node, process="a parameter")


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
