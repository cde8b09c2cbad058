"""One date of a result that has several: only its own files are read, where no step of the graph mixes dates. PURE."""

from __future__ import annotations

from dataclasses import replace

from ..graphs.graph import Graph, Node, holds_code
from ..graphs.rewrite import LOADS
from .evaluate import Compiled

ONE_BY_ONE = frozenset(
    {
        *LOADS,
        "filter_bands",
        "filter_bbox",
        "filter_spatial",
        "filter_temporal",
        "apply",
        "apply_kernel",
        "ndvi",
        "mask",
        "mask_polygon",
        "merge_cubes",
        "physical_values",
        "compute_indices",
        "focal_statistics",
        "morphology",
        "gaussian_filter",
        "edge_detection",
        "to_scl_dilation_mask",
        "mask_scl_dilation",
        "slope",
        "aspect",
        "hillshade",
        "terrain_index",
        "resample_spatial",
        "save_result",
        "inspect",
    }
)
"""Processes that give each date what they make of that date alone."""
ALONG = {"reduce_dimension", "apply_dimension"}


def alone(compiled: Compiled, date: str) -> Compiled:
    """The graph on the files of one date; all of it where that could give other values."""
    plan = compiled.plan
    steps = [[step for step in load.steps if step.label == date] for load in plan.loads]
    if not date or not all(steps) or not keeps_dates_apart(compiled.graph):
        return compiled
    loads = tuple(replace(load, steps=tuple(mine)) for load, mine in zip(plan.loads, steps, strict=True))
    return replace(compiled, plan=replace(plan, loads=loads))


def keeps_dates_apart(graph: Graph) -> bool:
    """Whether each date of the result depends on that date alone."""
    return all(map(_keeps, graph.nodes))


def _keeps(node: Node) -> bool:
    if holds_code(Graph((node,), node.id)):
        return False
    if node.process in ALONG:
        return node.arguments.get("dimension") == "bands"
    return node.process in ONE_BY_ONE
