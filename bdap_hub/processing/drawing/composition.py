"""A printed map: pictures over one another and outlines, with title, legends and scale. PURE: pixels in, PNG out."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from ..engine.grid import Grid
from .layout import EDGE, INK, SOFT, Sheet, Words
from .sheets import picture_of, write

MARGIN, HEAD, FOOT = 20, 48, 40
"""Pixels of the print around the map, for the title above it and the scale below; twice as many where it is large."""
LARGE = 1800
GROUND = (238, 241, 244, 255)
STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Drawn:
    """A picture as (y, x, 4), shown so opaque."""

    rgba: Any
    opacity: float = 1.0


@dataclass(frozen=True)
class Outline:
    """A GeoJSON geometry whose positions are pixels of the map already: lines, areas, points in one colour."""

    geometry: Mapping[str, Any]
    colour: tuple[int, int, int]
    fill: float = 0.0
    width: float = 2.0


def composed(grid: Grid, layers: Iterable[Drawn | Outline], legends: Sequence[Sheet], title: str, note: str) -> bytes:
    """The printed map as PNG. `note` stands small at the foot: where the data come from.

    Layers are asked for one after the other.
    """
    map, scale = _map(grid, layers), 2 if grid.width >= LARGE else 1
    margin, head = MARGIN * scale, (HEAD if title else MARGIN) * scale
    sheets = [picture_of(sheet, scale) for sheet in legends]
    side = max((sheet.width for sheet in sheets), default=0)
    tall = max(map.height, sum(sheet.height for sheet in sheets))
    page = Image.new("RGB", (map.width + 2 * margin + side, head + tall + FOOT * scale), "white")
    page.paste(map, (margin, head))
    pen = ImageDraw.Draw(page)
    pen.rectangle((margin - 1, head - 1, margin + map.width, head + map.height), outline=EDGE[:3])
    write(pen, Words(MARGIN, HEAD - 16, title, 18, bold=True), scale)
    y = head
    for sheet in sheets:
        page.paste(sheet, (map.width + 2 * margin - 8 * scale, y))
        y += sheet.height
    foot = (head + map.height) / scale
    _scale(pen, grid, foot + 12, scale)
    write(pen, Words(map.width / scale + MARGIN, foot + 22, note, 11, colour=SOFT, anchor="end"), scale)
    return _as_png(page, ". ".join(filter(None, (title, *(sheet.alt for sheet in legends), note))))


def _as_png(page: Image.Image, words: str) -> bytes:
    said = PngInfo()
    said.add_itxt("Description", words)
    out = io.BytesIO()
    page.save(out, "PNG", pnginfo=said)
    return out.getvalue()


def _map(grid: Grid, layers: Iterable[Drawn | Outline]) -> Image.Image:
    page = Image.new("RGBA", (grid.width, grid.height), GROUND)
    for layer in layers:
        if isinstance(layer, Drawn):
            rgba = layer.rgba
            if layer.opacity < 1:
                rgba = np.concatenate([rgba[..., :3], (rgba[..., 3:] * layer.opacity).astype(np.uint8)], axis=-1)
            page.alpha_composite(Image.fromarray(np.ascontiguousarray(rgba), "RGBA"))
        else:
            _outline(page, layer)
    return page.convert("RGB")


def _outline(page: Image.Image, layer: Outline) -> None:
    """Onto the page, by way of as much of it as the outline needs."""
    shapes = _shapes(layer.geometry)
    rings = [np.asarray(ring, float)[:, :2] for _, parts in shapes for ring in parts if len(ring)]
    if not rings:
        return
    every = np.concatenate(rings)
    edge = max(6, math.ceil(layer.width))
    low, high = np.floor(every.min(axis=0)) - edge, np.ceil(every.max(axis=0)) + edge
    left, top = (int(side) for side in np.clip(low, 0, page.size))
    right, bottom = (int(side) for side in np.clip(high, 0, page.size))
    if left >= right or top >= bottom:
        return
    over = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, 0))
    pen = ImageDraw.Draw(over)
    fill = (*layer.colour, round(255 * layer.fill))
    for kind, parts in shapes:
        points = [[(float(x) - left, float(y) - top) for x, y in ring] for ring in parts]
        if kind == "Polygon" and layer.fill:
            pen.polygon(points[0], fill=fill)
            for hole in points[1:]:
                pen.polygon(hole, fill=(0, 0, 0, 0))
        for ring in points:
            if kind == "Point":
                (x, y), r = ring[0], 5
                pen.ellipse((x - r, y - r, x + r, y + r), fill=(*layer.colour, 255), outline="white")
            elif len(ring) > 1:
                pen.line(ring, fill=(*layer.colour, 255), width=max(1, round(layer.width)), joint="curve")
    page.alpha_composite(over, (left, top))


def _shapes(geometry: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    kind, at = geometry["type"], geometry["coordinates"]
    match kind:
        case "Point":
            return [("Point", [[at]])]
        case "MultiPoint":
            return [("Point", [[each]]) for each in at]
        case "LineString":
            return [("Line", [at])]
        case "MultiLineString":
            return [("Line", at)]
        case "Polygon":
            return [("Polygon", at)]
        case _:
            return [("Polygon", each) for each in at]


def bar(metres: float, most: float) -> tuple[float, float]:
    """A round length that a scale bar shows, in metres, and its pixels: at most `most`."""
    reach = metres * most
    power = 10.0 ** math.floor(math.log10(reach))
    length = max(step * power for step in STEPS if step * power <= reach)
    return length, length / metres


def _scale(pen: ImageDraw.ImageDraw, grid: Grid, top: float, scale: int) -> None:
    length, pixels = bar(grid.metres()[0], min(200 * scale, grid.width / 2))
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y, end = MARGIN * scale, top * scale, 8 * scale
    pen.line([(x, y), (x, y + end), (x + pixels, y + end), (x + pixels, y)], fill=INK[:3], width=2 * scale)
    write(pen, Words((x + pixels) / scale + 8, top + 9, text, 12), scale)
