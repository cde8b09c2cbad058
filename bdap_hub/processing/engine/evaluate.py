"""Evaluates a compiled graph on a grid: a tile, a point with the values along the chain, statistics of a box."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rasterio.warp import transform_bounds

from ...errors import TooMuch
from ...settings import Settings
from ..cubes.cube import Cube
from ..cubes.extent import Bounds, overlap
from ..drawing.drawable import Drawable, drawable, options_of, picture
from ..drawing.layers import dates_of, layer_names, layers
from ..drawing.png import png
from ..graphs.graph import Graph, GraphError
from ..graphs.interpret import Context, no_code, run
from ..graphs.needs import margin
from ..graphs.plan import Load, Plan, Step
from ..graphs.streams import Stream, cut, streams
from ..graphs.uploads import filled
from ..graphs.zones import folded
from ..udf.pool import Owner, Udfs
from . import cost
from .cancel import check
from .grid import Grid, crs_of
from .limits import Limits
from .models import Models
from .reader import Reader
from .stream import Dates, reduced
from .watch import Pool, Watch

MAX_SIDE = 1024
NO_MODELS = Models(None, 0)


@dataclass(frozen=True)
class Compiled:
    """A graph with its plan, ready to be evaluated anywhere.

    `result` is the shape of what it gives: dimensions and labels, on no pixel. `drawable` says how tiles are drawn, or
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
        nowhere = Context(Grid.point(0, 0), lambda n: _blank(plan.load(n), fill), seen=shapes, keep=True, whole=whole)
        nowhere.models, nowhere.check = (models or NO_MODELS).get, check
        nowhere.udfs = code_of(plan, udfs)
        result = run(graph, nowhere)
        if not isinstance(result, Cube):
            raise GraphError("ProcessGraphInvalid", "the graph's result is not a data cube", "end with one")
        found = streams(graph, shapes)
        return cls(graph, plan, result, drawable(result, options_of(graph)), around, found, cut(graph, found))

    @property
    def dates(self) -> tuple[str, ...]:
        """The dates that can be drawn, where the result has several."""
        return dates_of(self.result)


