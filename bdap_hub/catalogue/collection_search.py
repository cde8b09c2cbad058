"""Search among collections by place, time, words and CQL2: they are few, so each is looked at. PURE."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cql2

from ..errors import BadRequest
from . import fields
from .geometry import flat, geojson_of, meet
from .moments import EVER, seconds
from .search import Search, from_body, offset

KNOWN = {"bbox", "datetime", "limit", "token", "sortby", "fields", "filter", "filter-lang", "filter-crs", "q"}
ALL = 1000  # what a page holds at most, and where no limit is named
WORDS = ("id", "title", "description", "keywords")


@dataclass(frozen=True)
class Wanted:
    """A checked search; `words` are all to be found (each in any case)."""

    search: Search
    words: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """Where the page begins."""
        return offset(self.search.token)


def read(body: Mapping[str, Any]) -> Wanted:
    """From parameters as a JSON body; all collections where it names no limit."""
    words = body.get("q") or ()
    listed = words.replace(",", " ").split() if isinstance(words, str) else words
    if not isinstance(listed, Sequence) or not all(isinstance(word, str) for word in listed):
        raise BadRequest(f"q {words!r:.60} is no list of words", "send words, such as q=sentinel,ndvi")
    rest = {key: value for key, value in body.items() if key != "q"}
    return Wanted(from_body({"limit": ALL, **rest}, KNOWN), tuple(word.casefold() for word in listed))


def find(documents: Sequence[dict[str, Any]], wanted: Wanted) -> list[dict[str, Any]]:
    """Those that fit, in the order asked for (by id unless it says)."""
    expression = cql2.parse_json(json.dumps(wanted.search.filter)) if wanted.search.filter else None
    found = [each for each in documents if _fits(each, wanted) and _passes(expression, each)]
    for name, descending in reversed(wanted.search.sortby):
        found.sort(key=lambda each: _key(each, name, descending), reverse=descending)
    return found


def picked(documents: list[dict[str, Any]], wanted: Wanted) -> list[dict[str, Any]]:
    """Only the fields asked for."""
    return [fields.pick(each, wanted.search.fields) for each in documents]


def _fits(document: dict[str, Any], wanted: Wanted) -> bool:
    search, extent = wanted.search, document["extent"]
    text = " ".join(str(document.get(key, "")) for key in WORDS).casefold()
    if not all(word in text for word in wanted.words):
        return False
    if search.bbox and not any(
        meet(geojson_of(flat(box)), geojson_of(search.bbox)) for box in extent["spatial"]["bbox"]
    ):
        return False
    return search.period == EVER or any(_during(period, search.period) for period in extent["temporal"]["interval"])


def _during(interval: Sequence[str | None], period: tuple[float, float]) -> bool:
    start = seconds(interval[0]) if interval[0] else EVER[0]
    end = seconds(interval[1]) if interval[1] else EVER[1]
    return start <= period[1] and end >= period[0]


def _passes(expression: cql2.Expr | None, document: dict[str, Any]) -> bool:
    """A property that is not there passes nothing: cql2 cannot tell then."""
    if expression is None:
        return True
    try:
        return bool(expression.matches(document))
    except Exception:  # cql2 has no class of its own for it
        return False


def _key(document: dict[str, Any], name: str, descending: bool) -> tuple[bool, str]:
    value = document.get(name)
    return (value is None) != descending, str(value).casefold()
