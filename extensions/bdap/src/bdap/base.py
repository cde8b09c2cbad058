"""What every part of a cube builds on: unfinished maths, style, and how an operation makes the next cube. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from .client import Client
from .graph import Callback, Node, Parameter
from .maths import Maths, pixels
from .walk import LOADS


@dataclass(frozen=True, eq=False)
class Base:
    """A cube's state. Immutable: operations return another one."""

    _maths: Maths
    style: Mapping[str, Any] | None = None
    """How it is drawn: options of save_result; its values do not depend on it."""
    client: Client | None = None
    order: tuple[tuple[str, bool], ...] = ()
    """By which properties of the items, and whether from the largest: what `limit` takes first."""

    @property
    def _node(self) -> Node:
        return self._maths.node()

    @property
    def _is_load(self) -> bool:
        """Whether it is a collection of which only items, bands or an area were chosen yet."""
        return _chosen(self._node).process == "load_collection"

    @property
    def _load(self) -> Mapping[str, Any]:
        return _chosen(self._node).arguments

    def _as(self, maths: Maths) -> Self:
        return replace(self, _maths=maths, style=None)

    def _then(self, process: str, /, **arguments: Any) -> Self:
        return self._as(pixels(Node(process, {"data": self._node, **arguments})))

    def _load_with(self, **arguments: Any) -> Self:
        """The same collection with other arguments, in the same area."""
        load = Node("load_collection", {**self._load, **arguments})
        node = self._node
        inside = load if node.process == "load_collection" else Node(node.process, {**node.arguments, "data": load})
        return replace(self, _maths=pixels(inside), style=None)

    def _search(self, count: int) -> list[dict[str, Any]]:
        """The first items of the collection that the cube reads, without their files."""
        raise NotImplementedError


def _chosen(node: Node) -> Node:
    """What a filter by an area stands on."""
    data = node.arguments.get("data")
    return data if node.process == "filter_spatial" and isinstance(data, Node) else node


def reducer(process: str, /, **arguments: Any) -> Callback:
    """A process of the array `data`, as reducers and aggregations want it."""
    return Callback(Node(process, {"data": Parameter("data"), **arguments}))


def given(**arguments: Any) -> Mapping[str, Any]:
    """Only the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


__all__ = ["LOADS", "Base", "given", "reducer"]
