"""Parses, validates and normalises process graphs. PURE: no I/O, no framework, never an eval."""

from __future__ import annotations

import graphlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..cancel import check
from .graph import Graph, GraphError, Node, Param, Ref, canonical, walk
from .rewrite import physical_loads
from .schema import Schema, complaint
from .spec import Parameter, Process, Registry

MAX_NODES = 500
MAX_DEPTH = 8
MAX_NESTING = 40
WRITTEN_OUT = frozenset(("load_collection", "load_stac", "load_result", "load_uploaded_files", "save_result"))
"""Processes whose arguments decide what is read and written before the graph runs."""


@dataclass(frozen=True)
class _Place:
    """Where in a graph the parser is: the parameters known there, how deep in callbacks; `count` of nodes so far.

    `errors` collects what is wrong; None: the first error ends it all.
    """

    registry: Registry
    parameters: frozenset[str]
    depth: int = 0
    count: list[int] = field(default_factory=lambda: [0])
    errors: list[GraphError] | None = None

    def attempt[T](self, step: Callable[..., T], *arguments: Any) -> T | None:
        """The step's result; None where it failed and its error is collected."""
        try:
            return step(*arguments)
        except GraphError as error:
            if self.errors is None:
                raise
            if not isinstance(error, _Collected):
                self.errors.append(error)
            return None

    def within(self, handed_in: frozenset[str]) -> _Place:
        """Inside a callback to which these parameters are handed."""
        return replace(self, parameters=self.parameters | handed_in, depth=self.depth + 1)


class _Collected(GraphError):
    """A part of the graph cannot be gone on with; why not has been collected."""


def problems(raw: Any, registry: Registry, parameters: Iterable[str] = ()) -> list[GraphError]:
    """All that is wrong with a graph, as far as it can be told at once; nothing where `parse` takes it."""
    found: list[GraphError] = []
    at = _Place(registry, frozenset(parameters), errors=found)
    if (graph := at.attempt(_parse, raw, at)) is not None:
        at.attempt(physical_loads, graph)
    return found


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
    before = len(at.errors or ())
    parsed = {name: at.attempt(_node, name, value, at) for name, value in raw.items()}
    nodes = {name: node for name, node in parsed.items() if node is not None}
    result = at.attempt(_result, raw)
    for node in nodes.values():
        at.attempt(_check_sources, node, raw)
    order = at.attempt(_ordered, nodes)
    if result is None or order is None or len(at.errors or ()) > before:
        raise _Collected("ProcessGraphInvalid", "the process graph is not valid")
    graph = Graph(order, result)
    for node in graph.nodes:
        at.attempt(_check_refs, node, graph, at.registry)
    return graph


def _result(raw: Mapping[str, Any]) -> str:
    results = [name for name, value in raw.items() if isinstance(value, Mapping) and value.get("result") is True]
    if len(results) != 1:
        raise GraphError(
            "ProcessGraphInvalid",
            f"{len(results)} nodes carry 'result': true ({', '.join(results) or 'none'}); it must be exactly one",
            "mark the node that gives the result",
        )
    return results[0]


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
    at.attempt(_check_names, name, process, given)
    named = [parameter for parameter in process.parameters if parameter.name in given]
    before = len(at.errors or ())
    arguments = {one.name: at.attempt(_argument, name, process, one, given[one.name], at) for one in named}
    if len(at.errors or ()) > before:
        raise _Collected("ProcessGraphInvalid", f"node {name!r} is not valid")
    return Node(name, process.id, arguments, name)


def _argument(node: str, process: Process, parameter: Parameter, raw: Any, at: _Place) -> Any:
    check()  # each may take a second, and own processes hand the same one to many nodes
    value = _value(raw, node, at, parameter.callback)
    _check_value(node, process, parameter.name, parameter.schemas, value)
    return value


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


def _check_sources(node: Node, raw: Mapping[str, Any]) -> None:
    if unknown := [ref for ref in node.refs if ref not in raw]:
        raise GraphError(
            "ProcessGraphInvalid", f"node {node.name!r} takes the result of {unknown[0]!r}, which does not exist"
        )


def _ordered(nodes: Mapping[str, Node]) -> tuple[Node, ...]:
    edges = {name: node.refs for name, node in nodes.items()}
    try:
        order = graphlib.TopologicalSorter(edges).static_order()
        return tuple(nodes[name] for name in order if name in nodes)
    except graphlib.CycleError as error:
        loop = " → ".join(reversed(error.args[1]))
        raise GraphError("ProcessGraphInvalid", f"the nodes {loop} wait for one another", "break the cycle") from None


def _check_refs(node: Node, graph: Graph, registry: Registry) -> None:
    process = registry[node.process]
    for name, value in node.arguments.items():
        if process.id in WRITTEN_OUT and name != "data" and any(isinstance(one, Ref) for one in walk(value)):
            raise GraphError(
                "ProcessArgumentInvalid",
                f"node {node.id!r}: {name!r} of {process.id} comes from elsewhere in the graph",
                "write its value out: it decides what is read or written before the graph runs",
            )
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
    known: dict[int, tuple[Any, str]] = {}  # by the value's id: copies of a node share their arguments
    for node in graph.nodes:
        check()
        for value in node.arguments.values():
            if id(value) not in known:
                made = _renamed(value, names)
                known[id(value)] = made, json.dumps(canonical(made), sort_keys=True)
        arguments = {key: known[id(value)][0] for key, value in node.arguments.items()}
        written = {key: known[id(value)][1] for key, value in node.arguments.items()}
        names[node.id] = identifier = _identifier(node, written)
        new.setdefault(identifier, replace(node, id=identifier, arguments=arguments))
    result = names[graph.result]
    alive, todo = set[str](), [result]
    while todo:
        identifier = todo.pop()
        if identifier not in alive:
            alive.add(identifier)
            todo += new[identifier].refs
    return Graph(tuple(node for key, node in new.items() if key in alive), result)


def _identifier(node: Node, written: Mapping[str, str]) -> str:
    """The hash of [process, arguments] as sorted JSON, from the JSON of each argument; stored plans hold such ids."""
    given = ", ".join(f"{json.dumps(key)}: {written[key]}" for key in sorted(written))
    marked = ', "physical"' if node.physical else ""
    content = f"[{json.dumps(node.process)}, {{{given}}}{marked}]"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


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
