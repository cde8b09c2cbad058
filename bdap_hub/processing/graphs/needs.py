"""What each load_collection of a graph has to read: filters and band selection pushed down to it. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..cubes.extent import WORLD, Bounds, Interval, common, hull, interval, overlap, span
from ..cubes.geometry import extent_of
from ..processes import REGISTRY
from ..processes.indices import candidates
from .graph import Graph, GraphError, Node, Param, Ref, holds_code, walk
from .rewrite import LOADS
from .spec import Sees
from .zones import geometries

MOST_MARGIN = 128
ALWAYS = Interval()
CUBES = frozenset(("data", "mask", "geometries", "kernel"))
"""Arguments that say nothing about what of `data` is looked at, wherever they come from."""
Band = str | tuple[str, ...]
"""A band by name or common name, or the first that there is of several."""
Bands = frozenset[Band] | None
"""The bands that are used; None: all of them."""


@dataclass(frozen=True)
class Need:
    """What consumers of a node's result look at."""

    bands: Bands = None
    bounds: Bounds = WORLD
    interval: Interval = ALWAYS

    def union(self, other: Need) -> Need:
        """What both together look at."""
        bands = None if self.bands is None or other.bands is None else self.bands | other.bands
        return Need(bands, hull(self.bounds, other.bounds), span(self.interval, other.interval))


@dataclass(frozen=True)
class Query:
    """What the load node of that id asks for: of a collection by its id, or of what load_stac or load_result name.

    `bands` are those asked for (None: all), `used` those of them whose pixels the graph looks at (None: all).
    `physical`: values are wanted in the unit that they measure, not as they are stored.
    """

    node: str
    collection: str
    bands: tuple[str, ...] | None
    bounds: Bounds
    interval: Interval
    filters: Mapping[str, Graph]
    used: tuple[Band, ...] | None = None
    physical: bool = False
    process: str = "load_collection"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def search(self, limit: int) -> dict[str, Any]:
        """The body of a STAC search; what it cannot say exactly is checked again on the items."""
        start, end = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ".." for moment in self.interval)
        body: dict[str, Any] = {"collections": [self.collection], "limit": limit}
        if self.bounds != WORLD:
            body["bbox"] = list(self.bounds)
        if (start, end) != ("..", ".."):
            body["datetime"] = f"{start}/{end}"
        if conditions := {name: c for name, graph in self.filters.items() if (c := _condition(graph))}:
            body["query"] = conditions
        if (chosen := self.filters.get("id")) is not None and (ids := _one_of(chosen)) is not None:
            body["ids"] = ids
        return body


def queries(graph: Graph) -> tuple[Query, ...]:
    """The catalogue query of each load_collection, in the graph's order; not of those that wait for a parameter."""
    needs = _needs(graph)
    return tuple(_query(node, needs[node.id]) for node in _loads(graph))


def named(graph: Graph) -> tuple[str, ...]:
    """What these name: ids, addresses, files."""
    return tuple(_name(node) for node in _loads(graph))


def _loads(graph: Graph) -> list[Node]:
    loads = [node for node in graph.nodes if node.process in LOADS]
    return [node for node in loads if not any(isinstance(value, Param) for value in walk(node.arguments))]


def _query(node: Node, need: Need) -> Query:
    asked = node.arguments.get("bands")
    used = None if need.bands is None else tuple(sorted(need.bands, key=str))
    extent, period = node.arguments.get("spatial_extent"), node.arguments.get("temporal_extent")
    bounds = overlap(need.bounds, extent_of(extent)) if extent else need.bounds
    if bounds.west > bounds.east or bounds.south > bounds.north:
        raise GraphError("NoDataAvailable", f"node {node.name!r}: the graph's spatial extents do not meet")
    return Query(
        node.id,
        _name(node),
        tuple(str(b) for b in asked) if asked else None,
        bounds,
        common(need.interval, interval(period)) if period else need.interval,
        node.arguments.get("properties") or {},
        used,
        node.physical,
        node.process,
        node.arguments,
    )


def _name(node: Node) -> str:
    """What a load names: an id, an address, or files."""
    if node.process == "load_uploaded_files":
        return ", ".join(map(str, node.arguments["paths"]))
    return str(node.arguments["url" if node.process == "load_stac" else "id"])


def _needs(graph: Graph) -> dict[str, Need]:
    needs = {graph.result: Need()}
    for node in reversed(graph.nodes):
        own = needs.get(node.id, Need())
        for name, value in node.arguments.items():
            for ref in (v for v in walk(value) if isinstance(v, Ref)):
                asked = _asked(node, name, own, graph)
                needs[ref.node] = needs[ref.node].union(asked) if ref.node in needs else asked
    return needs


