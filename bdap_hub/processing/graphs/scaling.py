"""What stored numbers mean: scale and offset as items declare them, and Sentinel-2's change of offset. PURE.

physical value = stored number * scale + offset (STAC raster extension 1.1; STAC 1.1 `bands` with `raster:scale`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MSI = {f"B{number:02}" for number in range(1, 13)} | {"B8A"}
COMMON = {
    *("coastal", "blue", "green", "red", "rededge", "rededge071", "rededge075", "rededge078", "rededge1", "rededge2"),
    *("rededge3", "nir", "nir08", "nir09", "cirrus", "swir16", "swir22"),
}
BASELINE = 4.0
"""From this processing baseline on ESA stores reflectance with SHIFT added (25 January 2022)."""
SHIFT = 1000


@dataclass(frozen=True)
class Scale:
    """How to get physical values from stored numbers."""

    scale: float = 1.0
    offset: float = 0.0


AS_STORED = Scale()


def declared(item: Mapping[str, Any], *parts: Mapping[str, Any], names: Iterable[str] = ()) -> Scale:
    """The scale of a band by the first of `parts` (of STAC 1.1's bands, raster:bands, the asset) that has one.

    Of Sentinel-2's bands (by `names`) the offset is the one that their pixels have: none where the catalogue took it
    off, or where their processing baseline knows none; 1000 where the item forgets to say so.
    """
    scale, offset = _first(parts, "scale", 1.0), _first(parts, "offset", None)
    if not set(names) & (MSI | COMMON) or (shifted := _shifted(item.get("properties", {}))) is None:
        return Scale(scale, offset or 0.0)
    if not shifted:
        return Scale(scale)
    return Scale(scale, offset or -SHIFT * scale)


def reference(first: Scale | None, items: Iterable[Scale], sentinel2: bool) -> Scale:
    """In which scale a band's values are given: the collection's own, else that of the items nearest to no offset.

    Sentinel-2 is given without offset, as before baseline 4: ratios of bands mean the same at all dates.
    """
    chosen = first or min(items, key=lambda s: (abs(s.offset), -s.scale, s.offset))
    return Scale(chosen.scale) if sentinel2 else chosen


def onto(own: Scale, wanted: Scale) -> tuple[float, float]:
    """(gain, shift): stored * gain + shift is the number in the scale that is wanted."""
    return _exact(own.scale / wanted.scale), _exact((own.offset - wanted.offset) / wanted.scale)


def is_sentinel2(item: Mapping[str, Any]) -> bool:
    """Whether the item says that it is of Sentinel-2."""
    properties = item.get("properties", {})
    return _named(properties) or _shifted(properties) is not None


def is_shift(name: str, scale: Scale) -> bool:
    """Whether a band has the name and the offset that Sentinel-2's have since baseline 4."""
    return name in MSI and scale.offset != 0 and _exact(scale.offset / scale.scale) == -SHIFT


def _named(properties: Mapping[str, Any]) -> bool:
    return "sentinel-2" in f"{properties.get('constellation')} {properties.get('platform')}".lower()


def _shifted(properties: Mapping[str, Any]) -> bool | None:
    """Whether Sentinel-2's pixels still have the shift of baseline 4; None for anything else."""
    baseline = _number(properties.get("s2:processing_baseline", properties.get("sentinel2:processing_baseline")))
    applied = properties.get("earthsearch:boa_offset_applied")
    if applied is True:
        return False
    if baseline is None and _named(properties):
        baseline = _number(properties.get("processing:version"))
    return None if baseline is None else baseline >= BASELINE


def _first(parts: Iterable[Mapping[str, Any]], key: str, default: Any) -> Any:
    for part in parts:
        for name in (f"raster:{key}", key):
            found = _number(part.get(name))
            if found is not None and not (key == "scale" and found == 0):
                return found
    return default


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _exact(value: float) -> float:
    """Without the dust of binary fractions, so that -0.1 / 0.0001 is -1000."""
    return float(f"{value:.12g}")
