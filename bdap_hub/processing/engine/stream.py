"""Works through the dates of a graph one by one: what it makes of each is reduced at once, then forgotten."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..cubes.cube import Cube
from ..cubes.values import Series
from ..graphs.graph import Node
from ..graphs.interpret import Context, result_of
from ..graphs.streams import TIME, Stream
from ..processes.cubes import shaped
from .running import RUNNING, Running
from .watch import Job, Pool


@dataclass(frozen=True)
class Dates:
    """The dates of a stream on one grid. `load` gives a load node's pixels of one date, by its number.

    `empty` says whether a date has no scene there: what comes of such dates is the same for all of them.
    """

    stream: Stream
    outside: Mapping[str, Any]
    shape: tuple[int, int]
    load: Callable[[str, int], Cube]
    empty: Callable[[int], bool]
    context: Callable[[Callable[[str], Cube]], Context]

    def of(self, number: int) -> Cube:
        """What the graph makes of a date, before the reducer."""
        found: Cube = _Date(self, number, dict(self.outside)).value(self.stream.graph.result)
        return found

    def blank(self, node: str, number: int) -> Cube:
        """A node's result of a date of which nothing is to be seen."""
        like = self.stream.shapes[node]
        sizes = [1 if d == TIME else len(like.labels[d]) for d in like.dims[:-2]]
        data = np.full((*sizes, *self.shape), np.nan, np.float32)
        return like.along(TIME, data, (self.stream.labels[number],))


@dataclass
class _Date:
    """The results of one date so far."""

    dates: Dates
    number: int
    known: dict[str, Any]
    nodes: Mapping[str, Node] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {node.id: node for node in self.dates.stream.steps}
        load, number = self.dates.load, self.number  # not through `self`: a cycle would keep its pixels for long
        self.context = self.dates.context(lambda node: load(node, number))

    def value(self, identifier: str) -> Any:
        """A node's result. Masks come first: of what they hide as a whole nothing is read."""
        if identifier not in self.known:
            node = self.nodes[identifier]
            hidden = node.process == "mask" and node.arguments.get("replacement") is None
            if hidden and _hides_all(self.value(node.arguments["mask"].node)):
                self.known[identifier] = self.dates.blank(identifier, self.number)
            else:
                for ref in node.refs:
                    self.value(ref)
                self.known[identifier] = result_of(node, self.known, self.context)
        return self.known[identifier]


def reduced(dates: Dates, pool: Pool | None, threads: int) -> Cube:
    """The result of the stream's reducer; without a pool this thread does all of it."""
    stream = dates.stream
    make = RUNNING.get(stream.running)
    found = _Found(dates, pool, threads)
    if make is not None:
        running = make()
        value = _run(running, found)
    else:
        value = _called(stream, dates, np.stack(list(found.layers(range(len(stream.labels)), None))))
    like: Cube = found.like
    return like.without(TIME, shaped(value, found.rest, like))


def _run(running: Running, found: _Found) -> Any:
    numbers = range(len(found.dates.stream.labels))
    for layer in found.layers(numbers[::-1] if running.backwards else numbers, running):
        running.add(layer)
        if len(numbers) > 1 and running.done:
            break
    return running.result()


def _called(stream: Stream, dates: Dates, values: Any) -> Any:
    """The reducer on all dates at once, as `reduce_dimension` calls it."""
    arguments = {"data": Series(values, stream.labels), "context": stream.node.arguments.get("context")}
    return dates.context(_nothing).call(stream.node.arguments["reducer"], arguments)


@dataclass
class _Found:
    """What comes of each date, several at a time in the pool."""

    dates: Dates
    pool: Pool | None
    threads: int
    like: Any = None
    rest: tuple[int, ...] = ()
    nothing: Any = None

    def layers(self, numbers: Sequence[int], running: Running | None) -> Iterator[Any]:
        """The values of the dates in this order; no more of them ahead than it takes to keep the threads busy."""
        ahead = 1 if self.pool is None or (running is not None and running.may_end) else 2 * self.threads
        waiting: deque[tuple[int, Job | None]] = deque()
        try:
            for number in numbers:
                waiting.append((number, self._asked(number, alone=len(numbers) == 1)))
                if len(waiting) >= ahead:
                    yield self._layer(*waiting.popleft())
                    ahead = min(2 * ahead, 2 * self.threads) if self.pool else 1
            while waiting:
                yield self._layer(*waiting.popleft())
        finally:  # over early, or failed: what nobody has begun need not be done
            for _, job in waiting:
                if job is not None:
                    job.done.cancel()

    def _asked(self, number: int, alone: bool) -> Job | None:
        """The job of a date; None where this thread does it: the only one, whose bands are read side by side."""
        if self.pool is None or alone or self.dates.empty(number):
            return None
        return self.pool.submit(lambda: self.dates.of(number))

    def _layer(self, number: int, job: Job | None) -> Any:
        if job is not None and self.pool is not None:
            (cube,) = self.pool.watch.results([job])
        elif self.dates.empty(number):
            cube = self.nothing = self.nothing if self.nothing is not None else self.dates.of(number)
        else:
            cube = self.dates.of(number)
        layer = cube.series(TIME).values[0]
        self.like, self.rest = cube, layer.shape
        return layer


def _hides_all(mask: Cube) -> bool:
    flat = mask.data.reshape(-1)
    few = flat[:: max(1, flat.size // 64)]
    return bool(((few != 0) & ~np.isnan(few)).all() and ((flat != 0) & ~np.isnan(flat)).all())


def _nothing(node: str) -> Cube:
    raise AssertionError(f"a reducer loads nothing, not {node}")