class Engine:
    """Reads in a bounded pool of threads that all evaluations share. Its methods block; call them in a thread.

    `beside`: how many evaluations other processes have under way.
    """

    def __init__(self, settings: Settings | Limits) -> None:
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
        return Context(grid, loader, models=self.models.get, check=check)

    def point(self, compiled: Compiled, lon: float, lat: float) -> dict[str, Any]:
        """The values at a point, from the pixels that hold it at full resolution, and those of each step before."""
        seen: dict[str, Any] = {}
        grid = Grid.point(lon, lat)
        if compiled.margin:
            grid = replace(self._native(compiled, Bounds(lon, lat, lon, lat)), width=1, height=1, exact=True)
        result = self.cube(compiled, grid, seen)
        chain = [
            {"node": node.name, "process": node.process, "values": _values(seen[node.id].cropped(compiled.margin))}
            for node in compiled.graph.nodes
            if isinstance(seen.get(node.id), Cube)
        ]
        return {"lon": lon, "lat": lat, "values": _values(result), "chain": chain}

    def histogram(self, compiled: Compiled, bounds: Bounds, bins: int) -> dict[str, Any]:
        """Counts and statistics of the pixels whose centres lie in `bounds`, at native resolution where it is small."""
        area = overlap(bounds, compiled.plan.bounds)
        if not area.meets(area):
            raise GraphError("NoDataAvailable", "the box does not meet the data")
        grid = self._native(compiled, area)
        cube = self.cube(compiled, grid)
        inside = np.broadcast_to(grid.inside(bounds), cube.data.shape[-2:])
        found = {
            name: _summary(layer[inside], bins) for name, layer in zip(layer_names(cube), layers(cube), strict=True)
        }
        unit = "degree" if crs_of(grid.crs).is_geographic else "metre"
        scale = {"crs": grid.crs if len(grid.crs) < 32 else "custom", "resolution": grid.xres, "unit": unit}
        return {**next(iter(found.values())), "bands": found, "scale": scale}

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
        return self._filled(load, grid, map if self._crowded else self.pool.map)

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
            return self._filled(replace(loads[node], steps=(loads[node].steps[number],)), grid, mapped)

        def empty(number: int) -> bool:
            return not any(_meets(load.steps[number], around) for load in loads.values())

        dates = Dates(
            stream,
            values,
            (grid.height, grid.width),
            read,
            empty,
            functools.partial(self._context, grid),
        )
        return reduced(dates, None if self._crowded else self.pool, self.threads)

    def _filled(self, load: Load, grid: Grid, mapped: Callable[..., Iterable[Any]]) -> Cube:
        shape, around = (len(load.steps), len(load.bands), grid.height, grid.width), grid.bounds()
        jobs = [(t, b) for t, step in enumerate(load.steps) for b in range(shape[1]) if _meets(step, around)]
        parts = mapped(lambda job: self._layer(load.steps[job[0]], job[1], grid, around), jobs)
        done = {job: part for job, part in zip(jobs, parts, strict=True) if part is not None}
        kind = np.result_type(np.float32, *{part.dtype for part in done.values()})
        if len(done) == shape[0] * shape[1]:
            data = np.stack([done[job] for job in jobs]).astype(kind, copy=False).reshape(shape)
        else:
            data = np.full(shape, np.nan, kind)
            for (t, b), part in done.items():
                data[t, b] = part
        return _cube(load, data)

    def _layer(self, step: Step, band: int, grid: Grid, around: Bounds) -> Any:
        out = None
        for scene in step.scenes:
            source = scene.sources[band]
            if source is None or not scene.bounds.meets(around):
                continue
            part = self.reader.read(source, grid)
            if part is None:
                continue
            out = part if out is None else np.where(np.isnan(out), part, out)
            if not np.isnan(out).any():
                break
        return out

    def _native(self, compiled: Compiled, area: Bounds) -> Grid:
        """A grid over `area` on the pixels of its first file; a whole number of times coarser where that is large."""
        scenes = (s for load in compiled.plan.loads for step in load.steps for s in step.scenes)
        scene = next((s for s in scenes if s.bounds.meets(area) and any(s.sources)), None)
        if scene is None:
            raise GraphError("NoDataAvailable", "the box does not meet the data")
        rasters = [self.reader.file(source.href).raster for source in scene.sources if source]
        raster = min(rasters, key=lambda r: r.xres)
        west, south, east, north = transform_bounds(crs_of("EPSG:4326"), crs_of(raster.crs), *area)
        left, right = (int(f((x - raster.left) / raster.xres)) for f, x in ((np.floor, west), (np.ceil, east)))
        top, bottom = (int(f((raster.top - y) / raster.yres)) for f, y in ((np.floor, north), (np.ceil, south)))
        k = max(1, -(-max(right - left, bottom - top) // MAX_SIDE))
        return Grid(
            raster.crs,
            raster.left + left * raster.xres,
            raster.top - top * raster.yres,
            raster.xres * k,
            raster.yres * k,
            max(1, -(-(right - left) // k)),
            max(1, -(-(bottom - top) // k)),
        )


def code_of(plan: Plan, udfs: Udfs | None) -> Callable[[str, Any, Any], Any]:
    """What runs the code of a plan's graph, in sandboxes that are nobody else's."""
    return no_code if udfs is None else functools.partial(udfs.run, Owner(plan.person, plan.id))


def workers() -> int:
    """How many evaluations run at once: one for each processor."""
    return len(os.sched_getaffinity(0))


def _meets(step: Step, around: Bounds) -> bool:
    return any(scene.bounds.meets(around) for scene in step.scenes)


def _cube(load: Load, data: Any) -> Cube:
    labels = {"t": tuple(step.label for step in load.steps), "bands": load.bands}
    return Cube(data, ("t", "bands", "y", "x"), labels, dict(load.aliases))


def _blank(load: Load, value: float) -> Cube:
    return _cube(load, np.full((len(load.steps), len(load.bands), 1, 1), value, np.float32))


def _values(cube: Any) -> Any:
    """The only pixel's values, by date and band; {"value": v} without either."""

    def nested(data: Any, dims: tuple[str, ...]) -> Any:
        if not dims:
            return _plain(data)
        if dims[0] == "y":
            return _plain(data[0, 0])
        return {label: nested(part, dims[1:]) for label, part in zip(cube.labels[dims[0]], data, strict=True)}

    found = nested(cube.data, cube.dims)
    return found if isinstance(found, Mapping) else {"value": found}


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _summary(values: Any, bins: int) -> dict[str, Any]:
    valid = values[np.isfinite(values)]
    if not valid.size:
        return {"bins": [], "counts": [], "statistics": {"valid": 0, "nodata": int(values.size)}}
    counts, edges = np.histogram(valid.astype(np.float64), bins=bins)
    p2, median, p98 = np.percentile(valid, (2, 50, 98))
    statistics = {
        "valid": int(valid.size),
        "nodata": int(values.size - valid.size),
        "min": float(valid.min()),
        "max": float(valid.max()),
        "mean": float(valid.mean(dtype=np.float64)),
        "sd": float(valid.std(dtype=np.float64)),
        "p2": float(p2),
        "median": float(median),
        "p98": float(p98),
    }
    return {"bins": edges.tolist(), "counts": counts.tolist(), "statistics": statistics}
