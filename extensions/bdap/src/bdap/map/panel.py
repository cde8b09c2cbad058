"""The panel of a map's layers: show and hide, opacity, order; for mouse, finger and keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from .closing import shut

if TYPE_CHECKING:
    from .base import Base
    from .shown import Shown

WIDTH = "250px"


class Panel:
    """A button that opens the list of layers, the topmost first."""

    def __init__(self, map: Base, height: str) -> None:
        self.map = map
        self._rows: dict[str, Row] = {}
        self.button = widgets.ToggleButton(value=False, description="Layers", tooltip="Show or hide the list of layers")
        self.button.layout.width = "auto"
        self._list = widgets.VBox(
            layout=widgets.Layout(display="none", width=WIDTH, max_height=f"calc({height} - 110px)", overflow="auto")
        )
        self.widget = widgets.VBox([self.button, self._list])
        self.button.observe(lambda change: self.open(change["new"]), "value")

    def open(self, opened: bool = True) -> None:
        """Open the list, or close it."""
        self.button.value = opened
        self._list.layout.display = None if opened else "none"

    def refresh(self) -> None:
        """Tell what the map shows now."""
        shown = self.map._shown
        self.button.description = f"Layers ({len(shown)})" if shown else "Layers"
        gone = [row.widget for name, row in self._rows.items() if name not in shown]
        self._rows = {name: self._rows.get(name) or Row(self.map, name) for name in shown}
        for place, (name, one) in enumerate(shown.items()):
            self._rows[name].tell(one, place == 0, place == len(shown) - 1)
        wanted = tuple(row.widget for row in reversed(self._rows.values()))
        if wanted != self._list.children:
            self._list.children = wanted
        for each in gone:
            shut(each)


class Row:
    """One layer of the panel."""

    def __init__(self, map: Base, name: str) -> None:
        self.map, self.name = map, name
        self._telling = False
        self.visible = widgets.Checkbox(value=True, description=name, indent=False, layout={"width": "auto"})
        self.opacity = widgets.FloatSlider(
            value=1, min=0, max=1, step=0.05, description="Opacity", readout_format=".0%", continuous_update=True
        )
        self.opacity.layout.width, self.opacity.style.description_width = "100%", "52px"
        self.up = _button("Up", f"Move {name} up", lambda: self._move(1))
        self.down = _button("Down", f"Move {name} down", lambda: self._move(-1))
        zoom = _button("Zoom to", f"Zoom to {name}", self._zoom)
        remove = _button("Remove", f"Remove {name}", lambda: map.drop(name))
        buttons = widgets.HBox([self.up, self.down, zoom, remove], layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([self.visible, self.opacity, buttons], layout={"padding": "4px 0 6px"})
        self.visible.observe(self._seen, "value")
        self.opacity.observe(self._faded, "value")

    def tell(self, one: Shown, lowest: bool, topmost: bool) -> None:
        """Take over what the map says of the layer."""
        self._telling = True
        self.visible.value, self.opacity.value = one.visible, one.opacity
        self.up.disabled, self.down.disabled = topmost, lowest
        self._telling = False

    def _seen(self, change: dict[str, Any]) -> None:
        if not self._telling:
            self.map._set_visible(self.name, change["new"])

    def _faded(self, change: dict[str, Any]) -> None:
        if not self._telling:
            self.map.fade(self.name, change["new"])

    def _move(self, steps: int) -> None:
        self.map.move(self.name, steps)
        button = self.up if steps > 0 else self.down
        other = self.down if steps > 0 else self.up
        (other if button.disabled else button).focus()

    def _zoom(self) -> None:
        if box := self.map._named(self.name).box:
            self.map.look_at(box)


def _button(text: str, hint: str, act: Callable[[], Any]) -> widgets.Button:
    button = widgets.Button(description=text, tooltip=hint, layout={"width": "auto", "height": "26px", "margin": "1px"})
    button.style.font_size = "12px"
    button.on_click(lambda _: act())
    return button
