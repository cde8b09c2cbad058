"""What a search asks for: the parameters of STAC API 1.0 item search, checked. PURE."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest
from . import filters
from .fields import Fields, read_fields
from .filters import MAX_POINTS, NAME, Node
from .geometry import Box, points_in, read_bbox
from .moments import EVER, Period, read_period

DEFAULT_LIMIT, MAX_LIMIT, MAX_FIELDS = 10, 1000, 20
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,299}")
KNOWN = {
    "collections", "ids", "bbox", "intersects", "datetime", "limit", "token", "query", "sortby", "fields",
    "filter", "filter-lang", "filter-crs",
}  # fmt: skip


@dataclass(frozen=True)
class Search:
    """A checked search. `period` is in seconds since 1970, both ends included; `collections` None: all one may see."""

    collections: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    bbox: Box | None = None
    intersects: dict[str, Any] | None = None
    period: Period = EVER
    filter: Node | None = None
    sortby: tuple[tuple[str, bool], ...] = ()
    fields: Fields | None = None
    limit: int = DEFAULT_LIMIT
    token: str = ""

    @property
    def newest_first(self) -> bool:
        """The order of a search that asks for none, also where it is asked for."""
        return self.sortby in ((), (("datetime", True),))


def from_body(body: Any, known: Collection[str] = KNOWN) -> Search:
    """From a JSON body; BadRequest names the parameter that is wrong."""
    if not isinstance(body, Mapping):
        raise BadRequest("the body is no JSON object", 'send for example {"collections": ["sentinel-2-demo"]}')
    if unknown := set(body) - set(known):
        raise BadRequest(f"unknown parameter {sorted(unknown)[0]!r}", f"known are: {', '.join(sorted(known))}")
    if body.get("bbox") is not None and body.get("intersects") is not None:
        raise BadRequest("bbox and intersects cannot both be given", "send one of them")
    intersects = body.get("intersects")
    if intersects is not None and points_in(intersects) > MAX_POINTS:
        raise BadRequest(f"the geometry has more than {MAX_POINTS} points", "simplify it, or send its bbox")
    return Search(
        collections=_names(body, "collections"),
        ids=_names(body, "ids"),
        bbox=None if body.get("bbox") is None else read_bbox(body["bbox"]),
        intersects=intersects,
        period=read_period(body.get("datetime")),
        filter=_filter(body),
        sortby=_sortby(body.get("sortby")),
        fields=read_fields(body),
        limit=_limit(body.get("limit")),
        token=_token(body.get("token")),
    )


def from_parameters(values: Mapping[str, str], known: Collection[str] = KNOWN) -> Search:
    """From the query string of a GET."""
    return from_body(body_of(values), known)


def body_of(values: Mapping[str, str]) -> dict[str, Any]:
    """As a JSON body: lists by comma, JSON for intersects and query, +/- for sortby, - for fields left out."""
    body: dict[str, Any] = {key: value for key, value in values.items() if value != ""}
    for key in ("collections", "ids", "aggregations"):
        if key in body:
            body[key] = body[key].split(",")
    if "bbox" in body:
        body["bbox"] = body["bbox"].split(",")
    for key in ("intersects", "query"):
        if key in body:
            body[key] = _json(key, body[key])
    if "sortby" in body:
        body["sortby"] = [
            {"field": part.lstrip("+- "), "direction": "desc" if part.startswith("-") else "asc"}
            for part in body["sortby"].split(",")
        ]
    if "fields" in body:
        named = [part.strip() for part in body["fields"].split(",") if part.strip(" +-")]
        include = [part.lstrip("+ ") for part in named if not part.startswith("-")]
        exclude = [part.lstrip("- ") for part in named if part.startswith("-")]
        body["fields"] = {"exclude": exclude} | ({"include": include} if include else {})
    return body


def _filter(body: Mapping[str, Any]) -> Node | None:
    """`filter` and `query` together."""
    if body.get("filter-crs") not in (None, "http://www.opengis.net/def/crs/OGC/1.3/CRS84"):
        raise BadRequest(f"filter-crs {body['filter-crs']!r:.80} is not known", "send longitude and latitude (CRS84)")
    both = (filters.read(body.get("filter"), body.get("filter-lang")), filters.from_query(body.get("query")))
    return filters.all_of([each for each in both if each])


def _names(body: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = body.get(key)
    if value is None:
        return None
    value = value.split(",") if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise BadRequest(f"{key} is no list of names", f'send it as {{"{key}": ["..."]}}')
    return tuple(value)


def _sortby(value: Any) -> tuple[tuple[str, bool], ...]:
    """(field, descending) in order of weight."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(
        isinstance(v, Mapping) and isinstance(v.get("field"), str) for v in value
    ):
        raise BadRequest("sortby is no list of fields", 'send for example [{"field": "datetime", "direction": "desc"}]')
    if len(value) > MAX_FIELDS:
        raise BadRequest(f"sortby lists {len(value)} fields", f"sort by at most {MAX_FIELDS}")
    found = tuple((v["field"].removeprefix("properties."), str(v.get("direction", "asc")) == "desc") for v in value)
    if wrong := next((name for name, _ in found if not NAME.fullmatch(name)), None):
        raise BadRequest(f"{wrong!r:.60} is no field to sort by", "look at the queryables")
    return found


def _limit(value: Any) -> int:
    try:
        limit = DEFAULT_LIMIT if value is None else int(value)
    except (TypeError, ValueError):
        limit = 0
    if limit < 1:
        raise BadRequest(f"limit {value!r} is no number above 0", f"send a number from 1 to {MAX_LIMIT}")
    return min(limit, MAX_LIMIT)


def offset(token: str) -> int:
    """Of tokens that are numbers of what was seen before."""
    if token and not (token.isascii() and token.isdigit() and len(token) < 10):
        raise _not_ours(token)
    return int(token or 0)


def _token(value: Any) -> str:
    if value is None:
        return ""
    if not TOKEN.fullmatch(str(value)):
        raise _not_ours(value)
    return str(value)


def _not_ours(token: Any) -> BadRequest:
    return BadRequest(f"the token {token!r:.60} is not one of ours", "take it from the 'next' link of the page before")


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BadRequest(f"{key} is no JSON", "encode it as JSON in the address, or use POST") from None
