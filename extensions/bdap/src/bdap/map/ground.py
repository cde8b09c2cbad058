"""What lies below all layers: our own base map, one that the platform names, one that is given, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipyleaflet
from ipyleaflet.leaflet import basemap_to_tiles

from .. import client as clients
from ..client import Client
from ..errors import BadCube, BdapError

OFFLINE = "offline"


def ground_of(basemap: Any, client: Client | None = None) -> list[ipyleaflet.Layer]:
    """The layers of a base map: a name, xyzservices, a dictionary with `url`, or any layer of ipyleaflet.

    Ours ("offline") is left out where the platform is not at hand; any other name is an error there.
    """
    match basemap:
        case None | "" | "none":
            return []
        case str():
            return _named(basemap, client or clients.default())
        case ipyleaflet.Layer():
            return [basemap]
    if isinstance(basemap, Mapping) and hasattr(basemap, "build_url"):
        return [basemap_to_tiles(basemap)]
    if isinstance(basemap, Mapping) and "url" in basemap:
        return [_tiles(basemap)]
    raise BadCube(f"{basemap!r:.60} is no base map", 'give {"url": "https://…/{z}/{x}/{y}.png"}, a layer, or a name')


def _named(name: str, client: Client) -> list[ipyleaflet.Layer]:
    try:
        known = {each["name"]: each for each in client.basemaps()}
    except BdapError:
        if name == OFFLINE:
            return []
        raise
    if name not in known:
        raise BadCube(f"there is no base map {name!r}", f"the platform has {', '.join(known)}")
    return [_tiles(known[name])]


def _tiles(basemap: Mapping[str, Any]) -> ipyleaflet.TileLayer:
    return ipyleaflet.TileLayer(
        url=basemap["url"],
        name=str(basemap.get("title") or basemap.get("name") or "base map"),
        attribution=str(basemap.get("attribution", "")),
        max_native_zoom=int(basemap.get("max_zoom", 19)),
        max_zoom=22,
        base=True,
    )
