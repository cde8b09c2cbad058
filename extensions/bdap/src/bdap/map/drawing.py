"""What people draw on the map: its geometry, and charts of a layer within it or along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import bqplot
import ipyleaflet
import ipywidgets as widgets

from .. import ask, shapes, walk
from ..charts import histogram_figure, lines_figure, scatter_figure
from ..cube import Cube
from ..errors import BadCube, BdapError
from . import areas
from .closing import shut
from .compare import Compare
from .identify import CHART, small
from .legends import message_html
from .shown import Raster

BLUE = {"shapeOptions": {"color": "#0b5cad", "weight": 3, "fillOpacity": 0.1}}
AREA, LINE = ("Histogram", "Statistics", "Time series", "Scatter"), ("Transect", "Time series")


class Drawing(Compare):
    """Drawing, and what comes of it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pen: ipyleaflet.DrawControl | None = None
        self._sheet: Sheet | None = None
        super().__init__(*args, **options)

    def draw(self, cube: Cube | None = None) -> Self:
        """Let people draw areas, lines and points; charts follow, of `cube` or of the topmost layer.

        A point tells the values there: clicks that draw do not.
        """
        self.clicks = False
        if self._pen is None:
            self._pen = ipyleaflet.DrawControl(
                position="topleft", polygon=BLUE, polyline=BLUE, rectangle=BLUE, marker={"repeatMode": False}
            )
            self._pen.circlemarker = {}
            self._pen.on_draw(self._on_draw)
            ipyleaflet.Map.add(self, self._pen)
        if self._sheet is not None:
            self._note("series", None)
            self._lasting.discard(self._sheet.widget)
            shut(self._sheet.widget)
        self._sheet = Sheet(self, cube)
        return self

    @property
    def drawn(self) -> dict[str, Any]:
        """What was drawn, as a GeoJSON FeatureCollection in degrees; the last one drawn comes last."""
        features = self._pen.data if self._pen is not None else []
        return {"type": "FeatureCollection", "features": [areas.clean(each) for each in features]}

    @property
    def geometry(self) -> dict[str, Any]:
        """The geometry that was drawn last."""
        if not (features := self.drawn["features"]):
            raise BadCube("nothing is drawn on the map", "call map.draw(), choose a tool at the left and draw")
        found: dict[str, Any] = features[-1]["geometry"]
        return found

    def scatter_figure(self, cube: Cube, one: str, two: str, geometry: Any = None, title: str = "") -> bqplot.Figure:
        """Two bands of a cube against one another, of pixels of an area: a geometry, else the last one drawn."""
        area = self.geometry if geometry is None else shapes.polygons(geometry, "scatter_figure()")
        x, y, names = areas.pairs(cube, area, (one, two))
        return scatter_figure(x, y, names, title)

    def transect_figure(self, cube: Cube, line: Any = None, title: str = "") -> bqplot.Figure:
        """The values of a cube along a line: a geometry, else the last one drawn."""
        along = self.geometry if line is None else shapes.geometry(line)
        return areas.transect(cube, along, title)

    def _on_draw(self, _: Any, action: str, geo_json: Mapping[str, Any]) -> None:
        geometry = geo_json.get("geometry") or {}
        if action == "deleted" or self._sheet is None:
            self._note("series", None)
        elif geometry.get("type") == "Point":
            lon, lat = geometry["coordinates"][:2]
            self.identify(lat, lon)
        else:
            self._sheet.tell(areas.clean(geo_json)["geometry"])
            self._note("series", self._sheet.widget, "bottomright", lasting=True)

    def _topmost(self) -> Cube:
        for one in reversed(self._shown.values()):
            if isinstance(one, Raster) and one.visible:
                return one.cube
        raise BadCube("no layer is shown", "add a cube to the map, or give one to map.draw(cube)")


class Sheet:
    """The charts of what was drawn, one at a time."""

    def __init__(self, map: Drawing, cube: Cube | None) -> None:
        self.map, self.cube, self.geometry = map, cube, dict[str, Any]()
        self.choice = widgets.Dropdown(options=AREA, description="Show", layout={"width": "220px"})
        self.choice.style.description_width = "44px"
        close = widgets.Button(description="Close", tooltip="Close the chart", layout={"width": "auto"})
        close.on_click(lambda _: map._note("series", None))
        self._place = widgets.VBox(layout={"width": CHART})
        self.widget = widgets.VBox([widgets.HBox([self.choice, close]), self._place])
        self.choice.observe(lambda _: self._show(), "value")

    def tell(self, geometry: dict[str, Any]) -> None:
        """Show the charts of a geometry."""
        self.geometry = geometry
        wanted = LINE if geometry["type"] == "LineString" else AREA
        if self.choice.options != wanted:
            self.choice.options = wanted  # which chooses the first, and shows it
        else:
            self._show()

    def _show(self) -> None:
        if not self.geometry:
            return
        before = self._place.children
        try:
            cube = self.map._topmost() if self.cube is None else self.cube
            self._place.children = (CHARTS[self.choice.value](cube, self.geometry),)
        except BdapError as error:
            self._place.children = (widgets.HTML(message_html(error, self.choice.value)),)
        for each in before:
            shut(each)


def histogram(cube: Cube, geometry: Mapping[str, Any]) -> bqplot.Figure:
    """Values within an area."""
    found = areas.histogram(cube, geometry)
    return small(histogram_figure(found["bins"], found["counts"], "Values in the area"))


def statistics(cube: Cube, geometry: Mapping[str, Any]) -> widgets.HTML:
    """A table of an area's statistics."""
    service = ask.service(cube)
    answer = ask.client_of(cube).area(service, "statistics", geometry)
    return widgets.HTML(areas.statistics_html(answer, service.times))


def series(cube: Cube, geometry: Mapping[str, Any]) -> bqplot.Figure:
    """Means of an area through time, of the cube as it was before its dates were reduced."""
    return small(lines_figure(areas.series(cube, geometry), "Mean through time", period=walk.period(cube._node)))


def scatter(cube: Cube, geometry: Mapping[str, Any]) -> bqplot.Figure:
    """The first two bands against one another."""
    x, y, names = areas.pairs(cube, geometry)
    return small(scatter_figure(x, y, names, f"{len(x)} pixels of the area"))


def transect(cube: Cube, geometry: Mapping[str, Any]) -> bqplot.Figure:
    """Values along a line."""
    return small(areas.transect(cube, geometry, "Along the line"))


CHARTS: dict[str, Callable[[Cube, Mapping[str, Any]], widgets.DOMWidget]] = {
    "Histogram": histogram,
    "Statistics": statistics,
    "Time series": series,
    "Scatter": scatter,
    "Transect": transect,
}
