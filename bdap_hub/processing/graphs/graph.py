"""openEO 1.2 process graphs as data; parse.py makes them. PURE: no I/O, no framework.

Errors are `GraphError`s with an openEO code and a sentence that names the node and the argument.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BadRequest


class GraphError(BadRequest):
    """A process graph that cannot run; `code` is the openEO error code."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


@dataclass(frozen=True)
class Ref:
    """The result of another node of the same graph."""

    node: str


@dataclass(frozen=True)
class Param:
    """A parameter that the process which calls back hands in."""

    name: str


@dataclass(frozen=True)
class Node:
    """One call of a process. `name` is what the author called the node, for messages.

    `physical`: of a process that loads, that physical values are wanted (rewrite.py).
    """

    id: str
    process: str
    arguments: Mapping[str, Any]
    name: str = ""
    physical: bool = False

    @functools.cached_property
    def refs(self) -> frozenset[str]:
        """The ids of the nodes of the same graph whose results this one needs."""
        return frozenset(value.node for value in walk(self.arguments) if isinstance(value, Ref))

    @functools.cached_property
    def constant(self) -> frozenset[str]:
        """The arguments that refer to nothing, so that they are the same at each evaluation."""
        return frozenset(
            name
            for name, argument in self.arguments.items()
            if not any(isinstance(value, (Ref, Param)) for value in walk(argument))
        )


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can be evaluated; `result` is the id of the node that gives the result."""

    nodes: tuple[Node, ...]
    result: str

    def node(self, identifier: str) -> Node:
        """The node of that id; KeyError if there is none."""
        for node in self.nodes:
            if node.id == identifier:
                return node
        raise KeyError(identifier)


def walk(value: Any) -> Iterator[Any]:
    """`value` and all values inside its lists and mappings; callbacks are not entered."""
    yield value
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from walk(inner)


def holds_code(graph: Graph) -> bool:
    """Whether a graph, or a callback in it, runs code that a person wrote."""
    return any(
        node.process == "run_udf"
        or any(isinstance(value, Graph) and holds_code(value) for value in walk(node.arguments))
        for node in graph.nodes
    )


def digest(graph: Graph) -> str:
    """A hash that is the same for all graphs that compute the same in the same way."""
    return hashlib.sha256(json.dumps(canonical(graph), sort_keys=True).encode()).hexdigest()


def canonical(value: Any) -> Any:
    """`value` as plain JSON data, the same for equal meaning."""
    if isinstance(value, Graph):
        return {"process_graph": {n.id: _call(n) for n in value.nodes}, "result": value.result}
    if isinstance(value, Ref):
        return {"from_node": value.node}
    if isinstance(value, Param):
        return {"from_parameter": value.name}
    if isinstance(value, Mapping):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(inner) for inner in value]
    return value


def _call(node: Node) -> dict[str, Any]:
    marked = {"physical": True} if node.physical else {}
    return {"process_id": node.process, "arguments": canonical(node.arguments), **marked}
