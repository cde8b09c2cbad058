"""A map as a picture: the platform draws the visible layers at the map's extent, with legends and a scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import ask, client
from ..client import Client
from ..errors import BadCube
from . import features, view
from .ground import OFFLINE
from .shown import Raster, Shown
from .state import Keeping, written
from .vectors import Vector

MOST = 20_000
"""Positions of one layer that a print takes; more are thinned out."""


class Printing(Keeping):
    """Printing."""

    def png(self, path: str | Path = "", title: str = "", width: int = 1200, height: int = 0) -> bytes:
        """The visible layers as PNG, also written to `path` where one is given; a WMS is not printed.

        `width` is that of the map in pixels; its height follows the map's shape unless it is given.
        """
        shown = [made for one in self._shown.values() if one.visible and (made := _layer(one))]
        if not shown:
            raise BadCube("there is nothing to print", "add a cube or features to the map, or show a hidden layer")
        box = self.view_box()
        tall = height or round(width * _shape(box))
        body = {"bbox": list(box), "width": width, "height": max(64, min(4096, tall)), "title": title}
        body["note"] = "Borders: Natural Earth" if self.ground == OFFLINE else ""
        body["layers"] = [*([{"basemap": True, "legend": False}] if self.ground == OFFLINE else []), *shown]
        body["layers"] += [_drawing(each) for each in self.drawn["features"]]
        content = self._client().printed(body)
        if path:
            written(path, content)
        return content

    def view_box(self) -> view.Box:
        """(west, south, east, north) of what is seen; before the map is shown, around its layers."""
        box = view.seen(self.bounds)
        if box is None:
            boxes = [one.box for one in self._shown.values() if one.visible and one.box]
            box = view.around([(b[i], b[j]) for b in boxes for i, j in ((0, 1), (2, 3))]) if boxes else None
        if box is None:
            raise BadCube("the map has no extent yet", "add a layer, or show the map")
        return box[0], max(box[1], -view.LIMIT), box[2], min(box[3], view.LIMIT)

    def _client(self) -> Client:
        cubes = [one.cube for one in self._shown.values() if isinstance(one, Raster)]
        return ask.client_of(cubes[-1]) if cubes else client.default()


def _shape(box: view.Box) -> float:
    """Height of a box by its width, on the map."""
    return (view.mercator(box[3]) - view.mercator(box[1])) / (box[2] - box[0])


def _layer(one: Shown) -> dict[str, Any] | None:
    if isinstance(one, Raster):
        service = ask.service(one.cube, one.name)
        return {"service": service.id, "time": one.time, "opacity": one.opacity, "title": one.name}
    if isinstance(one, Vector):
        made = one.symbols
        styles = {"fill": made.fill, "width": made.width}
        drawn = [
            {**each, "properties": {}, "style": {"color": made.of(each.get("properties") or {}), **styles}}
            for each in features.thinned(one.data, MOST)[0]["features"]
        ]
        rows = [list(row) for row in made.rows(one.name)]
        title = f"{one.name}, {made.by}" if made.by else ""
        return {"features": drawn, "opacity": one.opacity, "title": title, "rows": rows}
    return None


def _drawing(feature: Mapping[str, Any]) -> dict[str, Any]:
    return {"features": [{**feature, "style": {"color": "#0b5cad", "fill": 0.1, "width": 3}}], "legend": False}
