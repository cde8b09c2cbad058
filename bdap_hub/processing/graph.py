"""openEO 1.2 process graphs: parsed, validated and normalised. PURE: no I/O, no framework, never an eval.

Errors are `GraphError`s with an openEO code and a sentence that names the node and the argument.
"""

from __future__ import annotations

import graphlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest
from .schema import Schema, complaint
from .spec import Process, Registry

MAX_NODES = 500
MAX_DEPTH = 8


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
    """One call of a process. `name` is what the author called the node, for messages."""

    id: str
    process: str
    arguments: Mapping[str, Any]
    name: str = ""

    def refs(self) -> list[str]:
        """The ids of the nodes of the same graph whose results this one needs."""
        return [value.node for value in walk(self.arguments) if isinstance(value, Ref)]


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


def parse(raw: Any, registry: Registry, parameters: Iterable[str] = ()) -> Graph:
    """The graph of `raw` (a `process_graph` object), validated against `registry` and normalised.

    Normalised: dead branches are dropped, equal calls are merged, ids are hashes of what the node computes. It may
    refer to `parameters`, whose values come with the evaluation.
    """
    return _normalise(_parse(raw, registry, frozenset(parameters), [0], 0))


def digest(graph: Graph) -> str:
    """A hash that is the same for all graphs that compute the same in the same way."""
    return hashlib.sha256(json.dumps(canonical(graph), sort_keys=True).encode()).hexdigest()


def canonical(value: Any) -> Any:
    """`value` as plain JSON data, the same for equal meaning."""
    if isinstance(value, Graph):
        nodes = {n.id: {"process_id": n.process, "arguments": canonical(n.arguments)} for n in value.nodes}
        return {"process_graph": nodes, "result": value.result}
    if isinstance(value, Ref):
        return {"from_node": value.node}
    if isinstance(value, Param):
        return {"from_parameter": value.name}
    if isinstance(value, Mapping):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(inner) for inner in value]
    return value


def _parse(raw: Any, registry: Registry, scope: frozenset[str], count: list[int], depth: int) -> Graph:
    if not isinstance(raw, Mapping) or not raw:
        raise GraphError("ProcessGraphMissing", "the process graph is empty or not an object", "send {name: node, …}")
    count[0] += len(raw)
    if count[0] > MAX_NODES or depth > MAX_DEPTH:
        raise GraphError("ProcessGraphComplexity", f"more than {MAX_NODES} nodes or {MAX_DEPTH} levels of callbacks")
    nodes = {name: _node(name, value, registry, scope, count, depth) for name, value in raw.items()}
    results = [name for name, value in raw.items() if value.get("result") is True]
    if len(results) != 1:
        raise GraphError(
            "ProcessGraphInvalid",
            f"{len(results)} nodes carry 'result': true ({', '.join(results) or 'none'}); it must be exactly one",
            "mark the node that gives the result",
        )
    graph = Graph(_ordered(nodes), results[0])
    for node in graph.nodes:
        _check_refs(node, graph, registry)
    return graph


def _node(name: Any, raw: Any, registry: Registry, scope: frozenset[str], count: list[int], depth: int) -> Node:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("process_id"), str):
        raise GraphError("ProcessGraphInvalid", f"node {name!r} is not an object with a 'process_id'")
    process = registry.get(raw["process_id"])
    if process is None or raw.get("namespace") not in (None, "backend"):
        raise GraphError(
            "ProcessUnsupported",
            f"node {name!r}: process {raw['process_id']!r} is not available here",
            "GET /processes lists what is",
        )
    given = raw.get("arguments", {})
    if not isinstance(given, Mapping):
        raise GraphError("ProcessArgumentInvalid", f"node {name!r}: 'arguments' is not an object")
    _check_names(name, process, given)
    arguments: dict[str, Any] = {}
    for parameter in process.parameters:
        if parameter.name not in given:
            continue
        inner = scope | parameter.callback
        value = _value(given[parameter.name], name, registry, scope, inner, count, depth)
        _check_value(name, process, parameter.name, parameter.schemas, value)
        arguments[parameter.name] = value
    return Node(name, process.id, arguments, name)


def _check_names(node: str, process: Process, given: Mapping[str, Any]) -> None:
    known = [p.name for p in process.parameters]
    if unknown := [key for key in given if key not in known]:
        raise GraphError(
            "ProcessArgumentUnsupported",
            f"node {node!r}: {process.id} has no argument {unknown[0]!r}",
            f"its arguments are {', '.join(known)}",
        )
    for parameter in process.parameters:
        if not parameter.optional and parameter.name not in given:
            raise GraphError("ProcessArgumentRequired", f"node {node!r}: {process.id} needs {parameter.name!r}")


