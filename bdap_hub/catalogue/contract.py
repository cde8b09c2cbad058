"""What keeps the items: SQLite embedded, pgstac in production, one contract. Knows nothing of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .aggregation import Aggregate
from .search import Search

Item = dict[str, Any]
MANY = 1000
"""So many items of a search are counted, and more where it costs nothing; the aggregation counts them all."""
NEWEST = 5000
"""So many of the newest items are looked at one by one before all that lie at a place are put in order."""


@dataclass(frozen=True)
class Page:
    """A page of results. `matched` counts all, None above MANY; `following` is the token of the next page, if any."""

    items: list[Item]
    matched: int | None
    following: str = ""


class Items(Protocol):
    """A store of items. Every question names the collections that may be looked at; no others are."""

    def search(self, collections: Sequence[str], search: Search) -> Page:
        """What is asked for, newest first unless it says otherwise."""

    def get(self, collection: str, identifier: str) -> Item | None:
        """One item."""

    def aggregate(self, collections: Sequence[str], search: Search, wanted: Aggregate) -> list[tuple[Any, int]]:
        """Keys and numbers of the items a search finds; the key of a plain value is that value."""

    def put(self, collection: dict[str, Any], items: Sequence[Item]) -> None:
        """Add or replace items of a collection, all or none."""

    def drop(self, collection: str, identifiers: Sequence[str]) -> None:
        """Take items away."""

    def forget(self, collection: str) -> None:
        """Take a collection away, with all of its items."""

    def fingerprints(self, collection: str) -> dict[str, str]:
        """What each item was made from (bdap:fingerprint), by its id."""

    def every(self, collection: str) -> Iterator[Item]:
        """All items of a collection, one after the other."""

    def counts(self) -> dict[str, int]:
        """The number of items by collection."""
