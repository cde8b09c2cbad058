"""What lies below all layers: nothing, a layer that is given, or a base map that the platform names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipyleaflet
from ipyleaflet.leaflet import basemap_to_tiles

from ..errors import BadCube


def ground_of(basemap: Any) -> list[ipyleaflet.Layer]:
    """The layers of a base map: of xyzservices, a dictionary with `url`, or any layer of ipyleaflet."""
    if basemap is None:
        return []
    if isinstance(basemap, ipyleaflet.Layer):
        return [basemap]
    if isinstance(basemap, Mapping) and "build_url" in dir(basemap):
        return [basemap_to_tiles(basemap)]
    if isinstance(basemap, Mapping) and "url" in basemap:
        known = {"attribution": basemap.get("attribution", ""), "max_zoom": int(basemap.get("max_zoom", 19))}
        return [ipyleaflet.TileLayer(url=basemap["url"], name=str(basemap.get("name", "base map")), base=True, **known)]
    raise BadCube(f"{basemap!r:.60} is no base map", 'give {"url": "https://…/{z}/{x}/{y}.png"} or a layer')
