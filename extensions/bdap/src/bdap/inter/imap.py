"""The map with interapro's methods, on the platform's own: addLayer, zoomToImageExtent, drawPolygons and others."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipyleaflet
import ipywidgets as widgets

from .. import ask
from ..errors import BadCube
from ..map import Map as PlatformMap
from ..map.closing import shut
from ..map.shown import Shown
from .layers import LayerId, of_address
from .process import ImageProcess
from .vectors import VectorLayer

DRAWN = ("polygon", "polyline", "rectangle", "circle", "circlemarker", "marker")


@dataclass(eq=False)
class Drawn(Shown):
    """A vector layer on the map."""

    vector: VectorLayer = field(kw_only=True)

    def fade(self, opacity: float) -> None:
        """Show it so opaque (0 to 1)."""
        self.opacity = opacity
        self.layer.style_callback = self.vector.styles(opacity)


class Map(PlatformMap):
    """Takes interapro's layers. `basemap` as a number means none: the platform fetches nothing from the internet."""

    def __init__(self, basemap: Any = None, **options: Any) -> None:
        self._draw: ipyleaflet.DrawControl | None = None
        super().__init__(basemap=None if isinstance(basemap, int) else basemap, **options)
        self.observe(self._chosen, ["center", "zoom"])

    def _chosen(self, change: Any) -> None:
        """Who has set where to look does not want the first layer to move the map."""
        self._placed = True

    # --- layers -------------------------------------------------------------------------------------------------

    def addLayer(self, layer: Any, name: str = "", opacity: float | None = None) -> Any:
        """Put on what toLayer() gave (or a layer of ipyleaflet); a name used already is replaced."""
        if not isinstance(layer, LayerId):
            self.add(layer)
            return layer
        made, name = layer.layer, name or f"layer {len(self._shown) + 1}"
        strength = made.strength if opacity is None else opacity
        if isinstance(made, ImageProcess):
            self.add(made.styled, name, strength)
        else:
            drawn = made.leaflet(name, strength)
            self._put(Drawn(name, drawn, strength, box=made.bounds(), vector=made))
        return self._shown[name].layer if name in self._shown else None

    def add(self, item: Any, *more: Any, **options: Any) -> Any:
        """As the platform's map, and tile layers that lead to interapro's server by the id of a layer of here."""
        known = of_address(item.url) if isinstance(item, ipyleaflet.TileLayer) else None
        if isinstance(known, ImageProcess):
            item.url = ask.service(known.styled, item.name).url
        return super().add(item, *more, **options)

    def replaceLayer(self, old: str, layer: LayerId, opacity: float | None = None) -> Any:
        """Another layer in the place of the one of that name."""
        return self.addLayer(layer, old, opacity)

    def removeLayer(self, name: str) -> None:
        """Take the layer of that name off."""
        self.drop(name)

    def clear(self) -> None:
        """Take all layers of data off; the base map stays."""
        for name in self.names:
            self.drop(name)
        self.clear_popups()

    def clear_popups(self) -> None:
        """Close what identifyPopup opened."""
        for layer in [each for each in self.layers if isinstance(each, ipyleaflet.Popup)]:
            self.remove(layer)
            if layer is not self._popup:  # the platform's own opens again
                shut(layer)

    def addBasemap(self, basemap: Any) -> None:
        """A base map by its address or as ipyleaflet knows it; its tiles come from where it says."""
        if isinstance(basemap, int):
            raise BadCube(f"there is no base map {basemap} here", 'give an address, "https://…/{z}/{x}/{y}.png"')
        given = {"url": basemap, "name": "base map"} if isinstance(basemap, str) else basemap
        layer = ipyleaflet.basemap_to_tiles(given)
        layer.base = True
        self._ground = [layer]
        self._changed()

    def addWMS(self, url: str, layers: str, name: str = "", **options: Any) -> ipyleaflet.WMSLayer:
        """A layer of a Web Map Service."""
        options = {"format": "image/png", "transparent": True, **options}
        made = ipyleaflet.WMSLayer(url=url, layers=layers, name=name or layers, **options)
        super().add(made)
        return made

    # --- controls -----------------------------------------------------------------------------------------------

    def layersControl(self) -> None:
        """It is there already."""

    def measureControl(self, position: str = "bottomleft") -> None:
        """A tool that measures lengths and areas, in metres and hectares."""
        super().add(
            ipyleaflet.MeasureControl(
                position=position, primary_length_unit="meters", primary_area_unit="hectares", active_color="#1d6996"
            )
        )

    def drawPolygons(self) -> None:
        """A tool that draws polygons; getFeatures() gives them."""
        self._draws("polygon")

    def drawRectangles(self) -> None:
        """A tool that draws rectangles."""
        self._draws("rectangle")

    def drawPolylines(self) -> None:
        """A tool that draws lines."""
        self._draws("polyline")

    def drawMarkers(self) -> None:
        """A tool that sets points."""
        self._draws("marker")

    def getFeatures(self) -> list[dict[str, Any]]:
        """What was drawn, as features of GeoJSON."""
        return list(self._draw.data) if self._draw is not None else []

    def _draws(self, kind: str) -> None:
        if self._draw is not None:
            self.remove(self._draw)
        colours = {"shapeOptions": {"color": "#1d6996", "fillOpacity": 0.2}}
        tools = {each: (colours if each == kind else {}) for each in DRAWN}
        self._draw = ipyleaflet.DrawControl(**tools)
        super().add(self._draw)

    # --- place --------------------------------------------------------------------------------------------------

    def getExtent(self) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) of what is seen; None before the map is shown."""
        if not self.bounds:
            return None
        (south, west), (north, east) = self.bounds
        return west, south, east, north

    def zoomToImageExtent(self, layer: ImageProcess | VectorLayer) -> None:
        """Look at all of a picture or of a vector layer."""
        if (box := layer.bounds()) is not None:
            self.look_at(box)

    def zoomToExtent(self, west: float, south: float, east: float, north: float) -> None:
        """Look at a box in degrees."""
        self.look_at((west, south, east, north))


def identifyPointEx(layer: Any, lon: float, lat: float, epsg: int = 4326, zoom: int = 0) -> str:
    """What a layer has at a place in degrees, as text."""
    if epsg != 4326:
        raise BadCube(f"identifyPointEx() got EPSG:{epsg}", "give longitude and latitude (4326)")
    return str(layer.at(lon, lat))


def identifyPopup(map: Map, layers: Any) -> None:
    """A click opens a small window with what each of the layers has at the place."""
    several = list(layers) if isinstance(layers, list | tuple) else [layers]

    def clicked(**event: Any) -> None:
        if event.get("type") != "click":
            return
        lat, lon = event["coordinates"]
        lines = [escape(found).replace("&lt;br&gt;", "<br>") for each in several if (found := each.at(lon, lat))]
        if lines:
            map.clear_popups()
            text = widgets.HTML("<br>".join(lines))
            map.add(ipyleaflet.Popup(location=[lat, lon], child=text, close_on_escape_key=True))

    map.clicks = False  # the platform's own window would open beside it
    map.on_interaction(clicked)


def mapInteractGeneric(map: Map, labelCoordinates: widgets.HTML | None = None, **ignored: Any) -> None:
    """Write the place under the pointer into a label."""

    def moved(**event: Any) -> None:
        if event.get("type") == "mousemove" and labelCoordinates is not None:
            lat, lon = event["coordinates"]
            labelCoordinates.value = f"{lat:.4f}, {lon:.4f}"

    map.on_interaction(moved)
