"""The map: a ground, one picture or two with a swipe between them, footprints, the place clicked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import ipyleaflet
import ipywidgets
from bdap.client import TileService

from .view import Camera

SIZE = (800, 500)
"""Pixels that a first view is chosen for, before the browser has told the true ones."""
Box = tuple[float, float, float, float]
LAND = {"color": "#b8c2cc", "weight": 1, "fill_color": "#f5f4ef", "fill_opacity": 1.0}
OUTLINE = {"color": "#1d4f7c", "weight": 1.2, "fillColor": "#1d4f7c", "fillOpacity": 0.06}


class Stage(ipyleaflet.Map):
    """`on_click` hears (latitude, longitude), `on_camera` a moved view; `ground` lies below all."""

    def __init__(
        self,
        on_click: Callable[[float, float], None],
        on_camera: Callable[[], None],
        ground: Iterable[ipyleaflet.Layer] = (),
    ) -> None:
        self._left: ipyleaflet.TileLayer | None = None
        self._right: ipyleaflet.TileLayer | None = None
        self._swipe: ipyleaflet.SplitMapControl | None = None
        super().__init__(
            center=(30, 10),
            zoom=2,
            layers=(),
            basemap={},
            scroll_wheel_zoom=True,
            attribution_control=False,
            world_copy_jump=True,
            min_zoom=2,
            panes={"world": {"zIndex": 150, "pointerEvents": "none"}},
            layout=ipywidgets.Layout(height="100%", width="100%"),
        )
        for layer in list(ground) or [ipyleaflet.Polygon(locations=world(), pane="world", name="countries", **LAND)]:
            self.add(layer)
        self._footprints = ipyleaflet.GeoJSON(data=_collection([]), style=OUTLINE, name="footprints")
        self.add(self._footprints)
        self._marker = ipyleaflet.CircleMarker(
            location=(0, 0), radius=7, color="#ffffff", weight=2, fill_color="#c2410c", opacity=0.0, fill_opacity=0.0
        )
        self.add(self._marker)  # from the start: a swipe loses its layers when others come or go
        self.add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
        self.on_interaction(lambda **event: on_click(*event["coordinates"]) if event.get("type") == "click" else None)
        self.observe(lambda _: on_camera(), names=["center", "zoom"])

    @property
    def camera(self) -> Camera:
        """Where it looks."""
        return Camera(float(self.center[0]), float(self.center[1]), float(self.zoom))

    def look(self, camera: Camera) -> None:
        """Look there."""
        self.center, self.zoom = (camera.lat, camera.lon), camera.zoom

    def fit(self, box: Box) -> None:
        """Show all of the box."""
        west, south, east, north = box
        across = math.log2(SIZE[0] / 256 * 360 / max(east - west, 1e-6))
        along = math.log2(SIZE[1] / 256 * 360 / max(_mercator(north) - _mercator(south), 1e-6))
        self.look(Camera((south + north) / 2, (west + east) / 2, max(2, min(18, math.floor(min(across, along))))))

    def show(self, left: TileService | None, right: TileService | None = None) -> None:
        """One picture, or two with a line to swipe between them."""
        if self._swipe is not None:
            self.remove(self._swipe)
            self._swipe = None
        for layer in (self._left, self._right):
            if layer is not None and layer in self.layers:
                self.remove(layer)
        self._left = _layer(left, "left") if left else None
        self._right = _layer(right, "right") if right else None
        if self._left and self._right:
            self._swipe = ipyleaflet.SplitMapControl(left_layer=self._left, right_layer=self._right)
            self.add(self._swipe)
        elif alone := self._left or self._right:
            self.add(alone)

    def outline(self, geometries: Iterable[dict[str, Any]]) -> None:
        """The footprints of items or collections."""
        self._footprints.data = _collection(list(geometries))

    def mark(self, place: tuple[float, float] | None) -> None:
        """A point where one clicked, or none."""
        self._marker.location = place or (0, 0)
        self._marker.opacity = self._marker.fill_opacity = 1.0 if place else 0.0


def _layer(service: TileService, name: str) -> ipyleaflet.TileLayer:
    (west, south, east, north) = service.bounds or (-180, -85, 180, 85)
    return ipyleaflet.TileLayer(
        url=service.url,
        name=name,
        bounds=[(south, west), (north, east)],
        min_zoom=service.min_zoom,
        max_zoom=22,
        max_native_zoom=service.max_zoom,
        show_loading=True,
    )


def _collection(geometries: list[dict[str, Any]]) -> dict[str, Any]:
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    return {"type": "FeatureCollection", "features": features}


@cache
def world() -> list[list[list[tuple[float, float]]]]:
    """The outlines of countries that the library brings, as one shape: a GeoJSON layer has no pane of its own."""
    rings = json.loads((files("bdap") / "data" / "land.json").read_text("utf-8"))
    return [[list(zip(ring[1::2], ring[::2], strict=True))] for ring in rings]


def _mercator(lat: float) -> float:
    return math.degrees(math.log(math.tan(math.pi / 4 + math.radians(max(-85.0, min(85.0, lat))) / 2)))
