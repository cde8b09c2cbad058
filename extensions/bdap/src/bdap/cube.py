"""The lazy cube: every operation adds to an openEO process graph, nothing is read until a map or a value asks.

Cubes are immutable; what several of them share appears once in the graph.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from . import ask, filters
from .client import Client
from .errors import BadCube
from .graph import Callback, Node, Parameter, canonical, flatten, unflatten
from .maths import TIME, Maths, element, function, operation, pixels
from .operators import Operators
from .walk import loads, sole_load, without_time

CLOUD_CLASSES = (3, 8, 9, 10)
"""Sentinel-2 scene classes: cloud shadow, cloud of medium and high probability, cirrus."""
REDUCERS = ("mean", "median", "min", "max", "first", "last", "sum", "count", "sd", "variance")


@dataclass(frozen=True)
class Style:
    """How one band is drawn: a colour map between two values."""

    colormap: str
    min: float
    max: float


@dataclass(frozen=True, eq=False)
class Cube(Operators):
    """Pixels over time, bands and space that have not been read yet."""

    _maths: Maths
    style: Style | None = None
    client: Client | None = None

    # --- choose data ---------------------------------------------------------------------------------------------

    def between(self, first: str | date, last: str | date) -> Cube:
        """Only the days `first` to `last`, both included."""
        extent = filters.interval(first, last)
        if self._is_load:
            return self._load_with(temporal_extent=extent)
        return self._then("filter_temporal", extent=extent)

    def inside(self, bbox: tuple[float, float, float, float]) -> Cube:
        """Only (west, south, east, north), in degrees (EPSG:4326)."""
        box = filters.bounding_box(bbox)
        return self._load_with(spatial_extent=box) if self._is_load else self._then("filter_bbox", extent=box)

    def where(self, **properties: Any) -> Cube:
        """Only items with these properties: `cloud_cover=20` is below 20 %, `cloud_cover="<= 20"` says it all."""
        if not self._is_load:
            raise BadCube("where() comes after another operation", "call it directly after bdap.collection(...)")
        wanted = {name: filters.as_callback(*test) for name, test in filters.conditions(properties).items()}
        known = self._node.arguments.get("properties") or {}
        return self._load_with(properties={**known, **wanted})

    def bands(self, *names: str) -> Cube:
        """Only these bands, in this order; three of them make a colour picture."""
        if not names:
            raise BadCube("bands() needs at least one name", 'write bands("B04", "B03", "B02")')
        return self._load_with(bands=list(names)) if self._is_load else self._then("filter_bands", bands=list(names))

    # --- calculate ----------------------------------------------------------------------------------------------

    def band(self, name: str) -> Cube:
        """One band, to calculate with: `cube.band("B08") - cube.band("B04")`."""
        return self._as(element(self._node, name))

    def normalized_difference(self, one: str, two: str) -> Cube:
        """(one - two) / (one + two) of two bands."""
        x, y = element(self._node, one), element(self._node, two)
        return self._as(operation("divide", operation("subtract", x, y), operation("add", x, y)))

    def ndvi(self, nir: str = "B08", red: str = "B04") -> Cube:
        """The normalised difference vegetation index, -1 to 1."""
        return self.normalized_difference(nir, red)

    def apply(self, process: str, **arguments: float) -> Cube:
        """Any openEO process of a number `x`, such as apply("sqrt")."""
        return self._as(function(self._maths, process, "x", **arguments))

    def mask(self, condition: Cube) -> Cube:
        """Hide the pixels where `condition` is true."""
        if not isinstance(condition, Cube):
            raise BadCube(f"mask() got {condition!r}", 'give it a comparison such as cube.band("SCL") == 3')
        return self._then("mask", mask=condition._node)

    def mask_clouds(self, band: str = "SCL", classes: tuple[int, ...] = CLOUD_CLASSES) -> Cube:
        """Hide pixels whose scene class is one of `classes`. Call it before reducing over time."""
        if without_time(self._node):
            raise BadCube("mask_clouds() comes after a reduction over time", "call it before .median() and the like")
        load = sole_load(self._node)
        bands = load.arguments.get("bands")
        if bands and band not in bands:
            load = Node("load_collection", {**load.arguments, "bands": [band]})
        scene = self._as(element(load, band))
        condition = scene == classes[0]
        for number in classes[1:]:
            condition = condition | (scene == number)
        return self.mask(condition)

    def reduce(self, reducer: str) -> Cube:
        """One value out of all dates: mean, median, min, max, first, last, sum, count, sd or variance."""
        if reducer not in REDUCERS:
            raise BadCube(f"there is no reducer {reducer!r}", f"use one of {', '.join(REDUCERS)}")
        if without_time(self._node):
            raise BadCube(f"{reducer}() over time: this cube has no dates any more", "reduce over time only once")
        callback = Callback(Node(reducer, {"data": Parameter("data")}))
        return self._then("reduce_dimension", dimension=TIME, reducer=callback)

    def median(self) -> Cube:
        """The median over time."""
        return self.reduce("median")

    def mean(self) -> Cube:
        """The mean over time."""
        return self.reduce("mean")

    def max(self) -> Cube:
        """The maximum over time."""
        return self.reduce("max")

    def min(self) -> Cube:
        """The minimum over time."""
        return self.reduce("min")

    def first(self) -> Cube:
        """The first valid value in time."""
        return self.reduce("first")

    def last(self) -> Cube:
        """The last valid value in time."""
        return self.reduce("last")

    # --- draw ---------------------------------------------------------------------------------------------------

    def stretch(self, low: float, high: float) -> Cube:
        """Values `low` to `high` become 0 to 255, as pictures need them."""
        if not low < high:
            raise BadCube(f"stretch({low:g}, {high:g}) is empty", "the first value must be below the second")
        return self.apply("linear_scale_range", inputMin=low, inputMax=high, outputMin=0, outputMax=255)

    def colormap(self, name: str, min: float = 0, max: float = 1) -> Cube:
        """Draw one band with a colour map ("rdylgn", "viridis", …) between two values; values stay as they are."""
        if not min < max:
            raise BadCube(f"colormap from {min:g} to {max:g} is empty", "min must be below max")
        return replace(self, style=Style(name.lower(), float(min), float(max)))

    # --- the graph ----------------------------------------------------------------------------------------------

    @property
    def graph(self) -> dict[str, Any]:
        """The openEO process graph, flat, as the API takes it."""
        return flatten(self._styled())

    def to_json(self) -> str:
        """The graph as an openEO process in JSON; `bdap.from_json` reads it back."""
        return json.dumps({"process_graph": self.graph}, indent=2)

    @property
    def key(self) -> str:
        """Text equal for cubes that mean the same."""
        return canonical(self.graph)

    # --- ask the platform ---------------------------------------------------------------------------------------

    def tiles_url(self) -> str:
        """The XYZ template of this cube's map tiles; asks the platform once for equal cubes."""
        return ask.service(self).url

    def value(self, lon: float, lat: float) -> float | dict[str, float | None] | None:
        """The value at a place: a number (None: no data there), or one for each band."""
        return ask.value(self, lon, lat)

    def histogram(
        self, bbox: tuple[float, float, float, float] | None = None, bins: int = 32
    ) -> tuple[list[float], list[int]]:
        """Edges of the bins and counts within a box in degrees (None: all of it)."""
        return ask.histogram(self, bbox, bins)

    def items(self) -> list[dict[str, Any]]:
        """The STAC items this cube reads."""
        return [item for load in loads(self._node) for item in ask.items(self, load)]

    def dates(self) -> list[str]:
        """The days there is data of, in order."""
        return sorted({str(item["properties"]["datetime"])[:10] for item in self.items()})

    def timeseries(self, lon: float, lat: float) -> list[tuple[str, float | None]]:
        """(day, value) at a place for every day of the cube; of one band."""
        return ask.timeseries(self, lon, lat)

    # --- inside -------------------------------------------------------------------------------------------------

    @property
    def _node(self) -> Node:
        return self._maths.node()

    @property
    def _is_load(self) -> bool:
        return self._node.process == "load_collection"

    def _as(self, maths: Maths) -> Cube:
        return Cube(maths, None, self.client)

    def _then(self, process: str, **arguments: Any) -> Cube:
        return self._as(pixels(Node(process, {"data": self._node, **arguments})))

    def _load_with(self, **arguments: Any) -> Cube:
        return self._as(pixels(Node("load_collection", {**self._node.arguments, **arguments})))

    def _styled(self) -> Node:
        if self.style is None:
            return self._node
        options = {"colormap": self.style.colormap, "min": self.style.min, "max": self.style.max}
        return Node("save_result", {"data": self._node, "format": "PNG", "options": options})

    def __repr__(self) -> str:
        names = ", ".join(str(load.arguments["id"]) for load in loads(self._node))
        return f"<Cube of {names or 'no collection'}: {len(self.graph)} processes, nothing read yet>"


def collection(name: str, client: Client | None = None) -> Cube:
    """All of a collection; `bdap.collections()` lists those one may see."""
    arguments = {"id": name, "spatial_extent": None, "temporal_extent": None}
    return Cube(pixels(Node("load_collection", arguments)), None, client)


def from_json(text: str) -> Cube:
    """A cube from an openEO process in JSON, with or without the `process_graph` around it."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadCube(f"this is no JSON: {error}", "give the text that to_json() made") from None
    for key in ("process", "process_graph"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    node = unflatten(found)
    options = node.arguments.get("options") or {}
    if node.process == "save_result" and "colormap" in options:
        return Cube(pixels(node.arguments["data"]), Style(options["colormap"], options["min"], options["max"]))
    return Cube(pixels(node))
