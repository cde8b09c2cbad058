"""Two layers side by side: a curtain over one map, or two maps that move together."""

from __future__ import annotations

from typing import Any, Self

import ipyleaflet
import ipywidgets as widgets

from ..cube import Cube
from ..errors import BadCube
from .identify import Identify
from .shown import Raster, Shown


class Compare(Identify):
    """Comparing layers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._curtain: ipyleaflet.SplitMapControl | None = None
        self._sides: tuple[str, str] | None = None
        super().__init__(*args, **options)

    def swipe(self, left: Cube | str, right: Cube | str) -> Self:
        """A curtain: `left` and `right` are names of layers, or cubes that become the layers "left" and "right"."""
        self._sides = None
        names = self._side(left, "left"), self._side(right, "right")
        if any(name not in self._shown for name in names):
            return self  # it could not be drawn: the message stands on the map
        if names[0] == names[1]:
            raise BadCube(f"both sides are {names[0]!r}", "give two layers")
        for name in names:
            self._named(name).visible = True
        self._sides = names
        return self._changed()

    def unswipe(self) -> Self:
        """Take the curtain away: the layers lie above one another again."""
        self._sides = None
        return self._changed()

    def split(self, left: Cube | str, right: Cube | str, height: str = "") -> widgets.HBox:
        """Two maps beside each other that move together, below one another where there is little room."""
        maps = [self._twin(each, name, height) for each, name in ((left, "left"), (right, "right"))]
        for trait in ("center", "zoom"):
            widgets.jslink((maps[0], trait), (maps[1], trait))
        for one in maps:
            one.layout.width, one.layout.min_width, one.layout.flex = "auto", "300px", "1 1 300px"
        return widgets.HBox(maps, layout=widgets.Layout(flex_flow="row wrap", grid_gap="6px"))

    # --- inside -------------------------------------------------------------------------------------------------

    def _side(self, given: Cube | str, name: str) -> str:
        if isinstance(given, str):
            self._named(given)
            return given
        self.add(given, name)
        return name

    def _twin(self, given: Cube | str, name: str, height: str) -> Compare:
        made = type(self)(center=tuple(self.center), zoom=self.zoom, height=height or self.layout.height)
        one: Shown | None = self._named(given) if isinstance(given, str) else None
        if isinstance(one, Raster):
            made.add(one.cube, one.name, one.opacity)
        elif isinstance(given, Cube):
            made.add(given, name)
        if not self._placed and (box := next((each.box for each in made._shown.values() if each.box), None)):
            made.look_at(box)
        return made

    def _changed(self) -> Self:
        if self._sides and not all(name in self._shown and self._shown[name].visible for name in self._sides):
            self._sides = None
        self._apart = {layer for name in self._sides or () for layer in self._shown[name].drawn()}
        super()._changed()
        self._redraw()
        return self

    def _lay(self, layers: tuple[ipyleaflet.Layer, ...]) -> None:
        self._lift()
        super()._lay(layers)

    def _lift(self) -> None:
        if self._curtain is not None:
            self.controls = tuple(each for each in self.controls if each is not self._curtain)
            self._curtain = None

    def _redraw(self) -> None:
        """The curtain as it has to be: Leaflet's loses its layers whenever others come or go."""
        sides = [self._shown[name].layer for name in self._sides or () if name in self._shown]
        if self._curtain is not None and [self._curtain.left_layer, self._curtain.right_layer] != sides:
            self._lift()
        if len(sides) == 2 and self._curtain is None:
            self._curtain = ipyleaflet.SplitMapControl(left_layer=sides[0], right_layer=sides[1])
            self.controls = (*self.controls, self._curtain)
