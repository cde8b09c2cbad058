"""Builds STAC items (1.1.0) from headers, and from the item that lay beside the rasters where there is one.

Band metadata stands twice: as `bands` (STAC 1.1) and as `raster:bands`/`eo:bands` (readers of STAC 1.0).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pystac
import shapely

from ..errors import BadRequest
from ..settings import StoreSettings
from .classes import EXTENSION as CLASSIFICATION
from .classes import classes_of
from .headers import CLASSES, Header
from .scan import Acquisition

STAC_VERSION = "1.1.0"
HOST = "https://stac-extensions.github.io"
EXTENSIONS = (
    f"{HOST}/projection/v1.2.0/schema.json",
    f"{HOST}/raster/v1.1.0/schema.json",
    f"{HOST}/eo/v1.1.0/schema.json",
    f"{HOST}/file/v2.1.0/schema.json",
)
CUBE = f"{HOST}/datacube/v2.2.0/schema.json"
PLACE_ON_DISK = [
    {"rel": rel, "href": "../collection.json", "type": "application/json"} for rel in ("parent", "collection")
]
NUMBER = re.compile(r"[-+]?\d{1,15}(\.\d{1,20})?([eE][-+]?\d{1,2})?")
ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
# Sentinel-2 MSI: common name, title.
SENTINEL2 = {
    "B01": ("coastal", "Coastal aerosol"),
    "B02": ("blue", "Blue"),
    "B03": ("green", "Green"),
    "B04": ("red", "Red"),
    "B05": ("rededge", "Red edge 1"),
    "B06": ("rededge", "Red edge 2"),
    "B07": ("rededge", "Red edge 3"),
    "B08": ("nir", "Near infrared"),
    "B8A": ("nir08", "Near infrared, narrow"),
    "B09": ("nir09", "Water vapour"),
    "B10": ("cirrus", "Cirrus"),
    "B11": ("swir16", "Shortwave infrared 1"),
    "B12": ("swir22", "Shortwave infrared 2"),
}
TITLES = {"SCL": "Scene classification", "CLDPRB": "Cloud probability", "AOT": "Aerosol optical thickness"}


class Undated(BadRequest):
    """No name, no header and no item beside it tells the date of an acquisition."""


@dataclass(frozen=True)
class Scaling:
    """What the operator gives; None: what the item or the header says. `nodata` is for bands that have none."""

    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None


def build(
    acquisition: Acquisition, headers: dict[str, Header], collection: str, store: StoreSettings, scaling: Scaling
) -> dict[str, Any]:
    """The item of an acquisition as a dictionary; BadRequest naming the file where it cannot be described."""
    if not ITEM_ID.fullmatch(acquisition.id):
        raise BadRequest(f"the item id {acquisition.id!r} has signs that an address cannot have", "rename the file")
    first = next(iter(headers.values()))
    given = acquisition.stac or {}
    properties = _properties(acquisition, headers)
    item = pystac.Item(
        id=acquisition.id,
        geometry=given.get("geometry") or first.geometry,
        bbox=list(given.get("bbox") or _bbox(given.get("geometry")) or first.bbox),
        datetime=None if _spans(acquisition, properties) else _when(acquisition, headers),
        properties=properties,
        collection=collection,
    )
    result = item.to_dict(include_self_link=False, transform_hrefs=False)
    result["stac_version"] = STAC_VERSION
    result["stac_extensions"] = _extensions(given, properties)
    sentinel2 = _is_sentinel2(headers)
    result["assets"] = {
        band: _asset(band, header, given, properties, store, scaling, sentinel2) for band, header in headers.items()
    }
    if any("classification:classes" in band for asset in result["assets"].values() for band in asset["bands"]):
        result["stac_extensions"] = [*dict.fromkeys([*result["stac_extensions"], CLASSIFICATION])]
    kept = [link for link in given.get("links", []) if link.get("rel") in ("license", "derived_from")]
    result["links"] = [*PLACE_ON_DISK, *kept]
    return result


def _properties(acquisition: Acquisition, headers: dict[str, Header]) -> dict[str, Any]:
    """Those of the given item, corrected by what the headers say."""
    given = dict((acquisition.stac or {}).get("properties", {}))
    given = {k: v for k, v in given.items() if not k.startswith("proj:") and k != "datetime"}
    first = next(iter(headers.values()))
    given |= _projection(first)
    place = (acquisition.stac or {}).get("geometry") or first.geometry
    centre = shapely.centroid(shapely.from_geojson(json.dumps(place)))
    given["proj:centroid"] = {"lat": round(centre.y, 7), "lon": round(centre.x, 7)}
    given["gsd"] = min(h.gsd for h in headers.values()) if first.metric else given.get("gsd")
    if platform := next((h.platform for h in headers.values() if h.platform), ""):
        given.setdefault("platform", platform)
    cloud = next((h.cloud_cover for h in headers.values() if h.cloud_cover is not None), None)
    if not reads_as_number(given.get("eo:cloud_cover", 0)):
        del given["eo:cloud_cover"]
    if cloud is not None:
        given.setdefault("eo:cloud_cover", cloud)
    for header in headers.values():
        given |= header.properties
    until = first.until or acquisition.until
    if until and "start_datetime" not in given and until > _when(acquisition, headers):
        given |= {"start_datetime": _rfc3339(_when(acquisition, headers)), "end_datetime": _rfc3339(until)}
    return {k: v for k, v in given.items() if v is not None}


def _spans(acquisition: Acquisition, properties: dict[str, Any]) -> bool:
    """Whether it is of a period, and of no moment in it."""
    return "start_datetime" in properties and not (acquisition.stac or {}).get("properties", {}).get("datetime")


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def reads_as_number(value: Any) -> bool:
    """A number, or a text that any store reads as one."""
    return not isinstance(value, bool) and NUMBER.fullmatch(str(value)) is not None


def _projection(header: Header) -> dict[str, Any]:
    named = {"proj:code": f"EPSG:{header.epsg}", "proj:epsg": header.epsg} if header.epsg else {}
    wkt = {"proj:code": None, "proj:wkt2": header.wkt2} if header.wkt2 else {}
    unplaced = {} if header.transform else {"proj:code": None}
    return {**named, **wkt, **unplaced, "proj:shape": list(header.shape), **_placed(header)}


def _placed(header: Header) -> dict[str, Any]:
    """The transform and the corners, of files that have one (north up or not)."""
    if not header.transform:
        return {}
    a, b, c, d, e, f = header.transform
    height, width = header.shape
    xs = [c + a * x + b * y for x in (0, width) for y in (0, height)]
    ys = [f + d * x + e * y for x in (0, width) for y in (0, height)]
    return {"proj:transform": [a, b, c, d, e, f], "proj:bbox": [min(xs), min(ys), max(xs), max(ys)]}


def _when(acquisition: Acquisition, headers: dict[str, Header]) -> datetime:
    """The item's, the first of a series, the name's (with the header's time of that day), else the header's date."""
    text = (acquisition.stac or {}).get("properties", {}).get("datetime")
    if text:
        return datetime.fromisoformat(text).astimezone(UTC)
    tagged = next((h.when for h in headers.values() if h.when), None)
    if tagged and any(h.until for h in headers.values()):
        return tagged
    named = acquisition.when
    if named and acquisition.day_only and tagged and tagged.date() == named.date():
        return tagged
    if when := named or tagged:
        return when
    raise Undated(f"no date is found for {acquisition.id}")


def _bbox(geometry: dict[str, Any] | None) -> list[float] | None:
    """West, south, east, north of a GeoJSON geometry."""
    if not geometry:
        return None
    flat: list[float] = []

    def collect(part: Any) -> None:
        if part and isinstance(part[0], (int, float)):
            flat.extend(part[:2])
        else:
            for each in part:
                collect(each)

    collect(geometry["coordinates"])
    return [min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])]


def _extensions(given: dict[str, Any], properties: dict[str, Any]) -> list[str]:
    ours = ("/projection/", "/raster/", "/eo/", "/file/")
    cube = [CUBE] if "cube:dimensions" in properties and CUBE not in given.get("stac_extensions", []) else []
    kept = [uri for uri in given.get("stac_extensions", []) if not any(name in uri for name in ours)]
    return [*EXTENSIONS, *cube, *kept]


def _is_sentinel2(headers: dict[str, Header]) -> bool:
    """Whether every B.. name is one of Sentinel-2's: B10, B20 of another mission must not be taken for them."""
    named = [band for band in headers if re.fullmatch(r"B\d\w?", band)]
    return bool(named) and all(band in SENTINEL2 for band in named)


def _asset(
    band: str,
    header: Header,
    given: dict[str, Any],
    properties: dict[str, Any],
    store: StoreSettings,
    scaling: Scaling,
    sentinel2: bool,
) -> dict[str, Any]:
    stated: dict[str, Any] = next((a for a in given.get("assets", {}).values() if a.get("bdap:key") == band), {})
    common, title = SENTINEL2.get(band, ("", "")) if sentinel2 else ("", "")
    raster = _raster_bands(band, header, stated, properties, scaling)
    names = [band] if len(raster) == 1 and not header.own_names else list(header.names)
    eo = [{"name": name} | ({"common_name": common} if common else {}) for name in names]
    reflectance = ["reflectance"] if sentinel2 and common else []
    roles = ["data", *(["classification"] if band in CLASSES or header.palette else reflectance)]
    own = _projection(header)
    bands = [_band(e, r) for e, r in zip(eo, raster, strict=True)]
    if classes := stated.get("classification:classes") or classes_of(band, header.palette, header.legend):
        bands[0]["classification:classes"] = classes
    return {
        "href": store.href_of(header.path),
        "type": header.media_type,
        "title": stated.get("title") or title or TITLES.get(band, band),
        "roles": roles,
        **({"gsd": header.gsd} if header.metric else {}),
        **({"file:size": header.size} if header.size is not None else {}),
        **({"file:checksum": header.checksum} if header.checksum else {}),
        **{k: v for k, v in own.items() if k in ("proj:shape", "proj:transform") or v != properties.get(k)},
        "bands": bands,
        "raster:bands": raster,
        "eo:bands": eo,
    }


def _band(eo: dict[str, Any], raster: dict[str, Any]) -> dict[str, Any]:
    """The same as STAC 1.1 common metadata."""
    core = {k: raster[k] for k in ("data_type", "nodata", "unit") if k in raster}
    named = {"eo:common_name": eo["common_name"]} if "common_name" in eo else {}
    more = {f"raster:{k}": raster[k] for k in ("scale", "offset", "spatial_resolution", "sampling", "bits_per_sample")
            if k in raster}  # fmt: skip
    return {"name": eo["name"], **named, **core, **more}


def _raster_bands(
    band: str, header: Header, stated: dict[str, Any], properties: dict[str, Any], scaling: Scaling
) -> list[dict[str, Any]]:
    """Given by the operator, else stated in the item, else in the header.

    Earth Search states the offset -0.1 also where earthsearch:boa_offset_applied says that the pixels have it
    already: taking it off again would make reflectance negative, so it is 0 there.
    """
    applied = properties.get("earthsearch:boa_offset_applied") is True
    told = stated.get("raster:bands") or []
    result = []
    for i, found in enumerate(header.raster_bands):
        told_here = told[i] if i < len(told) else {}
        merged = {**found, **{k: told_here[k] for k in ("scale", "offset", "nodata", "unit") if k in told_here}}
        if applied and band not in CLASSES:
            merged["offset"] = 0
        if band not in CLASSES and not found["data_type"].startswith(("float", "uint8")):
            merged |= {k: v for k, v in (("scale", scaling.scale), ("offset", scaling.offset)) if v is not None}
        if band not in CLASSES and scaling.nodata is not None:
            merged.setdefault("nodata", int(scaling.nodata) if scaling.nodata.is_integer() else scaling.nodata)
        result.append(merged)
    return result
