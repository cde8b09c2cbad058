"""The map that all its parts build on: layers by name, messages, legends; it asks nothing by itself.

Nothing comes from the internet: there is no base map but the platform's own, unless one is given.
"""

from __future__ import annotations

from typing import Any, Self

import ipyleaflet
import ipywidgets as widgets
from IPython.display import display

from ..errors import BadCube, BdapError
from . import messages, view
from .closing import shut
from .ground import OFFLINE, ground_of
from .legends import message_html
from .panel import Panel
from .shown import Shown, arranged


class Base(ipyleaflet.Map):
    """A Leaflet map that knows its layers by name. `center` is (lat, lon); without it the first layer is shown."""

    def __init__(
        self,
        center: tuple[float, float] | None = None,
        zoom: float | None = None,
        basemap: Any = OFFLINE,
        height: str = "480px",
        **options: Any,
    ) -> None:
        self._shown: dict[str, Shown] = {}
        self.ground = basemap if isinstance(basemap, str) else None
        self._ground = ground_of(basemap)
        self._apart: set[ipyleaflet.Layer] = set()
        self._own: set[ipyleaflet.Layer] = set()
        self._drawn: set[ipyleaflet.Layer] = set()
        self._extra: list[ipyleaflet.Layer] = []
        self._notes: dict[str, ipyleaflet.WidgetControl] = {}
        self._lasting: set[widgets.DOMWidget] = set()
        self._errors: dict[str, BdapError] = {}
        self._placed = center is not None
        self._said = widgets.HTML(layout=widgets.Layout(display="none"))
        options.setdefault("scroll_wheel_zoom", True)
        options.setdefault("layout", widgets.Layout(height=height, width="100%"))
        self._legend = widgets.HTML(
            layout={"max_width": "240px", "max_height": "240px", "overflow": "auto", "min_width": "150px"}
        )
        super().__init__(
            center=center or (47.0, 9.0), zoom=4 if zoom is None else zoom, layers=tuple(self._ground), **options
        )
        super().add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
        self.panel = Panel(self, height)
        super().add(ipyleaflet.WidgetControl(widget=self.panel.widget, position="topright"))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        display(self._said)  # what goes wrong later, in the cell that shows the map
        return super()._repr_mimebundle_(**options)

    # --- layers by name -----------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The names of the layers, from the bottom to the top."""
        return list(self._shown)

    def show(self, name: str) -> Self:
        """Show a hidden layer again."""
        return self._set_visible(name, True)

    def hide(self, name: str) -> Self:
        """Hide a layer: it is not loaded either."""
        return self._set_visible(name, False)

    def fade(self, name: str, opacity: float) -> Self:
        """Show a layer so opaque: 0 is invisible, 1 covers what lies below."""
        if not 0 <= opacity <= 1:
            raise BadCube(f"an opacity of {opacity:g} is not possible", "give a number from 0 to 1")
        self._named(name).fade(opacity)
        self.panel.refresh()
        return self

    def move(self, name: str, steps: int) -> Self:
        """Move a layer up (1, 2 …) or down (-1 …) among the others."""
        one = self._named(name)
        order = list(self._shown)
        place = max(0, min(len(order) - 1, order.index(name) + steps))
        order.remove(name)
        order.insert(place, name)
        self._shown = {each: one if each == name else self._shown[each] for each in order}
        return self._changed()

    def drop(self, name: str) -> Self:
        """Take the layer of that name off the map."""
        self._shown.pop(name, None)
        self._hush(name)
        return self._changed()

    def look_at(self, box: view.Box) -> Self:
        """Go to (west, south, east, north)."""
        self._placed = True
        self.center, self.zoom = view.fitting(box, self._size())
        return self

    def _size(self) -> tuple[int, int]:
        """Width and height in pixels, as the browser has told; before that what a notebook has."""
        (left, top), (right, bottom) = self.pixel_bounds or ((0, 0), (0, 0))
        size = int(right - left), int(bottom - top)
        return size if min(size) > 50 else view.SIZE

    def _set_visible(self, name: str, visible: bool) -> Self:
        self._named(name).visible = visible
        return self._changed()

    def _named(self, name: str) -> Shown:
        if name not in self._shown:
            has = f"it has {', '.join(self._shown)}" if self._shown else "it has none yet"
            raise BadCube(f"the map has no layer {name!r}", has)
        return self._shown[name]

    def _put(self, one: Shown) -> None:
        """A layer on top, or in the place of the one that has its name."""
        self._shown[one.name] = one
        self._hush(one.name)
        if not self._placed and one.box:
            self.look_at(one.box)
        self._changed()

    def _changed(self) -> Self:
        """Layers, legends and the panel as they are now."""
        drawn = {layer for each in self._shown.values() for layer in each.drawn()}
        own = drawn | set(self._ground) | self._apart
        others = [layer for layer in self.layers if layer not in own and layer not in self._own]
        others += [layer for layer in self._extra if layer not in others]
        self._own = own
        wanted = arranged(self._ground, self._shown.values(), others, self._apart)
        if wanted != tuple(self.layers):
            self._lay(wanted)
        for layer in self._drawn - drawn:
            shut(layer)
        self._drawn = drawn
        self._explain()
        self.panel.refresh()
        return self

    def _explain(self) -> None:
        """The legends of what is visible; on a phone a chart takes their place until it is closed."""
        legends = [each.legend for each in reversed(self._shown.values()) if each.visible and each.legend]
        self._legend.value = '<div style="height:8px"></div>'.join(legends)
        room = "series" not in self._notes or self._size()[0] >= view.NARROW
        self._note("legend", self._legend if legends and room else None, "bottomright", lasting=True)

    def _lay(self, layers: tuple[ipyleaflet.Layer, ...]) -> None:
        self.layers = layers

    # --- messages, and what else lies on the map ------------------------------------------------------------------

    def _say(self, about: str, error: BdapError) -> None:
        """Tell a failure on the map, and in the cell."""
        self._errors[about] = error
        self._tell()
        if not messages.in_the_cell(error, about):
            self._said.value = message_html(error, about)
            self._said.layout.display = None

    def _hush(self, about: str) -> None:
        if self._errors.pop(about, None) is not None:
            self._tell()
        if not self._errors:
            self._said.value, self._said.layout.display = "", "none"

    def _tell(self) -> None:
        box = messages.box(self._errors, self._hush) if self._errors else None
        self._note("errors", box, "bottomleft")

    def _note(
        self, key: str, widget: widgets.DOMWidget | None, position: str = "topright", lasting: bool = False
    ) -> None:
        """What lies on the map under a key; the former one is closed unless it was `lasting`: noted again and again."""
        control = self._notes.get(key)
        before = control.widget if control is not None else None
        if widget is not None:
            widget.layout.margin = "4px 8px"
            if lasting:
                self._lasting.add(widget)
        if control is None and widget is not None:
            self._notes[key] = ipyleaflet.WidgetControl(widget=widget, position=position)
            super().add(self._notes[key])
        elif control is not None and widget is not None:
            control.widget = widget
        elif control is not None:
            self.remove(self._notes.pop(key))
            control.close()
        if before is not None and before is not widget and before not in self._lasting:
            shut(before)
        if key == "series":
            self._explain()

    @property
    def messages(self) -> list[str]:
        """What the error messages on the map are about."""
        return list(self._errors)
