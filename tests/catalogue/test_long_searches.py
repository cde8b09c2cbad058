"""Searches that would take minutes end in time, and hold up nobody else meanwhile."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bdap_hub.catalogue import deadline, filters
from bdap_hub.catalogue.aggregation import TOTAL
from bdap_hub.catalogue.contract import Items
from bdap_hub.catalogue.embedded import SqliteItems
from bdap_hub.catalogue.pgstac import PgstacItems
from bdap_hub.catalogue.places import Searches
from bdap_hub.catalogue.search import from_body
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.errors import BadRequest
from bdap_hub.settings import Settings
from bench.catalogue import made
from tests.until import until

from .stores import KINDS, empty_store

ITEMS = made.TILES
PUBLIC = "sentinel-2-demo"


def around(number: int, points: int) -> dict[str, Any]:
    """A circle around all of the items; each number has another."""
    turns = [2 * math.pi * at / points for at in range(points)]
    ring = [[round((80 + number / 10) * math.cos(at), 2), round(45 + 44 * math.sin(at), 2)] for at in turns]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def compared(count: int, points: int) -> dict[str, Any]:
    """A search for what overlaps one of so many circles, which nothing does."""
    geometry = {"property": "geometry"}
    conditions = [{"op": "s_overlaps", "args": [geometry, around(number, points)]} for number in range(count)]
    return {"filter": {"op": "or", "args": conditions}, "filter-lang": "cql2-json"}


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Items:
    """As many items as there are tiles."""
    items = empty_store(request, tmp_path_factory)
    items.put(made.collection(), list(made.items(ITEMS)))
    return items


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A search of several minutes, with more places than may be named."""
    monkeypatch.setattr(filters, "MAX_PLACES", 1000)
    return compared(200, 300)


def test_a_long_search_ends_in_time(store: Items, long: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    search, began = from_body(long), time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(deadline, "SECONDS", 0.5)
        for look in (
            lambda: store.search([made.COLLECTION], search),
            lambda: store.aggregate([made.COLLECTION], search, TOTAL),
        ):
            with pytest.raises(deadline.TooLate, match=r"longer than 0\.5 s") as late:
                look()
            assert late.value.status == 503 and "narrow the bbox" in late.value.remedy
    assert time.monotonic() - began < 20
    assert store.search([made.COLLECTION], from_body({"limit": 5})).matched is None
    assert store.aggregate([made.COLLECTION], from_body({}), TOTAL) == [(None, ITEMS)]


def test_the_time_is_for_searches_alone(store: Items, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "SECONDS", 0)
    with pytest.raises(deadline.TooLate):
        store.search([made.COLLECTION], from_body({"query": {"platform": {"startsWith": "x"}}, **compared(1, 4)}))
    assert len(list(store.every(made.COLLECTION))) == ITEMS
    assert store.counts() == {made.COLLECTION: ITEMS}
    store.put(made.collection(), list(made.items(3)))


def test_several_searches_in_one_have_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "SECONDS", 60)
    with deadline.bounded():
        monkeypatch.setattr(deadline, "SECONDS", 600)
        with deadline.bounded():
            assert deadline.left() <= 60 and not deadline.passed()
        assert deadline.left() <= 60
    assert deadline.left() == math.inf


def test_few_places_are_compared_with() -> None:
    most = compared(filters.MAX_PLACES, 4)
    assert from_body(most).filter == most["filter"]
    for body in (compared(filters.MAX_PLACES + 1, 4), {"filter": {"op": "not", "args": [compared(40, 4)["filter"]]}}):
        with pytest.raises(BadRequest, match=r"compares with \d+ places") as many:
            from_body(body)
        assert "at most 32" in many.value.remedy


@pytest.fixture
def full(service: httpx.Client, installed: Settings) -> Iterator[None]:
    """The public collection has many more items for a while."""
    items = open_catalogue(installed).items
    more = [{**item, "collection": PUBLIC} for item in made.items(ITEMS)]
    items.put({"id": PUBLIC, "type": "Collection", "links": []}, more)
    yield
    items.drop(PUBLIC, [item["id"] for item in more])


def begun_searches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is searched for from now on, once it has its place."""
    begun = list[Any]()

    def counted(search: Any) -> Any:
        return lambda self, *given: (begun.append(given), search(self, *given))[1]

    for store in (SqliteItems, PgstacItems):
        monkeypatch.setattr(store, "search", counted(store.search))
    return begun


async def test_while_strangers_search_all_else_is_answered(
    service: httpx.Client, full: None, hub: Any, long: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "SECONDS", 20)
    monkeypatch.setattr(Searches, "patience", 1.5)
    begun, small = begun_searches(monkeypatch), {"collections": [PUBLIC], "limit": 1}
    async with httpx.AsyncClient(base_url=service.base_url, timeout=60) as client:
        slow = [asyncio.create_task(client.post("/search", json=long)) for _ in range(Searches.at_once)]
        await until(lambda: len(begun) == Searches.at_once)
        refused = await client.post("/search", json=small)
        assert refused.status_code == 429 and refused.headers["Retry-After"] == "5"
        assert refused.json()["message"] == "too many searches are under way"
        for path in (f"/collections/{PUBLIC}", f"/collections/{PUBLIC}/items/{made.item(0)['id']}"):
            assert (await client.get(path)).status_code == 200
        assert (await client.post("/search", json=small, headers=hub.bearer("olga"))).status_code == 200
        assert not any(each.done() for each in slow)
        answers = await asyncio.gather(*slow)
        assert {answer.status_code for answer in answers} == {503}
        assert "longer than 20 s" in answers[0].json()["message"]
        assert (await client.post("/search", json=small)).status_code == 200


def test_a_page_of_a_collection_that_takes_long_to_count_says_about_how_many(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked once the search's time is over: it must not end that, too."""

    def slow(*_: Any) -> Any:
        while not deadline.passed():
            time.sleep(0.01)
        deadline.check()

    def shown() -> httpx.Response:
        return service.get(f"/collections/{PUBLIC}", headers={"Accept": "text/html"})

    def timely(counts: Any) -> Any:
        """As the stores' own look at the time, which comes too seldom where there are few items."""
        return lambda self: (deadline.check(), counts(self))[1]

    known = shown()
    for store in (SqliteItems, PgstacItems):
        monkeypatch.setattr(store, "aggregate", slow)
        monkeypatch.setattr(store, "counts", timely(store.counts))
    monkeypatch.setattr(deadline, "SECONDS", 1)
    late = shown()
    assert (known.status_code, late.status_code) == (200, 200)
    assert "3 items" in known.text and "3 items" in late.text
