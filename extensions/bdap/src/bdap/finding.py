"""How collections are grouped by theme, and how a few words find them. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import spectral

Collection = Mapping[str, Any]
THEMES = (
    ("radar", r"\bsar\b|sentinel.?1\b|backscatter|radar|sigma0|gamma0"),
    ("land_cover", r"land.?cover|worldcover|corine|land.?use|clc\b|cropland"),
    ("terrain", r"\bdems?\b|dtm|elevation|terrain|height model|copdem|srtm"),
    ("weather_climate", r"\bera5|climate|weather|precipitation|temperature|meteo"),
    ("population", r"ghsl|population|built.?up|settlement"),
    ("optical", r"sentinel.?2|sentinel.?3|landsat|modis|optical|reflectance|multispectral|ndvi|planet|spot\b|viirs"),
)
OTHER = "other"
METRES = re.compile(r"(\d+(?:[.,]\d+)?)\s*(m|km)\b")
OPTICAL = frozenset(("blue", "green", "red", "nir", "nir08", "swir16", "swir22", "rededge"))
NEEDED = re.compile(r"\b(N2|N|R|G|B|S1|S2|RE1|RE2|RE3|A|T1|T2|VV|VH|HH|HV)\b")
NAMES = {
    "N": ("nir", "nir08"), "N2": ("nir08",), "R": ("red",), "G": ("green",), "B": ("blue",), "S1": ("swir16",),
    "S2": ("swir22",), "RE1": ("rededge", "rededge1", "rededge071"), "RE2": ("rededge", "rededge2", "rededge075"),
    "RE3": ("rededge", "rededge3", "rededge078"), "A": ("coastal",), "T1": ("lwir11", "lwir"), "T2": ("lwir12",),
    "VV": ("vv",), "VH": ("vh",), "HH": ("hh",), "HV": ("hv",),
}  # fmt: skip
"""Common names of the bands behind a formula's variables."""


def theme_of(collection: Collection) -> str:
    """The theme of a collection: what it says itself (STAC themes), else by its words and bands."""
    for each in collection.get("themes") or ():
        for concept in each.get("concepts") or ():
            if name := identifier(str(concept.get("title") or concept.get("id") or "")):
                return name
    text = words_of(collection)
    for name, pattern in THEMES:
        if re.search(pattern, text):
            return name
    commons = common_names(collection)
    if commons & {"vv", "vh", "hh", "hv"}:
        return "radar"
    return "optical" if commons & OPTICAL else OTHER


def by_theme(collections: Sequence[Collection]) -> dict[str, list[Collection]]:
    """Collections in their themes, both by name."""
    found: dict[str, list[Collection]] = {}
    for each in sorted(collections, key=lambda one: str(one["id"])):
        found.setdefault(theme_of(each), []).append(each)
    return dict(sorted(found.items(), key=lambda item: (item[0] == OTHER, item[0])))


def ranked(collections: Sequence[Collection], text: str) -> list[Collection]:
    """Those that fit all of the words, the best first.

    A length ("10 m") fits collections with pixels of that size or smaller; the name of a spectral index those with
    the bands that it needs; any other word those in whose words or bands it stands.
    """
    rest = text.casefold()
    metres = [float(number.replace(",", ".")) * (1000 if unit == "km" else 1) for number, unit in METRES.findall(rest)]
    words = METRES.sub(" ", rest).replace(",", " ").split()
    found = []
    for each in collections:
        points = [_size_points(each, size) for size in metres] + [_word_points(each, word) for word in words]
        if all(points):
            found.append((-sum(points), str(each["id"]), each))
    return [each for _, _, each in sorted(found, key=lambda one: one[:2])]


def words_of(collection: Collection) -> str:
    """All that a collection says in words, in small letters."""
    summaries = collection.get("summaries") or {}
    parts = [collection.get("id"), collection.get("title"), collection.get("description")]
    parts += list(collection.get("keywords") or ())
    parts += [word for key in ("platform", "constellation", "instruments") for word in _list(summaries.get(key))]
    return " ".join(str(part) for part in parts if part).casefold()


def bands_of(collection: Collection) -> list[str]:
    """The names of its bands, in order."""
    return list(dict.fromkeys(str(band.get("name")) for band in _bands(collection) if band.get("name")))


def common_names(collection: Collection) -> set[str]:
    """Common names of its bands (red, nir), or their names where they have none."""
    both = (str(b.get(key)).casefold() for b in _bands(collection) for key in ("common_name", "eo:common_name", "name"))
    return {name for name in both if name != "none"}


def pixel_size(collection: Collection) -> float | None:
    """The size of its smallest pixels in metres, where it says so."""
    summaries = collection.get("summaries") or {}
    assets = (collection.get("item_assets") or {}).values()
    sizes = [*_list(summaries.get("gsd")), *(asset.get("gsd") for asset in assets)]
    sizes += [part.get("spatial_resolution") for asset in assets for part in asset.get("raster:bands") or ()]
    numbers = [
        float(size) for size in sizes if isinstance(size, int | float) and not isinstance(size, bool) and size > 0
    ]
    return min(numbers, default=None)


def identifier(text: str) -> str:
    """A name that can be written after a dot."""
    name = re.sub(r"\W+", "_", text.strip().casefold()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def _bands(collection: Collection) -> list[Mapping[str, Any]]:
    assets = (collection.get("item_assets") or {}).items()
    found: list[Mapping[str, Any]] = []
    for key, asset in assets:
        named = [band for kind in ("eo:bands", "bands") for band in asset.get(kind) or ()]
        data = "data" in (asset.get("roles") or ()) or "image" in str(asset.get("type", ""))
        found += named or ([{"name": key}] if data and "thumbnail" not in (asset.get("roles") or ()) else [])
    summaries = collection.get("summaries") or {}
    return found or list(summaries.get("eo:bands") or summaries.get("bands") or ())


def _word_points(collection: Collection, word: str) -> int:
    title = f"{collection['id']} {collection.get('title', '')}".casefold()
    if word in title:
        return 4
    if word in common_names(collection) or word in words_of(collection):
        return 2
    if word == theme_of(collection) or word in theme_of(collection).split("_"):
        return 2
    return 1 if _has_index(collection, word) else 0


def _has_index(collection: Collection, word: str) -> bool:
    formula = next((one.formula for name, one in spectral.every().items() if name.casefold() == word), None)
    needed = set(NEEDED.findall(formula)) if formula else set()
    return bool(needed) and all(common_names(collection) & set(NAMES[variable]) for variable in needed)


def _size_points(collection: Collection, metres: float) -> int:
    size = pixel_size(collection)
    if size is None or size > metres * 1.01:
        return 0
    return 3 if size >= metres * 0.99 else 1


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
