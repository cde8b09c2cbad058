"""Walks through a graph's nodes: what it loads, whether time is still there. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .errors import BadCube
from .graph import Node
from .maths import TIME


def loads(node: Node) -> list[Node]:
    """Every load_collection the graph reads, each once."""
    found = {id(each): each for each in _nodes(node, set()) if each.process == "load_collection"}
    return list(found.values())


def sole_load(node: Node) -> Node:
    """The one collection that a cube's own pixels (not its masks) come from."""
    while node.process != "load_collection":
        data = node.arguments.get("data")
        if not isinstance(data, Node):
            raise BadCube(
                f"the cube does not stem from one collection only: {node.process} stands in between",
                "mask the clouds of each part before combining them",
            )
        node = data
    return node


def without_time(node: Node) -> bool:
    """Whether the cube has been reduced over time."""
    if node.process == "reduce_dimension" and node.arguments.get("dimension") == TIME:
        return True
    above = [node.arguments[key] for key in ("data", "cube1", "cube2") if isinstance(node.arguments.get(key), Node)]
    return bool(above) and all(without_time(each) for each in above)


def _nodes(value: Any, seen: set[int]) -> Iterator[Node]:
    if isinstance(value, Node) and id(value) not in seen:
        seen.add(id(value))
        yield value
        for argument in value.arguments.values():
            yield from _nodes(argument, seen)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item, seen)
