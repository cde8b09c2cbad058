"""What the catalogue's pages show: plain values for the templates, made from STAC. PURE."""

from __future__ import annotations

import json
from typing import Any

from .contract import Page
from .footprints import drawing
from .preview import bands_of
from .store import Collection

VISIBILITY = {"public": "for everybody", "people": "for everybody logged in"}


def python(text: str) -> str:
    """A text as people copy it into a program; what it says stays a text there."""
    return json.dumps(text, ensure_ascii=False)


def card(collection: Collection, picture: bool, count: int) -> dict[str, Any]:
    """A collection in the list."""
    stac = collection.stac
    project = stac.get("bdap:project") or ""
    return {
        "id": collection.id,
        "title": stac.get("title") or collection.id,
        "visibility": VISIBILITY.get(str(stac.get("bdap:visibility")), f"for project {project}"),
        "open": stac.get("bdap:visibility") == "public",
        "picture": picture,
        "count": count,
        "bands": list(stac.get("item_assets", {})),
        "period": _period(stac),
        "place": _place(stac),
    }


def collection_view(collection: Collection, found: Page, count: int, picture: bool) -> dict[str, Any]:
    """A collection on its own page, with one page of its items."""
    stac = collection.stac
    return {
        **card(collection, picture, count),
        "description": stac.get("description") or "",
        "license": "not stated" if stac.get("license") in (None, "", "other") else stac["license"],
        "providers": [p["name"] for p in stac.get("providers", []) if p.get("name")],
        "bands": [_band(name, asset) for name, asset in stac.get("item_assets", {}).items()],
        "code": ", ".join(str(c) for c in stac.get("summaries", {}).get("proj:code", [])),
        "rows": [_row(item) for item in found.items],
        "drawn": drawing(found.items),
        "following": found.following,
    }


def item_view(collection: Collection, item: dict[str, Any]) -> dict[str, Any]:
    """One item on its own page."""
    assets = [_asset(name, asset) for name, asset in item["assets"].items()]
    day = str(item["properties"].get("datetime") or item["properties"].get("start_datetime") or "")[:10]
    return {
        **_row(item),
        "collection": collection.id,
        "title": collection.stac.get("title") or collection.id,
        "day": day,
        "until": str(item["properties"].get("end_datetime") or day)[:10],
        "drawn_bands": bands_of(item),
        "bbox": tuple(round(float(v), 4) for v in item["bbox"]),
        "assets": assets,
        "first": next((a["href"] for a in assets if str(a["href"]).startswith("/")), ""),
        "gridded": "cube:dimensions" in item["properties"],
        "properties": sorted((k, v) for k, v in item["properties"].items() if not k.startswith("bdap:")),
        "drawn": drawing([item]),
    }


def _asset(name: str, asset: dict[str, Any]) -> dict[str, Any]:
    kinds = {band.get("data_type", "") for band in asset.get("raster:bands") or asset.get("bands") or ()}
    return {
        "name": name,
        "title": asset.get("title", name),
        "type": ", ".join(sorted(kinds - {""})) or asset.get("type", ""),
        "gsd": f"{asset['gsd']:g} m" if isinstance(asset.get("gsd"), (int, float)) else "",
        "href": asset["href"],
    }


def _band(name: str, asset: dict[str, Any]) -> dict[str, Any]:
    raster = (asset.get("raster:bands") or [{}])[0]
    return {
        "name": name,
        "title": asset.get("title", name),
        "type": raster.get("data_type", ""),
        "scale": f"{raster.get('scale', 1):g}",
        "offset": f"{raster.get('offset', 0):g}",
        "nodata": "none" if raster.get("nodata") is None else raster["nodata"],
        "gsd": f"{asset['gsd']:g} m" if "gsd" in asset else "",
    }


def _row(item: dict[str, Any]) -> dict[str, Any]:
    properties = item["properties"]
    cloud = properties.get("eo:cloud_cover")
    return {
        "id": item["id"],
        "date": str(properties.get("datetime") or properties.get("start_datetime") or "")[:16].replace("T", " "),
        "cloud": f"{cloud:.1f} %" if isinstance(cloud, (int, float)) else "",
        "platform": properties.get("platform", ""),
        "bands": ", ".join(item["assets"]),
    }


def _period(stac: dict[str, Any]) -> str:
    first, last = stac["extent"]["temporal"]["interval"][0]
    days = [str(day)[:10] for day in (first, last) if day]
    return " to ".join(dict.fromkeys(days)) or "no date"


def _place(stac: dict[str, Any]) -> str:
    box = stac["extent"]["spatial"]["bbox"][0]
    west, south, east, north = box if len(box) == 4 else (box[0], box[1], box[3], box[4])
    latitudes = f"{_degrees(south, 'N', 'S')}–{_degrees(north, 'N', 'S')}"
    return f"{latitudes}, {_degrees(west, 'E', 'W')}–{_degrees(east, 'E', 'W')}"


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):.2f}° {positive if value >= 0 else negative}"
