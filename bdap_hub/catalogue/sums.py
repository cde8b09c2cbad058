"""What a collection says of its items as a whole, summed up one item after the other. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .geometry import Box, flat

ASSET_KEYS = ("title", "type", "roles", "gsd", "bands", "raster:bands", "eo:bands")
LISTED = ("platform", "constellation", "gsd", "proj:code")
MOST = 100  # distinct values that a summary lists
PROPERTIES = "bdap:properties"  # kinds of the items' properties by name, for queryables


@dataclass
class Sums:
    """Grows with each item; a million of them take no more memory than a few."""

    count: int = 0
    box: Box | None = None
    days: list[str] = field(default_factory=list)
    listed: dict[str, set[Any]] = field(default_factory=dict)
    clouds: list[float] = field(default_factory=list)
    assets: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    clearest: dict[str, Any] = field(default_factory=dict)

    def add(self, item: dict[str, Any]) -> None:
        """Count an item in; of those with the same asset the last describes it."""
        properties = item["properties"]
        self.count += 1
        self.box = _around(self.box, flat(item["bbox"]))
        days = [str(properties[k]) for k in ("datetime", "start_datetime", "end_datetime") if properties.get(k)]
        self.days = _ends([*self.days, *days])
        for key in LISTED:
            if _kind(properties.get(key)) and len(self.listed.setdefault(key, set())) < MOST:
                self.listed[key].add(properties[key])
        if _kind(properties.get("eo:cloud_cover")) == "number":
            self.clouds = _ends([*self.clouds, properties["eo:cloud_cover"]])
        for key, asset in item["assets"].items():
            self.assets[key] = {name: asset[name] for name in ASSET_KEYS if name in asset}
        self.kinds = kinds_of(item) | self.kinds
        if not self.clearest or _clouds(item) < _clouds(self.clearest):
            self.clearest = item

    def document(self) -> dict[str, Any]:
        """The parts of a STAC collection that come from its items."""
        summaries: dict[str, Any] = {key: sorted(values, key=_order) for key, values in sorted(self.listed.items())}
        if self.clouds:
            summaries["eo:cloud_cover"] = {"minimum": self.clouds[0], "maximum": self.clouds[-1]}
        return {
            "extent": {
                "spatial": {"bbox": [list(self.box or ())]},
                "temporal": {"interval": [[self.days[0], self.days[-1]]]},
            },
            "summaries": summaries,
            "item_assets": dict(sorted(self.assets.items())),
            "bdap:items": self.count,
            PROPERTIES: dict(sorted(self.kinds.items())),
        }


def kinds_of(item: dict[str, Any]) -> dict[str, str]:
    """The JSON types of an item's properties by name; without those that are for this platform alone."""
    properties = item["properties"].items()
    return {name: kind for name, value in properties if (kind := _kind(value)) and not name.startswith("bdap:")}


def _around(box: Box | None, other: Box) -> Box:
    if other[0] > other[2]:  # across the antimeridian
        other = (-180.0, other[1], 180.0, other[3])
    if box is None:
        return other
    return min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3])


def _ends(values: list[Any]) -> list[Any]:
    return [min(values), max(values)]


def _clouds(item: dict[str, Any]) -> float:
    cover = item["properties"].get("eo:cloud_cover")
    return float(cover) if _kind(cover) == "number" else 0.0


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers before texts: whoever writes items writes what they like."""
    return isinstance(value, str), value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else ""
