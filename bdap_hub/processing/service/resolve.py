"""What a style leaves to the data, found once when it is posted: percentiles, and the classes of the collection."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cubes.extent import EARTH, MERCATOR, Bounds
from ..drawing.classes import from_stac
from ..drawing.drawable import drawable, options_of
from ..drawing.layers import at_date, drawn_names, layer_names, layers
from ..drawing.options import drawn_bands, unstretched
from ..engine.evaluate import Compiled, Engine
from ..engine.grid import Grid
from ..graphs.graph import Graph, GraphError, Node
from ..graphs.rewrite import LOADS
from .configuration import Configuration
from .gate import Gone
from .lookup import Catalogue
from .room import Room

SIDE = 512
"""Pixels a side of the picture of the whole extent from which percentiles are taken."""
LIMIT = 85.06
KEEPING = {
    *LOADS,
    "filter_bands",
    "filter_temporal",
    "filter_bbox",
    "filter_spatial",
    "mask",
    "mask_polygon",
    "save_result",
}
"""Processes that leave values as they are, or take them away."""


async def resolved(
    room: Room, compiled: Compiled, configuration: Configuration, token: str, person: str = "", gone: Gone | None = None
) -> dict[str, Any] | None:
    """The options by which a service is drawn, complete; None where those of the graph are so already.

    What has to be computed is done in the person's turn, as long as they wait for it (`gone`). GraphError in a sentence
    where the style is wrong for this result.
    """
    own = configuration.style is not None
    options = dict(configuration.style if configuration.style is not None else options_of(compiled.graph))
    try:
        shown = drawable(compiled.result, options)
        if not options and shows_classes(compiled):
            return await _default(room, compiled, token)
        found = {} if shown.undrawable else await _found(room, compiled, options, token, person, gone)
    except GraphError as error:
        if own and error.code == "ProcessArgumentInvalid":
            error.code = "ServiceConfigInvalid"
        raise
    return {**options, **found} if own or found else None


def shows_classes(compiled: Compiled) -> bool:
    """Whether what is drawn are the values of one band of classes, as they are stored. PURE."""
    names, plan = drawn_names(compiled.result), compiled.plan
    if len(names) != 1 or not all(map(_as_stored, compiled.graph.nodes)):
        return False
    loads = [load for load in plan.loads if names[0] in load.bands]
    scenes = [(load.bands.index(names[0]), scene) for load in loads for step in load.steps for scene in step.scenes]
    return any(source.nearest for at, scene in scenes if (source := scene.sources[at]))


def _as_stored(node: Node) -> bool:
    if node.process != "reduce_dimension":
        return node.process in KEEPING
    reducer = node.arguments["reducer"]
    chosen = [inner.process for inner in reducer.nodes] if isinstance(reducer, Graph) else []
    return node.arguments["dimension"] == "t" and chosen in (["first"], ["last"])


async def _default(room: Room, compiled: Compiled, token: str) -> dict[str, Any] | None:
    """The style of classes for which no style was given; None where the collection names no classes."""
    try:
        return {"classes": await _classes(room.catalogue, compiled, token)}
    except GraphError:
        return None


async def _found(
    room: Room, compiled: Compiled, options: Mapping[str, Any], token: str, person: str, gone: Gone | None
) -> dict[str, Any]:
    if options.get("classes") is True:
        return {"classes": await _classes(room.catalogue, compiled, token)}
    if unstretched(options) is not None and hasattr(drawable(compiled.result, options).style.kind, "low"):
        return await room.gate.run(percentiles, room.engine, compiled, options, person=person, gone=gone)
    return {}


async def _classes(catalogue: Catalogue, compiled: Compiled, token: str) -> list[dict[str, Any]]:
    """The classes that the collection, or one of its items, names for the band that is drawn."""
    band = drawn_names(compiled.result)[0]
    loads = compiled.plan.loads
    only = len(loads) == 1 and len(loads[0].bands) == 1
    for load in loads:
        name = band if band in load.bands else dict(load.aliases).get(band, load.bands[0] if only else "")
        if not name:
            continue
        described = await catalogue.collection(load.collection, token)
        example = await catalogue.example(load.collection, token)
        for assets in (described.get("item_assets") or {}, example.get("assets") or {}):
            if found := classes_in(assets, name):
                return from_stac(found)
        if found := (described.get("summaries") or {}).get("classification:classes"):
            return from_stac(found)
    raise GraphError(
        "ProcessArgumentInvalid",
        f"the collection names no classes for {band!r}",
        'give them: classes: [{"value": 10, "color": "#006400", "label": "Trees"}]',
    )


def classes_in(assets: Mapping[str, Any], band: str) -> Any:
    """The `classification:classes` of a band, which stand at its asset or at the band itself. PURE."""
    for key, asset in assets.items():
        described = asset.get("bands") or asset.get("eo:bands") or [{}]
        for position, part in enumerate(described):
            if band not in (key if len(described) == 1 else None, part.get("name")):
                continue
            raster = asset.get("raster:bands") or []
            places = [part, raster[position] if position < len(raster) else {}, asset if len(described) == 1 else {}]
            if found := next((p["classification:classes"] for p in places if p.get("classification:classes")), None):
                return found
    return None


def percentiles(engine: Engine, compiled: Compiled, options: Mapping[str, Any]) -> dict[str, Any]:
    """min and max of each drawn band: percentiles of all dates on one picture of the whole extent."""
    wanted = unstretched(options) or (2.0, 98.0)
    cube = engine.cube(compiled, overview(compiled.plan.bounds))
    found: list[list[Any]] = []
    for date in compiled.dates or ("",):
        one = at_date(cube, date)
        names = layer_names(one)
        known = dict(zip(names, layers(one), strict=True))
        found.append([band.value(known).ravel() for band in drawn_bands(options, names)])
    ends = [_ends(np.concatenate(parts), wanted) for parts in zip(*found, strict=True)]
    both = {"min": [low for low, _ in ends], "max": [high for _, high in ends]}
    return {key: value for key, value in both.items() if key not in options}


def overview(bounds: Bounds) -> Grid:
    """The whole extent in web Mercator, SIDE pixels along its longer side."""
    west, east = (math.radians(v) * EARTH for v in (bounds.west, bounds.east))
    south, north = (EARTH * math.asinh(math.tan(math.radians(max(-LIMIT, min(LIMIT, v))))) for v in bounds[1::2])
    step = max(east - west, north - south, 1.0) / SIDE
    width, height = (max(1, math.ceil((b - a) / step)) for a, b in ((west, east), (south, north)))
    return Grid(MERCATOR, west, north, step, step, width, height)


def _ends(values: Any, wanted: tuple[float, float]) -> tuple[float, float]:
    valid = values[np.isfinite(values)]
    if not valid.size:
        raise GraphError("NoDataAvailable", "there is no value to take percentiles of", "give min and max")
    exact = [float(v) for v in np.percentile(valid.astype(np.float64), wanted)]
    low, high = (float(f"{v:.4g}") for v in exact)
    if low < high:
        return low, high
    return (exact[0], exact[1]) if exact[0] < exact[1] else (exact[0] - 0.5, exact[0] + 0.5)
