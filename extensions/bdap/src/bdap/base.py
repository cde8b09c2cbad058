"""What every part of a cube builds on: unfinished maths, style, and how an operation makes the next cube. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from .client import Client
from .graph import Callback, Node, Parameter
from .maths import Maths, pixels
from .walk import LOADS


@dataclass(frozen=True)
class Style:
    """How one band is drawn: a colour map between two values."""

    colormap: str
    min: float
    max: float


@dataclass(frozen=True, eq=False)
class Base:
    """A cube's state. Immutable: operations return another one."""

    _maths: Maths
    style: Style | None = None
    client: Client | None = None
    order: tuple[tuple[str, bool], ...] = ()
    """By which properties of the items, and whether from the largest: what `limit` takes first."""

    @property
    def _node(self) -> Node:
        return self._maths.node()

    @property
    def _is_load(self) -> bool:
        return self._node.process == "load_collection"

    def _as(self, maths: Maths) -> Self:
        return replace(self, _maths=maths, style=None, order=())

    def _then(self, process: str, /, **arguments: Any) -> Self:
        return self._as(pixels(Node(process, {"data": self._node, **arguments})))

    def _load_with(self, **arguments: Any) -> Self:
        load = Node("load_collection", {**self._node.arguments, **arguments})
        return replace(self, _maths=pixels(load), style=None)

    def _search(self, count: int) -> list[dict[str, Any]]:
        """The first items of the collection that the cube reads, without their files."""
        raise NotImplementedError


def reducer(process: str, /, **arguments: Any) -> Callback:
    """A process of the array `data`, as reducers and aggregations want it."""
    return Callback(Node(process, {"data": Parameter("data"), **arguments}))


def given(**arguments: Any) -> Mapping[str, Any]:
    """Only the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


__all__ = ["LOADS", "Base", "Style", "given", "reducer"]
