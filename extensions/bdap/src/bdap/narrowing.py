"""What is common to two choices of days, or of boxes: a later one narrows an earlier one. PURE."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from . import filters, shapes
from .errors import BadCube
from .graph import Node, canonical, flatten

Box = tuple[float, float, float, float]
Extent = tuple[str | None, ...]


def days(known: Sequence[str | None] | None, wanted: Sequence[str | None]) -> list[str | None]:
    """The interval [start, end) that is in both."""
    if not known:
        return list(wanted)
    start = max((edge for edge in (known[0], wanted[0]) if edge), key=filters.moment, default=None)
    end = min((edge for edge in (known[1], wanted[1]) if edge), key=filters.moment, default=None)
    if start and end and filters.moment(start) >= filters.moment(end):
        raise BadCube(
            f"no day from {wanted[0]} until {wanted[1]} is among those chosen before, {known[0]} until {known[1]}",
            "a second .during() narrows the first; begin with the collection again to choose other days",
        )
    return [start, end]


def extents(known: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an extent that lies in another one, both of boxes."""
    if not known:
        return dict(wanted)
    one, two = _edges(known), _edges(wanted)
    if one[2] - one[0] >= 360:
        one = (two[0], one[1], two[2], one[3])
    if two[2] - two[0] >= 360:
        two = (one[0], two[1], one[2], two[3])
    moved = [(two[0] + turn, two[1], two[2] + turn, two[3]) for turn in (-360, 0, 360)]
    parts = [part for each in moved if (part := _common(one, each))]
    if not parts:
        raise BadCube(
            f"the box {_text(two)} does not meet the one chosen before, {_text(one)}",
            "a second .inside() or .on() narrows the first; begin with the collection again to choose another place",
        )
    west, south, east, north = parts[0][0], parts[0][1], parts[-1][2], parts[0][3]
    if any(left[2] < right[0] for left, right in itertools.pairwise(parts)):
        raise BadCube(f"the boxes {_text(two)} and {_text(one)} meet in two places", "choose one of these")
    turn = 360 if west > 180 else 0
    return filters.spatial_extent((west - turn, south, east - turn, north))


def loads(node: Node) -> list[Node]:
    """Every load_collection the graph reads, each once, of the days that filters after it leave."""
    found: dict[str, Node] = {}
    for load, extents in _dated(node, (), set()):
        try:
            left = list(reduce(days, extents, load.arguments.get("temporal_extent") or (None, None)))
        except BadCube:
            continue  # none is left
        made = Node(load.process, {**load.arguments, "temporal_extent": left}) if extents else load
        found.setdefault(canonical(flatten(made)), made)
    return list(found.values())


def _dated(value: Any, extents: tuple[Extent, ...], seen: set[Any]) -> Iterator[tuple[Node, tuple[Extent, ...]]]:
    """Each load with the extents of the filters between it and the result. Periods have other dates than items."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _dated(each, extents, seen)
    if not isinstance(value, Node) or (id(value), extents) in seen:
        return
    seen.add((id(value), extents))
    if value.process == "load_collection":
        yield value, extents
    if value.process == "filter_temporal":
        extents = (*extents, tuple(value.arguments["extent"]))
    elif value.process.startswith("aggregate_temporal"):
        extents = ()
    for argument in value.arguments.values():
        yield from _dated(argument, extents, seen)


def is_box(extent: Mapping[str, Any]) -> bool:
    """Whether an extent is a box, or the polygon of one across the antimeridian."""
    return "type" not in extent or extent == shapes.box_polygon(*shapes.box_around(extent))


def _edges(extent: Mapping[str, Any]) -> Box:
    if "type" in extent:
        return shapes.box_around(extent)
    return extent["west"], extent["south"], extent["east"], extent["north"]


def _common(one: Box, two: Box) -> Box | None:
    west, south, east, north = max(one[0], two[0]), max(one[1], two[1]), min(one[2], two[2]), min(one[3], two[3])
    return (west, south, east, north) if west < east and south < north else None


def _text(box: Box) -> str:
    return f"({', '.join(f'{edge:g}' for edge in box)})"
