"""Which pixels each node of a graph has, and where its data lie: by the files' headers and the graph's extents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from rasterio.warp import calculate_default_transform

from ..cubes.extent import DEGREES, box, epsg
from ..cubes.geometry import around
from ..engine.grid import crs_of
from ..engine.reader import Reader
from ..engine.sampling import Raster
from ..graphs.graph import Graph, GraphError, Node, Ref, walk
from ..graphs.plan import Load, Plan
from ..graphs.zones import geometries
from .lattice import Frame, Lattice, Window


class Geography:
    """Answers for the nodes of one graph. Reads each file's header once."""

    def __init__(self, graph: Graph, plan: Plan, reader: Reader) -> None:
        self.graph, self.reader = graph, reader
        self.loads = {load.node: load for load in plan.loads}
        self._lattices: dict[str, Lattice | None] = {}
        self._rasters: dict[str, list[Raster]] = {}
        self._frames: dict[tuple[str, str], Frame | None] = {}

    def lattice(self, identifier: str) -> Lattice:
        """The pixels of a node's result: those of the first data it is made of, unless it is resampled."""
        found = self._lattice(identifier)
        if found is None:
            raise GraphError("NoDataAvailable", "the graph reads no data, so its result lies nowhere", "load some")
        return found

    def window(self, identifier: str, lattice: Lattice) -> Window:
        """The pixels of a lattice where a node has data, if it has any: those whose centre lies in its extent."""
        frame = self._frame(self.graph.node(identifier), lattice.crs)
        return Window(0, 0, 0, 0) if frame is None else lattice.centres_in(frame)

    def _lattice(self, identifier: str) -> Lattice | None:
        if identifier not in self._lattices:
            self._lattices[identifier] = self._found(self.graph.node(identifier))
        return self._lattices[identifier]

    def _found(self, node: Node) -> Lattice | None:
        if node.id in self.loads:
            return self._native(self.loads[node.id])
        if node.process == "resample_spatial":
            return self._asked(node)
        first = "target" if node.process == "resample_cube_spatial" else "data"
        for ref in _cubes(node, first):
            if (found := self._lattice(ref)) is not None:
                return found
        return None

    def _native(self, load: Load) -> Lattice:
        """The finest pixels of the first item that has files."""
        raster = self._all(load)[0]
        return Lattice(raster.crs, raster.left, raster.top, raster.xres, raster.yres)

    def _all(self, load: Load) -> list[Raster]:
        """A raster for each scene: that of its finest band."""
        if load.node not in self._rasters:
            scenes = [scene for step in load.steps for scene in step.scenes]
            found = [[self.reader.file(s.href).raster for s in scene.sources if s] for scene in scenes]
            self._rasters[load.node] = [min(rasters, key=lambda r: r.xres) for rasters in found if rasters]
        if not self._rasters[load.node]:
            raise GraphError("NoDataAvailable", f"no item of {load.collection} has one of the bands")
        return self._rasters[load.node]

    def _asked(self, node: Node) -> Lattice:
        """What resample_spatial asks for: another CRS, another resolution, aligned at a corner of the data."""
        below = self.lattice(node.arguments["data"].node)
        raw = node.arguments.get("projection")
        crs = below.crs if raw is None else epsg(raw)
        xres, yres = _resolution(node.arguments.get("resolution") or 0)
        if crs == below.crs and xres in (0, below.xres) and yres in (0, below.yres):
            return below
        window = self.window(node.arguments["data"].node, below)
        frame = below.frame(window).moved(below.crs, crs)
        if not xres:
            xres, yres = _default(below, window, crs) if crs != below.crs else (below.xres, below.yres)
        vertical, _, horizontal = str(node.arguments.get("align") or "upper-left").partition("-")
        x = frame.west if horizontal == "left" else frame.east
        return Lattice(crs, x, frame.north if vertical == "upper" else frame.south, xres, yres)

    def _frame(self, node: Node, crs: str) -> Frame | None:
        """Where a node has data, in a CRS; found once, however many nodes ask for it."""
        if (node.id, crs) not in self._frames:
            refs = list(dict.fromkeys(_cubes(node, "data")))
            wanted = refs if node.process == "merge_cubes" else refs[:1]
            below = [self._frame(self.graph.node(ref), crs) for ref in wanted]
            self._frames[node.id, crs] = self._framed(node, crs, [frame for frame in below if frame is not None])
        return self._frames[node.id, crs]

    def _framed(self, node: Node, crs: str, found: list[Frame]) -> Frame | None:
        """The same, from the frames of the cubes that it takes."""
        if node.id in self.loads:
            frames = [_extent(raster).moved(raster.crs, crs) for raster in self._all(self.loads[node.id])]
            return _within(_hull(frames), node.arguments.get("spatial_extent"), crs)
        frame = _hull(found) if found else None
        if frame is None or node.process not in ("filter_bbox", "filter_spatial", "aggregate_spatial"):
            return frame
        extent = node.arguments.get("extent") or geometries(self.graph, node.arguments.get("geometries"))
        return _within(frame, extent, crs)


def _cubes(node: Node, first: str) -> Iterator[str]:
    """The nodes that a node takes cubes from, the one that gives the pixels before the others."""
    names = sorted(node.arguments, key=lambda name: (name != first, name not in ("cube1", "x"), name))
    for name in names:
        yield from (value.node for value in walk(node.arguments[name]) if isinstance(value, Ref))


def _extent(raster: Raster) -> Frame:
    return Frame(raster.left, raster.bottom, raster.right, raster.top)


def _hull(frames: list[Frame]) -> Frame:
    made = frames[0]
    for other in frames[1:]:
        made = made.hull(other)
    return made


def _within(frame: Frame, extent: Mapping[str, Any] | None, crs: str) -> Frame:
    """What of a frame lies in a spatial extent of the graph."""
    if not extent:
        return frame
    if "type" in extent:
        return frame.overlap(Frame(*around(extent)).moved(DEGREES, crs))
    asked = box(extent)
    return frame.overlap(Frame(*asked[:4]).moved(asked.crs, crs))


def _resolution(raw: Any) -> tuple[float, float]:
    x, y = (float(part) for part in (raw if isinstance(raw, list) else (raw, raw)))
    if not (math.isfinite(x) and math.isfinite(y)) or min(x, y) < 0 or (x == 0) != (y == 0):
        raise GraphError("ProcessArgumentInvalid", f"{raw!r:.60} is not a resolution", "a number above 0, or two")
    return x, y


def _default(below: Lattice, window: Window, crs: str) -> tuple[float, float]:
    """The pixel size that GDAL takes for data of these pixels in another CRS."""
    frame = below.frame(window)
    made, _, _ = calculate_default_transform(crs_of(below.crs), crs_of(crs), window.width, window.height, *frame)
    return float(made.a), float(-made.e)
