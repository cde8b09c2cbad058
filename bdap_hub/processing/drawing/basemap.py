"""A base map that comes from nowhere else: land, coasts, borders and names of countries, drawn tile by tile.

Outlines are those of `bdap_hub.outlines`, coarse unless the operator names a finer file.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from PIL import Image, ImageDraw
from shapely import STRtree

from ...outlines import Country, countries
from ..cubes.extent import EARTH
from ..engine.grid import Grid
from .layout import Words
from .sheets import measured, write

SEA, LAND, COAST, BORDER, NAME = (214, 226, 234), (247, 246, 242), (126, 148, 163), (176, 170, 160), (112, 106, 98, 255)
SHARP = 2
"""Drawn so many times larger and shrunk: lines without steps."""
FAR, FAR_FINE = 7, 11
"""The last zoom at which coasts and borders are drawn as lines, of our own outlines and of an operator's."""
NAMED = (3, 9)
EDGE = 8
END = 85.0511


@dataclass(frozen=True)
class World:
    """Shapes in EPSG:3857, with trees to find those that a tile shows. `far`: the last zoom with lines."""

    land: Any
    lines: Any
    border: Any
    names: tuple[tuple[str, float, float, float], ...]
    far: int

    @functools.cached_property
    def trees(self) -> tuple[STRtree, STRtree]:
        """Of land and of lines."""
        return STRtree(self.land), STRtree(self.lines)


@functools.cache
def world(file: Path | None = None) -> World:
    """The shapes, read once; BadSettings where the operator's file cannot be read."""
    known = countries(file)
    land = [part for country in known for part in _polygons(country)]
    lines, border = _lines(known)
    names = tuple(found for country in known if (found := _name(country)))
    return World(np.array(land), np.array(lines), np.array(border), names, FAR_FINE if file else FAR)


def picture(grid: Grid, zoom: int, file: Path | None = None) -> Image.Image:
    """The base map on a grid of EPSG:3857, with the detail of a zoom, of outlines in a file or our own."""
    known = world(file)
    page = Image.new("RGB", (grid.width * SHARP, grid.height * SHARP), SEA)
    pen = ImageDraw.Draw(page)
    step = grid.xres * EDGE
    box = (
        grid.left - step,
        grid.top - grid.height * grid.yres - step,
        grid.left + grid.width * grid.xres + step,
        grid.top + step,
    )
    land, lines = known.trees
    for place in land.query(shapely.box(*box)):
        for polygon in _parts(shapely.clip_by_rect(known.land[place], *box), "Polygon"):
            pen.polygon(_pixels(polygon.exterior.coords, grid), fill=LAND)
            for hole in polygon.interiors:
                pen.polygon(_pixels(hole.coords, grid), fill=SEA)
    if zoom <= known.far:
        for place in lines.query(shapely.box(*box)):
            colour = BORDER if known.border[place] else COAST
            for line in _parts(shapely.clip_by_rect(known.lines[place], *box), "LineString"):
                pen.line(_pixels(line.coords, grid), fill=colour, width=SHARP, joint="curve")
    small = page.resize((grid.width, grid.height), Image.Resampling.BOX)
    if NAMED[0] <= zoom <= min(NAMED[1], known.far):
        _write_names(small, grid, known)
    return small


def tile(z: int, x: int, y: int, file: Path | None = None) -> bytes:
    """A tile of 256 pixels as PNG."""
    out = io.BytesIO()
    picture(Grid.tile(z, x, y), z, file).quantize(64, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _write_names(page: Image.Image, grid: Grid, known: World) -> None:
    pen = ImageDraw.Draw(page)
    for name, x, y, size in known.names:
        column, row = (x - grid.left) / grid.xres, (grid.top - y) / grid.yres
        half = measured(name, 11, False) / 2 + 2
        if -half < column < grid.width + half and -12 < row < grid.height + 12 and size / grid.xres > 2 * half:
            write(pen, Words(column, row, name, 11, colour=NAME, anchor="middle"), 1)


def _projected(degrees: Any) -> Any:
    lon, lat = degrees.T
    lat = np.clip(lat, -END, END)
    return np.stack([np.radians(lon) * EARTH, EARTH * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))], axis=1)


def _polygons(country: Country) -> list[Any]:
    """The polygons of a country in EPSG:3857."""
    shown = _parts(shapely.clip_by_rect(country.shape, -180, -END, 180, END), "Polygon")
    return [shapely.transform(part, _projected) for part in shown]


def _lines(known: Iterable[Country]) -> tuple[list[Any], list[bool]]:
    """Coasts and borders: a border's segments are in two rings, a coast's in one; where the map ends is neither."""
    polygons = [part for one in known for part in shapely.get_parts(one.shape)]
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)]
    steps = np.concatenate([np.sort(_complex(ring), axis=1) for ring in rings])
    _, at, count = np.unique(steps, axis=0, return_inverse=True, return_counts=True)
    kinds, place = (count > 1)[at.ravel()].astype(np.int8), 0
    lines, border = list[Any](), list[bool]()
    for ring in rings:
        kind = kinds[place : place + len(ring) - 1].copy()
        place += len(ring) - 1
        edge = (np.abs(ring[:, 0]) > 179.99) | (np.abs(ring[:, 1]) > END)
        kind[edge[:-1] & edge[1:]] = -1
        for part in np.split(np.arange(len(kind)), np.flatnonzero(np.diff(kind)) + 1):
            if len(part) and kind[part[0]] >= 0:
                lines.append(shapely.LineString(_projected(ring[part[0] : part[-1] + 2])))
                border.append(bool(kind[part[0]]))
    return lines, border


def _complex(ring: Any) -> Any:
    """The two ends of each segment as complex numbers, which sort."""
    ends = np.round(ring, 6)
    ends = ends[:, 0] + 1j * ends[:, 1]
    return np.stack([ends[:-1], ends[1:]], axis=1)


def _name(country: Country) -> tuple[str, float, float, float] | None:
    polygons = _polygons(country)
    if not polygons or not country.name:
        return None
    largest = max(polygons, key=lambda p: p.area)
    middle = largest.representative_point()
    west, _, east, _ = largest.bounds
    return country.name, middle.x, middle.y, east - west


def _parts(geometry: Any, kind: str) -> list[Any]:
    found = shapely.get_parts(geometry).tolist()
    nested = [part for each in found for part in (_parts(each, kind) if hasattr(each, "geoms") else [each])]
    return [part for part in nested if part.geom_type == kind and not part.is_empty]


def _pixels(coords: Any, grid: Grid) -> list[tuple[float, float]]:
    xy = np.asarray(coords)
    columns = (xy[:, 0] - grid.left) / grid.xres * SHARP
    rows = (grid.top - xy[:, 1]) / grid.yres * SHARP
    return list(zip(columns.tolist(), rows.tolist(), strict=True))
