"""Collections by theme, as a list to browse. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .bands import read_bands

OPTICAL, RADAR, LAND, TERRAIN, CLIMATE, OTHER = (
    "Optical images", "Radar images", "Land cover", "Terrain", "Weather and climate", "Other data",
)  # fmt: skip
ORDER = (OPTICAL, RADAR, LAND, TERRAIN, CLIMATE, OTHER)
WORDS = (
    (RADAR, ("sar", "radar", "sentinel-1", "s1", "grd", "backscatter", "sigma0")),
    (TERRAIN, ("dem", "elevation", "terrain", "height", "dsm", "dtm")),
    (LAND, ("land cover", "landcover", "worldcover", "lulc", "land use", "crop map")),
    (CLIMATE, ("climate", "weather", "precipitation", "temperature", "era5", "meteo")),
    (OPTICAL, ("sentinel-2", "landsat", "modis", "optical", "multispectral", "ortho")),
)


def group(collections: Iterable[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(theme, collections by title), in the order of ORDER and then of names; no empty theme."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in collections:
        found.setdefault(theme_of(one), []).append(one)
    known = {name: place for place, name in enumerate(ORDER[:-1])}
    last = {OTHER: len(ORDER) + 1}
    names = sorted(found, key=lambda name: (last.get(name, known.get(name, len(ORDER))), name))
    return [(name, sorted(found[name], key=title_of)) for name in names]


def theme_of(collection: dict[str, Any]) -> str:
    """What the collection says itself (STAC `themes`), else what its words or its bands tell."""
    for theme in collection.get("themes") or ():
        for concept in theme.get("concepts") or ():
            if name := concept.get("title") or concept.get("id"):
                return str(name)[:1].upper() + str(name)[1:]
    bands = read_bands(collection)
    if any(band.common for band in bands):
        return OPTICAL
    words = _words(collection)
    for name, signs in WORDS:
        if any(f" {sign} " in words for sign in signs):
            return name
    if {band.name.lower() for band in bands} & {"vv", "vh", "hh", "hv"}:
        return RADAR
    return LAND if bands and all(band.is_classes for band in bands) else OTHER


def title_of(collection: dict[str, Any]) -> str:
    """Its title, else its id."""
    return str(collection.get("title") or collection["id"])


def card(collection: dict[str, Any]) -> dict[str, Any]:
    """What the list shows of it, plain values."""
    return {
        "id": collection["id"],
        "title": title_of(collection),
        "about": str(collection.get("description") or "")
        if collection.get("description") != title_of(collection)
        else "",
        "time": time_of(collection),
        "count": int(collection.get("bdap:items") or 0),
        "bands": [band.title for band in read_bands(collection)],
        "picture": str((collection.get("assets") or {}).get("thumbnail", {}).get("href") or ""),
        "words": _words(collection).strip(),
    }


def time_of(collection: dict[str, Any]) -> str:
    """March 2025 – September 2025; one date where there is only one."""
    interval = ((collection.get("extent") or {}).get("temporal") or {}).get("interval") or [[None, None]]
    first, last = (str(edge)[:10] if edge else "" for edge in interval[0])
    if first and first == last:
        return first
    return f"{first or 'always'} – {last or 'now'}"


def _words(collection: dict[str, Any]) -> str:
    """All that it says of itself in small letters, with a space around each word."""
    bands = [f"{band.name} {band.title} {band.common}" for band in read_bands(collection)]
    platforms = (collection.get("summaries") or {}).get("platform") or ()
    parts = [
        collection["id"],
        title_of(collection),
        collection.get("description") or "",
        *(collection.get("keywords") or ()),
    ]
    text = " ".join(str(part) for part in (*parts, *platforms, *bands)).casefold()
    plain = "".join(sign if sign.isalnum() or sign == "-" else " " for sign in text)
    return f" {' '.join([plain, *plain.replace('-', ' ').split()])} "
