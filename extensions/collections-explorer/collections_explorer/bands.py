"""The bands of a collection as its STAC metadata tells them. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SENTINEL2 = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22"}


@dataclass(frozen=True)
class Class:
    """One value of a map of classes."""

    value: int
    name: str
    colour: str = ""


@dataclass(frozen=True)
class Band:
    """A band: the name to ask for, its common name, and stored number * scale + offset = physical value."""

    name: str
    title: str
    common: str = ""
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    is_classes: bool = False
    classes: tuple[Class, ...] = ()

    def stored(self, physical: float) -> float:
        """The stored number of a physical value."""
        return (physical - self.offset) / self.scale


def read_bands(collection: dict[str, Any]) -> tuple[Band, ...]:
    """All bands of all assets, in the order of the assets; pictures for people (thumbnails) are none."""
    found: dict[str, Band] = {}
    for key, asset in (collection.get("item_assets") or {}).items():
        if "thumbnail" in asset.get("roles", ()) or "overview" in asset.get("roles", ()):
            continue
        for band in _of_asset(key, asset):
            found.setdefault(band.name, band)
    return tuple(found.values())


def _of_asset(key: str, asset: dict[str, Any]) -> list[Band]:
    core, eo, raster = (asset.get(name) or [] for name in ("bands", "eo:bands", "raster:bands"))
    count = max(len(core), len(eo), len(raster), 1)
    merged = [{**_at(eo, i), **_at(raster, i), **_at(core, i)} for i in range(count)]
    return [_band(key, asset, one, count) for one in merged]


def _at(listed: list[dict[str, Any]], place: int) -> dict[str, Any]:
    return dict(listed[place]) if place < len(listed) else {}


def _band(key: str, asset: dict[str, Any], told: dict[str, Any], count: int) -> Band:
    name = str(told.get("name") or key)
    classes = told.get("classification:classes") or asset.get("classification:classes") or ()
    title = str(asset.get("title") or name) if count == 1 else str(told.get("description") or name)
    return Band(
        name=name,
        title=title,
        common=str(told.get("eo:common_name") or told.get("common_name") or SENTINEL2.get(name, "")),
        scale=_number(told, "scale", 1.0) or 1.0,
        offset=_number(told, "offset", 0.0),
        unit=str(told.get("unit") or ""),
        is_classes=bool(classes) or "classification" in asset.get("roles", ()),
        classes=tuple(_class(one) for one in classes),
    )


def _number(told: dict[str, Any], name: str, default: float) -> float:
    value = told.get(f"raster:{name}", told.get(name, default))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _class(told: dict[str, Any]) -> Class:
    colour = str(told.get("color_hint") or "").lstrip("#")
    name = str(told.get("description") or told.get("name") or told.get("value"))
    return Class(int(told["value"]), name, f"#{colour}" if colour else "")
