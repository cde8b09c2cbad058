"""Vector layers with interapro's methods: features in memory, drawn by the browser with colours by rule."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import ipyleaflet

from ..errors import BadCube
from . import rules
from .layers import LayerId, remember

PLAIN = {"fill": "#3388ff", "fill-opacity": "0.4", "stroke": "#1a5fb4", "stroke-width": "1"}
SYMBOLS = ("poly", "line", "point", "polygon")
GEOMETRY = "GEOMETRY"


class VectorLayer:
    """Features (GeoJSON, WKT, or any file that geopandas reads) and how they are drawn."""

    def __init__(self, source: str | Path = "", features: Sequence[dict[str, Any]] = ()) -> None:
        self.features = [_feature(each) for each in features]
        self._rules: list[tuple[str, rules.Rule, dict[str, str]]] = []
        self._colours: list[str] = []
        self._graduated: tuple[str, list[float]] | None = None
        self._line: dict[str, str] = {}
        self.strength = 1.0
        self._parameters: dict[str, str] = {}
        if source and str(source).lower() not in ("wkt", "vector", "file"):
            self.fileAdd(source)

    # --- data ---------------------------------------------------------------------------------------------------

    def fileAdd(self, source: str | Path) -> Self:
        """The features of a file, or of a text in GeoJSON."""
        self.features += [_feature(each) for each in _read(str(source))]
        return self

    def geomAdd(self, wkt: str) -> Self:
        """One more feature, from its WKT in degrees."""
        from shapely import from_wkt
        from shapely.errors import ShapelyError
        from shapely.geometry import mapping

        try:
            shape = from_wkt(wkt)
        except (ShapelyError, TypeError):
            raise BadCube(f"{wkt!r:.80} is no WKT", 'write it as "POLYGON ((8 45, 9 45, 9 46, 8 45))"') from None
        self.features.append(_feature({"geometry": mapping(shape), "properties": {}}))
        return self

    def joinAdd(self, key: str, name: str, keys: Sequence[Any], values: Sequence[Any]) -> Self:
        """A new attribute `name`: the value of the key that a feature has in its attribute `key`; others get none."""
        if len(keys) != len(values):
            raise BadCube(f"joinAdd() got {len(keys)} keys and {len(values)} values", "give a value for each key")
        known = {str(one): value for one, value in zip(keys, values, strict=True)}
        for feature in self.features:
            found = feature["properties"]
            found[name] = known.get(str(found.get(key)))
        return self

    def all(self, name: str) -> list[Any]:
        """That attribute of every feature, in order; GEOMETRY gives WKT."""
        if name == GEOMETRY:
            from shapely.geometry import shape

            return [shape(each["geometry"]).wkt if each["geometry"] else None for each in self.features]
        return [each["properties"].get(name) for each in self.features]

    # --- style --------------------------------------------------------------------------------------------------

    def set(self, *words: Any) -> Self:
        """`set([style,] [rule,] symbol, property, value)`: fill, stroke, ... of features that meet the rule."""
        if len(words) not in (3, 4, 5):
            raise BadCube(f"set() got {len(words)} words", 'write set("[AREA] > 5", "poly", "fill", "#ff0000")')
        symbol, prop, value = words[-3:]
        rule = str(words[-4]) if len(words) > 3 else "all"
        if symbol not in SYMBOLS:
            raise BadCube(f"there is no symbol {symbol!r}", f"use one of {', '.join(SYMBOLS)}")
        self._rules.append((rule, rules.parse(rule), {_property(symbol, str(prop)): str(value)}))
        return self

    def remove(self, style: str = "default", rule: str = "all") -> Self:
        """Take away what was set by that rule; of `all`, the plain look too."""
        self._rules = [each for each in self._rules if each[0] != rule]
        if rule in rules.EVERYTHING:
            self._rules.append((rule, rules.parse("all"), {"fill-opacity": "0", "stroke-width": "0"}))
        return self

    def reset(self) -> Self:
        """The plain look again."""
        self._rules, self._graduated, self._line = [], None, {}
        return self

    def colorCustom(self, colours: Sequence[str]) -> Self:
        """The colours of the classes that legendGraduated makes, lowest first."""
        self._colours = [str(each) for each in colours]
        return self

    def legendSet(self, symbol: str, prop: str, value: Any) -> Self:
        """A property of all classes of the legend, such as ("line", "stroke", "#232323")."""
        self._line[_property(symbol, prop)] = str(value)
        return self

    def legendGraduated(
        self,
        name: str,
        kind: str = "custom",
        classes: int = 0,
        digits: int = 2,
        low: float | None = None,
        high: float | None = None,
        breaks: Sequence[float] = (),
    ) -> Self:
        """Colour by attribute: a value gets the colour of the first of `breaks` that it does not exceed."""
        edges = [float(each) for each in breaks]
        if not edges:
            if low is None or high is None or classes < 1:
                raise BadCube("legendGraduated() has no breaks", "give breaks, or classes with low and high")
            edges = [low + (high - low) * (i + 1) / classes for i in range(classes)]
        if not self._colours:
            raise BadCube("legendGraduated() has no colours", "call colorCustom([...]) before")
        self._graduated = (name, edges)
        return self

    def opacity(self, value: float) -> Self:
        """0 (unseen) to 255."""
        self.strength = max(0.0, min(1.0, float(value) / 255))
        return self

    def parameter(self, name: str, value: Any) -> Self:
        """`identifyField` (attributes, separated by spaces) and `identifyseparator` are used; others are kept."""
        self._parameters[name.lower()] = str(value)
        return self

    # --- layer --------------------------------------------------------------------------------------------------

    def process(self) -> Self:
        """Itself: there is nothing to wait for."""
        return self

    def toLayer(self) -> LayerId:
        """What Map.addLayer takes."""
        return remember(self)

    def leaflet(self, name: str, opacity: float) -> ipyleaflet.GeoJSON:
        """The layer as the map draws it."""
        data = {"type": "FeatureCollection", "features": self.features}
        return ipyleaflet.GeoJSON(data=data, name=name, style_callback=self.styles(opacity))

    def styles(self, opacity: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """What gives Leaflet's style of each feature."""
        return lambda feature: self.style_of(feature, opacity)

    def style_of(self, feature: dict[str, Any], opacity: float | None = None) -> dict[str, Any]:
        """Leaflet's style of one feature."""
        strength = self.strength if opacity is None else opacity
        properties = feature["properties"]
        look = dict(PLAIN)
        if self._graduated is not None:
            look |= {"fill-opacity": "1", **self._line, **self._class_of(properties)}
        for _, meets, change in self._rules:
            if meets(properties):
                look |= change
                if "fill" in change and "fill-opacity" not in change:
                    look["fill-opacity"] = "1"
                if "stroke" in change and look["stroke-width"] == "0":
                    look["stroke-width"] = "1"
        return {
            "fillColor": look["fill"],
            "fillOpacity": float(look["fill-opacity"]) * strength,
            "color": look["stroke"],
            "weight": float(look["stroke-width"]),
            "opacity": strength if float(look["stroke-width"]) else 0,
        }

    def _class_of(self, properties: dict[str, Any]) -> dict[str, str]:
        assert self._graduated is not None
        name, edges = self._graduated
        value = properties.get(name)
        if not isinstance(value, int | float) or math.isnan(value):
            return {"fill-opacity": "0"}
        place = next((i for i, edge in enumerate(edges) if value <= edge), len(edges) - 1)
        return {"fill": self._colours[min(place, len(self._colours) - 1)]}

    def bounds(self) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) of all features."""
        from shapely import total_bounds
        from shapely.geometry import shape

        shapes = [shape(each["geometry"]) for each in self.features if each["geometry"]]
        if not shapes or math.isnan(total_bounds(shapes)[0]):  # all are empty
            return None
        west, south, east, north = (float(edge) for edge in total_bounds(shapes))
        return west, south, east, north

    def at(self, lon: float, lat: float) -> str:
        """The attributes named by `identifyField` of the topmost feature at a place; empty where there is none."""
        from shapely.geometry import Point, shape

        place = Point(lon, lat)
        for feature in reversed(self.features):
            if feature["geometry"] and shape(feature["geometry"]).intersects(place):
                found = feature["properties"]
                names = self._parameters.get("identifyfield", "").split() or list(found)
                return self._parameters.get("identifyseparator", ", ").join(str(found.get(name)) for name in names)
        return ""


def _property(symbol: str, name: str) -> str:
    """A line's colour is its stroke, in whatever words."""
    return {"color": "stroke" if symbol == "line" else "fill", "width": "stroke-width"}.get(name, name)


def _feature(given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": given.get("geometry"), "properties": dict(given.get("properties") or {})}


def _read(source: str) -> list[dict[str, Any]]:
    text = source.strip()
    if not text.startswith("{"):
        path = Path(source)
        if not path.is_file():
            raise BadCube(f"there is no file {path.name!r}", "give its path, or the text of a GeoJSON")
        if path.suffix.lower() not in (".geojson", ".json"):
            import geopandas

            text = geopandas.read_file(path).to_crs(4326).to_json()
        else:
            text = path.read_text()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadCube(f"this is no GeoJSON: {error}", "give a FeatureCollection") from None
    return list(found["features"]) if found.get("type") == "FeatureCollection" else [found]


def loadLocalVector(path: str) -> VectorLayer:
    """The features of a file."""
    return VectorLayer(path)
