"""The documents of the STAC API: landing page, collections, items, search results, with their links. PURE."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from .items import STAC_VERSION
from .search import OPERATORS
from .store import Collection, Page

HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\]:\d{1,5}")
JSON, GEOJSON = "application/json", "application/geo+json"
CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)


def landing(base: str, readable: list[Collection]) -> dict[str, Any]:
    """The entry document of the API at `base` (no trailing slash)."""
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "bdap",
        "title": "BDAP catalogue",
        "description": "The data of this platform; files lie on the store that notebooks see.",
        "conformsTo": list(CONFORMANCE),
        "links": [
            _link("self", f"{base}/"),
            _link("root", f"{base}/"),
            _link("conformance", f"{base}/conformance"),
            _link("data", f"{base}/collections"),
            _link("search", f"{base}/search", GEOJSON, method="GET"),
            _link("search", f"{base}/search", GEOJSON, method="POST"),
            _link("http://www.opengis.net/def/rel/ogc/1.0/queryables", f"{base}/queryables", "application/schema+json"),
            _link("service-desc", f"{base}/openapi", "application/vnd.oai.openapi+json;version=3.0"),
            *(_link("child", f"{base}/collections/{c.id}", title=c.stac["title"]) for c in readable),
        ],
    }


def collections(base: str, readable: list[Collection]) -> dict[str, Any]:
    """The list of collections."""
    return {
        "collections": [collection(base, each) for each in readable],
        "links": [_link("self", f"{base}/collections"), _link("root", f"{base}/")],
        "numberMatched": len(readable),
        "numberReturned": len(readable),
    }


def collection(base: str, found: Collection) -> dict[str, Any]:
    """One collection with its links."""
    here = f"{base}/collections/{found.id}"
    return {
        **found.stac,
        "assets": {
            "thumbnail": {"href": f"{here}/thumbnail", "type": "image/png", "roles": ["thumbnail"], "title": "Preview"}
        },
        "links": [
            _link("self", here),
            _link("parent", f"{base}/"),
            _link("root", f"{base}/"),
            _link("items", f"{here}/items", GEOJSON),
            _link("http://www.opengis.net/def/rel/ogc/1.0/queryables", f"{here}/queryables", "application/schema+json"),
            *found.stac.get("links", []),
        ],
    }


def item(base: str, found: dict[str, Any]) -> dict[str, Any]:
    """One item with its links."""
    parent = f"{base}/collections/{found['collection']}"
    return {
        **found,
        "links": [
            _link("self", f"{parent}/items/{found['id']}", GEOJSON),
            _link("parent", parent),
            _link("collection", parent),
            _link("root", f"{base}/"),
            *(link for link in found.get("links", []) if link["rel"] not in ("parent", "collection")),
        ],
    }


def results(
    base: str, path: str, parameters: dict[str, str], found: Page, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A page of items, with the link to the next one as GET (parameters) or POST (body)."""
    links = [_link("root", f"{base}/"), _link("self", f"{base}{path}", GEOJSON)]
    if found.following is not None:
        token = str(found.following)
        if body is None:
            query = urlencode({**parameters, "token": token})
            links.append(_link("next", f"{base}{path}?{query}", GEOJSON, method="GET"))
        else:
            links.append(_link("next", f"{base}{path}", GEOJSON, method="POST", body={**body, "token": token}))
    return {
        "type": "FeatureCollection",
        "features": [item(base, each) for each in found.items],
        "links": links,
        "numberMatched": found.matched,
        "numberReturned": len(found.items),
    }


def queryables(here: str, readable: list[Collection]) -> dict[str, Any]:
    """A JSON schema of the properties that items of these collections have."""
    kinds: dict[str, str] = {"id": "string", "collection": "string"}
    for each in readable:
        for one in each.items[:1] + each.items[-1:]:
            for name, value in one["properties"].items():
                if (kind := _kind(value)) and not name.startswith("bdap:"):
                    kinds.setdefault(name, kind)
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": here,
        "type": "object",
        "title": "Queryables",
        "description": f"Properties for `query`; operators: {', '.join(OPERATORS)}",
        "properties": {name: {"type": kind} for name, kind in sorted(kinds.items())},
        "additionalProperties": True,
    }


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else ""


def _link(rel: str, href: str, kind: str = JSON, **more: Any) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": kind, **more}
