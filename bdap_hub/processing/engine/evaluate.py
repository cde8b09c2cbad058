"""Evaluates compiled graphs on grids, in threads that all evaluations share: tiles, and what is asked besides."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ...errors import TooMuch
from ...settings import Settings
from ..cubes.cube import Cube
from ..cubes.extent import Bounds
from ..drawing.drawable import picture
from ..drawing.png import png
from ..graphs.interpret import Context, run
from ..graphs.plan import Load, Plan
from ..graphs.streams import Stream
from ..udf.pool import Udfs
from . import cost
from .compiled import Compiled, code_of
from .grid import Grid
from .inquiry import Inquiry
from .limits import Limits, workers
from .loading import loaded, meets
from .memory import frugal
from .models import Models
from .reader import Reader
from .stream import Dates, reduced
from .watch import Pool, Watch

__all__ = ["Compiled", "Engine", "code_of"]


class Engine:
    """Reads in a bounded pool of threads that all evaluations share. Its methods block; call them in a thread.

    `beside`: how many evaluations other processes have under way.
    """

    def __init__(self, settings: Settings | Limits) -> None:
        frugal()
        self.limit = settings.processing.max_cube_mb * 2**20
        self.decoded = settings.processing.decode_mb
        self.models = Models(settings.processing.models, settings.processing.model_mb * 2**20)
        self.watch = Watch(settings.store.patience)
        self.reader = Reader(settings.store, settings.processing.block_cache_mb * 2**20, watch=self.watch)
        self.threads = settings.processing.threads
        self.pool = Pool(self.threads, self.watch, "read")
        self._evaluated, self.beside, self._lock = 0, 0, threading.Lock()
        self.udfs: Udfs | None = None

    def close(self) -> None:
        """Stop reading and close all files."""
        self.pool.close()
        if self.udfs is not None:
            self.udfs.close()
        self.reader.close()

    def tile(self, compiled: Compiled, z: int, x: int, y: int) -> bytes:
        """The PNG of a tile, of the last date where there are several."""
        style, grid = compiled.drawable.wanted(), Grid.tile(z, x, y)
        cube = self.cube(compiled, grid.grown(style.margin))
        return png(picture(cube, compiled.dates[-1] if compiled.dates else "", style, grid.metres))

    def cube(self, compiled: Compiled, grid: Grid, seen: dict[str, Any] | None = None) -> Cube:
        """The graph's result on `grid`; each node's own result is left in `seen`. TooMuch beyond the limits."""
        around = grid.grown(compiled.margin)
        self.reader.unchanged(compiled.plan.pinned())
        cost.refuse(compiled.plan, self.reader, around, self.decoded)
        context = self._context(around, lambda node: self.load(compiled.plan.load(node), around))
        context.udfs = code_of(compiled.plan, self.udfs)
        with self._counted():
            if seen is None:
                context.instead = {
                    stream.node.id: functools.partial(self._by_date, stream, compiled.plan, around)
                    for stream in compiled.streams
                }
                result: Cube = run(compiled.cut, context)
            else:
                context.seen, context.keep = seen, True
                result = run(compiled.graph, context)
        return result.cropped(compiled.margin)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._evaluated += 1
        try:
            yield
        finally:
            with self._lock:
                self._evaluated -= 1

    @property
    def _crowded(self) -> bool:
        """Whether each processor has an evaluation of its own: then handing parts of them around gains nothing."""
        return self._evaluated + self.beside >= workers()

    def _context(self, grid: Grid, loader: Callable[[str], Cube]) -> Context:
        return Context(grid, loader, models=self.models.get)

    def point(self, compiled: Compiled, lon: float, lat: float) -> dict[str, Any]:
        """The values at a point, and those of each step before."""
        return Inquiry(compiled, self.reader, self.cube).point(lon, lat)

    def histogram(self, compiled: Compiled, bounds: Bounds, bins: int) -> dict[str, Any]:
        """Counts and statistics of the pixels in a box."""
        return Inquiry(compiled, self.reader, self.cube).histogram(bounds, bins)

    def touched(self, plan: Plan, grid: Grid) -> list[tuple[str, int, int]]:
        """Href, time and size of each file that a grid needs: what its result depends on, besides the plan."""
        around = grid.bounds()
        hrefs = {
            source.href
            for load in plan.loads
            for step in load.steps
            for scene in step.scenes
            if scene.bounds.meets(around)
            for source in scene.sources
            if source
        } | {href for href, _, _ in plan.pinned()}
        versions = {href: self.reader.version(href) for href in sorted(hrefs)}
        return [(href, version.mtime, version.size) for href, version in versions.items()]

    def load(self, load: Load, grid: Grid) -> Cube:
        """The pixels of a load node on a grid; TooMuch beyond the limit."""
        self._check(load, grid)
        return loaded(load, grid, self.reader, map if self._crowded else self.pool.map)

    def _check(self, load: Load, grid: Grid) -> None:
        dates, bands = len(load.steps), len(load.bands)
        if (size := 4 * dates * bands * grid.height * grid.width) > self.limit:
            raise TooMuch(
                f"{dates} dates of {bands} bands need {size >> 20} MB; the limit is {self.limit >> 20}",
                "narrow the temporal extent or choose fewer bands",
            )

    def _by_date(self, stream: Stream, plan: Plan, grid: Grid, values: Mapping[str, Any]) -> Cube:
        """The result of a stream's reducer. One date's bands are read side by side, several dates are each a job."""
        ids, around = {node.id for node in stream.steps}, grid.bounds()
        loads = {load.node: load for load in plan.loads if load.node in ids}
        for load in loads.values():
            self._check(load, grid)
        mapped = self.pool.map if len(stream.labels) == 1 and not self._crowded else map

        def read(node: str, number: int) -> Cube:
            return loaded(replace(loads[node], steps=(loads[node].steps[number],)), grid, self.reader, mapped)

        def empty(number: int) -> bool:
            return not any(meets(load.steps[number], around) for load in loads.values())

        dates = Dates(
            stream,
            values,
            (grid.height, grid.width),
            read,
            empty,
            functools.partial(self._context, grid),
        )
        return reduced(dates, None if self._crowded else self.pool, self.threads)
