"""The map: cubes as layers that the platform draws while one pans, values at a click, errors as messages.

Nothing comes from the internet: there is no base map unless one is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape
from typing import Any, Self

import ipyleaflet
import ipywidgets as widgets

from . import ask
from .charts import histogram_figure
from .cube import Cube
from .errors import BadCube, BdapError
from .legend import legend_html, message_html
from .walk import without_time

SIZE = (900, 480)
"""Width and height in pixels that a first view is chosen for, before the browser has told the true ones."""


class Map(ipyleaflet.Map):
    """A Leaflet map that takes cubes. `center` is (lat, lon) as in Leaflet; without it the first layer is shown."""

    def __init__(
        self,
        center: tuple[float, float] | None = None,
        zoom: float | None = None,
        basemap: Any = None,
        height: str = "480px",
        **options: Any,
    ) -> None:
        self._shown: dict[str, tuple[ipyleaflet.TileLayer, Cube]] = {}
        self._notes: dict[str, ipyleaflet.WidgetControl] = {}
        self._popup: ipyleaflet.Popup | None = None
        self._placed = center is not None
        options.setdefault("scroll_wheel_zoom", True)
        options.setdefault("layout", widgets.Layout(height=height, width="100%"))
        base = {"layers": ()} if basemap is None else {"basemap": basemap}
        super().__init__(center=center or (47.0, 9.0), zoom=4 if zoom is None else zoom, **base, **options)
        super().add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
        super().add(ipyleaflet.LayersControl(position="topright"))
        self.on_interaction(self._on_event)

    def add(self, item: Any, name: str = "", opacity: float = 1.0, index: int | None = None) -> Self:
        """Put a cube on the map; a name used already is replaced. Other ipyleaflet layers and controls pass through."""
        if not isinstance(item, Cube):
            super().add(item, index=index)
            return self
        name = name or f"layer {len(self._shown) + 1}"
        try:
            self._put(item, name, opacity)
        except BdapError as error:
            self._say(name, error)
        return self

    def drop(self, name: str) -> Self:
        """Take the layer of that name off the map."""
        if name in self._shown:
            self.remove(self._shown.pop(name)[0])
        self._hush(name)
        self._note(f"legend {name}", None)
        return self

    def slide(
        self,
        make: Callable[[Any], Cube],
        values: Iterable[Any],
        name: str = "layer",
        label: str = "",
        opacity: float = 1.0,
    ) -> widgets.SelectionSlider:
        """A slider that shows `make(value)` for the value it stands at: a date, a threshold."""
        options = list(values)
        slider = widgets.SelectionSlider(
            options=options,
            description=label,
            continuous_update=False,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="100%"),
        )
        slider.observe(lambda change: self.add(make(change["new"]), name, opacity), names="value")
        self.add(make(options[0]), name, opacity)
        return slider

    def show_histogram(self, cube: Cube, bins: int = 32, name: str = "values in view") -> Self:
        """A histogram of the cube within the present view, on the map."""
        try:
            figure = self.histogram_figure(cube, bins, name)
        except BdapError as error:
            self._say("histogram", error)
            return self
        self._hush("histogram")
        figure.layout = widgets.Layout(width="340px", height="230px")
        self._note("chart", figure, "bottomright")
        return self

    def histogram_figure(self, cube: Cube, bins: int = 32, title: str = "") -> Any:
        """The same histogram as a bqplot figure, to be placed elsewhere."""
        edges, counts = ask.histogram(cube, self.view(cube), bins)
        return histogram_figure(edges, counts, title)

    # --- layers -------------------------------------------------------------------------------------------------

    def _put(self, cube: Cube, name: str, opacity: float) -> None:
        if not without_time(cube._node):
            raise BadCube(
                "this cube still has its dates; a map shows one picture", "add .median(), .last() or the like"
            )
        service = ask.service(cube, name)
        (west, south, east, north) = service.bounds or (-180, -85, 180, 85)
        place = [(south, west), (north, east)]
        if name in self._shown:
            layer = self._shown[name][0]
            layer.url, layer.bounds, layer.opacity = service.url, place, opacity
        else:
            layer = ipyleaflet.TileLayer(
                url=service.url,
                name=name,
                opacity=opacity,
                bounds=place,
                min_zoom=service.min_zoom,
                max_zoom=22,
                max_native_zoom=service.max_zoom,
                show_loading=True,
            )
            super().add(layer)
        self._shown[name] = (layer, cube)
        self._hush(name)
        if not self._placed and service.bounds:
            self._look_at(*service.bounds)
        self._legend(name, cube)

    def _look_at(self, west: float, south: float, east: float, north: float) -> None:
        self._placed = True
        self.center = [(south + north) / 2, (west + east) / 2]
        tall = _mercator(north) - _mercator(south)
        across = math.log2(SIZE[0] / 256 * 360 / max(east - west, 1e-6))
        along = math.log2(SIZE[1] / 256 * 360 / max(tall, 1e-6))
        self.zoom = max(1, min(18, math.floor(min(across, along))))

    def view(self, cube: Cube) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) of what is seen of the cube; before the map is shown, all of the cube."""
        inside = ask.service(cube).bounds
        if not self.bounds or self.bounds[0] == self.bounds[1]:
            return inside
        (south, west), (north, east) = self.bounds
        view = (max(west, -180), max(south, -90), min(east, 180), min(north, 90))
        if inside is None:
            return view
        box = (max(view[0], inside[0]), max(view[1], inside[1]), min(view[2], inside[2]), min(view[3], inside[3]))
        return box if box[0] < box[2] and box[1] < box[3] else inside

    # --- values at a click --------------------------------------------------------------------------------------

    def _on_event(self, **event: Any) -> None:
        if event.get("type") == "click" and self._shown:
            self.identify(*event["coordinates"])

    def identify(self, lat: float, lon: float) -> None:
        """Open a small window at the place with the value of every visible layer, the topmost first."""
        rows = []
        for name, (layer, cube) in reversed(self._shown.items()):
            if layer.visible:
                rows.append(self._row(name, cube, lat, lon))
        text = "".join(rows) or "<tr><td>no layer is shown</td></tr>"
        place = f'<div style="color:#666;margin-top:4px">{lat:.5f}, {lon:.5f}</div>'
        html = widgets.HTML(f'<table style="line-height:1.5">{text}</table>{place}')
        if self._popup is not None and self._popup in self.layers:
            self.remove(self._popup)
        self._popup = ipyleaflet.Popup(location=[lat, lon], child=html, min_width=140, close_on_escape_key=True)
        super().add(self._popup)

    def _row(self, name: str, cube: Cube, lat: float, lon: float) -> str:
        try:
            value = ask.value(cube, lon, lat)
        except BdapError as error:
            self._say(name, error)
            return f"<tr><td>{escape(name)}</td><td>could not be read</td></tr>"
        values = value if isinstance(value, dict) else {"": value}
        text = "<br>".join(f"{escape(band)} <b>{_number(number)}</b>" for band, number in values.items())
        return f'<tr><td style="padding-right:10px;vertical-align:top">{escape(name)}</td><td>{text}</td></tr>'

    # --- messages, legends, charts on the map -------------------------------------------------------------------

    def _legend(self, name: str, cube: Cube) -> None:
        style = cube.style
        html = legend_html(name, style.colormap, style.min, style.max) if style else ""
        self._note(f"legend {name}", widgets.HTML(html) if html else None, "bottomright")

    def _say(self, about: str, error: BdapError) -> None:
        text = widgets.HTML(message_html(error, about))
        close = widgets.Button(description="Close", layout=widgets.Layout(width="auto"))
        close.on_click(lambda _: self._hush(about))
        self._note(f"error {about}", widgets.VBox([text, close]), "topright")

    def _hush(self, about: str) -> None:
        self._note(f"error {about}", None)

    def _note(self, key: str, widget: widgets.DOMWidget | None, position: str = "topright") -> None:
        if old := self._notes.pop(key, None):
            self.remove(old)
        if widget is not None:
            widget.layout.margin = "4px 8px"
            self._notes[key] = ipyleaflet.WidgetControl(widget=widget, position=position)
            super().add(self._notes[key])

    @property
    def messages(self) -> list[str]:
        """What the error messages on the map are about."""
        return [key.removeprefix("error ") for key in self._notes if key.startswith("error ")]


def _mercator(lat: float) -> float:
    """Latitude as degrees of the Web Mercator's square."""
    return math.degrees(math.log(math.tan(math.pi / 4 + math.radians(max(-85.0, min(85.0, lat))) / 2)))


def _number(value: float | None) -> str:
    return "no data" if value is None else f"{value:.4g}"
