"""A graph made ready, once, to be evaluated anywhere: its plan, the shape of its result, how it is drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..cubes.cube import Cube
from ..drawing.drawable import Drawable, drawable, options_of
from ..drawing.layers import dates_of
from ..graphs.graph import Graph, GraphError
from ..graphs.interpret import Context, no_code, run
from ..graphs.needs import margin
from ..graphs.plan import Plan
from ..graphs.streams import Stream, cut, streams
from ..graphs.uploads import filled
from ..graphs.zones import folded
from ..udf.pool import Owner, Udfs
from .grid import Grid
from .loading import blank
from .models import Models

NO_MODELS = Models(None, 0)


@dataclass(frozen=True)
class Compiled:
    """A graph with its plan, ready to be evaluated anywhere.

    `result` is the shape of what it gives: dimensions and labels, no values. `drawable` says how tiles are drawn, or
    why they cannot be; its values can be asked for all the same. `margin` is how many pixels around a grid its values
    depend on. `streams` are worked through date by date, and `cut` is the graph without what comes before them.
    """

    graph: Graph
    plan: Plan
    result: Cube
    drawable: Drawable
    margin: int = 0
    streams: tuple[Stream, ...] = ()
    cut: Graph = field(default=Graph((), ""), repr=False)

    @classmethod
    def of(
        cls, graph: Graph, plan: Plan, whole: bool = False, models: Models | None = None, udfs: Udfs | None = None
    ) -> Compiled:
        """Checked by a run on no data: what would fail on every tile fails here, once, with the node's name.

        `whole`: it will be evaluated over its whole extent, not piece by piece.
        """
        graph = folded(filled(graph, plan.given))
        around, shapes = margin(graph), dict[str, Any]()
        fill = 1 if whole else np.nan  # where labels depend on what is missing, nothing is
        nowhere = Context(Grid.point(0, 0), lambda n: blank(plan.load(n), fill), seen=shapes, keep=True, whole=whole)
        nowhere.models = (models or NO_MODELS).get
        nowhere.udfs = code_of(plan, udfs)
        result = run(graph, nowhere)
        if not isinstance(result, Cube):
            raise GraphError("ProcessGraphInvalid", "the graph's result is not a data cube", "end with one")
        found = streams(graph, {name: _hollow(one) for name, one in shapes.items()})
        result = _hollow(result)
        return cls(graph, plan, result, drawable(result, options_of(graph)), around, found, cut(graph, found))

    @property
    def dates(self) -> tuple[str, ...]:
        """The dates that can be drawn, where the result has several."""
        return dates_of(self.result)


def _hollow[T](value: T) -> T:
    """A cube of the same shape whose values take no memory: a graph of few words may have many labels."""
    if not isinstance(value, Cube):
        return value
    return replace(value, data=np.broadcast_to(np.zeros((), value.data.dtype), value.data.shape))


def code_of(plan: Plan, udfs: Udfs | None) -> Callable[[str, Any, Any], Any]:
    """What runs the code of a plan's graph, in sandboxes that are nobody else's."""
    return no_code if udfs is None else functools.partial(udfs.run, Owner(plan.person, plan.id))
