"""Runs a validated graph node by node on numpy until it is cancelled. PURE: what it loads a function gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from shapely.errors import ShapelyError

from ...errors import BdapError, TooMuch
from ..cancel import check
from ..cubes.cube import Cube
from ..cubes.extent import Box
from ..cubes.values import Labelled
from ..processes import REGISTRY
from .graph import Graph, GraphError, Node, Param, Ref
from .spec import Sees

MOST_BYTES, MOST_ELEMENTS = 2**32, 2**20
ELEMENT = 64
"""Bytes that an element of a list counts, beside those of the pixels that it may be."""


class Place(Protocol):
    """Where a graph is evaluated, as far as processes need to know."""

    def inside(self, area: Box) -> Any:
        """For each pixel whether its centre lies in a box; broadcasts to (y, x)."""

    def covered(self, geojson: Any) -> Any:
        """For each pixel whether it is in one of the geometries; broadcasts to (y, x)."""

    def part(self, geojson: Any) -> tuple[slice, slice, Any]:
        """The rows and columns around some geometries, and which of their pixels these cover."""

    def cut(self, rows: slice, columns: slice) -> Place:
        """A part of it."""

    def centres(self) -> tuple[Any, Any]:
        """x of the columns' and y of the rows' centres."""

    def ground(self) -> tuple[Any, Any]:
        """Width and height of the pixels of each row."""


@dataclass
class Context:
    """What processes that ask for it get: the grid, loading, and calling back.

    `whole`: the grid is all there is, so that statistics over y and x mean something; a tile or a point is a part.
    `models` gives a stored model by name, `udfs` what some code gives for an array. While a callback runs, `around` is
    the cube that it is run for, and the dimension that it works along.
    In an export each node has the grid that the graph chose (`grids`), and `resampler` leads from one to another.
    `handed` are the parameters of the callbacks that are being run; an inner one's hide those of the same name.
    What a node gives comes from `instead`, with the values known so far, where it is there.
    """

    grid: Place
    loader: Callable[[str], Cube]
    node: str = ""
    seen: dict[str, Any] = field(default_factory=dict)
    keep: bool = False
    held: int = 0
    whole: bool = False
    grids: Mapping[str, Place] = field(default_factory=dict)
    resampler: Callable[[str, Cube, str], Cube] | None = None
    models: Callable[[str], Any] = lambda name: _no_model(name)
    udfs: Callable[[str, Any, Any], Any] = lambda code, given, context: no_code(code, given, context)
    around: tuple[Cube, str] | None = None
    instead: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    handed: Mapping[str, Any] = field(default_factory=dict)

    def hold(self, value: Any, sign: int = 1) -> None:
        """Count a result's bytes as long as it is needed; TooMuch where a graph needs too many at once."""
        self.held += sign * _nbytes(value)
        if self.held > MOST_BYTES:
            raise TooMuch(
                f"the graph needs more than {MOST_BYTES >> 20} MB at once",
                "narrow the extents, or use fewer branches",
            )

    def load(self) -> Cube:
        """The pixels of the load node that is being evaluated."""
        return self.loader(self.node)

    def resampled(self, data: Cube, method: str) -> Cube:
        """The cube on the grid of the node that is being evaluated; as it is where all lie on the grid of the view."""
        return data if self.resampler is None else self.resampler(self.node, data, method)

    def want_whole(self, process: str) -> None:
        """GraphError where only a part of the extent is evaluated."""
        if not self.whole:
            raise GraphError(
                "ProcessUnsupported",
                f"{process} works on the whole extent at once; a map is evaluated piece by piece",
                "leave it out of a map",
            )

    def call(self, callback: Graph, parameters: Mapping[str, Any], cube: Cube | None = None, along: str = "") -> Any:
        """The result of a callback with these parameters, of which the main one is a cube's data along a dimension.

        It sees those of the callbacks around it, too.
        """
        check()  # it may be called for each of many elements
        before = self.around, self.handed
        self.around, self.handed = None if cube is None else (cube, along), {**self.handed, **parameters}
        try:
            return run(callback, self, self.handed)
        finally:
            self.around, self.handed = before

    def call_each(self, callback: Graph, given: Iterable[Mapping[str, Any]]) -> list[Any]:
        """The results of a callback for several parameters one after the other, which are held meanwhile."""
        found = list[Any]()
        for parameters in given:
            found.append(self.call(callback, parameters))
            self.hold(found[-1])
        for one in found:
            self.hold(one, -1)
        return found

    def call_on(self, rows: slice, columns: slice, callback: Graph, parameters: Mapping[str, Any]) -> Any:
        """The result of a callback on a part of the grid, which is all that it knows of."""
        before = self.grid, self.whole
        self.grid, self.whole = self.grid.cut(rows, columns), True
        try:
            return self.call(callback, parameters)
        finally:
            self.grid, self.whole = before


