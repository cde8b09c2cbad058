"""A search of which more fits than is counted: both stores give the newest first, page by page, and none twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bdap_hub.catalogue import embedded, pgstac
from bdap_hub.catalogue.aggregation import TOTAL
from bdap_hub.catalogue.contract import Items
from bdap_hub.catalogue.pgstac import PgstacItems
from bdap_hub.catalogue.search import Search, from_body
from bench.catalogue import made

from .stores import KINDS, empty_store

ITEMS, MANY, NEWEST = made.TILES, 100, 150  # one visit of the whole area; the limits of a much larger one
NORTH = [-20, 44, 40, 59]
"""Half of it, a ninth of the globe."""


SECOND = [{**item, "collection": "second", "id": f"{item['id']}-b"} for item in made.items(ITEMS)][::3]


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Items:
    """As many items as there are tiles."""
    items = empty_store(request, tmp_path_factory)
    items.put(made.collection(), list(made.items(ITEMS)))
    items.put({**made.collection(), "id": "second"}, SECOND)
    if isinstance(items, PgstacItems):
        with items._connection() as connection:
            connection.execute("ANALYZE")
    return items


@pytest.fixture(autouse=True)
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is many here."""
    for module in (embedded, pgstac):
        monkeypatch.setattr(module, "MANY", MANY)
        monkeypatch.setattr(module, "NEWEST", NEWEST)


def everything(store: Items, **asked: Any) -> list[str]:
    """The ids of all pages."""
    found, token = [], ""
    while True:
        page = store.search([made.COLLECTION], from_body({**asked, "token": token or None}))
        found += [item["id"] for item in page.items]
        if not (token := page.following):
            return found


def expected(fits: Callable[[dict[str, Any]], bool]) -> list[str]:
    """What fits, the newest first."""
    found = [item for item in made.items(ITEMS) if fits(item)]
    return [item["id"] for item in sorted(found, key=lambda item: item["properties"]["datetime"], reverse=True)]


def in_the_north(item: dict[str, Any]) -> bool:
    return item["bbox"][3] >= NORTH[1]


SEARCHES: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
    "all": ({}, lambda item: True),
    "a place": ({"bbox": NORTH}, in_the_north),
    "a place, the newest first": (
        {"bbox": NORTH, "sortby": [{"field": "datetime", "direction": "desc"}]},
        in_the_north,
    ),
    "few clouds at a place": (
        {"bbox": NORTH, "query": {"eo:cloud_cover": {"lt": 60}}},
        lambda item: in_the_north(item) and item["properties"]["eo:cloud_cover"] < 60,
    ),
    "few of the place's, among the newest none": (
        {"bbox": NORTH, "query": {"eo:cloud_cover": {"lt": 2}}},
        lambda item: in_the_north(item) and item["properties"]["eo:cloud_cover"] < 2,
    ),
    "only the oldest": (
        {"bbox": NORTH, "datetime": "../2017-01-01T11:00:00Z"},
        lambda item: in_the_north(item) and item["properties"]["datetime"] < "2017-01-01T11",
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_every_item_comes_once_the_newest_first(store: Items, name: str) -> None:
    asked, fits = SEARCHES[name]
    wanted = expected(fits)
    assert wanted and everything(store, limit=90, **asked) == wanted


@pytest.mark.parametrize("name", SEARCHES)
def test_a_number_is_right_where_there_is_one(store: Items, name: str) -> None:
    asked, fits = SEARCHES[name]
    number = len(expected(fits))
    assert store.search([made.COLLECTION], from_body({"limit": 10, **asked})).matched in (
        (number,) if number <= MANY else (number, None)
    )
    assert store.aggregate([made.COLLECTION], from_body(asked), TOTAL)[0][1] == number


def test_the_rest_is_not_counted_for_a_page(store: Items) -> None:
    for asked in ({}, {"bbox": NORTH}):
        assert store.search([made.COLLECTION], from_body({"limit": 10, **asked})).matched is None


def test_what_the_database_believes(store: Items) -> None:
    if not isinstance(store, PgstacItems):
        return
    for asked, enough in (({"bbox": NORTH}, True), ({"bbox": [0, 50, 1, 51]}, False)):
        plan = store._plan([made.COLLECTION], from_body(asked))
        assert (store._seem(plan) > 5 * MANY) is enough


def test_several_collections_in_one_order(store: Items) -> None:
    both = [item for item in (*made.items(ITEMS), *SECOND) if in_the_north(item)]
    named = sorted(both, key=lambda item: str(item["id"]))
    wanted = sorted(named, key=lambda item: str(item["properties"]["datetime"]), reverse=True)
    page = store.search([made.COLLECTION, "second"], from_body({"bbox": NORTH, "limit": 300}))
    assert [item["id"] for item in page.items] == [item["id"] for item in wanted[:300]]
    assert page.matched in (None, len(both))


def test_another_order_needs_all_of_them(store: Items) -> None:
    order = {"sortby": [{"field": "eo:cloud_cover", "direction": "asc"}]}
    clouds = [
        item["properties"]["eo:cloud_cover"]
        for item in store.search([made.COLLECTION], from_body({"bbox": NORTH, "limit": 20, **order})).items
    ]
    least = sorted(item["properties"]["eo:cloud_cover"] for item in made.items(ITEMS) if in_the_north(item))
    assert clouds == least[:20]


def test_other_collections_are_not_looked_at(store: Items) -> None:
    assert store.search(["another"], Search()).items == []
    assert everything(store, bbox=NORTH, limit=1000)  # the positive control
