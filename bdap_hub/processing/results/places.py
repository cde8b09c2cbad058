"""On which pixels each node of a graph is evaluated when its result becomes a file: the data's own, or those of
resample_spatial and resample_cube_spatial. A map needs none of this: all its cubes lie on the tile's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..cancel import check
from ..engine.grid import Grid
from ..engine.reader import Reader
from ..graphs.graph import Graph, GraphError, Node, Ref
from ..graphs.plan import Plan
from .geography import Geography
from .lattice import Lattice, Window

RESAMPLES = ("resample_spatial", "resample_cube_spatial")
KERNEL = 4
"""Source pixels that the widest resampling kernel looks at on each side (Lanczos 3, and one for rounding)."""
MOST_ZONES = 100
"""Where branches on several grids meet again and again, each needs all before it once more: they would double."""


@dataclass(frozen=True)
class Zone:
    """Nodes that share their pixels. `parent` is the zone that these are resampled to (-1: the result's own zone).

    `window` holds all its data; `ratio`, how many of its pixels there are for one of the result.
    """

    lattice: Lattice
    parent: int
    window: Window
    ratio: float = 1.0


@dataclass(frozen=True)
class Placed:
    """A graph whose nodes each lie in one zone (a node that is needed in two stands there twice).

    `source` names the node of the plan behind a node's id; `window` is where the result lies in zone 0.
    """

    graph: Graph
    zones: tuple[Zone, ...]
    zone_of: Mapping[str, int]
    source: Mapping[str, str]
    margin: int

    @property
    def lattice(self) -> Lattice:
        """The pixels of the result."""
        return self.zones[0].lattice

    @property
    def window(self) -> Window:
        """Where the result has data."""
        return self.zones[0].window

    def scale(self, zone: int) -> tuple[float, float]:
        """Pixels of the zone that this one is resampled to, for one of its own, along x and y."""
        below, above = self.zones[zone].window, self.zones[self.zones[zone].parent].window
        return above.width / below.width, above.height / below.height

    def grids(self, window: Window) -> tuple[Grid, ...]:
        """The grid of each zone that is needed for a window of the result, with the margins of neighbourhoods."""
        windows: list[Window] = []
        for zone in self.zones:
            if zone.parent < 0:
                wanted = window
            else:
                above = self.zones[zone.parent].lattice
                frame = above.frame(windows[zone.parent]).moved(above.crs, zone.lattice.crs)
                pad = KERNEL * max(1, round(zone.ratio**0.5 + 0.5))
                wanted = zone.lattice.around(frame).grown(pad).overlap(zone.window)
                wanted = Window(0, 0, 1, 1) if wanted.empty else wanted
            windows.append(wanted.grown(self.margin))
        return tuple(zone.lattice.grid(part) for zone, part in zip(self.zones, windows, strict=True))


def place(graph: Graph, plan: Plan, reader: Reader, margin: int) -> Placed:
    """Where the nodes of a graph lie; reads the headers of the files. GraphError where there is no data."""
    return _Placing(graph, Geography(graph, plan, reader), margin).placed()


@dataclass
class _Placing:
    graph: Graph
    geography: Geography
    margin: int
    zones: list[Zone] = field(default_factory=list)
    done: dict[tuple[str, int], str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    zone_of: dict[str, int] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)

    def placed(self) -> Placed:
        first = self._zone(self.graph.result, -1)
        result = self._visit(self.graph.result, first)
        return Placed(Graph(tuple(self.nodes), result), tuple(self.zones), self.zone_of, self.source, self.margin)

    def _zone(self, node: str, parent: int) -> int:
        """A new zone on the pixels of a node; GraphError where there are too many."""
        if len(self.zones) >= MOST_ZONES:
            raise GraphError(
                "ProcessGraphComplexity",
                f"with all its resampling, the graph is evaluated on more than {MOST_ZONES} grids",
                "resample right after loading, all to the same pixels",
            )
        lattice = self.geography.lattice(node)
        window = self.geography.window(node, lattice)
        if window.empty:
            raise GraphError("NoDataAvailable", "the graph's extents hold no pixel of the data", "widen them")
        ratio = 1.0
        if parent >= 0:
            above = self.zones[parent]
            ratio = above.ratio * max(1.0, window.width * window.height / (above.window.width * above.window.height))
        self.zones.append(Zone(lattice, parent, window, ratio))
        return len(self.zones) - 1

    def _visit(self, identifier: str, zone: int) -> str:
        """The id of a node in a zone, after all that it needs."""
        check()
        if (identifier, zone) in self.done:
            return self.done[identifier, zone]
        node = self.graph.node(identifier)
        if node.process not in RESAMPLES:
            made = self._put(node, zone, {ref: self._visit(ref, zone) for ref in sorted(node.refs)})
        elif self.geography.lattice(identifier) == self.zones[zone].lattice:
            made = self._resampled(node, zone)
        else:  # it asks for other pixels than what follows works on: there first, then on to these
            there = self._zone(identifier, zone)
            made = self._put(_near(self._resampled(node, there)), zone, {})
        self.done[identifier, zone] = made
        return made

    def _resampled(self, node: Node, zone: int) -> str:
        data = node.arguments["data"].node
        same = self.geography.lattice(data) == self.zones[zone].lattice
        below = self._visit(data, zone if same else self._zone(data, zone))
        arguments = {key: value for key, value in node.arguments.items() if key != "target"}
        return self._put(replace(node, arguments={**arguments, "data": Ref(below), **_target(node)}), zone, {})

    def _put(self, node: Node, zone: int, refs: Mapping[str, str]) -> str:
        identifier = node.id if node.id not in self.zone_of else f"{node.id}@{zone}"
        self.source[identifier] = node.id
        self.zone_of[identifier] = zone
        given = node.arguments.items()  # what refers to nothing, maybe a large polygon, is shared by all zones
        arguments = {key: value if key in node.constant else _renamed(value, refs) for key, value in given}
        self.nodes.append(replace(node, id=identifier, arguments=arguments))
        return identifier


def _target(node: Node) -> dict[str, Any]:
    return {"target": None} if "target" in node.arguments else {}  # only its pixels' places count, and are known


def _near(below: str) -> Node:
    return Node(f"{below}+", "resample_spatial", {"data": Ref(below), "method": "near"}, "resample_spatial")


def _renamed(value: Any, refs: Mapping[str, str]) -> Any:
    if isinstance(value, Ref):
        return Ref(refs.get(value.node, value.node))
    if isinstance(value, Mapping):
        return {key: _renamed(inner, refs) for key, inner in value.items()}
    return [_renamed(inner, refs) for inner in value] if isinstance(value, list) else value
