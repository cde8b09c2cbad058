"""The documents of the STAC API: landing page, collections, items, search results, with their links. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from .contract import Page
from .fields import Fields, pick
from .filters import OPERATORS
from .items import STAC_VERSION
from .store import Collection
from .sums import PROPERTIES

JSON, GEOJSON, SCHEMA = "application/json", "application/geo+json", "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"
QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
AGGREGATE = "https://api.stacspec.org/v0.3.0/aggregation"
STAC, OGC = "https://api.stacspec.org/v1.0.0", "http://www.opengis.net/spec"
CONFORMANCE = (
    *(f"{STAC}/{part}" for part in ("core", "collections", "ogcapi-features", "item-search")),
    *(f"{STAC}/{part}#{more}" for part in ("item-search", "ogcapi-features") for more in ("sort", "fields", "query")),
    *(f"{STAC}/{part}#filter" for part in ("item-search", "ogcapi-features")),
    *(f"{STAC}/collection-search{more}" for more in ("", "#sort", "#fields", "#filter", "#free-text")),
    f"{STAC}/ogcapi-features/extensions/transaction",
    f"{STAC}/collections/extensions/transaction",
    AGGREGATE,
    *(f"{OGC}/ogcapi-features-1/1.0/conf/{part}" for part in ("core", "geojson", "oas30")),
    f"{OGC}/ogcapi-common-2/1.0/conf/simple-query",
    *(f"{OGC}/ogcapi-features-3/1.0/conf/{part}" for part in ("filter", "features-filter")),
    *(
        f"{OGC}/cql2/1.0/conf/{part}"
        for part in (
            "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators", "case-insensitive-comparison",
            "accent-insensitive-comparison", "basic-spatial-functions", "spatial-functions", "temporal-functions",
            "array-functions", "property-property",
        )
    ),
)  # fmt: skip


def landing(base: str, readable: Sequence[Collection]) -> dict[str, Any]:
    """The entry document of the API at `base` (no trailing slash)."""
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "bdap",
        "title": "BDAP catalogue",
        "description": "The data of this platform; files lie on the store that notebooks see.",
        "conformsTo": list(CONFORMANCE),
        "links": [
            link("self", f"{base}/"),
            link("root", f"{base}/"),
            link("conformance", f"{base}/conformance"),
            link("data", f"{base}/collections"),
            link("search", f"{base}/search", GEOJSON, method="GET"),
            link("search", f"{base}/search", GEOJSON, method="POST"),
            link(QUERYABLES, f"{base}/queryables", SCHEMA),
            link("aggregate", f"{base}/aggregate"),
            link("aggregations", f"{base}/aggregations"),
            link("service-desc", f"{base}/api", OPENAPI),
            *(link("child", f"{base}/collections/{c.id}", title=c.stac.get("title") or c.id) for c in readable),
        ],
    }


def collection(base: str, found: Collection) -> dict[str, Any]:
    """One collection with its links."""
    here = f"{base}/collections/{found.id}"
    kept = [one for one in found.stac.get("links", []) if one.get("rel") not in ("self", "parent", "root", "items")]
    return {
        **found.stac,
        "assets": {
            **found.stac.get("assets", {}),
            "thumbnail": {"href": f"{here}/thumbnail", "type": "image/png", "roles": ["thumbnail"], "title": "Preview"},
        },
        "links": [
            link("self", here),
            link("parent", f"{base}/"),
            link("root", f"{base}/"),
            link("items", f"{here}/items", GEOJSON),
            link(QUERYABLES, f"{here}/queryables", SCHEMA),
            link("aggregate", f"{here}/aggregate"),
            link("aggregations", f"{here}/aggregations"),
            *kept,
        ],
    }


def collections(base: str, found: list[dict[str, Any]], matched: int, links: list[dict[str, Any]]) -> dict[str, Any]:
    """A list of collections; `links` lead to other pages of it."""
    return {
        "collections": found,
        "links": [link("self", f"{base}/collections"), link("root", f"{base}/"), *links],
        "numberMatched": matched,
        "numberReturned": len(found),
    }


def item(base: str, found: dict[str, Any]) -> dict[str, Any]:
    """One item with its links."""
    parent = f"{base}/collections/{found['collection']}"
    here = f"{parent}/items/{quote(found['id'], safe=':')}"
    ours = ("parent", "collection", "self", "root", "preview")
    return {
        **found,
        "links": [
            link("self", here, GEOJSON),
            link("preview", f"{here}/thumbnail", "image/png"),
            link("parent", parent),
            link("collection", parent),
            link("root", f"{base}/"),
            *(one for one in found.get("links", []) if one["rel"] not in ours),
        ],
    }


def results(
    base: str,
    path: str,
    parameters: dict[str, str],
    found: Page,
    fields: Fields | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A page of items, with the link to the next one as GET (parameters) or POST (body)."""
    return {
        "type": "FeatureCollection",
        "features": [pick(item(base, each), fields) for each in found.items],
        "links": [
            link("root", f"{base}/"),
            link("self", f"{base}{path}", GEOJSON),
            *following(base, path, parameters, found.following, body),
        ],
        **({} if found.matched is None else {"numberMatched": found.matched}),
        "numberReturned": len(found.items),
    }


def following(
    base: str,
    path: str,
    parameters: dict[str, str],
    token: str,
    body: dict[str, Any] | None = None,
    kind: str = GEOJSON,
) -> list[dict[str, Any]]:
    """The link to the next page, if there is one."""
    if not token:
        return []
    if body is not None:
        return [link("next", f"{base}{path}", kind, method="POST", body={**body, "token": token})]
    return [link("next", f"{base}{path}?{urlencode({**parameters, 'token': token})}", kind, method="GET")]


def queryables(here: str, readable: Sequence[Collection]) -> dict[str, Any]:
    """A JSON schema of the properties that items of these collections have."""
    kinds: dict[str, Any] = {
        "id": {"type": "string"},
        "collection": {"type": "string"},
        "datetime": {"type": "string", "format": "date-time"},
        "geometry": {"$ref": "https://geojson.org/schema/Geometry.json"},
    }
    for each in readable:
        for name, kind in each.stac.get(PROPERTIES, {}).items():
            kinds.setdefault(name, {"type": kind})
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": here,
        "type": "object",
        "title": "Queryables",
        "description": f"Properties for `filter` (CQL2) and for `query`, whose operators are: {', '.join(OPERATORS)}",
        "properties": dict(sorted(kinds.items())),
        "additionalProperties": True,
    }


def link(rel: str, href: str, kind: str = JSON, **more: Any) -> dict[str, Any]:
    """A link of STAC."""
    return {"rel": rel, "href": href, "type": kind, **more}
