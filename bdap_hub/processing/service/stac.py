"""STAC documents that others wrote: items with what a plan needs of them, checked; links and files made whole. PURE."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from ..cubes.geometry import around
from ..graphs.graph import GraphError

LISTS = ("bands", "eo:bands", "raster:bands")
RASTERS = (".tif", ".tiff", ".jp2")
FOLLOWED = ("item", "child", "items", "next")

Join = Callable[[str, str], str]


def on_store(place: str, href: str) -> str:
    """A reference in a document at a path of the store, as a path; one to another server as it is."""
    if "://" in href and not href.startswith("file://"):
        return href
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), href.removeprefix("file://")))


def on_web(place: str, href: str) -> str:
    """A reference in a document at an address: an address; of a file, a path of the store."""
    return href.removeprefix("file://") if href.startswith("file:///") else urljoin(place, href)


def items_in(document: Mapping[str, Any]) -> list[Any]:
    """The items of a document that is one, or a collection of features."""
    if document["type"] == "Feature":
        return [document]
    features = document.get("features")
    return features if document["type"] == "FeatureCollection" and isinstance(features, list) else []


def links_of(document: Mapping[str, Any], place: str, join: Join) -> dict[str, list[str]]:
    """Where the items of a document and the catalogues below lie, by relation; `next` is the page after this one."""
    links = document.get("links")
    found: dict[str, list[str]] = {rel: [] for rel in FOLLOWED}
    for link in links if isinstance(links, list) else ():
        rel, href = (link.get("rel"), link.get("href")) if isinstance(link, Mapping) else (None, None)
        if isinstance(rel, str) and rel in found and isinstance(href, str):
            found[rel].append(join(place, href))
    return found


def item_of(raw: Any, place: str, join: Join, root: str) -> dict[str, Any]:
    """The parts of an item that a plan uses, its files as paths below `root`; GraphError where it is none."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("id"), str):
        raise wrong(place, "holds something that is no STAC item")
    shown = f"{raw['id']!r:.60}"
    try:
        properties = dict(raw.get("properties") or {})
        datetime.fromisoformat(str(properties.get("datetime") or properties.get("start_datetime")))
        bbox = [_finite(v) for v in raw.get("bbox") or around(raw.get("geometry"))]
        assets = {str(key): _asset(asset, place, join) for key, asset in dict(raw.get("assets") or {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, GraphError):
        raise wrong(place, f"gives no date, place or files that can be read for {shown}") from None
    if len(bbox) not in (4, 6):
        raise wrong(place, f"gives the item {shown} a bbox of {len(bbox)} numbers")
    here = {key: asset for key, asset in assets.items() if asset["href"].startswith(root)}
    if not here:
        raise wrong(place, f"names no file of {shown} that lies below {root}")
    return {"id": raw["id"], "bbox": bbox, "properties": properties, "assets": here}


def by_band(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item of a job's result: a file of one band goes by that band's name, which is the same on all dates."""
    assets = {}
    for key, asset in item["assets"].items():
        if not asset["href"].endswith(RASTERS):
            raise GraphError(
                "FormatUnsuitable", f"{key} is no raster that is read here", "save the result of the job as GTiff"
            )
        names = [str(band.get("name")) for band in asset["eo:bands"]]
        assets[names[0] if len(names) == 1 else key] = asset
    return {**item, "assets": assets}


def assets_of(collection: Mapping[str, Any]) -> dict[str, Any]:
    """The `item_assets` of a collection, if they can be read."""
    try:
        return {str(k): _asset({"href": "", **asset}, "", on_store) for k, asset in collection["item_assets"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _asset(raw: Any, place: str, join: Join) -> dict[str, Any]:
    asset = dict(raw)
    href = str(asset["href"])
    asset |= {key: [dict(band) for band in asset.get(key) or ()] for key in LISTS}
    asset |= {"roles": [str(role) for role in asset.get("roles") or ()], "type": str(asset.get("type") or "")}
    if not asset["type"] and href.lower().endswith(RASTERS):
        asset["type"] = "image/tiff"
    return {**asset, "href": href if href.startswith("/") else join(place, href)}


def _finite(raw: Any) -> float:
    if not math.isfinite(value := float(raw)):
        raise ValueError
    return value


def wrong(place: str, what: str) -> GraphError:
    """A document that cannot be used."""
    return GraphError("StacInvalid", f"{place} {what}", "correct the STAC document")