def _asked(node: Node, argument: str, own: Need, graph: Graph) -> Need:
    """What `node` looks at in its argument, given what its own consumers look at.

    All of it where an argument that decides is the result of another node: its value shows only when the graph runs.
    """
    if argument == "data" and node.arguments.keys() - CUBES <= node.constant:
        match node.process:
            case "filter_bands" if node.arguments.get("bands"):
                return replace(own, bands=frozenset(str(b) for b in node.arguments["bands"]))
            case "filter_temporal" if node.arguments.get("dimension") in (None, "t"):
                return replace(own, interval=common(own.interval, interval(node.arguments["extent"])))
            case "filter_bbox":
                return replace(own, bounds=overlap(own.bounds, extent_of(node.arguments["extent"])))
            case "filter_spatial" | "aggregate_spatial":
                geojson = geometries(graph, node.arguments["geometries"])
                if geojson is None:
                    return Need(own.bands, WORLD, own.interval)
                return replace(own, bounds=overlap(own.bounds, extent_of(geojson)))
            case "ndvi" if node.arguments.get("target_band") is None:
                return replace(
                    own, bands=frozenset({node.arguments.get("nir", "nir"), node.arguments.get("red", "red")})
                )
            case "ml_predict" | "ml_predict_probabilities" if not node.arguments.get("dimensions"):
                return replace(own, bands=None)
            case "compute_indices":
                return replace(own, bands=_of_indices(node.arguments))
            case "reduce_dimension" if node.arguments["dimension"] == "bands":
                return replace(own, bands=_labels_used(node.arguments["reducer"]))
            case _ if holds_code(Graph((node,), node.id)):  # whatever it looks at, it gets
                return Need(None, own.bounds)
            case "apply" | "save_result" | "reduce_dimension" | "mask_polygon" | "inspect":
                return own
            case "aggregate_temporal" | "aggregate_temporal_period":
                return Need(own.bands, own.bounds)
            case "to_scl_dilation_mask":
                return Need(None, WORLD, own.interval)
            case "mask_scl_dilation":  # looks at one band more
                scl = str(node.arguments.get("scl_band_name") or "SCL")
                return Need(None if own.bands is None else own.bands | {scl}, WORLD, own.interval)
            case focal if REGISTRY[focal].sees is Sees.NEIGHBOURS:  # looks beyond the bounds
                return Need(own.bands, WORLD, own.interval)
            case "mask":  # data and mask must keep the same dates, so no extent goes past this point
                return Need(own.bands)
    return Need()


def _of_indices(arguments: Mapping[str, Any]) -> Bands:
    """The bands that spectral indices look at; None where the cube's own stay beside them, or it shows later only."""
    given = {name: arguments.get(name) for name in ("indices", "variable_map", "platform")}
    if arguments.get("append") or any(
        isinstance(part, (Ref, Param)) for value in given.values() for part in walk(value)
    ):
        return None
    return frozenset(candidates(**given).values())  # type: ignore[arg-type]


def _labels_used(callback: Any) -> Bands:
    """The labels that a reducer over bands takes by array_element; None if it looks at the whole array."""
    if not isinstance(callback, Graph):
        return None
    labels = set[str]()
    for node in callback.nodes:
        uses_data = any(getattr(v, "name", "") == "data" for v in walk(node.arguments))
        nested = any(isinstance(v, Graph) for v in walk(node.arguments))
        taken = node.process == "array_element" and isinstance(node.arguments.get("label"), str)
        if nested or (uses_data and not taken):
            return None
        if uses_data:
            labels.add(node.arguments["label"])
    return frozenset(labels)


def margin(graph: Graph) -> int:
    """How many pixels around a pixel the result depends on: the sum along the longest chain of neighbourhoods."""
    reach: dict[str, int] = {}
    for node in graph.nodes:
        before = max((reach[ref] for ref in node.refs), default=0)
        reach[node.id] = before + _reach(node)
    if reach[graph.result] > MOST_MARGIN:
        raise GraphError(
            "ProcessGraphComplexity",
            f"a pixel depends on {reach[graph.result]} pixels around it; the limit is {MOST_MARGIN}",
            "use smaller kernels",
        )
    return reach[graph.result]


def _reach(node: Node) -> int:
    """How many pixels around a pixel one node looks at; GraphError where its arguments do not tell."""
    try:
        return REGISTRY[node.process].reach(node.arguments)
    except GraphError as error:
        error.message = f"node {node.name!r} ({node.process}): {error.message}"
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError):
        raise GraphError(
            "ProcessArgumentInvalid",
            f"node {node.name!r} ({node.process}): its arguments do not tell how far it looks",
            "write them into the graph as the process describes them",
        ) from None


def _one_of(graph: Graph) -> list[str] | None:
    """The texts one of which a property has to be; None where the filter says something else."""
    if len(graph.nodes) != 1 or graph.nodes[0].process != "array_contains":
        return None
    arguments = graph.nodes[0].arguments
    data, value = arguments.get("data"), arguments.get("value")
    if not isinstance(data, list) or getattr(value, "name", "") != "value":
        return None
    return list(data) if all(isinstance(each, str) for each in data) else None


def _condition(graph: Graph) -> dict[str, Any] | None:
    """A metadata filter as the STAC query extension says it; None where it cannot."""
    if len(graph.nodes) != 1 or graph.nodes[0].process not in ("eq", "neq", "lt", "lte", "gt", "gte"):
        return None
    node = graph.nodes[0]
    x, y = node.arguments["x"], node.arguments["y"]
    if set(node.arguments) != {"x", "y"} or getattr(x, "name", "") != "value" or not isinstance(y, (int, float, str)):
        return None
    return {node.process: y}
