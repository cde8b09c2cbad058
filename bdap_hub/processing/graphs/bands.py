"""The bands of catalogue items: in which files they lie, how they are called, what their numbers mean. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .graph import GraphError
from .needs import Band, Query
from .scaling import AS_STORED, Scale, declared, is_sentinel2, is_shift, onto, reference

CLASSES = ("classification:classes", "classification:bitfields")
CATEGORICAL = {"SCL", "QA", "QA_PIXEL", "QA60", "BQA", "FMASK"}


@dataclass(frozen=True)
class Source:
    """One band of one file. `index` counts from 1; `nearest`: classes, never interpolated.

    Values are what is stored * gain + shift; `nodata` is a stored number.
    """

    href: str
    index: int = 1
    nearest: bool = False
    nodata: float | None = None
    gain: float = 1.0
    shift: float = 0.0


class Stored(NamedTuple):
    """A band of an item: where it lies, what its numbers mean."""

    source: Source
    common_name: str
    scale: Scale


Table = Mapping[str, Stored]


def band_table(item: Mapping[str, Any]) -> dict[str, Stored]:
    """The bands of an item's raster assets by name; a single-band asset goes by its key."""
    table: dict[str, Stored] = {}
    for key, asset in item.get("assets", {}).items():
        media = str(asset.get("type", ""))
        if "tiff" not in media and "jp2" not in media and "data" not in asset.get("roles", []):
            continue
        described = asset.get("bands") or asset.get("eo:bands") or [{}]
        raster = asset.get("raster:bands") or [{}] * len(described)
        for position, band in enumerate(described):
            name = key if len(described) == 1 else str(band.get("name") or f"{key}.{position + 1}")
            info = raster[position] if position < len(raster) else {}
            common = str(band.get("eo:common_name") or band.get("common_name") or band.get("name") or "")
            classes = any(key in part for key in CLASSES for part in (asset, band, info))
            classes = classes or "classification" in asset.get("roles", []) or name.upper() in CATEGORICAL
            nodata = _nodata(band.get("nodata", info.get("nodata", asset.get("nodata"))))
            source = Source(str(asset.get("href", "")), position + 1, nearest=classes, nodata=nodata)
            scale = AS_STORED if classes else declared(item, band, info, asset, names=(name, common))
            table[name] = Stored(source, common, scale)
    return table


def _nodata(value: Any) -> float | None:
    """A number, or one of the words nan, inf, -inf, as STAC writes what JSON cannot."""
    return float(value) if isinstance(value, (int, float)) or value in ("nan", "inf", "-inf") else None


def aliases_of(tables: Iterable[Table]) -> dict[str, str]:
    """Common name → band name, over all items."""
    aliases: dict[str, str] = {}
    for table in tables:
        for name, band in table.items():
            if band.common_name and band.common_name not in table:
                aliases.setdefault(band.common_name, name)
    return aliases


def chosen(query: Query, have: Sequence[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The bands to read: of those asked for the ones that are used."""

    def found(band: Band) -> str:
        names = (band,) if isinstance(band, str) else band
        for name in names:
            if (own := name if name in asked else aliases.get(name)) in asked:
                return str(own)
        raise GraphError(
            "BandNotAvailable", f"{query.collection} has no band {' or '.join(map(repr, names))}",
            f"it has {', '.join(asked)}",
        )  # fmt: skip

    asked = list(have)
    if query.bands is not None:
        asked = [found(name) for name in query.bands]
        used = {found(band) for band in query.used or asked}
        return tuple(name for name in dict.fromkeys(asked) if name in used)
    return tuple(have) if query.used is None else tuple(dict.fromkeys(found(band) for band in query.used))


def scale_of(
    band: str, collection: Mapping[str, Any], items: Sequence[Mapping[str, Any]], tables: Mapping[str, Table]
) -> Scale:
    """In which scale a band's values are given, at whichever dates: the one that its collection declares."""
    described = band_table({"assets": collection.get("item_assets", {})}).get(band)
    own = [tables[item["id"]][band].scale for item in items if band in tables[item["id"]]]
    sentinel2 = any(map(is_sentinel2, items)) or any(is_shift(band, scale) for scale in own)
    return reference(described.scale if described else None, own, sentinel2)


def as_given(assets: Mapping[str, Any]) -> dict[str, Any]:
    """A collection's `item_assets` with the offsets that loaded values have: Sentinel-2's have none."""

    def band(key: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        shifted = is_shift(key, declared({}, raw)) or is_shift(str(raw.get("name")), declared({}, raw))
        zeros = {name: 0 for name in ("offset", "raster:offset") if shifted and name in raw}
        return {**raw, **zeros}

    lists = ("bands", "raster:bands")
    return {
        key: {**asset, **{name: [band(key, raw) for raw in asset[name]] for name in lists if name in asset}}
        for key, asset in assets.items()
    }


def scaled(band: Stored, wanted: Scale) -> Source:
    """Where the band lies, with what brings its numbers to the scale that is wanted."""
    gain, shift = onto(band.scale, wanted)
    return replace(band.source, gain=gain, shift=shift)
