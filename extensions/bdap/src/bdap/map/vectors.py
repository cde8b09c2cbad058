"""Features as layers: one colour, or colours by an attribute, with a legend; their attributes at a click. And WMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Self

import ipyleaflet

from .. import client as clients
from ..client import Client
from ..errors import BadCube, BdapError
from . import features
from .drawing import Drawing
from .legends import rows_legend
from .shown import Shown
from .symbols import Symbols, symbols

POINT = {"radius": 6}


@dataclass(eq=False)
class Vector(Shown):
    """Features with their symbols; `given` is what they were made of."""

    layer: ipyleaflet.GeoJSON
    data: features.Collection = field(kw_only=True)
    symbols: Symbols = field(kw_only=True)

    def fade(self, opacity: float) -> None:
        """Lines and areas, so opaque."""
        self.opacity = opacity
        self.layer.updating = True  # the features stay as they are: only what all of them share is sent
        self.layer.style = {"opacity": opacity, "fillOpacity": opacity * self.symbols.fill}
        self.layer.updating = False


@dataclass(eq=False)
class Wms(Shown):
    """Pictures of another map service."""

    layer: ipyleaflet.WMSLayer


@dataclass(eq=False)
class Tiled(Shown):
    """A table as vector tiles."""

    layer: ipyleaflet.VectorTileLayer
    table: str = field(kw_only=True)
    symbols: Symbols = field(kw_only=True)


class Vectors(Drawing):
    """Layers of features, and pictures of other map services."""

    def add_vector(
        self,
        data: Any,
        name: str = "",
        color: str = "#0b5cad",
        by: str = "",
        colors: Mapping[Any, str] | Sequence[str] | None = None,
        fill: float = 0.2,
        width: float = 2,
        opacity: float = 1.0,
    ) -> Self:
        """Put features on the map: a path of GeoJSON, FlatGeobuf or GeoParquet, GeoJSON, or a GeoDataFrame.

        `by` colours them by an attribute: numbers in five classes, words each in a colour; `colors` says which.
        """
        name = name or (Path(data).stem if isinstance(data, str | Path) else f"layer {len(self._shown) + 1}")
        try:
            whole = features.read(data)
            made = symbols(whole["features"], color, fill, width, by, colors)
            self._put(self._vector(name, whole, made, opacity))
        except BdapError as error:
            self._say(name, error)
        return self

    def add_table(
        self,
        table: str,
        name: str = "",
        color: str = "#0b5cad",
        by: str = "",
        colors: Mapping[Any, str] | Sequence[str] | None = None,
        fill: float = 0.2,
        width: float = 2,
        opacity: float = 1.0,
        client: Client | None = None,
    ) -> Self:
        """Put a table of PostGIS on the map, that the operator has named: all its features where these are few.

        Larger ones come as vector tiles in one colour, which the platform cuts while one pans.
        """
        name = name or table
        asked = client or clients.default()
        try:
            about = asked.table(table)
            if about["more"]:
                if by:
                    raise BadCube(f"{table} has too many features to be coloured by {by!r}", "leave `by` out")
                self._put(_tiled(name, table, about, Symbols(color, fill, width), opacity))
            else:
                whole = features.read(asked.table_features(table))
                self._put(
                    self._vector(name, whole, symbols(whole["features"], color, fill, width, by, colors), opacity)
                )
        except BdapError as error:
            self._say(name, error)
        return self

    def add_wms(self, url: str, layers: str, name: str = "", opacity: float = 1.0, format: str = "image/png") -> Self:
        """Put layers of a Web Map Service on the map; the browser asks it, so it has to be reachable from there."""
        if not url.startswith(("https://", "http://", "/")):
            raise BadCube(f"{url!r} is no address of a WMS", "write https://…")
        name = name or layers
        layer = ipyleaflet.WMSLayer(url=url, layers=layers, format=format, transparent=True, name=name, opacity=opacity)
        self._put(Wms(name, layer, opacity))
        return self

    # --- inside -------------------------------------------------------------------------------------------------

    def _vector(self, name: str, whole: features.Collection, made: Symbols, opacity: float) -> Vector:
        less, cell = features.thinned(whole)
        layer = ipyleaflet.GeoJSON(
            data={"type": "FeatureCollection", "features": [_styled(each, made) for each in less["features"]]},
            style={"opacity": opacity, "fillOpacity": opacity * made.fill, "weight": made.width},
            hover_style={"weight": made.width + 2},
            point_style=POINT,
            name=name,
        )
        layer.on_click(lambda properties=None, **_: self._touched(name, properties or {}))
        note = f"thinned to {features.MOST:,} positions, {cell * 111_000:.0f} m apart" if cell else ""
        legend = rows_legend(name, made.by, made.rows(name), note)
        return Vector(name, layer, opacity, legend=legend, box=features.box_of(less), data=whole, symbols=made)

    def _touched(self, name: str, properties: Mapping[str, Any]) -> None:
        """A feature was clicked: the window that the click opens tells its attributes, too."""
        rows = "".join(
            f"<tr><td style='padding-right:8px'>{escape(str(key))}</td><td><b>{escape(str(value))}</b></td></tr>"
            for key, value in properties.items()
            if key != "style"
        )
        self._feature = f"<b>{escape(name)}</b><table style='line-height:1.4'>{rows}</table>"


def _tiled(name: str, table: str, about: Mapping[str, Any], made: Symbols, opacity: float) -> Tiled:
    look = {"color": made.color, "fillColor": made.color, "fill": True, "fillOpacity": made.fill, "weight": made.width}
    layer = ipyleaflet.VectorTileLayer(
        url=about["tiles"], layer_styles={table: look}, name=name, opacity=opacity, max_zoom=22, max_native_zoom=16
    )
    box = tuple(about["bounds"]) if about["bounds"] else None
    legend = rows_legend(name, "", made.rows(name))
    return Tiled(name, layer, opacity, legend=legend, box=box, table=table, symbols=made)


def _styled(feature: Mapping[str, Any], made: Symbols) -> dict[str, Any]:
    properties = dict(feature.get("properties") or {})
    colour = made.of(properties)
    return {**feature, "properties": {**properties, "style": {"color": colour, "fillColor": colour}}}