def _value(
    raw: Any, node: str, registry: Registry, scope: frozenset[str], inner: frozenset[str], count: list[int], depth: int
) -> Any:
    if isinstance(raw, Mapping):
        if "from_node" in raw or "from_parameter" in raw:
            return _reference(raw, node, scope)
        if "process_graph" in raw:
            return _parse(raw["process_graph"], registry, inner, count, depth + 1)
        return {str(key): _value(value, node, registry, scope, inner, count, depth) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_value(value, node, registry, scope, inner, count, depth) for value in raw]
    return raw


def _reference(raw: Mapping[str, Any], node: str, scope: frozenset[str]) -> Ref | Param:
    (kind, name), *others = raw.items()
    if others or not isinstance(name, str):
        raise GraphError(
            "ProcessArgumentInvalid", f"node {node!r}: a reference is one name, {{{kind!r}: 'name'}} and nothing else"
        )
    if kind == "from_node":
        return Ref(name)
    if name not in scope:
        raise GraphError(
            "ProcessParameterMissing",
            f"node {node!r} asks for the parameter {name!r}, which nobody hands in",
            f"known here: {', '.join(sorted(scope)) or 'none'}",
        )
    return Param(name)


def _check_value(node: str, process: Process, argument: str, schemas: tuple[Schema, ...], value: Any) -> None:
    if wrong := complaint(value, schemas, _known):
        shown = "a process graph" if isinstance(value, Graph) else json.dumps(canonical(value), default=str)[:80]
        raise GraphError(
            "ProcessArgumentInvalid", f"node {node!r}: {argument!r} of {process.id} must be {wrong}, but is {shown}"
        )


def _known(value: Any, schema: Schema) -> bool | None:
    """What a reference gives is checked by `_check_refs` and when the graph runs; a callback by its schema."""
    if isinstance(value, (Ref, Param)):
        return True
    if isinstance(value, Graph):
        return schema.get("subtype") == "process-graph"
    return None


def _ordered(nodes: Mapping[str, Node]) -> tuple[Node, ...]:
    edges = {name: node.refs() for name, node in nodes.items()}
    for name, refs in edges.items():
        if unknown := [ref for ref in refs if ref not in nodes]:
            raise GraphError(
                "ProcessGraphInvalid", f"node {name!r} takes the result of {unknown[0]!r}, which does not exist"
            )
    try:
        return tuple(nodes[name] for name in graphlib.TopologicalSorter(edges).static_order())
    except graphlib.CycleError as error:
        loop = " → ".join(reversed(error.args[1]))
        raise GraphError("ProcessGraphInvalid", f"the nodes {loop} wait for one another", "break the cycle") from None


def _check_refs(node: Node, graph: Graph, registry: Registry) -> None:
    process = registry[node.process]
    for parameter in process.parameters:
        value = node.arguments.get(parameter.name)
        if not isinstance(value, Ref):
            continue
        source = registry[graph.node(value.node).process]
        if any(source.gives(cube) and parameter.takes(cube) for cube in (True, False)):
            continue
        wanted, given = ("a data cube", "something else") if parameter.takes(True) else ("a plain value", "a data cube")
        cure = "give it a data cube" if parameter.takes(True) else "wrap it in `apply` or `reduce_dimension`"
        raise GraphError(
            "ProcessArgumentInvalid",
            f"node {node.id!r}: {parameter.name!r} of {process.id} must be {wanted}, but {value.node!r} gives {given}",
            cure,
        )


def _normalise(graph: Graph) -> Graph:
    new: dict[str, Node] = {}
    names: dict[str, str] = {}
    for node in graph.nodes:
        arguments = {key: _renamed(value, names) for key, value in node.arguments.items()}
        content = json.dumps([node.process, canonical(arguments)], sort_keys=True)
        names[node.id] = identifier = hashlib.sha256(content.encode()).hexdigest()[:16]
        new.setdefault(identifier, Node(identifier, node.process, arguments, node.name))
    result = names[graph.result]
    alive, todo = set[str](), [result]
    while todo:
        identifier = todo.pop()
        if identifier not in alive:
            alive.add(identifier)
            todo += new[identifier].refs()
    return Graph(tuple(node for key, node in new.items() if key in alive), result)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Graph):
        return _normalise(value)
    if isinstance(value, Ref):
        return Ref(names[value.node])
    if isinstance(value, Mapping):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return value
