"""Process graphs as immutable nodes, and their flat openEO form with equal nodes merged. PURE: no I/O.

Specification: https://api.openeo.org/#section/Processes/Process-Graphs
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BadCube


@dataclass(frozen=True, eq=False)
class Node:
    """A process with its arguments; an argument may be another Node, a Parameter or a Callback."""

    process: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """What the process around a callback hands in: `x` of apply, `data` of a reducer."""

    name: str


@dataclass(frozen=True, eq=False)
class Callback:
    """A graph of its own inside an argument, such as a reducer."""

    result: Node


def flatten(result: Node) -> dict[str, Any]:
    """The openEO process graph whose result node is `result`. Nodes equal in meaning appear once."""
    graph: dict[str, Any] = {}
    seen: dict[str, str] = {}
    name = _place(result, graph, seen, {})
    graph[name]["result"] = True
    return graph


def unflatten(graph: Mapping[str, Any]) -> Node:
    """The nodes of a flat graph; BadCube if it has no single result, a missing node or a cycle."""
    parts = list(graph.values()) if isinstance(graph, Mapping) else [None]
    if not all(isinstance(each, Mapping) and {"process_id", "arguments"} <= set(each) for each in parts):
        raise BadCube("this is no process graph", "give the text that to_json() made")
    results = [name for name, node in graph.items() if node.get("result")]
    if len(results) != 1:
        raise BadCube(f"the process graph has {len(results)} result nodes", "exactly one node must have 'result': true")
    return _node(results[0], graph, {}, ())


def canonical(graph: Mapping[str, Any]) -> str:
    """The graph as text that is the same for equal graphs."""
    return json.dumps(graph, sort_keys=True, separators=(",", ":"))


def _place(node: Node, graph: dict[str, Any], seen: dict[str, str], placed: dict[int, str]) -> str:
    if id(node) in placed:
        return placed[id(node)]
    arguments = {key: _write(value, graph, seen, placed) for key, value in node.arguments.items()}
    key = canonical({"process_id": node.process, "arguments": arguments})
    if key not in seen:
        name = _new_name(node.process, graph)
        graph[name] = {"process_id": node.process, "arguments": arguments}
        seen[key] = name
    placed[id(node)] = seen[key]
    return seen[key]


def _new_name(process: str, graph: Mapping[str, Any]) -> str:
    stem = process.replace("_", "")
    number = 1
    while f"{stem}{number}" in graph:
        number += 1
    return f"{stem}{number}"


def _write(value: Any, graph: dict[str, Any], seen: dict[str, str], placed: dict[int, str]) -> Any:
    match value:
        case Node():
            return {"from_node": _place(value, graph, seen, placed)}
        case Parameter():
            return {"from_parameter": value.name}
        case Callback():
            return {"process_graph": flatten(value.result)}
        case dict():
            return {key: _write(item, graph, seen, placed) for key, item in value.items()}
        case list() | tuple():
            return [_write(item, graph, seen, placed) for item in value]
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadCube(f"{value} is no number for a process", 'cube.apply("is_valid") is 1 where there is data, else 0')
    return value


def plain(value: Any) -> Any:
    """A number of numpy as Python's, an array as lists; all else as it is."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _node(name: str, graph: Mapping[str, Any], done: dict[str, Node], above: tuple[str, ...]) -> Node:
    if name in above:
        raise BadCube(f"the process graph is a circle at node {name!r}", "a node may not need its own result")
    if name not in graph:
        raise BadCube(f"the process graph has no node {name!r}", f"it has {', '.join(sorted(graph))}")
    if name not in done:
        spec = graph[name]
        arguments = {key: _read(value, graph, done, (*above, name)) for key, value in spec["arguments"].items()}
        done[name] = Node(spec["process_id"], arguments)
    return done[name]


def _read(value: Any, graph: Mapping[str, Any], done: dict[str, Node], above: tuple[str, ...]) -> Any:
    match value:
        case {"from_node": str(name)}:
            return _node(name, graph, done, above)
        case {"from_parameter": str(name)}:
            return Parameter(name)
        case {"process_graph": dict(inner)}:
            return Callback(unflatten(inner))
        case dict():
            return {key: _read(item, graph, done, above) for key, item in value.items()}
        case list():
            return [_read(item, graph, done, above) for item in value]
    return value
