"""Small pictures as SVG: footprints over the outlines of land, dates on a line. PURE but for the outlines' file."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date as day
from importlib.resources import files
from typing import Any

from . import shapes

SIZE = (320, 190)
INK = "#2f86b7"
Box = tuple[float, float, float, float]
Points = Sequence[Sequence[float]]


def footprint_map(footprints: Iterable[Mapping[str, Any]], extent: Box | None = None) -> str:
    """Footprints over the outlines of land, as SVG."""
    outlines = [ring for shape in footprints for ring in _rings(shape)]
    boxes = [_around(ring) for ring in outlines] + ([extent] if extent else [])
    if not boxes:
        return ""
    view = _view(boxes)
    land = "".join(_path(ring, view) for ring in _land() if _meets(_around(ring), view))
    found = "".join(_path(ring, view) for ring in dict.fromkeys(tuple(map(tuple, ring)) for ring in outlines))
    box = _path(shapes.box_polygon(*extent)["coordinates"][0], view) if extent else ""
    words = f"Map of {len(outlines)} footprints around {_degrees(view)}"
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {SIZE[0]} {SIZE[1]}" width="{SIZE[0]}" height="{SIZE[1]}" '
        'style="max-width:100%;height:auto;border:1px solid #8886;border-radius:4px;background:#dfe9f1">'
        f'<title>{words}</title><path d="{land}" fill="#f7f5ee" stroke="#8a96a0" stroke-width="0.7"/>'
        f'<path d="{found}" fill="#1d699633" stroke="{INK}" stroke-width="1.2"/>'
        f'<path d="{box}" fill="none" stroke="#b3261e" stroke-width="1.2" stroke-dasharray="4 3"/>'
        f'<text x="6" y="{SIZE[1] - 7}" font-size="11" font-family="sans-serif" fill="#344">'
        f"{_degrees(view)}{' – dashed: your box' if extent else ''}</text></svg>"
    )


def timeline(dates: Sequence[str], whole: bool = True) -> str:
    """A tick for each date on a line, as SVG. Their number is said where they are all (`whole`)."""
    days = sorted({_days(date) for date in dates})
    if len(days) < 2:
        return ""
    ticks = "".join(f"M{6 + 268 * (day - days[0]) / (days[-1] - days[0]):.1f} 4v14" for day in days)
    words = (
        f"{len(days)} days, {span(dates)}" if whole else f"{span(dates)}, the newest {len(days) - 1} days and the first"
    )
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 280 34" width="280" height="34" style="max-width:100%">'
        f'<title>{words}</title><path d="M6 18h268" stroke="#8a96a0"/>'
        f'<path d="{ticks}" stroke="{INK}" stroke-width="2"/>'
        '<g font-size="10" font-family="sans-serif" fill="currentColor">'
        f'<text x="6" y="31">{min(dates)[:10]}</text>'
        f'<text x="274" y="31" text-anchor="end">{max(dates)[:10]}</text></g></svg>'
    )


def span(dates: Sequence[str]) -> str:
    """The first and the last of some dates."""
    first, last = min(dates), max(dates)
    return first if first == last else f"{first} to {last}"


def _rings(shape: Mapping[str, Any]) -> list[Points]:
    match shape.get("type"):
        case "Polygon":
            return [shape["coordinates"][0]]
        case "MultiPolygon":
            return [polygon[0] for polygon in shape["coordinates"]]
    return []


def _around(ring: Points) -> Box:
    lons, lats = [place[0] for place in ring], [place[1] for place in ring]
    return min(lons), min(lats), max(lons), max(lats)


def _view(boxes: Sequence[Box]) -> Box:
    """What the map shows: all boxes and some of what lies around them, in the picture's shape."""
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    stretch = math.cos(math.radians(max(-80.0, min(80.0, (south + north) / 2))))
    tall = max((north - south) * 1.5, (east - west) * stretch * 1.5 * SIZE[1] / SIZE[0], 3.0)
    wide = tall * SIZE[0] / SIZE[1] / stretch
    x, y = (west + east) / 2, (south + north) / 2
    return x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2


def _path(ring: Points, view: Box) -> str:
    """A ring as an SVG path; a world farther east or west where it lies out of the picture otherwise."""
    west, south, east, north = view
    middle = sum(place[0] for place in ring) / len(ring)
    turn = 360 * round(((west + east) / 2 - middle) / 360)
    across, along = SIZE[0] / (east - west), SIZE[1] / (north - south)
    places = (f"{(p[0] + turn - west) * across:.1f} {(north - p[1]) * along:.1f}" for p in ring)
    return f"M{'L'.join(places)}Z"


def _meets(one: Box, view: Box) -> bool:
    return (
        one[1] <= view[3]
        and one[3] >= view[1]
        and any(one[0] + turn <= view[2] and one[2] + turn >= view[0] for turn in (-360, 0, 360))
    )


def _degrees(view: Box) -> str:
    x, y = (view[0] + view[2]) / 2, (view[1] + view[3]) / 2
    x = (x + 180) % 360 - 180
    return f"{abs(y):.1f}° {'N' if y >= 0 else 'S'}, {abs(x):.1f}° {'E' if x >= 0 else 'W'}"


def _days(date: str) -> int:
    return day.fromisoformat(date[:10]).toordinal() if date else 0


@functools.cache
def _land() -> Sequence[Points]:
    """Outlines of countries, Natural Earth 1:110m."""
    flat = json.loads((files(__package__) / "data" / "land.json").read_text("utf-8"))
    return [list(zip(ring[::2], ring[1::2], strict=True)) for ring in flat]
