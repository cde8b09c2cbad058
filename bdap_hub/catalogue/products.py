"""What the metadata files of known products say of an acquisition: Sentinel-1 and -2 (SAFE), Landsat Collection 2.

Their scale and offset are stated here and nowhere in the rasters: without them values would be wrong, not missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import sentinel1
from .scan import Acquisition, product_of
from .sentinel1 import as_number

MOST = 8 << 20
S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""In the order in which Sentinel-2's metadata number them."""
UNSCALED = ("SCL", "TCI", "QA_PIXEL", "CLDPRB")
Find = Callable[[str], str]


def describe(acquisition: Acquisition) -> None:
    """Put what the product's metadata say into the acquisition, unless a STAC item lay beside its files."""
    if acquisition.stac is not None or not acquisition.files:
        return
    first = next(iter(acquisition.files.values()))
    if (product := product_of(first)) is not None:
        ours = product.name.upper().startswith("S1")
        acquisition.stac = (
            sentinel1.described(product, acquisition.files, _text) if ours else _sentinel2(acquisition, product)
        )
    elif text := _text(first.parent / f"{acquisition.id}_MTL.txt"):
        acquisition.stac = _landsat(acquisition, text)


def _sentinel2(acquisition: Acquisition, product: Path) -> dict[str, Any] | None:
    """From MTD_MSIL1C.xml or MTD_MSIL2A.xml; offsets stand there since processing baseline 04.00."""
    text = next((found for path in sorted(product.glob("MTD_MSIL*.xml")) if (found := _text(path))), "")
    if not text:
        return None

    def tag(name: str) -> str:
        found = re.search(rf"<{name}(?:\s[^>]*)?>\s*([^<]+?)\s*</{name}>", text)
        return found[1] if found else ""

    factor = as_number(tag("BOA_QUANTIFICATION_VALUE") or tag("QUANTIFICATION_VALUE")) or 10_000.0
    rows = re.findall(r'<(?:BOA|RADIO)_(?:ADD_)?OFFSET[^>]*band_id="(\d+)"[^>]*>\s*(-?[\d.]+)\s*<', text)
    offsets = {S2_BANDS[int(i)]: float(value) / factor for i, value in rows if int(i) < len(S2_BANDS)}
    properties = {
        "datetime": tag("DATATAKE_SENSING_START") or tag("PRODUCT_START_TIME"),
        "platform": tag("SPACECRAFT_NAME").lower(),
        "constellation": "sentinel-2",
        "eo:cloud_cover": as_number(tag("Cloud_Coverage_Assessment")),
        "s2:processing_baseline": tag("PROCESSING_BASELINE"),
    }
    stated = {
        band: {"scale": 1 / factor, "offset": offsets.get(band, 0.0), "nodata": 0}
        for band in acquisition.files
        if band in S2_BANDS
    }
    return _item(properties, stated)


def _landsat(acquisition: Acquisition, text: str) -> dict[str, Any]:
    """From <id>_MTL.txt. Level 2 has its factors in groups of their own, after those of level 1."""

    def entry(name: str) -> str:
        found = re.findall(rf'^\s*{name}\s*=\s*"?([^"\n]*?)"?\s*$', text, re.MULTILINE)
        return found[0] if found else ""

    level2 = text[text.find("GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS") :] if "LEVEL2_SURFACE" in text else text
    stated = {}
    for band in acquisition.files:
        number = re.fullmatch(r"(?:SR_)?B(\d{1,2})", band)
        factors = [
            re.search(rf"REFLECTANCE_{kind}_BAND_{number[1]}\s*=\s*(\S+)", level2) if number else None
            for kind in ("MULT", "ADD")
        ]
        if all(factors):
            scale, offset = (float(found[1]) for found in factors if found)
            stated[band] = {"scale": scale, "offset": offset, "nodata": 0}
    day, clock = entry("DATE_ACQUIRED"), entry("SCENE_CENTER_TIME")
    properties = {
        "datetime": f"{day}T{clock}" if day and clock else "",
        "platform": entry("SPACECRAFT_ID").lower().replace("_", "-"),
        "constellation": "landsat",
        "eo:cloud_cover": as_number(entry("CLOUD_COVER")),
    }
    return _item(properties, stated)


def _item(properties: dict[str, Any], stated: dict[str, dict[str, float]]) -> dict[str, Any]:
    """In the form of an item that lay beside the rasters."""
    assets = {band: {"bdap:key": band, "raster:bands": [found]} for band, found in stated.items()}
    return {"properties": {k: v for k, v in properties.items() if v not in (None, "")}, "assets": assets}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace") if path.stat().st_size <= MOST else ""
    except OSError:
        return ""
