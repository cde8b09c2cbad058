"""What a cube looks like in a notebook: how many items, when, where on a map, which bands. Never raises."""

from __future__ import annotations

import functools
import json
import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from . import ask, filters, finding, shapes, walk
from .base import Base
from .client import Client
from .graph import Node, canonical, flatten

FOOTPRINTS = 200
"""Items whose footprints are drawn."""
FRESH, SECONDS, RETRY = 60, 5, 10
"""How long a look is kept; how long the catalogue may take; how long one that failed is not asked again."""
SIZE = (320, 190)
Box = tuple[float, float, float, float]
Points = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Look:
    """What the catalogue says of what a cube reads."""

    count: int
    dates: tuple[str, ...]
    footprints: tuple[Mapping[str, Any], ...]
    bands: tuple[str, ...]
    title: str


def text(cube: Base) -> str:
    """One line; without the catalogue's answer it still says what is known."""
    load, steps = _load(cube), len(flatten(cube._node))
    names = ", ".join(_name(each) for each in walk.sources(cube._node)) or "no collection"
    found = look(cube) if load is not None else None
    if found is None:
        return f"<Cube of {names}: {steps} process{'es' * (steps != 1)}, nothing read yet>"
    items = f"{found.count} item{'s' * (found.count != 1)}"
    when = f", {_span(found.dates)}" if found.dates else ""
    steps_text = f"; then {', '.join(steps_of(cube._node))}" if steps > 1 else f"; bands {', '.join(found.bands)}"
    return f"<Cube of {names}: {items}{when}{steps_text}; nothing read yet>"


def html(cube: Base) -> str | None:
    """A card with a map; None where there is nothing more to say than the text does."""
    load = _load(cube)
    found = look(cube) if load is not None else None
    if load is None or found is None:
        return None
    facts = [
        ("items", str(found.count)),
        ("dates", _span(found.dates) if found.dates else "none"),
        ("bands", ", ".join(load.arguments.get("bands") or found.bands)),
        ("steps", ", ".join(steps_of(cube._node)) or "none yet"),
    ]
    rows = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding:2px 12px 2px 0">{name}</th>'
        f'<td style="text-align:left;padding:2px 0">{escape(value)}</td></tr>'
        for name, value in facts
    )
    head = f"<b>{escape(found.title or _name(load))}</b> <code>{escape(_name(load))}</code>"
    empty = "" if found.count else '<p role="note">Nothing fits: widen .during(), .on() or .where().</p>'
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start;max-width:900px">'
        f'<div style="flex:1 1 280px;min-width:0">{head}'
        f'<table style="margin:6px 0;overflow-wrap:anywhere">{rows}</table>'
        f"{empty}{timeline(found.dates)}</div>{footprint_map(found.footprints, _extent(load))}</div>"
    )


def look(cube: Base) -> Look | None:
    """What the catalogue says, asked at most once a minute; None where it does not answer."""
    load = _load(cube)
    if load is None:
        return None
    client = ask.client_of(cube)
    key = (id(client), canonical(flatten(load)))
    with _lock:
        until, known = _looks.get(key, (0.0, None))
    if time.monotonic() < until:
        return known
    try:
        found = _asked(client, load)
    except Exception:  # a repr is no place for any error
        found = None
    with _lock:
        if len(_looks) > 500:
            _looks.clear()
        _looks[key] = (time.monotonic() + (FRESH if found else RETRY), found)
    return found


def steps_of(node: Node) -> list[str]:
    """The processes after the load, in words, along the pixels' own way."""
    found = []
    while node.process not in walk.LOADS:
        if step := _step(node):
            found.append(step)
        below = next((node.arguments[k] for k in ("data", "cube1") if isinstance(node.arguments.get(k), Node)), None)
        if below is None:
            break
        node = below
    return found[::-1]


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
        f'<path d="{found}" fill="#1d699633" stroke="#1d6996" stroke-width="1.2"/>'
        f'<path d="{box}" fill="none" stroke="#b3261e" stroke-width="1.2" stroke-dasharray="4 3"/>'
        f'<text x="6" y="{SIZE[1] - 7}" font-size="11" font-family="sans-serif" fill="#344">'
        f"{_degrees(view)}</text></svg>"
    )


