"""From a graph to files: evaluated in blocks of bounded memory, each written as it comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import cancel
from ..cubes.cube import SPATIAL, Cube
from ..drawing.style import GRAY
from ..engine.grid import Grid
from ..graphs.graph import Graph, GraphError, Node
from ..graphs.spec import Sees
from ..processes import REGISTRY
from .formats import wanted
from .geotiff import GeoTiffs
from .lattice import Window
from .netcdf import NetCdf
from .pixels import Evaluator
from .plainfiles import PICTURES, Collected
from .storage import SIDE, Storage, Writer, Written
from .zarrs import Zarr

COPIES = 4
"""How many arrays of the size of what is loaded an evaluation may hold at once, by estimate."""
SHARE = 2
"""A block may take this part of the memory that an evaluation may hold."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Extent:
    """How large a result is: pixels of its grid, layers read and written, and so the numbers behind it."""

    width: int
    height: int
    layers_read: float
    layers_written: int
    whole: bool

    @property
    def values_read(self) -> int:
        """Numbers that are read."""
        return math.ceil(self.width * self.height * self.layers_read)

    @property
    def bytes_written(self) -> int:
        """Of the result, uncompressed, in single precision."""
        return 4 * self.layers_written * (self.width * self.height)


def extent_of(evaluator: Evaluator) -> Extent:
    """The size of a graph's result, without reading a pixel."""
    placed, plan = evaluator.placed, evaluator.compiled.plan
    read = 0.0
    for identifier, source in placed.source.items():
        for load in plan.loads:
            if load.node == source:
                ratio = placed.zones[placed.zone_of[identifier]].ratio
                read += len(load.steps) * len(load.bands) * ratio
    shape = evaluator.compiled.result
    written = math.prod(len(shape.labels[name]) for name in shape.dims if name not in SPATIAL)
    window = placed.window
    return Extent(window.width, window.height, read, written, needs_whole(evaluator.compiled.graph))


def check(extent: Extent, most_mb: int, remedy: str) -> None:
    """GraphError (ProcessGraphComplexity) with the numbers where a result reads or holds more than allowed."""
    needed = max(4 * extent.values_read, extent.bytes_written) >> 20
    if needed > most_mb:
        raise GraphError(
            "ProcessGraphComplexity",
            f"the result has {extent.width} x {extent.height} pixels and needs {needed} MB of pixels; "
            f"the limit is {most_mb} MB",
            remedy,
        )


def export(
    evaluator: Evaluator,
    folder: Path,
    split: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Written]:
    """Write a graph's result into `folder`, by its save_result; `split`: a GeoTIFF for each date.

    Where the evaluation is cancelled it ends, leaving what is written so far to the caller.
    """
    extent, whole = extent_of(evaluator), evaluator.placed.window
    side = block_side(extent, evaluator.engine.limit)
    parts = [whole] if extent.whole else list(blocks(whole, side))
    writer: Writer | None = None
    for number, part in enumerate(parts):
        progress(number, len(parts))
        cancel.check()
        cube = evaluator.cube(part, whole=extent.whole)
        if writer is None:
            writer = open_writer(evaluator, cube, folder, split, side)
        writer.write(cube, Window(*(v - whole[n % 2] for n, v in enumerate(part))))
    progress(len(parts), len(parts))
    assert writer is not None
    return writer.close()


def open_writer(evaluator: Evaluator, first: Cube, folder: Path, split: bool, side: int) -> Writer:
    """The writer of the format that the graph ends with, for cubes like the first one."""
    graph = evaluator.compiled.graph
    spatial = first.dims[-2:] == SPATIAL
    asked = wanted(graph, spatial)
    grid: Grid = evaluator.placed.lattice.grid(evaluator.placed.window)
    kind = np.result_type(first.data.dtype, *precision(evaluator))
    like = replace(first, data=first.data.astype(kind, copy=False))
    name = asked.format.name
    if name == "GTiff":
        return GeoTiffs(folder, like, grid, Storage.of(asked, like.data), split)
    if name == "netCDF":
        return NetCdf(folder, like, grid, Storage.of(asked, like.data))
    if name == "Zarr":
        return Zarr(folder, like, grid, Storage.of(asked, like.data), side)
    style = evaluator.compiled.drawable.wanted() if name in PICTURES else GRAY
    return Collected(name, folder, like, grid, style)


def needs_whole(graph: Graph) -> bool:
    """Whether some process of a graph has to see all pixels at once."""
    return any(_sees_all(node) for node in graph.nodes)


def block_side(extent: Extent, limit: int) -> int:
    """Pixels a side of the blocks that are evaluated at once, so that they fit into `limit` bytes."""
    fits = int((limit / SHARE / (4 * COPIES * max(1.0, extent.layers_read, extent.layers_written))) ** 0.5)
    return fits // SIDE * SIDE if fits >= SIDE else max(64, fits // 64 * 64)


def blocks(whole: Window, side: int) -> Iterator[Window]:
    """Squares of `side` pixels that together are the whole, row by row."""
    for top in range(whole.top, whole.bottom, side):
        for left in range(whole.left, whole.right, side):
            yield Window(left, top, min(left + side, whole.right), min(top + side, whole.bottom))


def precision(evaluator: Evaluator) -> set[Any]:
    """Double, where one of the files holds numbers that single precision cannot; by the first file of each band."""
    found = set[Any]()
    for load in evaluator.compiled.plan.loads:
        scenes = [scene for step in load.steps for scene in step.scenes]
        for band in range(len(load.bands)):
            source = next((s for scene in scenes if (s := scene.sources[band])), None)
            if source is not None:
                dtype = np.dtype(evaluator.engine.reader.file(source.href).dtypes[source.index - 1])
                found.add(np.float64 if dtype.itemsize > 4 or dtype in (np.int32, np.uint32) else np.float32)
    return found


def _sees_all(node: Node) -> bool:
    along = node.process == "reduce_dimension" and node.arguments.get("dimension") in SPATIAL
    return along or REGISTRY[node.process].sees is Sees.EXTENT
