"""A base map that comes from nowhere else: land, coasts, borders and names of Natural Earth, drawn tile by tile.

The data (public domain; TopoJSON of world-atlas 2.0.2) lie beside this module, and are coarse.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from PIL import Image, ImageDraw
from shapely import STRtree

from ..cubes.extent import EARTH
from ..engine.grid import Grid
from .layout import Words
from .sheets import measured, write

FILE = Path(__file__).with_name("countries-50m.json.gz")
SEA, LAND, COAST, BORDER, NAME = (214, 226, 234), (247, 246, 242), (126, 148, 163), (176, 170, 160), (112, 106, 98, 255)
SHARP = 2
"""Drawn so many times larger and shrunk: lines without steps."""
FAR = 9
"""The last zoom at which coasts and borders, known to about a kilometre, are drawn as lines."""
EDGE = 8


@dataclass(frozen=True)
class World:
    """Shapes in EPSG:3857, with trees to find those that a tile shows."""

    land: Any
    lines: Any
    border: Any
    names: tuple[tuple[str, float, float, float], ...]

    @functools.cached_property
    def trees(self) -> tuple[STRtree, STRtree]:
        """Of land and of lines."""
        return STRtree(self.land), STRtree(self.lines)


@functools.cache
def world() -> World:
    """The shapes, read once."""
    topology = json.loads(gzip.decompress(FILE.read_bytes()))
    arcs = list(_arcs(topology))
    countries = topology["objects"]["countries"]["geometries"]
    uses = Counter(i if i >= 0 else ~i for each in countries for ring in _rings(each) for i in ring)
    land = [part for each in topology["objects"]["land"]["geometries"] for part in _polygons(each, arcs)]
    lines = [(shapely.LineString(_projected(part)), uses[i] > 1) for i, arc in enumerate(arcs) for part in _broken(arc)]
    names = tuple(found for each in countries if (found := _name(each, arcs)))
    return World(np.array(land), np.array([line for line, _ in lines]), np.array([b for _, b in lines]), names)


def picture(grid: Grid, zoom: int) -> Image.Image:
    """The base map on a grid of EPSG:3857, with the detail of a zoom."""
    known = world()
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
    if zoom <= FAR:
        for place in lines.query(shapely.box(*box)):
            colour = BORDER if known.border[place] else COAST
            for line in _parts(shapely.clip_by_rect(known.lines[place], *box), "LineString"):
                pen.line(_pixels(line.coords, grid), fill=colour, width=SHARP, joint="curve")
    small = page.resize((grid.width, grid.height), Image.Resampling.BOX)
    if 3 <= zoom <= FAR:
        _write_names(small, grid, zoom)
    return small


def tile(z: int, x: int, y: int) -> bytes:
    """A tile of 256 pixels as PNG."""
    out = io.BytesIO()
    picture(Grid.tile(z, x, y), z).quantize(64, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _write_names(page: Image.Image, grid: Grid, zoom: int) -> None:
    pen = ImageDraw.Draw(page)
    for name, x, y, size in world().names:
        column, row = (x - grid.left) / grid.xres, (grid.top - y) / grid.yres
        half = measured(name, 11, False) / 2 + 2
        if -half < column < grid.width + half and -12 < row < grid.height + 12 and size / grid.xres > 2 * half:
            write(pen, Words(column, row, name, 11, colour=NAME, anchor="middle"), 1)


def _arcs(topology: Mapping[str, Any]) -> Iterator[Any]:
    """Degrees of each arc (TopoJSON: quantised differences)."""
    scale, shift = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    for arc in topology["arcs"]:
        yield np.cumsum(np.array(arc), axis=0) * scale + shift


def _projected(degrees: Any) -> Any:
    lon, lat = degrees.T
    lat = np.clip(lat, -85.0511, 85.0511)
    return np.stack([np.radians(lon) * EARTH, EARTH * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))], axis=1)


def _rings(geometry: Mapping[str, Any]) -> list[list[int]]:
    if "arcs" not in geometry:
        return []
    found = geometry["arcs"] if geometry["type"] == "Polygon" else [r for polygon in geometry["arcs"] for r in polygon]
    return list(found)


def _broken(arc: Any) -> list[Any]:
    """An arc in parts, none of which jumps from one end of the world to the other."""
    parts = np.split(arc, np.flatnonzero(np.abs(np.diff(arc[:, 0])) > 180) + 1)
    return [part for part in parts if len(part) > 1]


def _polygons(geometry: Mapping[str, Any], arcs: list[Any]) -> list[Any]:
    """The polygons of a geometry in EPSG:3857, cut at the antimeridian."""
    if geometry["type"] == "GeometryCollection":
        return [p for each in geometry["geometries"] for p in _polygons(each, arcs)]
    given = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry.get("arcs", [])
    made = []
    for polygon in given:
        rings = [_ring(ring, arcs) for ring in polygon]
        whole = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
        for turn in (-360, 0, 360):
            moved = shapely.transform(whole, lambda at, by=turn: np.add(at, (by, 0)))
            made += _parts(shapely.clip_by_rect(moved, -180, -90, 180, 90), "Polygon")
    return [shapely.transform(each, _projected) for each in made]


def _ring(numbers: list[int], arcs: list[Any]) -> Any:
    """A ring without jumps: it goes on beyond 180 degrees; one around a pole is closed there."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in numbers]
    ring = np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
    turns = np.cumsum(np.round(np.diff(ring[:, 0], prepend=ring[0, 0]) / 360)) * 360
    ring = np.stack([ring[:, 0] - turns, ring[:, 1]], axis=1)
    if abs(ring[-1, 0] - ring[0, 0]) > 180:
        pole = -90.0 if ring[:, 1].mean() < 0 else 90.0
        ring = np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])
    return ring


def _name(country: Mapping[str, Any], arcs: list[Any]) -> tuple[str, float, float, float] | None:
    polygons = _polygons(country, arcs)
    if not polygons:
        return None
    largest = max(polygons, key=lambda p: p.area)
    middle = largest.representative_point()
    west, _, east, _ = largest.bounds
    return str(country["properties"]["name"]), middle.x, middle.y, east - west


def _parts(geometry: Any, kind: str) -> list[Any]:
    found = shapely.get_parts(geometry).tolist()
    nested = [part for each in found for part in (_parts(each, kind) if hasattr(each, "geoms") else [each])]
    return [part for part in nested if part.geom_type == kind and not part.is_empty]


def _pixels(coords: Any, grid: Grid) -> list[tuple[float, float]]:
    xy = np.asarray(coords)
    columns = (xy[:, 0] - grid.left) / grid.xres * SHARP
    rows = (grid.top - xy[:, 1]) / grid.yres * SHARP
    return list(zip(columns.tolist(), rows.tolist(), strict=True))