def timeline(dates: Sequence[str]) -> str:
    """A tick for each date on a line, as SVG."""
    days = sorted({_days(date) for date in dates})
    if len(days) < 2:
        return ""
    ticks = "".join(f"M{6 + 268 * (day - days[0]) / (days[-1] - days[0]):.1f} 4v14" for day in days)
    words = f"{len(days)} days, {_span(dates)}"
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 280 34" width="280" height="34" style="max-width:100%">'
        f'<title>{words}</title><path d="M6 18h268" stroke="#8a96a0"/>'
        f'<path d="{ticks}" stroke="#1d6996" stroke-width="2"/>'
        '<g font-size="10" font-family="sans-serif" fill="currentColor">'
        f'<text x="6" y="31">{min(dates)[:10]}</text>'
        f'<text x="274" y="31" text-anchor="end">{max(dates)[:10]}</text></g></svg>'
    )


def _asked(client: Client, load: Node) -> Look:
    fields = {"include": ["geometry", "bbox", "properties.datetime"], "exclude": ["assets", "links"]}
    body = {**filters.search_of(load.arguments), "limit": FOOTPRINTS, "fields": fields}
    name = str(load.arguments["id"])
    described = client.call("catalogue", "GET", f"/collections/{name}", seconds=SECONDS)
    answer = client.call("catalogue", "POST", "/search", json=body, seconds=SECONDS)
    found = answer["features"]
    return Look(
        count=int(answer.get("numberMatched") or len(found)),
        dates=tuple(sorted(str((each.get("properties") or {}).get("datetime") or "")[:10] for each in found)),
        footprints=tuple(each["geometry"] for each in found if each.get("geometry")),
        bands=tuple(finding.bands_of(described)),
        title=str(described.get("title") or ""),
    )


def _load(cube: Base) -> Node | None:
    """The collection that the pixels come from, where it is one."""
    found = walk.loads(cube._node)
    return found[0] if found and len({str(each.arguments["id"]) for each in found}) == 1 else None


def _name(load: Node) -> str:
    arguments = load.arguments
    return str(arguments.get("id") or arguments.get("url") or ", ".join(map(str, arguments.get("paths", ()))))


def _extent(load: Node) -> Box | None:
    extent = load.arguments.get("spatial_extent")
    if not extent:
        return None
    if "type" in extent:
        return shapes.box_around(extent)
    return extent["west"], extent["south"], extent["east"], extent["north"]


def _step(node: Node) -> str:
    """A process in words; nothing for those that only prepare another."""
    arguments = node.arguments
    match node.process:
        case "physical_values":
            return ""
        case "reduce_dimension" | "aggregate_temporal_period":
            result = arguments["reducer"].result
            of = result.process
            if of == "array_element":
                below = arguments["data"]
                alone = isinstance(below, Node) and below.process == "compute_indices"
                return "" if alone else f"band {result.arguments.get('label', '')}".strip()
            over = arguments.get("period") or ("time" if arguments.get("dimension") == "t" else "bands")
            return f"{of} of each {over}" if "period" in arguments else f"{of} over {over}"
        case "compute_indices":
            return " and ".join(map(str, arguments["indices"]))
        case "apply":
            return str(arguments["process"].result.process)
    return node.process.replace("_", " ")


def _span(dates: Sequence[str]) -> str:
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
    from datetime import date as day

    return day.fromisoformat(date[:10]).toordinal() if date else 0


@functools.cache
def _land() -> Sequence[Points]:
    """Outlines of countries, Natural Earth 1:110m."""
    flat = json.loads((files(__package__) / "data" / "land.json").read_text("utf-8"))
    return [list(zip(ring[::2], ring[1::2], strict=True)) for ring in flat]


_looks: dict[Any, tuple[float, Look | None]] = {}
_lock = threading.Lock()
