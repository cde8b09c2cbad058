"""Walks through a graph's nodes: what it loads, whether time is still there, where values are as stored. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .errors import BadCube
from .graph import Node
from .maths import TIME

LOADS = ("load_collection", "load_stac", "load_result", "load_uploaded_files")
KEEPS = (
    "filter_bands", "filter_bbox", "filter_labels", "filter_spatial", "filter_temporal", "mask", "mask_polygon",
    "mask_scl_dilation", "aggregate_temporal_period", "aggregate_temporal", "resample_spatial", "resample_cube_spatial",
)  # fmt: skip
"""Processes that mean the same before and after values are brought into their unit."""


def loads(node: Node) -> list[Node]:
    """Every load_collection the graph reads, each once."""
    found = {id(each): each for each in _nodes(node, set()) if each.process == "load_collection"}
    return list(found.values())


def sources(node: Node) -> list[Node]:
    """Every node that loads anything, each once."""
    return [each for each in _nodes(node, set()) if each.process in LOADS]


def sole_load(node: Node) -> Node:
    """The one load that a cube's own pixels (not its masks) come from."""
    while node.process not in LOADS:
        data = node.arguments.get("data")
        if not isinstance(data, Node):
            raise BadCube(
                f"the cube does not stem from one collection only: {node.process} stands in between",
                "mask the clouds of each part before combining them",
            )
        node = data
    return node


def physical(node: Node) -> Node | None:
    """The same with values in the unit that they measure; None where maths stand between them and the load."""
    if node.process in LOADS:
        return Node("physical_values", {"data": node})
    if node.process == "physical_values":
        return node
    over_time = node.process == "reduce_dimension" and node.arguments.get("dimension") == TIME
    data = node.arguments.get("data")
    if not (over_time or node.process in KEEPS) or not isinstance(data, Node):
        return None
    below = physical(data)
    return None if below is None else Node(node.process, {**node.arguments, "data": below})


def without_time(node: Node) -> bool:
    """Whether the cube has been reduced over time."""
    if node.process == "reduce_dimension" and node.arguments.get("dimension") == TIME:
        return True
    above = [node.arguments[key] for key in ("data", "cube1", "cube2") if isinstance(node.arguments.get(key), Node)]
    return bool(above) and all(without_time(each) for each in above)


def composed(node: Node) -> bool:
    """Whether its dates are periods that were made of several."""
    return any(each.process.startswith("aggregate_temporal") for each in _nodes(node, set()))


def period(node: Node) -> str:
    """The calendar period that its dates were aggregated to last; empty where they were not."""
    found = (each for each in _nodes(node, set()) if each.process == "aggregate_temporal_period")
    return next((str(each.arguments["period"]) for each in found), "")


def _nodes(value: Any, seen: set[int]) -> Iterator[Node]:
    if isinstance(value, Node) and id(value) not in seen:
        seen.add(id(value))
        yield value
        for argument in value.arguments.values():
            yield from _nodes(argument, seen)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item, seen)
