"""POST /print: the layers of a map as one picture, with title, legends and scale; each layer by its owner's rights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response

from ...errors import BadRequest, TooMuch
from ..cancel import check
from ..cubes.extent import EARTH, MERCATOR, box
from ..cubes.geometry import moved, parts
from ..drawing import basemap
from ..drawing.colours import colour
from ..drawing.composition import Drawn, Outline, composed
from ..drawing.drawable import picture
from ..drawing.layout import laid_out
from ..drawing.legend import Legend
from ..drawing.sheets import measured
from ..engine.dates import alone
from ..engine.grid import MAX_ZOOM, Grid
from .bodies import body_of
from .legends import legend_for
from .room import Room
from .tiles import read_date
from .views import View

MOST_SIDE, MOST_LAYERS, MOST_OUTLINES = 4096, 20, 2000


def add_prints(app: FastAPI, prefix: str, room: Room) -> None:
    @app.post(f"{prefix}/print", response_class=Response)
    async def printed(request: Request) -> Response:
        principal = await room.login.require(request)
        body = await body_of(request)
        grid = grid_of(body)
        layers = _list(body, "layers", MOST_LAYERS)
        views = {}
        for layer in layers:
            if "service" in layer:
                views[str(layer["service"])] = (await room.viewed(request, str(layer["service"]), ""))[0]
        content = await room.beside.run(
            _printed, room, grid, layers, views, body, gone=request.is_disconnected, person=principal.person.name
        )
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, no-store"})


def grid_of(body: Mapping[str, Any]) -> Grid:
    """The pixels of a print: those of a web map, in which the whole of its box is seen."""
    raw = body.get("bbox")
    if not isinstance(raw, list) or len(raw) != 4:
        raise BadRequest(f"{raw!r:.60} is not a bbox", "give [west, south, east, north] in degrees")
    west, south, east, north = box(dict(zip(("west", "south", "east", "north"), raw, strict=True))).degrees()
    width, height = _side(body.get("width")), _side(body.get("height"))
    left, right = math.radians(west) * EARTH, math.radians(east) * EARTH
    top, bottom = _mercator(north), _mercator(south)
    step = max((right - left) / width, (top - bottom) / height)
    x, y = (left + right) / 2 - step * width / 2, (top + bottom) / 2 + step * height / 2
    return Grid(MERCATOR, x, y, step, step, width, height)


def _side(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 64 <= raw <= MOST_SIDE:
        raise BadRequest(
            f"{raw!r:.20} pixels cannot be printed", f"give width and height from 64 to {MOST_SIDE} pixels"
        )
    return raw


def _printed(
    room: Room, grid: Grid, layers: Sequence[Mapping[str, Any]], views: Mapping[str, View], body: Mapping[str, Any]
) -> bytes:
    legends = [laid_out(legend, measured) for layer in layers[::-1] if (legend := _legend(layer, views))]
    drawn = _drawn(room, grid, layers, views)
    return composed(grid, drawn, legends, _text(body, "title"), _text(body, "note"))


def _drawn(
    room: Room, grid: Grid, layers: Sequence[Mapping[str, Any]], views: Mapping[str, View]
) -> Iterator[Drawn | Outline]:
    """One after the other, so that a print holds one picture in memory and ends when its caller has gone."""
    left = MOST_OUTLINES
    for layer in layers:
        check()
        opacity = _share(layer.get("opacity", 1))
        if layer.get("basemap"):
            ground = basemap.picture(grid, zoom_of(grid), room.settings.processing.outlines)
            yield Drawn(np.asarray(ground.convert("RGBA")), opacity)
        elif "service" in layer:
            yield Drawn(_pixels(room, views[str(layer["service"])], grid, _text(layer, "time")), opacity)
        else:
            for outline in _outlines(layer, grid, opacity):
                check()
                if not left:
                    raise TooMuch(f"there are more than {MOST_OUTLINES} features to be drawn", "leave some out")
                left -= 1
                yield outline


def _pixels(room: Room, view: View, grid: Grid, time: str) -> Any:
    """The picture of a service on a grid."""
    date = read_date(view.compiled, time)
    style = view.drawable.wanted()
    cube = room.engine.cube(alone(view.compiled, date), grid.grown(style.margin))
    return picture(cube, date, style, grid.metres).rgba()


def _legend(layer: Mapping[str, Any], views: Mapping[str, View]) -> Legend | None:
    """The legend of a layer; none where it wants none."""
    if not layer.get("legend", True) or layer.get("basemap"):
        return None
    if "service" in layer:
        found = legend_for(views[str(layer["service"])])
        return replace(found, title=_text(layer, "title") or found.title)
    rows = layer.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise BadRequest("rows are pairs of a colour and a label", "look at the reference")
    labels = tuple(str(row[1])[:100] for row in rows[:60])
    return Legend("classes", tuple(colour(row[0]) for row in rows[:60]), labels, title=_text(layer, "title"))


def zoom_of(grid: Grid) -> int:
    """The zoom whose tiles have pixels of about that size."""
    return max(0, min(MAX_ZOOM, round(math.log2(2 * math.pi * EARTH / 256 / grid.xres))))


def _outlines(layer: Mapping[str, Any], grid: Grid, opacity: float) -> Iterator[Outline]:
    """The geometries of a layer of GeoJSON, in pixels."""
    for feature in _list(layer, "features", MOST_OUTLINES):
        style = feature.get("style") or {}
        if not isinstance(style, dict):
            raise BadRequest(f"{style!r:.40} is no style", 'write {"color": "#0b5cad", "fill": 0.2, "width": 2}')
        red, green, blue, _ = colour(style.get("color", "#0b5cad"))
        fill, width = _share(style.get("fill", 0)) * opacity, _number(style.get("width", 2), 20)
        for part in parts(feature):
            yield Outline(moved(part, lambda at: _places(at, grid)), (red, green, blue), fill, width)


def _places(positions: Any, grid: Grid) -> Any:
    lon, lat = positions.T
    x = (np.radians(lon) * EARTH - grid.left) / grid.xres
    y = (grid.top - EARTH * np.log(np.tan(np.pi / 4 + np.radians(np.clip(lat, -89.99, 89.99)) / 2))) / grid.yres
    return np.stack([x, y], axis=1)


def _mercator(latitude: float) -> float:
    return EARTH * math.log(math.tan(math.pi / 4 + math.radians(max(-85.0511, min(85.0511, latitude))) / 2))


def _list(body: Mapping[str, Any], key: str, most: int) -> list[Mapping[str, Any]]:
    raw = body.get(key, [])
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        raise BadRequest(f"{key} is a list of objects, not {json.dumps(raw)[:60]}", "look at the reference")
    if len(raw) > most:
        raise TooMuch(f"there are {len(raw)} {key}; the limit is {most}", "leave some out")
    return raw


def _share(raw: Any) -> float:
    return _number(raw, 1)


def _number(raw: Any, most: float) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= most:
        raise BadRequest(f"{raw!r:.20} is out of range", f"give a number from 0 to {most:g}")
    return float(raw)


def _text(body: Mapping[str, Any], key: str) -> str:
    raw = body.get(key, "")
    if not isinstance(raw, str) or len(raw) > 200:
        raise BadRequest(f"{key} is a text of at most 200 characters", "shorten it")
    return raw
