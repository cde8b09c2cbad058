"""What can be counted over a search: STAC's aggregation extension. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest
from .moments import rfc3339
from .search import KNOWN, Search, from_body


@dataclass(frozen=True)
class Aggregate:
    """One thing to count. `over`: count, first, last, month, collection, or a property; `step` rounds numbers down."""

    name: str
    data_type: str
    over: str
    step: float = 0

    @property
    def plain(self) -> bool:
        """One value rather than a number for each of several keys."""
        return self.over in ("count", "first", "last")


TOTAL = Aggregate("total_count", "integer", "count")
ALL = (
    TOTAL,
    Aggregate("datetime_min", "datetime", "first"),
    Aggregate("datetime_max", "datetime", "last"),
    Aggregate("datetime_frequency", "datetime", "month"),
    Aggregate("collection_frequency", "string", "collection"),
    Aggregate("platform_frequency", "string", "platform"),
    Aggregate("cloud_cover_frequency", "numeric", "eo:cloud_cover", step=10),
    Aggregate("grid_code_frequency", "string", "grid:code"),
)
BY_NAME = {each.name: each for each in ALL}
Counted = tuple[Aggregate, list[tuple[Any, int]]]


def read(body: Mapping[str, Any]) -> tuple[Search, tuple[Aggregate, ...]]:
    """The search and what to count over it; all that there is unless it says."""
    wanted = body.get("aggregations")
    wanted = [each.name for each in ALL] if wanted in (None, "", []) else wanted
    if not isinstance(wanted, list) or any(name not in BY_NAME for name in wanted):
        raise BadRequest(f"aggregations {wanted!r:.80} are not all known", f"known are: {', '.join(BY_NAME)}")
    rest = {key: value for key, value in body.items() if key != "aggregations"}
    return from_body(rest, KNOWN), tuple(BY_NAME[name] for name in wanted)


def described(links: list[dict[str, Any]]) -> dict[str, Any]:
    """What may be asked for."""
    named = [
        {"name": each.name, "data_type": each.data_type}
        | ({} if each.plain else {"frequency_distribution_data_type": "string"})
        for each in ALL
    ]
    return {"type": "AggregationCollection", "aggregations": named, "links": links}


def document(links: list[dict[str, Any]], found: Sequence[Counted]) -> dict[str, Any]:
    """The answer."""
    return {"type": "AggregationCollection", "aggregations": [_one(*each) for each in found], "links": links}


def _one(wanted: Aggregate, rows: list[tuple[Any, int]]) -> dict[str, Any]:
    head = {"name": wanted.name, "data_type": wanted.data_type}
    if wanted.over == "count":
        return head | {"value": rows[0][1]}
    if wanted.plain:
        moment = rows[0][0]
        return head | {"value": None if moment is None else rfc3339(moment)}
    buckets = [_bucket(wanted, key, number) for key, number in rows if key is not None]
    return head | {"buckets": buckets, "overflow": 0}


def _bucket(wanted: Aggregate, key: Any, number: int) -> dict[str, Any]:
    bucket: dict[str, Any] = {"key": str(key), "data_type": wanted.data_type, "frequency": number}
    if wanted.step:
        return bucket | {"key": f"{key:g}", "from": key, "to": key + wanted.step}
    return bucket | ({"key": f"{key}-01T00:00:00Z"} if wanted.over == "month" else {})
