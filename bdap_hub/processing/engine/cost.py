"""What evaluating a plan will cost, before a pixel is read: from the headers of some of its files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import TooMuch, Unavailable
from ..cubes.extent import Bounds, overlap
from ..graphs.bands import Source
from ..graphs.plan import Load, Plan, Scene
from .files import File
from .grid import MAX_ZOOM, TILE, Grid
from .reader import Reader
from .sampling import positions

LOOKED_AT = 200
"""Bands of files whose headers are read for a tile; beyond it the rest is taken to be like them."""
SAMPLE = 16
"""Bands of files, spread over a load's dates, that are looked at to tell whether it needs a closer look."""


@dataclass(frozen=True)
class Cost:
    """`pixels` come out of each load; `blocks` are decoded for them, which are `bytes_decoded` bytes."""

    pixels: int = 0
    blocks: int = 0
    bytes_decoded: int = 0

    def times(self, factor: float) -> Cost:
        """So many times this."""
        return Cost(*(math.ceil(part * factor) for part in (self.pixels, self.blocks, self.bytes_decoded)))

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(self.pixels + other.pixels, self.blocks + other.blocks, self.bytes_decoded + other.bytes_decoded)


def refuse(plan: Plan, reader: Reader, grid: Grid, most_mb: int) -> None:
    """TooMuch, with the number, where a grid needs more than that decoded: of files without overviews, seen from afar.

    With overviews it is never much, so that nothing is counted where SAMPLE files of each load have one that fits.
    """
    try:
        if not any(_afar(load, reader, grid) for load in plan.loads):
            return
        needed = of_tile(plan, reader, grid).bytes_decoded >> 20
    except Unavailable:
        return  # whoever reads it says so, if it is read at all
    if needed > most_mb:
        raise TooMuch(
            f"{needed} MB would have to be decoded, because the files have no overviews for this scale; "
            f"the limit is {most_mb} MB",
            "zoom in or choose a smaller area; with overviews in the files (gdaladdo) every scale is fast",
        )


def native_tile(plan: Plan, reader: Reader) -> tuple[int, int, int]:
    """Zoom, column and row of a tile in the middle of the first scene, with pixels of about its finest file's size."""
    scene = next(_scenes(plan))[1]
    middle = overlap(scene.bounds, plan.bounds)
    lon, lat = (middle.west + middle.east) / 2, (middle.south + middle.north) / 2
    grid = Grid.tile(*(at := tile_at(lon, lat, 12)))
    scales = [positions(grid, reader.file(s.href).raster)[2] for s in scene.sources if s]
    finest = max((s for s in scales if s > 0), default=1.0)
    return tile_at(lon, lat, min(MAX_ZOOM, max(0, at[0] + round(math.log2(finest)))))


def tile_at(lon: float, lat: float, z: int) -> tuple[int, int, int]:
    """The tile of that zoom that holds a point."""
    n, lat = 2**z, max(-85.05, min(85.05, lat))
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return z, int((lon + 180) / 360 * n) % n, min(n - 1, max(0, int(y * n)))


def of_tile(plan: Plan, reader: Reader, grid: Grid) -> Cost:
    """What one grid costs that nobody has looked at before."""
    around = grid.bounds()
    met = [s for _, scene in _scenes(plan) if scene.bounds.meets(around) for s in scene.sources if s]
    total, some = Cost(), spread(met, LOOKED_AT)
    for source in some:
        total = total.plus(_of_source(source, reader, grid))
    return total.times(len(met) / max(1, len(some)))


def of_extent(plan: Plan, reader: Reader) -> Cost:
    """What all pixels of the plan's extent cost at full resolution; SAMPLE files of each band stand for all."""
    total = Cost()
    for load in plan.loads:
        for band in range(len(load.bands)):
            scenes = [scene for step in load.steps for scene in step.scenes if scene.sources[band]]
            some, most = spread(scenes, SAMPLE), sum(_share(scene.bounds, plan.bounds) for scene in scenes)
            shares = sum(_share(scene.bounds, plan.bounds) for scene in some)
            for scene in some:
                source = scene.sources[band]
                assert source is not None
                part = _share(scene.bounds, plan.bounds) * (most / shares if shares else 0)
                total = total.plus(_of_file(reader.file(source.href)).times(part))
    return total


def spread[T](some: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of them, from the first to the last.

    >>> spread(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(some) <= most:
        return some
    return [some[number * (len(some) - 1) // (most - 1)] for number in range(most)]


def _scenes(plan: Plan) -> Iterator[tuple[Load, Scene]]:
    for load in plan.loads:
        for step in load.steps:
            yield from ((load, scene) for scene in step.scenes if any(scene.sources))


def _afar(load: Load, reader: Reader, grid: Grid) -> bool:
    """Whether one of the files that a grid meets, of a few that are looked at, has no overview for it."""
    around = grid.bounds()
    met = [scene for step in load.steps for scene in step.scenes if scene.bounds.meets(around)]
    sources = [source for scene in met for source in scene.sources if source]
    samplers = [reader.sampler(reader.file(source.href), grid) for source in sources[:1]]
    if all(how is None or (how.level, how.decimate) == (0, 1) for how in samplers):
        return False  # near the first one's own pixels no file decodes much more than what is shown
    samplers += [reader.sampler(reader.file(source.href), grid) for source in spread(sources, SAMPLE)]
    return any(how is not None and how.decimate > 1 for how in samplers)


def _of_source(source: Source, reader: Reader, grid: Grid) -> Cost:
    file = reader.file(source.href)
    how = reader.sampler(file, grid)
    if how is None:
        return Cost()
    width, height = file.units[how.level]
    k = how.decimate
    columns = -(-how.right * k // width) - how.left * k // width
    rows = -(-how.bottom * k // height) - how.top * k // height
    return Cost(TILE * TILE, rows * columns, rows * columns * width * height * _bytes(file))


def _of_file(file: File) -> Cost:
    raster, (width, height) = file.raster, file.units[0]
    pixels = raster.width * raster.height
    return Cost(pixels, -(-raster.width // width) * -(-raster.height // height), pixels * _bytes(file))


def _bytes(file: File) -> int:
    return int(np.dtype(file.dtypes[0]).itemsize)


def _share(scene: Bounds, extent: Bounds) -> float:
    """How much of a scene lies in the extent."""
    part = overlap(scene, extent)

    def area(box: Bounds) -> float:
        return max(0.0, box.east - box.west) * max(0.0, box.north - box.south)

    return min(1.0, area(part) / area(scene)) if area(scene) else 1.0


def shown(cost: Cost) -> dict[str, Any]:
    """As JSON."""
    return {"pixels": cost.pixels, "blocks": cost.blocks, "bytes_to_decode": cost.bytes_decoded}
