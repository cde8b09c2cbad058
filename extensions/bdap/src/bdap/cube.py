"""The lazy cube: every operation adds to an openEO process graph, nothing is read until a map or a value asks.

Cubes are immutable; what several of them share appears once in the graph. Its methods stand in groups: choosing,
calculating, around, asking, taking, operators.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from . import look
from .around import Around
from .calculating import CLOUD_CLASSES, REDUCERS, Calculating
from .choosing import loaded
from .client import Client
from .errors import BadCube
from .graph import Node, canonical, flatten, unflatten
from .maths import pixels
from .operators import Operators
from .taking import Taking

__all__ = ["CLOUD_CLASSES", "REDUCERS", "Cube", "collection", "from_json"]

WORDS = ("title", "unit", "labels", "ticks", "background")
"""Parts of a style that stay when other colours are chosen."""


@dataclass(frozen=True, eq=False, repr=False)
class Cube(Calculating, Around, Taking, Operators):
    """Pixels over time, bands and space that have not been read yet."""

    def stretch(
        self, low: float | None = None, high: float | None = None, percentiles: tuple[float, float] | None = None
    ) -> Self:
        """Values `low` to `high` become 0 to 255, as pictures need them; they are changed.

        stretch(percentiles=(2, 98)) draws between two percentiles instead, and leaves the values alone.
        """
        if percentiles is not None:
            kept = {key: value for key, value in (self.style or {}).items() if key not in ("min", "max")}
            return replace(self, style={**kept, "percentiles": list(percentiles)})
        if low is None or high is None or not low < high:
            raise BadCube(f"stretch({low}, {high}) is empty", "write stretch(0, 3000), the first below the second")
        return self.apply("linear_scale_range", inputMin=low, inputMax=high, outputMin=0, outputMax=255)

    def colormap(self, colours: Any, min: float = 0, max: float = 1) -> Self:
        """Draw one band in colours between two values; the values stay as they are.

        By name ("rdylgn", "viridis", …), as a list (["#fff", "#063"]), as stops that carry their values
        ([(0, "#fff"), (9, "#063")]), or by class: {1: "#063", 2: ("#fc0", "crops")}, with what the legend calls it.
        """
        plain = replace(self, style={key: value for key, value in (self.style or {}).items() if key in WORDS})
        if isinstance(colours, Mapping):
            return plain.styled(classes=[_class(value, look) for value, look in colours.items()])
        if not min < max:
            raise BadCube(f"colormap from {min:g} to {max:g} is empty", "min must be below max")
        ramp = _ramp(colours)
        stops = isinstance(ramp, list) and not isinstance(ramp[0], str)
        return plain.styled(colormap=ramp, **({} if stops else {"min": float(min), "max": float(max)}))

    def styled(self, **options: Any) -> Self:
        """Draw with any of the platform's styles: gamma, breaks, intervals, bivariate, hillshade, title, unit, …"""
        return replace(self, style={**(self.style or {}), **options})

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

    def _styled(self) -> Node:
        if self.style is None:
            return self._node
        return Node("save_result", {"data": self._node, "format": "PNG", "options": dict(self.style)})

    def __repr__(self) -> str:
        return look.text(self)

    def _repr_html_(self) -> str | None:
        return look.html(self)


def collection(name: str, client: Client | None = None) -> Cube:
    """All of a collection; `bdap.collections()` lists those one may see."""
    return Cube(loaded("load_collection", id=name, spatial_extent=None, temporal_extent=None), None, client)


def from_json(text: str, client: Client | None = None) -> Cube:
    """A cube from an openEO process in JSON, with or without the `process_graph` around it."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadCube(f"this is no JSON: {error}", "give the text that to_json() made") from None
    for key in ("process", "process_graph"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    node = unflatten(found)
    if node.process == "save_result" and node.arguments.get("format") == "PNG" and "options" in node.arguments:
        return Cube(pixels(node.arguments["data"]), dict(node.arguments["options"]), client)
    return Cube(pixels(node), None, client)


def _class(value: Any, look: Any) -> dict[str, Any]:
    """A class of a style: its value, colour and name."""
    colour, label = (look, str(value)) if isinstance(look, str) else look
    return {"value": value, "color": colour, "label": label}


def _ramp(colours: Any) -> Any:
    if isinstance(colours, str):
        return colours.lower()
    if not isinstance(colours, list | tuple) or len(colours) < 2:
        raise BadCube(f"{colours!r:.60} are no colours", 'write "viridis", a list of colours, or {1: "#063"}')
    return [each if isinstance(each, str) else list(each) for each in colours]
