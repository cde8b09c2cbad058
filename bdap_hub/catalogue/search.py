"""What a search asks for: the parameters of STAC API 1.0 item search, checked. PURE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import BadRequest
from .geometry import parts

DEFAULT_LIMIT, MAX_LIMIT = 10, 1000
MAX_POINTS = 5000  # each is compared with each edge of each item
EVER = (float("-inf"), float("inf"))
OPERATORS = ("eq", "neq", "lt", "lte", "gt", "gte", "in", "startsWith", "endsWith", "contains")
KNOWN = {"collections", "ids", "bbox", "intersects", "datetime", "limit", "token", "query", "sortby"}


@dataclass(frozen=True)
class Search:
    """A checked search. `period` is in seconds since 1970, both ends included; `collections` None: all one may see."""

    collections: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    bbox: tuple[float, float, float, float] | None = None
    intersects: dict[str, Any] | None = None
    period: tuple[float, float] = EVER
    query: tuple[tuple[str, str, Any], ...] = ()
    sortby: tuple[tuple[str, bool], ...] = ()
    limit: int = DEFAULT_LIMIT
    start: int = 0


def from_body(body: Any) -> Search:
    """From a JSON body; BadRequest names the parameter that is wrong."""
    if not isinstance(body, Mapping):
        raise BadRequest("the body is no JSON object", 'send for example {"collections": ["sentinel-2-demo"]}')
    if unknown := set(body) - KNOWN:
        raise BadRequest(f"unknown parameter {sorted(unknown)[0]!r}", f"known are: {', '.join(sorted(KNOWN))}")
    if body.get("bbox") is not None and body.get("intersects") is not None:
        raise BadRequest("bbox and intersects cannot both be given", "send one of them")
    intersects = body.get("intersects")
    if intersects is not None and sum(map(len, parts(intersects))) > MAX_POINTS:
        raise BadRequest(f"the geometry has more than {MAX_POINTS} points", "simplify it, or send its bbox")
    return Search(
        collections=_names(body, "collections"),
        ids=_names(body, "ids"),
        bbox=_bbox(body.get("bbox")),
        intersects=intersects,
        period=read_period(body.get("datetime")),
        query=_query(body.get("query")),
        sortby=_sortby(body.get("sortby")),
        limit=_limit(body.get("limit")),
        start=_token(body.get("token")),
    )


def from_parameters(values: Mapping[str, str]) -> Search:
    """From the query string of a GET: lists by comma, JSON for intersects and query, +/- for sortby."""
    body: dict[str, Any] = {key: value for key, value in values.items() if value != ""}
    for key in ("collections", "ids"):
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
    return from_body(body)


def read_period(text: Any) -> tuple[float, float]:
    """Of 'instant', 'from/to', '../to', 'from/..' (RFC 3339, or a bare day, which means all of it)."""
    if text is None:
        return EVER
    ends = str(text).split("/")
    if len(ends) > 2:
        raise BadRequest(f"datetime {text!r} has more than two ends", "write it as from/to")
    first, last = ends[0], ends[-1]
    if len(ends) == 2 and all(end in ("", "..") for end in ends):
        raise BadRequest(f"datetime {text!r} is open on both sides", "give at least one end, or leave it out")
    start = EVER[0] if first in ("", "..") else _instant(first)[0]
    end = EVER[1] if last in ("", "..") else _instant(last)[1]
    if start > end:
        raise BadRequest(f"datetime {text!r} ends before it begins", "write the earlier end first")
    return start, end


def seconds(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return _instant(text)[0]


def _instant(text: str) -> tuple[float, float]:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{text!r} is no date", "write it as 2025-06-01 or 2025-06-01T10:20:31Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    begin = moment.timestamp()
    whole_day = len(text) <= 10
    return begin, begin + (timedelta(days=1).total_seconds() - 1e-3 if whole_day else 0)


def _names(body: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise BadRequest(f"{key} is no list of names", f'send it as {{"{key}": ["..."]}}')
    return tuple(value)


def _bbox(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    try:
        numbers = [float(v) for v in value]
        west, south, east, north = numbers if len(numbers) == 4 else [numbers[i] for i in (0, 1, 3, 4)]
        if len(numbers) not in (4, 6) or not all(abs(v) < 1e6 for v in numbers) or south > north:
            raise ValueError
    except (TypeError, ValueError, IndexError):
        raise BadRequest(f"bbox {value!r:.80} is no box", "send west,south,east,north in degrees") from None
    return west, south, east, north


def _query(value: Any) -> tuple[tuple[str, str, Any], ...]:
    if value is None:
        return ()
    found: list[tuple[str, str, Any]] = []
    if not isinstance(value, Mapping) or not all(isinstance(tests, Mapping) for tests in value.values()):
        raise BadRequest("query is no object of properties", 'send for example {"eo:cloud_cover": {"lt": 20}}')
    for name, tests in value.items():
        for operator, operand in tests.items():
            if operator not in OPERATORS:
                raise BadRequest(f"query has the unknown operator {operator!r}", f"known are: {', '.join(OPERATORS)}")
            if operator == "in" and not isinstance(operand, list):
                raise BadRequest(
                    "the operator 'in' wants a list", 'send for example {"platform": {"in": ["sentinel-2a"]}}'
                )
            found.append((str(name).removeprefix("properties."), operator, operand))
    return tuple(found)


def _sortby(value: Any) -> tuple[tuple[str, bool], ...]:
    """(field, descending) in order of weight."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(
        isinstance(v, Mapping) and isinstance(v.get("field"), str) for v in value
    ):
        raise BadRequest("sortby is no list of fields", 'send for example [{"field": "datetime", "direction": "desc"}]')
    return tuple((v["field"].removeprefix("properties."), str(v.get("direction", "asc")) == "desc") for v in value)


def _limit(value: Any) -> int:
    try:
        limit = DEFAULT_LIMIT if value is None else int(value)
    except (TypeError, ValueError):
        limit = 0
    if limit < 1:
        raise BadRequest(f"limit {value!r} is no number above 0", f"send a number from 1 to {MAX_LIMIT}")
    return min(limit, MAX_LIMIT)


def _token(value: Any) -> int:
    if value is None:
        return 0
    text = str(value)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadRequest(f"the token {value!r} is not one of ours", "take it from the 'next' link of the page before")
    return int(text)


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BadRequest(f"{key} is no JSON", "encode it as JSON in the address, or use POST") from None
