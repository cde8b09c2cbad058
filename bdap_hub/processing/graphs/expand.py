"""User-defined processes in a graph: each call becomes the nodes of its process graph. PURE: no I/O.

They are put in before the graph is parsed, so that all else sees the standard's processes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .graph import GraphError
from .parse import MAX_NESTING, MAX_NODES
from .spec import Registry

Raw = Mapping[str, Any]
MOST_VALUES = 2_000_000
"""Values of arguments that are looked at while processes are put in: each call of one copies what it is given."""
MOST_TEXT = 16_000_000
"""Characters of the texts among them, and of the nodes' names: shared so far, but later written out for each."""


@dataclass(frozen=True)
class Own:
    """A user-defined process: its graph as posted, and its parameters as openEO describes them."""

    id: str
    graph: Raw
    parameters: tuple[Raw, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(str(parameter.get("name")) for parameter in self.parameters)


def expand(raw: Any, own: Mapping[str, Own], registry: Registry) -> Any:
    """The graph without calls of user-defined processes. What is no graph at all is left for `parse` to refuse.

    GraphError for a process that calls itself, for missing and unknown arguments, for more than MAX_NODES nodes,
    MOST_VALUES values in them or MOST_TEXT characters of text.
    """
    return _Expansion(own, registry).graph(raw, ())


def calls(raw: Any, registry: Registry) -> frozenset[str]:
    """The names of the user-defined processes that a graph calls."""
    found = set[str]()
    todo, seen = [raw], 0
    while todo and seen < 100_000:
        value, seen = todo.pop(), seen + 1
        if isinstance(value, Mapping):
            if isinstance(value.get("process_id"), str) and _is_own(value, registry):
                found.add(value["process_id"])
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return frozenset(found)


def _is_own(node: Raw, registry: Registry) -> bool:
    """Without a namespace, the standard's processes go before."""
    namespace = node.get("namespace")
    return namespace == "user" or (namespace is None and node["process_id"] not in registry)


class _Expansion:
    def __init__(self, own: Mapping[str, Own], registry: Registry) -> None:
        self.own, self.registry, self.count, self.depth, self.values, self.letters = own, registry, 0, 0, 0, 0

    def graph(self, raw: Any, inside: tuple[str, ...]) -> Any:
        if not isinstance(raw, Mapping) or len(inside) > MAX_NESTING or self.depth > MAX_NESTING:
            return raw
        self.depth += 1
        try:
            return self._nodes(raw, inside)
        finally:
            self.depth -= 1

    def _nodes(self, raw: Raw, inside: tuple[str, ...]) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        for name, node in raw.items():
            self.count += 1
            if self.count > MAX_NODES:
                raise GraphError("ProcessGraphComplexity", f"with user-defined processes, more than {MAX_NODES} nodes")
            nodes |= self.node(str(name), node, raw, inside)
        return nodes

    def node(self, name: str, node: Any, siblings: Raw, inside: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(node, Mapping) or not isinstance(node.get("arguments", {}), Mapping):
            return {name: node}
        arguments = {key: self.callbacks(value, inside) for key, value in node.get("arguments", {}).items()}
        called = self.own.get(str(node.get("process_id"))) if "process_id" in node else None
        if called is None or not _is_own(node, self.registry):
            return {name: {**node, "arguments": arguments}}
        if called.id in inside:
            loop = " → ".join((*inside[inside.index(called.id) :], called.id))
            raise GraphError("ProcessGraphInvalid", f"the process {called.id!r} calls itself: {loop}")
        self.read(len(called.graph) * len(name) + sum(map(len, called.graph)))
        filled = _inlined(name, node, called, _values(name, called, arguments), siblings, self.registry)
        found: dict[str, Any] = self.graph(filled, (*inside, called.id))
        return found

    def read(self, letters: int) -> None:
        """Count characters; GraphError where they are too many."""
        self.letters += letters
        if self.letters > MOST_TEXT:
            raise GraphError(
                "ProcessGraphComplexity",
                f"with user-defined processes, texts of more than {MOST_TEXT} characters",
                "hand long texts over to fewer nodes, or shorten them and the nodes' names",
            )

    def callbacks(self, value: Any, inside: tuple[str, ...], depth: int = 0) -> Any:
        self.read(_letters(value))
        if depth > MAX_NESTING or not isinstance(value, Mapping | list):
            return value
        self.values += len(value)
        if self.values > MOST_VALUES:
            raise GraphError(
                "ProcessGraphComplexity",
                f"with user-defined processes, arguments of more than {MOST_VALUES} values",
                "hand them over to fewer nodes, or load them from a file",
            )
        if isinstance(value, Mapping):
            if isinstance(value.get("process_graph"), Mapping):
                return {**value, "process_graph": self.graph(value["process_graph"], inside)}
            return {key: self.callbacks(one, inside, depth + 1) for key, one in value.items()}
        return [self.callbacks(one, inside, depth + 1) for one in value]


def _letters(value: Any) -> int:
    """The characters of a value itself, without those inside it."""
    if isinstance(value, Mapping):
        return sum(len(str(key)) for key in value)
    if isinstance(value, int):
        return value.bit_length() // 3
    return len(value) if isinstance(value, str) else 0


def _values(name: str, called: Own, arguments: Raw) -> dict[str, Any]:
    """A value for each of its parameters: given, or the default."""
    if unknown := [key for key in arguments if key not in called.names]:
        raise GraphError(
            "ProcessArgumentUnsupported",
            f"node {name!r}: {called.id} has no argument {unknown[0]!r}",
            f"its arguments are {', '.join(called.names) or 'none'}",
        )
    values = {}
    for parameter in called.parameters:
        key = str(parameter.get("name"))
        if key not in arguments and not parameter.get("optional") and "default" not in parameter:
            raise GraphError("ProcessArgumentRequired", f"node {name!r}: {called.id} needs {key!r}")
        values[key] = arguments.get(key, parameter.get("default"))
    return values


def _inlined(name: str, node: Raw, called: Own, values: Raw, siblings: Raw, registry: Registry) -> dict[str, Any]:
    """Its nodes, each under a name of the caller's; the one with the result takes the caller's place."""
    separator = "/"
    while any(f"{name}{separator}{inner}" in siblings for inner in called.graph):
        separator += "/"
    results = {key for key, one in called.graph.items() if isinstance(one, Mapping) and one.get("result") is True}
    names = {key: name if key in results else f"{name}{separator}{key}" for key in called.graph}
    filling = _Filling(values, names, name, registry)
    last = {"result": True} if node.get("result") is True else {}
    return {names[key]: {**filling.node(one), **(last if key in results else {})} for key, one in called.graph.items()}


@dataclass(frozen=True)
class _Filling:
    """Puts parameters' values and the nodes' new names into a process's graph; `names` None: in a callback."""

    values: Raw
    names: Mapping[str, str] | None
    caller: str
    registry: Registry

    def node(self, node: Any) -> Any:
        """A node without its mark of the result. A callback's own parameters go before those of the process."""
        if not isinstance(node, Mapping) or not isinstance(node.get("arguments", {}), Mapping):
            return node
        process = self.registry.get(str(node.get("process_id")))
        handed = {p.name: p.callback for p in process.parameters} if process else {}
        arguments = {
            key: self.value(value, handed.get(key, frozenset())) for key, value in node.get("arguments", {}).items()
        }
        kept = {key: value for key, value in node.items() if self.names is None or key != "result"}
        return {**kept, "arguments": arguments}

    def value(self, value: Any, handed: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [self.value(one, handed) for one in value]
        if not isinstance(value, Mapping):
            return value
        if value.get("from_parameter") in self.values:
            return self._given(value["from_parameter"])
        if "from_node" in value and self.names is not None:
            return {**value, "from_node": self.names.get(value["from_node"], value["from_node"])}
        if isinstance(value.get("process_graph"), Mapping):
            within = {key: one for key, one in self.values.items() if key not in handed}
            inner = _Filling(within, None, self.caller, self.registry)
            return {**value, "process_graph": {key: inner.node(one) for key, one in value["process_graph"].items()}}
        return {key: self.value(one, handed) for key, one in value.items()}

    def _given(self, parameter: str) -> Any:
        found = self.values[parameter]
        is_reference = isinstance(found, Mapping) and not found.keys().isdisjoint(("from_node", "from_parameter"))
        if self.names is None and is_reference:
            raise GraphError(
                "ProcessArgumentInvalid",
                f"node {self.caller!r}: {parameter!r} is used in a callback, where it must be a constant",
                "give it a number, a text or a list",
            )
        return found
