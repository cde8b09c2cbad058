"""What a cube looks like in a notebook: how many items, when, where on a map, which bands. Never raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from . import ask, filters, finding, narrowing, shapes, walk
from .base import Base
from .client import Client
from .graph import Node, canonical, flatten
from .sketch import Box, footprint_map, span, timeline

FOOTPRINTS = 200
"""Items whose footprints are drawn."""
FRESH, SECONDS, RETRY = 60, 5, 10
"""How long a look is kept; how long the catalogue may take; how long one that failed is not asked again."""


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
    try:
        return _text(cube)
    except Exception:  # a repr is no place for any error
        return "<Cube that cannot be described; nothing read yet>"


def html(cube: Base) -> str | None:
    """A card with a map; None where there is nothing more to say than the text does."""
    try:
        return _html(cube)
    except Exception:  # as above
        return None


def _text(cube: Base) -> str:
    load, steps = _load(cube), len(flatten(cube._node))
    names = ", ".join(_name(each) for each in walk.sources(cube._node)) or "no collection"
    found = look(cube) if load is not None else None
    if found is None:
        return f"<Cube of {names}: {steps} process{'es' * (steps != 1)}, nothing read yet>"
    items = f"{found.count} item{'s' * (found.count != 1)}"
    when = f", {span(found.dates)}" if found.dates else ""
    steps_text = f"; then {', '.join(steps_of(cube._node))}" if steps > 1 else f"; bands {', '.join(found.bands)}"
    return f"<Cube of {names}: {items}{when}{steps_text}; nothing read yet>"


def _html(cube: Base) -> str | None:
    load = _load(cube)
    found = look(cube) if load is not None else None
    if load is None or found is None:
        return None
    facts = [
        ("items", str(found.count)),
        ("dates", span(found.dates) if found.dates else "none"),
        ("bands", ", ".join(load.arguments.get("bands") or found.bands)),
        ("steps", ", ".join(steps_of(cube._node)) or "none yet"),
    ]
    rows = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;white-space:nowrap;padding:2px 12px 2px 0">{name}</th>'
        f'<td style="text-align:left;padding:2px 0">{escape(value)}</td></tr>'
        for name, value in facts
    )
    head = f"<b>{escape(found.title or _name(load))}</b> <code>{escape(_name(load))}</code>"
    days = timeline(found.dates, found.count <= len(found.dates))
    empty = "" if found.count else '<p role="note">Nothing fits: widen .during(), .on() or .where().</p>'
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start;max-width:900px">'
        f'<div style="flex:1 1 280px;min-width:0">{head}'
        f'<table style="margin:6px 0;overflow-wrap:anywhere">{rows}</table>'
        f"{empty}{days}</div>{footprint_map(found.footprints, _extent(load))}</div>"
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


def _asked(client: Client, load: Node) -> Look:
    fields = {"include": ["geometry", "bbox", *filters.DATES], "exclude": ["assets", "links"]}
    body = {**filters.search_of(load.arguments), "limit": FOOTPRINTS, "fields": fields}
    name = str(load.arguments["id"])
    described = client.call("catalogue", "GET", f"/collections/{name}", seconds=SECONDS)
    answer = client.call("catalogue", "POST", "/search", json=body, seconds=SECONDS)
    found, count = answer["features"], answer.get("numberMatched")
    if count is None:  # above a thousand the catalogue counts only where it is asked to
        wanted = {**filters.search_of(load.arguments), "aggregations": ["total_count"]}
        count = client.call("catalogue", "POST", "/aggregate", json=wanted, seconds=SECONDS)["aggregations"][0]["value"]
    if count > len(found):  # the newest: when the first is of has to be asked
        first = {**body, "limit": 1, "sortby": [{"field": "datetime", "direction": "asc"}]}
        oldest = client.call("catalogue", "POST", "/search", json=first, seconds=SECONDS)["features"]
    else:
        oldest = []
    return Look(
        count=count,
        dates=tuple(sorted(filters.day_of(each) for each in (*oldest, *found))),
        footprints=tuple(each["geometry"] for each in found if each.get("geometry")),
        bands=tuple(finding.bands_of(described)),
        title=str(described.get("title") or ""),
    )


def _load(cube: Base) -> Node | None:
    """The collection that the pixels come from, where it is one."""
    found = narrowing.loads(cube._node)
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


_looks: dict[Any, tuple[float, Look | None]] = {}
_lock = threading.Lock()
