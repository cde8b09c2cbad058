"""A map as plain data and back: its view, its layers with their graphs, and what was drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from traitlets import TraitError

from ..client import Client
from ..cube import from_json
from ..errors import BadCube
from .keeping import Memory
from .shown import Raster, Shown
from .symbols import Symbols
from .vectors import Tiled, Vector, Vectors, Wms

VERSION = 1


class Keeping(Vectors):
    """A map's state. `keep`: a name under which it is remembered beside the notebook, for the cell's next run."""

    def __init__(
        self, center: tuple[float, float] | None = None, zoom: float | None = None, *, keep: str = "", **options: Any
    ) -> None:
        self._memory = Memory(keep) if keep else None
        if self._memory is not None and (seen := self._memory.view()):
            center, zoom = seen
        super().__init__(center, zoom, **options)
        self.observe(lambda _: self._remember(), ["center", "zoom"])

    def fade(self, name: str, opacity: float) -> Self:
        """Show a layer so opaque: 0 is invisible, 1 covers what lies below."""
        super().fade(name, opacity)
        return self._remember()

    def at(self, name: str, date: str) -> Self:
        """Show a layer on one of its dates, of which the beginning is enough."""
        super().at(name, date)
        return self._remember()

    def _put(self, one: Shown) -> None:
        known = self._memory.layers.get(one.name) if self._memory and one.name not in self._shown else None
        super()._put(one)
        if known:
            self._looks(one, known)

    def _looks(self, one: Shown, known: Mapping[str, Any]) -> None:
        """A layer as it was when the cell ran before."""
        if 0 <= known.get("opacity", -1) <= 1:
            self.fade(one.name, known["opacity"])
        if known.get("time") in self.dates(one.name):
            self.at(one.name, known["time"])
        if known.get("visible") is False:
            self.hide(one.name)

    def _changed(self) -> Self:
        super()._changed()
        return self._remember()

    def _remember(self) -> Self:
        if self._memory is not None and self._placed and self._shown:
            looks = {
                name: {"opacity": one.opacity, "visible": one.visible, "time": getattr(one, "time", "")}
                for name, one in self._shown.items()
            }
            center = [float(each) for each in self.center]
            kept = {**self._memory.layers, **looks}
            self._memory.keep(center=center, zoom=float(self.zoom), layers=kept)
        return self

    @property
    def state(self) -> dict[str, Any]:
        """View, layers from the bottom to the top and drawings, as JSON can hold them. It holds no token or address."""
        return {
            "version": VERSION,
            "center": [float(each) for each in self.center],
            "zoom": float(self.zoom),
            "basemap": self.ground,
            "layers": [made for one in self._shown.values() if (made := _kept(one))],
            "swipe": list(self._sides) if self._sides else None,
            "drawn": self.drawn["features"],
        }

    def save_state(self, path: str | Path) -> None:
        """Write the state into a file beside the notebook."""
        written(path, json.dumps(self.state, indent=1).encode())

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | str | Path, client: Client | None = None, **options: Any) -> Self:
        """A map as it was: of `map.state`, or of the file that `save_state` wrote."""
        if isinstance(state, str | Path):
            try:
                state = json.loads(Path(state).read_text())
            except (OSError, ValueError) as error:
                raise BadCube(f"{state} holds no map: {error}", "give the file that save_state wrote") from None
        if not isinstance(state, Mapping) or state.get("version") != VERSION:
            raise BadCube("this is no state of a map", "give what map.state was")
        try:
            return cls._of_state(state, client, options)
        except (LookupError, TypeError, ValueError, AttributeError, TraitError) as error:
            raise BadCube(f"this state of a map is not whole: {error}", "give what map.state was") from None

    @classmethod
    def _of_state(cls, state: Mapping[str, Any], client: Client | None, options: Mapping[str, Any]) -> Self:
        lat, lon = (float(each) for each in state["center"])
        made = cls((lat, lon), state["zoom"], basemap=state["basemap"], **options)
        for layer in state["layers"]:
            made._restore(layer, client)
        if state.get("swipe"):
            made.swipe(*state["swipe"])
        if state.get("drawn"):
            made.draw()
            made._pen.data = [{**each, "properties": {**each["properties"], "style": {}}} for each in state["drawn"]]
        return made

    def _restore(self, layer: Mapping[str, Any], client: Client | None) -> None:
        name, opacity = layer["name"], layer["opacity"]
        match layer["kind"]:
            case "cube":
                self.add(from_json(json.dumps({"process_graph": layer["graph"]}), client), name, opacity)
                if layer["time"] and layer["time"] in (self.dates(name) if name in self._shown else ()):
                    self.at(name, layer["time"])
            case "vector":
                made = Symbols(**{key: tuple(v) if isinstance(v, list) else v for key, v in layer["symbols"].items()})
                self._put(self._vector(name, layer["data"], made, opacity))
            case "table":
                look = {key: layer["symbols"][key] for key in ("color", "fill", "width")}
                self.add_table(layer["table"], name, opacity=opacity, client=client, **look)
            case "wms":
                self.add_wms(layer["url"], layer["layers"], name, opacity, layer["format"])
        if not layer["visible"] and name in self._shown:
            self.hide(name)


def written(path: str | Path, content: bytes) -> None:
    """A file with that content; BadCube where it cannot be."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise BadCube(f"{path} cannot be written: {error.strerror}", "give a file in a folder that is yours") from None


def _kept(one: Shown) -> dict[str, Any] | None:
    common = {"name": one.name, "opacity": one.opacity, "visible": one.visible}
    match one:
        case Raster():
            return {"kind": "cube", **common, "graph": one.cube.graph, "time": one.time}
        case Vector():
            return {"kind": "vector", **common, "data": one.data, "symbols": vars(one.symbols)}
        case Tiled():
            return {"kind": "table", **common, "table": one.table, "symbols": vars(one.symbols)}
        case Wms():
            place = {"url": one.layer.url, "layers": one.layer.layers, "format": one.layer.format}
            return {"kind": "wms", **common, **place}
    return None
