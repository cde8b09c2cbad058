"""Collections as a list to browse: by theme, or those that a few words find. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bdap import finding

from .bands import read_bands

TITLES = {
    "optical": "Optical images",
    "radar": "Radar images",
    "land_cover": "Land cover",
    "terrain": "Terrain",
    "weather_climate": "Weather and climate",
    "population": "Population and settlements",
    finding.OTHER: "Other data",
}


def shelves(collections: Sequence[dict[str, Any]], words: str = "") -> list[dict[str, Any]]:
    """[{"name", "cards"}]: themes in the order of TITLES, those of curators after them.

    With words: what they find, the best first. Empty collections are left out.
    """
    collections = [one for one in collections if one.get("bdap:items") != 0]
    if words.strip():
        found = finding.ranked(collections, words)
        return [{"name": "Found", "cards": [card(one) for one in found]}] if found else []
    grouped = finding.by_theme(collections)
    order = [*(name for name in TITLES if name != finding.OTHER), *sorted(set(grouped) - set(TITLES)), finding.OTHER]
    return [{"name": title(name), "cards": _cards(grouped[name])} for name in order if name in grouped]


def title(theme: str) -> str:
    """A theme as people say it."""
    return TITLES.get(theme) or theme.replace("_", " ").strip().capitalize()


def title_of(collection: Any) -> str:
    """Its title, else its id."""
    return str(collection.get("title") or collection["id"])


def card(collection: Any) -> dict[str, Any]:
    """What the list shows of it, plain values."""
    return {
        "id": collection["id"],
        "title": title_of(collection),
        "time": time_of(collection),
        "count": int(collection.get("bdap:items") or 0),
        "bands": len(read_bands(collection)),
        "picture": str((collection.get("assets") or {}).get("thumbnail", {}).get("href") or ""),
    }


def time_of(collection: Any) -> str:
    """2025-03-14 – 2025-10-18; one date where there is only one."""
    interval = ((collection.get("extent") or {}).get("temporal") or {}).get("interval") or [[None, None]]
    first, last = (str(edge)[:10] if edge else "" for edge in interval[0])
    if first and first == last:
        return first
    return f"{first or 'always'} – {last or 'now'}"


def _cards(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [card(one) for one in sorted(found, key=title_of)]
