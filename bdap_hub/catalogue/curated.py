"""What curators send: items and collections, checked before they are kept. No I/O but links looked up on the store."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ..errors import BadRequest
from ..settings import StoreSettings
from .geometry import flat, shape_of
from .items import ITEM_ID, STAC_VERSION, reads_as_number
from .moments import times_of

TEXTS = ("title", "description", "license", "providers", "keywords", "links")
ACCESS = ("bdap:visibility", "bdap:project", "bdap:folder")
MOST = 1000


def items_of(body: Any) -> list[dict[str, Any]]:
    """The items in a body: one, or a collection of features."""
    found = body.get("features") if isinstance(body, Mapping) and body.get("type") == "FeatureCollection" else [body]
    if not isinstance(found, list) or not found or len(found) > MOST:
        raise BadRequest(
            f"the body holds no items, or more than {MOST}", "send an item, or a FeatureCollection of items"
        )
    return [dict(one) if isinstance(one, Mapping) else {} for one in found]


def item_of(raw: Mapping[str, Any], collection: Mapping[str, Any], store: StoreSettings) -> dict[str, Any]:
    """An item as it is kept; BadRequest names what is wrong in it."""
    identifier = raw.get("id")
    if not isinstance(identifier, str) or not ITEM_ID.fullmatch(identifier):
        raise BadRequest(
            f"{identifier!r:.60} cannot be an item's id", "use letters, digits, dots, hyphens, underscores"
        )
    if raw.get("collection", collection["id"]) != collection["id"]:
        raise BadRequest(f"{identifier} says that it belongs to {raw['collection']!r:.60}", "send it there")
    properties, assets = raw.get("properties"), raw.get("assets")
    if raw.get("type") != "Feature" or not isinstance(properties, Mapping) or not isinstance(assets, Mapping):
        raise BadRequest(f"{identifier} is no STAC item", "it needs type Feature, geometry, properties and assets")
    times_of(dict(properties))
    if not reads_as_number(properties.get("eo:cloud_cover") or 0):
        raise BadRequest(f"eo:cloud_cover of {identifier} is no number", "write percent, or leave it out")
    bounds = shape_of(raw.get("geometry")).bounds
    folder = str(collection.get("bdap:folder") or "")
    return {
        **raw,
        "stac_version": STAC_VERSION,
        "collection": collection["id"],
        "bbox": list(flat(raw["bbox"]) if raw.get("bbox") else bounds),
        "properties": {key: value for key, value in properties.items() if not str(key).startswith("bdap:")},
        "assets": {str(key): _asset(identifier, asset, folder, store) for key, asset in assets.items()},
        "links": [
            link
            for link in raw.get("links") or []
            if isinstance(link, Mapping) and link.get("rel") in ("license", "derived_from")
        ],
    }


def _asset(identifier: str, asset: Any, folder: str, store: StoreSettings) -> dict[str, Any]:
    """Its file must lie in the collection's folder: whoever reads the collection reads its files."""
    href = asset.get("href") if isinstance(asset, Mapping) else None
    _readable(identifier, asset if isinstance(asset, Mapping) else {})
    if isinstance(href, str) and href.startswith("https://"):
        return dict(asset)  # a link, which nothing here reads
    if not isinstance(href, str) or not folder or posixpath.normpath(href) != href or not href.startswith(f"{folder}/"):
        raise BadRequest(
            f"{identifier} names the file {href!r:.120}", f"its files must lie below {folder or '(no folder)'}"
        )
    try:
        inside = store.path_of(href).resolve().is_relative_to(store.path_of(folder).resolve())
    except ValueError:
        inside = False
    if not inside:
        raise BadRequest(f"{href:.120} leads out of {folder}", "copy the file into the folder")
    return dict(asset)


def _readable(identifier: str, asset: Mapping[str, Any]) -> None:
    """What pages and pictures read of an asset has its kind, else one item would break them for everybody."""
    for key in ("raster:bands", "eo:bands", "bands"):
        if not _objects(asset.get(key, [])):
            raise BadRequest(f"{key} of {identifier} is no list of objects", "write it as the STAC extension says")
    bands = [band for key in ("raster:bands", "bands") for band in asset.get(key, [])]
    numbers = [asset.get("gsd", 1), *(band.get(key, 1) for band in bands for key in ("scale", "offset"))]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        raise BadRequest(f"gsd, scale and offset of {identifier} are no numbers", "write numbers")
    if not all(isinstance(band.get("data_type", ""), str) for band in bands):
        raise BadRequest(f"data_type of {identifier} is no text", "write it as in float32")


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def texts_of(body: Any) -> dict[str, Any]:
    """What a curator may say of a collection."""
    if not isinstance(body, Mapping):
        raise BadRequest("the body is no JSON object", 'send for example {"description": "..."}')
    found = {key: body[key] for key in TEXTS if key in body}
    for key in ("title", "description", "license"):
        if key in found and not isinstance(found[key], str):
            raise BadRequest(f"{key} is no text", "send text")
    for key in ("providers", "keywords", "links"):
        if key in found and not isinstance(found[key], list):
            raise BadRequest(f"{key} is no list", "send a list")
    if not _objects(found.get("providers", [])):
        raise BadRequest("providers is no list of objects", 'send for example [{"name": "..."}]')
    if "links" in found:
        ours = ("self", "root", "parent", "items", "child", "data", "aggregate", "aggregations")
        found["links"] = [
            {"rel": str(link["rel"]), "href": str(link["href"]), **link}
            for link in found["links"]
            if isinstance(link, Mapping) and "href" in link and link.get("rel") not in (None, *ours)
            and "queryables" not in str(link.get("rel"))
        ]  # fmt: skip
    return found


def merged(known: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    base = dict(known) if isinstance(known, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key), value)
    return base
