"""The collections of the catalogue that the caller may see, with what openEO adds: dimensions and bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Query, Request

from ..graphs.bands import as_given, band_table
from .rights import caller_token
from .room import Room

DATACUBE = "https://stac-extensions.github.io/datacube/v2.2.0/schema.json"
QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
BASIC = ("stac_version", "stac_extensions", "type", "id", "title", "description", "keywords", "license", "providers")


def add_collections(app: FastAPI, prefix: str, room: Room) -> None:
    base = f"{room.settings.hub.public_url}{prefix}"

    @app.get(f"{prefix}/collections")
    async def collections(request: Request, limit: int = Query(1000, ge=1)) -> dict[str, Any]:
        await room.login.principal(request)  # a token that is not valid is said to be so
        found = await room.catalogue.collections(caller_token(request, room.login))
        shown = [_listed(one, base) for one in found[:limit]]
        return {"collections": shown, "links": [{"rel": "self", "href": f"{base}/collections"}]}

    @app.get(f"{prefix}/collections/{{identifier}}")
    async def collection(request: Request, identifier: str) -> dict[str, Any]:
        token = caller_token(request, room.login)
        found = await room.catalogue.collection(identifier, token)
        assets = found.get("item_assets") or (await room.catalogue.example(identifier, token)).get("assets", {})
        return described(found, bands_of(assets), base)

    @app.get(f"{prefix}/collections/{{identifier}}/queryables")
    async def queryables(request: Request, identifier: str) -> Mapping[str, Any]:
        found = await room.catalogue.queryables(identifier, caller_token(request, room.login))
        return {**found, "$id": f"{base}/collections/{identifier}/queryables"}


def bands_of(assets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name and, where it is another, common name of each band that `load_collection` gives."""
    return [
        {"name": name, **({"common_name": band.common_name} if band.common_name not in ("", name) else {})}
        for name, band in band_table({"assets": assets}).items()
    ]


def described(collection: Mapping[str, Any], bands: Sequence[Mapping[str, Any]], base: str) -> dict[str, Any]:
    """A collection with its dimensions (named as in our cubes) and bands, and links of this service."""
    west, south, east, north = _box(collection["extent"]["spatial"]["bbox"][0])
    names = [band["name"] for band in bands]
    dimensions = {
        "x": {"type": "spatial", "axis": "x", "extent": [west, east], "reference_system": 4326},
        "y": {"type": "spatial", "axis": "y", "extent": [south, north], "reference_system": 4326},
        "t": {"type": "temporal", "extent": collection["extent"]["temporal"]["interval"][0]},
        **({"bands": {"type": "bands", "values": names}} if names else {}),
    }
    in_stac_1_1 = [{"eo:common_name" if key == "common_name" else key: band[key] for key in band} for band in bands]
    return {
        **{key: value for key, value in collection.items() if not key.startswith("bdap:folder")},
        "stac_extensions": sorted({*collection.get("stac_extensions", ()), DATACUBE}),
        **({"item_assets": as_given(collection["item_assets"])} if "item_assets" in collection else {}),
        "cube:dimensions": dimensions,
        "summaries": {**collection.get("summaries", {}), "eo:bands": list(bands), "bands": in_stac_1_1},
        "links": _links(collection, base),
    }


def _listed(collection: Mapping[str, Any], base: str) -> dict[str, Any]:
    basic = {key: collection[key] for key in (*BASIC, "extent") if key in collection}
    return {**basic, "links": _links(collection, base)}


def _links(collection: Mapping[str, Any], base: str) -> list[dict[str, Any]]:
    """Those that lead here; of the catalogue's, what it alone has (items, licence)."""
    here = f"{base}/collections/{collection['id']}"
    ours = {"self": here, "parent": f"{base}/collections", "root": f"{base}/", QUERYABLES: f"{here}/queryables"}
    kept = [link for link in collection.get("links", ()) if link["rel"] not in ours]
    return [*({"rel": rel, "href": href, "type": "application/json"} for rel, href in ours.items()), *kept]


def _box(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    return (bbox[0], bbox[1], bbox[2], bbox[3]) if len(bbox) == 4 else (bbox[0], bbox[1], bbox[3], bbox[4])
