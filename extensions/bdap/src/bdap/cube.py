"""The lazy cube: every operation adds to an openEO process graph, nothing is read until a map or a value asks.

Cubes are immutable; what several of them share appears once in the graph. Its methods stand in groups: choosing,
calculating, around, asking, taking, operators.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Self

from . import look
from .around import Around
from .base import Style
from .calculating import CLOUD_CLASSES, REDUCERS, Calculating
from .choosing import Choosing, loaded
from .client import Client
from .errors import BadCube
from .graph import Node, canonical, flatten, unflatten
from .maths import pixels
from .operators import Operators
from .taking import Taking

__all__ = ["CLOUD_CLASSES", "REDUCERS", "Cube", "Style", "collection", "from_json"]


@dataclass(frozen=True, eq=False, repr=False)
class Cube(Choosing, Calculating, Around, Taking, Operators):
    """Pixels over time, bands and space that have not been read yet."""

    def stretch(self, low: float, high: float) -> Self:
        """Values `low` to `high` become 0 to 255, as pictures need them."""
        if not low < high:
            raise BadCube(f"stretch({low:g}, {high:g}) is empty", "the first value must be below the second")
        return self.apply("linear_scale_range", inputMin=low, inputMax=high, outputMin=0, outputMax=255)

    def colormap(self, name: str, min: float = 0, max: float = 1) -> Self:
        """Draw one band with a colour map ("rdylgn", "viridis", …) between two values; values stay as they are."""
        if not min < max:
            raise BadCube(f"colormap from {min:g} to {max:g} is empty", "min must be below max")
        return replace(self, style=Style(name.lower(), float(min), float(max)))

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
        options = {"colormap": self.style.colormap, "min": self.style.min, "max": self.style.max}
        return Node("save_result", {"data": self._node, "format": "PNG", "options": options})

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
    options = node.arguments.get("options") or {}
    if node.process == "save_result" and "colormap" in options:
        style = Style(options["colormap"], options["min"], options["max"])
        return Cube(pixels(node.arguments["data"]), style, client)
    return Cube(pixels(node), None, client)
