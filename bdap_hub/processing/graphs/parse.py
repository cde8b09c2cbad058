"""Parses, validates and normalises process graphs. PURE: no I/O, no framework, never an eval."""

from __future__ import annotations

import graphlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .graph import Graph, GraphError, Node, Param, Ref, canonical
from .rewrite import physical_loads
from .schema import Schema, complaint
from .spec import Process, Registry

MAX_NODES = 500
MAX_DEPTH = 8
MAX_NESTING = 40


@dataclass(frozen=True)
class _Place:
    """Where in a graph the parser is: the parameters known there, how deep in callbacks; `count` of nodes so far."""

    registry: Registry
    parameters: frozenset[str]
    depth: int = 0
    count: list[int] = field(default_factory=lambda: [0])

    def within(self, handed_in: frozenset[str]) -> _Place:
        """Inside a callback to which these parameters are handed."""
        return replace(self, parameters=self.parameters | handed_in, depth=self.depth + 1)


def parse(raw: Any, registry: Registry, parameters: Iterable[str] = ()) -> Graph:
    """The graph of `raw` (a `process_graph` object), validated against `registry` and normalised.

    Normalised: dead branches are dropped, equal calls are merged, ids are hashes of what the node computes. It may
    refer to `parameters`, whose values come with the evaluation.
    """
    return _normalise(physical_loads(_parse(raw, _Place(registry, frozenset(parameters)))))


def _parse(raw: Any, at: _Place) -> Graph:
    if not isinstance(raw, Mapping) or not raw:
        raise GraphError("ProcessGraphMissing", "the process graph is empty or not an object", "send {name: node, …}")
    at.count[0] += len(raw)
    if at.count[0] > MAX_NODES or at.depth > MAX_DEPTH:
        raise GraphError("ProcessGraphComplexity", f"more than {MAX_NODES} nodes or {MAX_DEPTH} levels of callbacks")
    nodes = {name: _node(name, value, at) for name, value in raw.items()}
    results = [name for name, value in raw.items() if value.get("result") is True]
    if len(results) != 1:
        raise GraphError(
            "ProcessGraphInvalid",
            f"{len(results)} nodes carry 'result': true ({', '.join(results) or 'none'}); it must be exactly one",
            "mark the node that gives the result",
        )
    graph = Graph(_ordered(nodes), results[0])
    for node in graph.nodes:
        _check_refs(node, graph, at.registry)
    return graph


def _node(name: Any, raw: Any, at: _Place) -> Node:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("process_id"), str):
        raise GraphError("ProcessGraphInvalid", f"node {name!r} is not an object with a 'process_id'")
    process = at.registry.get(raw["process_id"])
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
        value = _value(given[parameter.name], name, at, parameter.callback)
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


def _value(raw: Any, node: str, at: _Place, handed_in: frozenset[str], nesting: int = 0) -> Any:
    if nesting > MAX_NESTING:
        raise GraphError("ProcessGraphComplexity", f"node {node!r}: an argument is nested deeper than {MAX_NESTING}")
    if isinstance(raw, Mapping):
        if "from_node" in raw or "from_parameter" in raw:
            return _reference(raw, node, at.parameters)
        if "process_graph" in raw:
            return _parse(raw["process_graph"], at.within(handed_in))
        return {str(key): _value(value, node, at, handed_in, nesting + 1) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_value(value, node, at, handed_in, nesting + 1) for value in raw]
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
    edges = {name: node.refs for name, node in nodes.items()}
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
        marked = ["physical"] if node.physical else []
        content = json.dumps([node.process, canonical(arguments), *marked], sort_keys=True)
        names[node.id] = identifier = hashlib.sha256(content.encode()).hexdigest()[:16]
        new.setdefault(identifier, replace(node, id=identifier, arguments=arguments))
    result = names[graph.result]
    alive, todo = set[str](), [result]
    while todo:
        identifier = todo.pop()
        if identifier not in alive:
            alive.add(identifier)
            todo += new[identifier].refs
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
