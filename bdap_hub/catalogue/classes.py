"""What the values of a map of classes mean: from the palette and legend in its file, or from a known product. PURE.

As STAC's classification extension writes it, so that maps draw the classes in their colours and name them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

EXTENSION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
MOST = 254
# Sentinel-2's scene classification, with the colours of ESA's own legend.
SCENE = (
    (1, "Saturated or defective", "ff0000"), (2, "Dark features, shadows", "2f2f2f"), (3, "Cloud shadow", "643200"),
    (4, "Vegetation", "00a000"), (5, "Bare soil", "ffe65a"), (6, "Water", "0000ff"), (7, "Unclassified", "808080"),
    (8, "Cloud, medium probability", "c0c0c0"), (9, "Cloud, high probability", "ffffff"), (10, "Thin cirrus", "64c8ff"),
    (11, "Snow or ice", "ff96ff"),
)  # fmt: skip
_LINE = re.compile(r"\s*(\d{1,5})\s*[:=,;\t ]\s*(\S.*?)\s*")

Palette = Mapping[int, tuple[int, ...]]


def classes_of(band: str, palette: Palette, legend: str) -> list[dict[str, Any]]:
    """The classes of a band; empty where nothing tells them. `legend` has a value and its name on each line."""
    if band == "SCL":
        return [_class(value, name, colour) for value, name, colour in SCENE]
    names = {int(found[1]): found[2] for line in legend.splitlines() if (found := _LINE.fullmatch(line))}
    colours = {value: parts for value, parts in palette.items() if any(parts[:3]) and parts[3:] != (0,)}
    values = sorted(set(names) & set(palette) if names else colours)[:MOST]
    return [_class(value, names.get(value, ""), "{:02x}{:02x}{:02x}".format(*palette[value])) for value in values]


def _class(value: int, name: str, colour: str) -> dict[str, Any]:
    title = name[:80] or str(value)
    plain = re.sub(r"[^0-9A-Za-z-]+", "_", title).strip("_") or str(value)
    return {"value": value, "name": plain, "title": title, "description": title, "color_hint": colour.upper()}
