"""What the metadata files of a Sentinel-1 product (SAFE) say: when, where, orbit and polarisations.

Its pixels lie as the radar saw them: no transform, but points whose places are known (GCPs).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EXTENSIONS = tuple(f"https://stac-extensions.github.io/{name}/v1.0.0/schema.json" for name in ("sar", "sat"))
C_BAND = 5.405  # GHz
NAME = re.compile(r"s1[a-d]-(\w{2,3}?\d?)-(grd|slc)-(vv|vh|hh|hv)-.*")
Text = Callable[[Path], str]


def band_of(stem: str) -> str:
    """The band of a measurement by its file's name: VV, or IW1_VV where each swath is a file; '' for other names."""
    found = NAME.fullmatch(stem.lower())
    if not found:
        return ""
    swath, kind, polarisation = (part.upper() for part in found.groups())
    return f"{swath}_{polarisation}" if kind == "SLC" else polarisation


def described(product: Path, files: dict[str, Path], read: Text) -> dict[str, Any] | None:
    """In the form of an item that lay beside the rasters; None where manifest.safe says nothing."""
    manifest = read(product / "manifest.safe")
    start, stop = (_moment(_tag(manifest, name)) for name in ("safe:startTime", "safe:stopTime"))
    footprint = _footprint(_tag(manifest, "gml:coordinates"))
    if not start or not stop or not footprint:
        return None
    band = next(iter(files.values()))
    annotation = read(product / "annotation" / f"{band.stem}.xml")
    properties = {
        "datetime": start,
        "start_datetime": start,
        "end_datetime": stop,
        "platform": f"sentinel-1{_tag(manifest, 'safe:number').lower()}",
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "gsd": as_number(_tag(annotation, "rangePixelSpacing")),
        **_radar(manifest, annotation),
        **_orbit(manifest),
    }
    known = {key: value for key, value in properties.items() if value not in (None, "", [])}
    return {"properties": known, "geometry": footprint, "assets": {}, "stac_extensions": list(EXTENSIONS)}


def _radar(manifest: str, annotation: str) -> dict[str, Any]:
    """Spacing is that of the pixels, in metres."""
    return {
        "sar:instrument_mode": _tag(manifest, "s1sarl1:mode"),
        "sar:frequency_band": "C",
        "sar:center_frequency": C_BAND,
        "sar:polarizations": sorted(set(_tags(manifest, "s1sarl1:transmitterReceiverPolarisation"))),
        "sar:product_type": _tag(manifest, "s1sarl1:productType"),
        "sar:pixel_spacing_range": as_number(_tag(annotation, "rangePixelSpacing")),
        "sar:pixel_spacing_azimuth": as_number(_tag(annotation, "azimuthPixelSpacing")),
    }


def _orbit(manifest: str) -> dict[str, Any]:
    absolute, relative = (as_number(_tag(manifest, f"safe:{name}")) for name in ("orbitNumber", "relativeOrbitNumber"))
    return {
        "sat:orbit_state": _tag(manifest, "s1:pass").lower(),
        "sat:absolute_orbit": int(absolute) if absolute else None,
        "sat:relative_orbit": int(relative) if relative else None,
    }


def _footprint(text: str) -> dict[str, Any] | None:
    """From `lat,lon lat,lon …`."""
    pairs = [pair.split(",") for pair in text.split()]
    if len(pairs) < 3 or any(len(pair) != 2 or None in map(as_number, pair) for pair in pairs):
        return None
    ring = [[float(east), float(north)] for north, east in pairs]
    ring = ring if ring[0] == ring[-1] else [*ring, ring[0]]
    return {"type": "Polygon", "coordinates": [ring]}


def _tag(text: str, name: str) -> str:
    return next(iter(_tags(text, name)), "")


def _tags(text: str, name: str) -> list[str]:
    return re.findall(rf"<{name}(?:\s[^>]*)?>\s*([^<]+?)\s*</{name}>", text)


def _moment(text: str) -> str:
    """As STAC writes it; they mean UTC and do not say so."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    except ValueError:
        return ""


def as_number(text: str) -> float | None:
    """What a metadata file says as a number; None where it says none."""
    try:
        return float(text)
    except ValueError:
        return None