def run(graph: Graph, ctx: Context, parameters: Mapping[str, Any] | None = None) -> Any:
    """The result of `graph`. Others are forgotten after their last use; with `ctx.keep` they stay in `ctx.seen`.

    Raises GraphError with the node's name; any other failure of a process becomes one too.
    """
    values: dict[str, Any] = ctx.seen if parameters is None else {}
    last = {ref: node.id for node in graph.nodes for ref in node.refs}
    for node in graph.nodes:
        if parameters is None:
            ctx.grid = ctx.grids.get(node.id, ctx.grid)
        if node.id not in values:
            if parameters is None:
                check()
            with np.errstate(all="ignore"):
                instead = ctx.instead.get(node.id) if parameters is None else None
                values[node.id] = instead(values) if instead else _call(node, values, ctx, parameters or {})
            ctx.hold(values[node.id])
        for ref in () if ctx.keep and parameters is None else node.refs:
            if last[ref] == node.id:
                ctx.hold(values.pop(ref), -1)
    if parameters is not None:
        ctx.hold(values[graph.result], -1)  # from here on it is the caller's
    return values[graph.result]


def result_of(node: Node, values: Mapping[str, Any], ctx: Context) -> Any:
    """The result of one node, from those of the nodes that it refers to."""
    check()
    with np.errstate(all="ignore"):
        return _call(node, values, ctx, {})


def _nbytes(value: Any) -> int:
    """What a value takes. Lists and objects are looked into, however often one stands in others: so does who prints
    them."""
    found, todo, elements = 0, [value], 0
    while todo:
        one = todo.pop()
        if isinstance(one, (list, tuple, Labelled, dict)):
            elements += len(one)
            if elements > MOST_ELEMENTS:
                raise TooMuch(f"a list has more than {MOST_ELEMENTS} elements", "make fewer, or shorter lists")
            todo += one.values() if isinstance(one, dict) else one
            continue
        if not isinstance(one, np.ndarray):  # which has `data` of its own: a view that takes time to make
            one = getattr(one, "data", None)
        found += int(getattr(one, "nbytes", 0))
    return found + ELEMENT * elements


def passes(filter_graph: Graph, value: Any) -> bool:
    """Whether a property's value passes a metadata filter; a missing property never does."""
    if value is None:
        return False
    result = run(filter_graph, Context(NOWHERE, nothing), {"value": value})
    return bool(np.all(np.asarray(result) == 1))


def _call(node: Node, values: Mapping[str, Any], ctx: Context, parameters: Mapping[str, Any]) -> Any:
    process = REGISTRY[node.process]
    arguments = {
        name: value if name in node.constant else _resolve(value, values, parameters)
        for name, value in node.arguments.items()
    }
    ctx_before, ctx.node = ctx.node, node.id
    try:
        if process.sees is Sees.EXTENT:
            ctx.want_whole(process.id)
        return process.function(ctx=ctx, **arguments) if process.context else process.function(**arguments)
    except GraphError as error:
        if not error.message.startswith("node "):
            error.message = f"node {node.name!r} ({node.process}): {error.message}"
        raise
    except (BdapError, MemoryError):
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError, ShapelyError) as error:
        raise GraphError(
            "ProcessArgumentInvalid", f"node {node.name!r} ({node.process}) cannot work on what it gets: {error}"[:300]
        ) from error
    finally:
        ctx.node = ctx_before


def _resolve(value: Any, values: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        return values[value.node]
    if isinstance(value, Param):
        return parameters.get(value.name)
    if isinstance(value, Graph):
        return value
    if isinstance(value, Mapping):
        return {key: _resolve(inner, values, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, values, parameters) for inner in value]
    return value


def _no_model(name: str) -> Any:
    raise GraphError("ModelNotFound", f"there is no model {name!r:.100}", "models are not known here")


def no_code(code: str, given: Any, context: Any) -> Any:
    """The refusal where no code of people runs."""
    raise GraphError("UdfNotAvailable", "no code of people runs here", "use the processes that are there")


class _Nowhere:
    """The place of a metadata filter, which has no pixels."""

    def inside(self, area: Box) -> Any:
        return np.ones((1, 1), bool)

    covered = inside

    def part(self, geojson: Any) -> tuple[slice, slice, Any]:
        return slice(0, 1), slice(0, 1), np.ones((1, 1), bool)

    def cut(self, rows: slice, columns: slice) -> Place:
        return self

    def centres(self) -> tuple[Any, Any]:
        return np.zeros(1), np.zeros(1)

    ground = centres


NOWHERE: Place = _Nowhere()


def nothing(node: str) -> Cube:
    raise GraphError("ProcessArgumentInvalid", "a metadata filter cannot load data")
