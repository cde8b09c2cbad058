"""Whether and how a result can be drawn: the style of its options, or the sentence why it shows no picture. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..cubes.cube import Cube
from ..graphs.graph import Graph, GraphError
from .layers import at_date, dates_of, layer_names, layers
from .options import read
from .picture import Picture, draw
from .style import GRAY, Style

PICTURES = {"PNG", "WEBP", "JPEG", "XYZ"}
UNDRAWABLE = "ProcessGraphInvalid"


@dataclass(frozen=True)
class Drawable:
    """A style for a result. `undrawable` says why no picture can be drawn of it ('': it can)."""

    style: Style
    undrawable: str = ""

    def wanted(self) -> Style:
        """The style; GraphError where no picture can be drawn."""
        if self.undrawable:
            raise GraphError(UNDRAWABLE, *self.undrawable.split(": ", 1))
        return self.style


def options_of(graph: Graph) -> Mapping[str, Any]:
    """The options of the save_result that ends the graph, where its format is a picture's; else none."""
    node = graph.node(graph.result)
    if node.process != "save_result" or str(node.arguments.get("format", "")).upper() not in PICTURES:
        return {}
    options: Mapping[str, Any] = node.arguments.get("options") or {}
    return options


def drawable(result: Cube, options: Mapping[str, Any]) -> Drawable:
    """How a result is drawn with these options. GraphError where the options themselves are wrong."""
    dates = dates_of(result)
    try:
        one = at_date(result, dates[-1]) if dates else result
        layers(one)
        return Drawable(read(dict(options), layer_names(one)))
    except GraphError as error:
        if error.code != UNDRAWABLE:
            raise
        return Drawable(GRAY, f"{error.message}: {error.remedy}")


def picture(cube: Cube, date: str, style: Style, metres: Callable[[], tuple[float, float]]) -> Picture:
    """The picture of a result at one of its dates; `metres` gives the size of a pixel on the ground."""
    one = at_date(cube, date)
    return draw(layers(one), layer_names(one), style, metres() if style.shade else (1.0, 1.0))
