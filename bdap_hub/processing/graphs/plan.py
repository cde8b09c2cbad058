"""A posted graph as frozen data: which files of which items give which bands on which dates. PURE.

Made once, when the graph is posted; a tile only looks things up here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...access import Visibility
from ..cubes.extent import WORLD, Bounds, hull, instant, overlap, within
from .bands import Source, Table, aliases_of, band_table, chosen, scale_of, scaled
from .graph import Graph, GraphError, digest, holds_code
from .interpret import passes
from .needs import Query
from .scaling import AS_STORED, Scale
from .uploads import Given

VERSION = 2


@dataclass(frozen=True)
class Scene:
    """A catalogue item: where it lies and its bands (None where the item lacks one of the load's bands)."""

    item: str
    bounds: Bounds
    sources: tuple[Source | None, ...]


@dataclass(frozen=True)
class Step:
    """One time step: the scenes of one day, drawn over one another, the first valid pixel counts."""

    label: str
    scenes: tuple[Scene, ...]


@dataclass(frozen=True)
class Load:
    """What one load_collection reads. `scales`: how each band's values become physical ones (as scale, offset)."""

    node: str
    collection: str
    bands: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    scales: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Owned:
    """A collection that the plan reads, or a folder of the store, with what access decides by."""

    id: str
    visibility: Visibility
    project: str
    kind: str = "collection"


@dataclass(frozen=True)
class Plan:
    """All that tiles, values and histograms of a graph need. `id` is the hash of its content.

    `person` is whose plan it is, where the graph holds code: its sandboxes and results are nobody else's. `given` are
    geometries that were found in files when it was made.
    """

    id: str
    loads: tuple[Load, ...]
    collections: tuple[Owned, ...]
    bounds: Bounds
    person: str = ""
    given: tuple[Given, ...] = ()

    def load(self, node: str) -> Load:
        """What the load node of that id reads. GraphError for one in a callback, which nothing is read for."""
        for load in self.loads:
            if load.node == node:
                return load
        raise GraphError(
            "ProcessUnsupported", "data cannot be loaded within a callback", "load before it, and hand the values on"
        )

    def sources(self) -> Iterable[Source]:
        """Every file band that the plan may read."""
        for load in self.loads:
            for step in load.steps:
                for scene in step.scenes:
                    yield from (source for source in scene.sources if source)

    def pinned(self) -> tuple[tuple[str, int, int], ...]:
        """Href, time and size of the files whose content stands in the plan."""
        return tuple(file for one in self.given for file in one.files)

    def dump(self) -> str:
        """The plan as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


def build(
    graph: Graph,
    queries: Sequence[Query],
    collections: Mapping[str, Mapping[str, Any]],
    items: Mapping[str, Sequence[Mapping[str, Any]]],
    max_items: int,
    owned: Sequence[Owned] | None = None,
    person: str = "",
    given: Sequence[Given] = (),
) -> Plan:
    """The plan of `graph`, from the STAC collections by id and the items found for each query's node.

    `owned`: what is read, where it is not just these collections. `given` stands in the graph already.

    Raises GraphError: NoDataAvailable, BandNotAvailable, or too many items (with their number).
    """
    loads = tuple(_load(q, collections[q.collection], items[q.node], max_items) for q in queries)
    boxes = [_bounds(load, query) for load, query in zip(loads, queries, strict=True)]
    bounds = boxes[0] if boxes else WORLD
    for other in boxes[1:]:
        bounds = hull(bounds, other)
    every = [owned_of(collections[q.collection]) for q in queries] if owned is None else owned
    owned = tuple(sorted(set(every), key=lambda one: (one.kind, one.id)))
    whose = person if holds_code(graph) else ""
    parts = [VERSION, digest(graph), [asdict(load) for load in loads], [asdict(o) for o in owned]]
    parts += [whose] if whose else []
    parts += [[one.files for one in given]] if given else []
    identifier = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    return Plan(identifier, loads, owned, bounds, whose, tuple(given))


def restore(text: str) -> Plan:
    """A plan from its JSON."""
    raw = json.loads(text)
    loads = tuple(
        Load(
            load["node"],
            load["collection"],
            tuple(load["bands"]),
            tuple((a, b) for a, b in load["aliases"]),
            tuple(Step(step["label"], tuple(_scene(s) for s in step["scenes"])) for step in load["steps"]),
            tuple((scale, offset) for scale, offset in load.get("scales", ())),
        )
        for load in raw["loads"]
    )
    return Plan(
        raw["id"],
        loads,
        tuple(Owned(**o) for o in raw["collections"]),
        Bounds(*raw["bounds"]),
        raw.get("person", ""),
        tuple(_given(one) for one in raw.get("given", ())),
    )


def _given(raw: Mapping[str, Any]) -> Given:
    files = tuple((href, mtime, size) for href, mtime, size in raw["files"])
    return Given(raw["node"], raw["geojson"], tuple(raw["properties"]), files)


def _scene(raw: Mapping[str, Any]) -> Scene:
    return Scene(raw["item"], Bounds(*raw["bounds"]), tuple(Source(**s) if s else None for s in raw["sources"]))


def _load(query: Query, collection: Mapping[str, Any], items: Sequence[Mapping[str, Any]], max_items: int) -> Load:
    found = [item for item in items if _wanted(item, query)]
    if not found:
        raise GraphError(
            "NoDataAvailable",
            f"no item of {query.collection} fits the extents and filters",
            "widen them, or look into the catalogue",
        )
    if len(found) > max_items:
        raise GraphError(
            "ProcessGraphComplexity",
            f"the graph needs {len(found)} items of {query.collection}; the limit is {max_items}",
            "narrow the temporal or spatial extent",
        )
    tables = {item["id"]: band_table(item) for item in found}
    aliases = aliases_of(tables.values())
    have = list(dict.fromkeys(name for table in tables.values() for name in table))
    bands = chosen(query, have, aliases)
    days: dict[str, list[Mapping[str, Any]]] = {}
    for item in sorted(found, key=lambda item: (_moment(item), item["id"])):
        days.setdefault(_moment(item)[:10], []).append(item)
    scales = {band: AS_STORED if query.physical else scale_of(band, collection, found, tables) for band in bands}
    steps = tuple(
        Step(_moment(group[0]), tuple(_to_scene(item, tables[item["id"]], scales) for item in group))
        for group in days.values()
    )
    given = tuple((scale.scale, scale.offset) for scale in scales.values())
    return Load(query.node, query.collection, bands, tuple(sorted(aliases.items())), steps, given)


def _wanted(item: Mapping[str, Any], query: Query) -> bool:
    properties = {**item.get("properties", {}), "id": item["id"]}
    return (
        within(instant(_moment(item)), query.interval)
        and Bounds(*_bbox(item)).meets(query.bounds)
        and all(passes(graph, properties.get(name)) for name, graph in query.filters.items())
    )


def _to_scene(item: Mapping[str, Any], table: Table, scales: Mapping[str, Scale]) -> Scene:
    sources = tuple(scaled(table[band], scale) if band in table else None for band, scale in scales.items())
    return Scene(str(item["id"]), Bounds(*_bbox(item)), sources)


def _bounds(load: Load, query: Query) -> Bounds:
    boxes = [scene.bounds for step in load.steps for scene in step.scenes]
    around = boxes[0]
    for other in boxes[1:]:
        around = hull(around, other)
    return overlap(around, query.bounds)


def owned_of(collection: Mapping[str, Any]) -> Owned:
    """What access decides by for a collection of the catalogue."""
    visibility = collection.get("bdap:visibility", "project")
    return Owned(str(collection["id"]), visibility, str(collection.get("bdap:project", "")))


def _moment(item: Mapping[str, Any]) -> str:
    properties = item.get("properties", {})
    return str(properties.get("datetime") or properties.get("start_datetime") or "")


def _bbox(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    bbox: list[float] = item.get("bbox") or list(WORLD)
    west, south, east, north = bbox if len(bbox) == 4 else (bbox[0], bbox[1], bbox[3], bbox[4])
    return float(west), float(south), float(east) + 360 * (west > east), float(north)
