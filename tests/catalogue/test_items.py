"""The stores of items, each test on both: SQLite as embedded, pgstac on a real PostgreSQL with PostGIS."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bdap_hub.catalogue.aggregation import BY_NAME
from bdap_hub.catalogue.contract import Items
from bdap_hub.catalogue.disk import write_json
from bdap_hub.catalogue.embedded import SqliteItems
from bdap_hub.catalogue.pgstac import PgstacItems
from bdap_hub.catalogue.search import Search, from_body
from bdap_hub.catalogue.store import Catalogue
from bdap_hub.errors import BadRequest
from tests.catalogue.samples import item, square
from tests.postgres import has_postgis


def described(name: str) -> dict[str, Any]:
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    return {"type": "Collection", "id": name, "stac_version": "1.1.0", "description": name, "license": "other",
            "extent": extent, "links": [], "item_assets": {"B04": {"title": "Red"}}}  # fmt: skip


@pytest.fixture(scope="session")
def pgstac(request: pytest.FixtureRequest) -> PgstacItems:
    """One database for all tests: making its functions takes a second."""
    if not has_postgis():
        pytest.skip("there is no PostGIS: `make test` installs it, or `apt-get install postgresql-15-postgis-3`")
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    return PgstacItems(fresh())


@pytest.fixture(params=["sqlite", "pgstac"])
def items(request: pytest.FixtureRequest, tmp_path: Path) -> Items:
    """An empty store."""
    if request.param == "sqlite":
        return SqliteItems(tmp_path / "catalogue" / "items.sqlite")
    store: PgstacItems = request.getfixturevalue("pgstac")
    for name in store.counts():
        store.forget(name)
    return store


@pytest.fixture
def five(items: Items) -> Items:
    items.put(described("c"), [item(n, n * 2.0, 45, f"2025-0{n + 3}-01", n * 20.0) for n in range(5)])
    return items


def ids(items: Items, names: tuple[str, ...] = ("c",), **body: Any) -> list[int]:
    return [int(i["id"][1:]) for i in items.search(names, from_body(body)).items]


def cql(text: str) -> dict[str, Any]:
    return {"filter": text, "filter-lang": "cql2-text"}


SEARCHES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [4, 3, 2, 1, 0]),
    ({"bbox": [2.5, 45.5, 4.5, 46]}, [2, 1]),
    ({"bbox": [2.5, 45.5, 0, 4.5, 46, 9]}, [2, 1]),
    ({"bbox": [170, 40, 0.5, 50]}, [0]),
    ({"bbox": [50, 50, 60, 60]}, []),
    ({"datetime": "2025-04-01T00:00:00Z/2025-04-01T23:59:59Z"}, [1]),
    ({"datetime": "2025-04-01T10:00:00Z"}, [1]),
    ({"datetime": "2025-04-01T11:00:00Z"}, []),
    ({"datetime": "2025-04-01T00:00:00Z/2025-05-01t23:59:59.5z"}, [2, 1]),
    ({"datetime": "../2025-04-01T23:59:59Z"}, [1, 0]),
    ({"datetime": "2025-06-30T00:00:00+02:00/.."}, [4]),
    ({"ids": ["i00003", "nothing"]}, [3]),
    ({"ids": []}, []),
    ({"query": {"eo:cloud_cover": {"lt": 40}}}, [1, 0]),
    ({"query": {"eo:cloud_cover": {"gte": 20, "lte": 60}}}, [3, 2, 1]),
    ({"query": {"properties.platform": {"eq": "p1"}}}, [3, 1]),
    ({"query": {"platform": {"neq": "p1"}}}, [4, 2, 0]),
    ({"query": {"platform": {"in": ["p1", "x"]}}}, [3, 1]),
    ({"query": {"platform": {"startsWith": "p", "endsWith": "0"}}}, [4, 2, 0]),
    ({"query": {"missing": {"lt": 3}}}, []),
    ({"sortby": [{"field": "eo:cloud_cover", "direction": "asc"}]}, [0, 1, 2, 3, 4]),
    ({"sortby": [{"field": "platform", "direction": "desc"}, {"field": "id", "direction": "asc"}]}, [1, 3, 0, 2, 4]),
    ({"intersects": {"type": "Point", "coordinates": [4.5, 45.5]}}, [2]),
    ({"intersects": {"type": "Polygon", "coordinates": [[[0, 46], [3, 49], [0, 49], [0, 46]]]}}, [0]),
    ({"limit": 2}, [4, 3]),
]


@pytest.mark.parametrize(("body", "expected"), SEARCHES)
def test_searches(five: Items, body: dict[str, Any], expected: list[int]) -> None:
    assert ids(five, **body) == expected


FILTERS: list[tuple[str, list[int]]] = [
    ('"eo:cloud_cover" < 40', [1, 0]),
    ("\"eo:cloud_cover\" < 40 AND platform = 'p1'", [1]),
    ("platform = 'p1' OR \"eo:cloud_cover\" = 0", [3, 1, 0]),
    ("NOT (platform = 'p1')", [4, 2, 0]),
    ("platform <> 'p1'", [4, 2, 0]),
    ('"eo:cloud_cover" BETWEEN 20 AND 60', [3, 2, 1]),
    ("platform IN ('p1', 'p7')", [3, 1]),
    ("platform LIKE 'p%'", [4, 3, 2, 1, 0]),
    ("platform LIKE 'P%'", []),
    ("CASEI(platform) = CASEI('P1')", [3, 1]),
    ("missing IS NULL", [4, 3, 2, 1, 0]),
    ("platform IS NULL", []),
    ("missing = 'x'", []),
    ("missing < 3", []),
    ("id = 'i00002'", [2]),
    ("collection = 'c' AND id IN ('i00001', 'i00002')", [2, 1]),
    ("datetime > TIMESTAMP('2025-05-01T10:00:00Z')", [4, 3]),
    ("datetime >= TIMESTAMP('2025-05-01T12:00:00+02:00')", [4, 3, 2]),
    ("T_AFTER(datetime, TIMESTAMP('2025-06-01T00:00:00Z'))", [4, 3]),
    ("T_INTERSECTS(datetime, INTERVAL('2025-04-01T00:00:00Z', '2025-05-02T00:00:00Z'))", [2, 1]),
    ("S_INTERSECTS(geometry, POINT(4.5 45.5))", [2]),
    ("S_INTERSECTS(geometry, BBOX(2.5, 45.5, 4.5, 46))", [2, 1]),
    ("S_WITHIN(geometry, POLYGON((1 44, 4 44, 4 47, 1 47, 1 44)))", [1]),
    ("S_DISJOINT(geometry, POLYGON((1 44, 9 44, 9 47, 1.5 47, 1 44)))", [0]),
    ('"properties.eo:cloud_cover" < 40', [1, 0]),
]


@pytest.mark.parametrize(("text", "expected"), FILTERS)
def test_filters(five: Items, text: str, expected: list[int]) -> None:
    assert ids(five, **cql(text)) == expected


def test_a_filter_and_a_query_count_both(five: Items) -> None:
    assert ids(five, **cql("platform = 'p0'"), query={"eo:cloud_cover": {"lt": 50}}) == [2, 0]


def test_numbers_and_texts_are_not_compared(five: Items) -> None:
    """pgstac cannot leave such items out; what PostgreSQL says then, with values in it, is nobody's to read."""
    for operator in ("gt", "lt"):
        body = {"query": {"platform": {operator: 3}}}
        if isinstance(five, SqliteItems):
            assert ids(five, **body) == []
        else:
            with pytest.raises(BadRequest, match="value of another kind") as refused:
                ids(five, **body)
            assert "p0" not in str(refused.value)
    assert len(ids(five, query={"platform": {"gt": "a"}})) == 5


def test_only_the_collections_named_are_looked_at(five: Items) -> None:
    five.put(described("d"), [item(7, 0, 45, "2025-09-01", 5, "d")])
    for body in ({}, {"ids": ["i00007"]}, {"bbox": [-1, 44, 11, 47]}, cql('"eo:cloud_cover" < 100'), cql("1 = 1")):
        assert 7 not in ids(five, **body)
        assert 7 in ids(five, ("c", "d"), **body)
        assert ids(five, (), **body) == []
        assert five.search((), from_body(body)).matched == 0
    total = BY_NAME["total_count"]
    assert [five.aggregate(n, Search(), total)[0][1] for n in (("c",), ("c", "d"), ())] == [5, 6, 0]
    frequency = BY_NAME["collection_frequency"]
    assert five.aggregate(("c",), Search(), frequency) == [("c", 5)]
    assert five.aggregate(("c", "d"), Search(), frequency) == [("c", 5), ("d", 1)]


AGGREGATES: list[tuple[str, dict[str, Any], list[tuple[Any, int]]]] = [
    ("total_count", {}, [(None, 5)]),
    ("total_count", {"bbox": [2.5, 45.5, 4.5, 46]}, [(None, 2)]),
    ("platform_frequency", {}, [("p0", 3), ("p1", 2)]),
    ("platform_frequency", {"query": {"eo:cloud_cover": {"lt": 30}}}, [("p0", 1), ("p1", 1)]),
    ("cloud_cover_frequency", {"ids": ["i00001", "i00003"]}, [(20, 1), (60, 1)]),
    ("datetime_frequency", {"datetime": "2025-04-01T00:00:00Z/2025-05-30T00:00:00Z"}, [("2025-04", 1), ("2025-05", 1)]),
    ("datetime_max", {}, [(1751364000.0, 5)]),
    ("datetime_min", {"collections": ["c"]}, [(1740823200.0, 5)]),
    ("datetime_min", {"ids": []}, [(None, 0)]),
]


@pytest.mark.parametrize(("name", "body", "expected"), AGGREGATES)
def test_aggregates(five: Items, name: str, body: dict[str, Any], expected: list[tuple[Any, int]]) -> None:
    assert five.aggregate(("c",), from_body(body), BY_NAME[name]) == expected


@pytest.mark.parametrize(
    ("bbox", "found"),
    [([179, 45, 179.9, 46], [1]), ([-179.9, 45, -179, 46], [1]), ([170, 45, -179, 46], [1]), ([0, 45, 170, 46], [2])],
)
def test_an_item_across_the_antimeridian(items: Items, bbox: list[float], found: list[int]) -> None:
    halves = [square(178, 45, 2)["coordinates"], square(-180, 45, 2)["coordinates"]]
    crossing = item(1, 178, 45, "2025-01-01", 0) | {
        "bbox": [178, 45, -178, 47], "geometry": {"type": "MultiPolygon", "coordinates": halves}
    }  # fmt: skip
    items.put(described("c"), [crossing, item(2, 10, 45, "2025-01-01", 0)])
    assert ids(items, bbox=bbox) == found


def test_a_footprint_is_what_counts_and_not_its_box(items: Items) -> None:
    """Of a swath that lies aslant, as Sentinel-1's."""
    slanted = {"type": "Polygon", "coordinates": [[[0, 45], [1, 46], [1, 45.9], [0.1, 45], [0, 45]]]}
    items.put(described("c"), [item(1, 0, 45, "2025-01-01", 0) | {"geometry": slanted}])
    assert ids(items, bbox=[0, 45.8, 0.1, 46]) == []
    assert ids(items, bbox=[0, 45, 0.2, 45.1]) == ids(items, bbox=[-5, 40, 5, 50]) == [1]


def test_what_is_put_in_comes_back(five: Items) -> None:
    whole = item(9, 0, 0, "2025-01-01", 1) | {
        "assets": {"B04": {"href": "/eos/data/x.tif", "roles": ["data"]}}, "links": [{"rel": "license", "href": "x"}]
    }  # fmt: skip
    five.put(described("c"), [whole])
    found = five.get("c", "i00009")
    assert found == whole
    assert five.get("c", "nothing") is None and five.get("d", "i00009") is None
    assert sorted(each["id"] for each in five.every("c")) == [f"i0000{n}" for n in (0, 1, 2, 3, 4, 9)]


def test_putting_again_replaces(five: Items) -> None:
    changed = item(0, 100, 10, "2024-09-01", 7)
    changed["properties"]["bdap:fingerprint"] = "abc"
    five.put(described("c"), [changed])
    assert ids(five, bbox=[100, 10, 101, 11]) == [0] and ids(five, bbox=[-0.5, 45, 1, 46]) == []
    assert five.counts() == {"c": 5}
    assert five.fingerprints("c") == {"i00000": "abc", **{f"i0000{n}": "" for n in range(1, 5)}}


def test_dropping_and_forgetting(five: Items) -> None:
    five.put(described("d"), [item(7, 0, 45, "2025-09-01", 5, "d")])
    five.drop("c", ["i00001", "nothing"])
    assert ids(five) == [4, 3, 2, 0] and ids(five, bbox=[2, 45, 3, 46]) == []
    five.forget("c")
    assert five.counts() == {"d": 1} and ids(five, ("c", "d")) == [7]


def test_a_wrong_item_leaves_nothing_of_its_page_behind(five: Items) -> None:
    odd = item(8, 0, 0, "2025-01-01", 1) | {"geometry": {"type": "Circle"}}
    with pytest.raises((BadRequest, psycopg.Error)):
        five.put(described("c"), [item(6, 0, 0, "2025-01-01", 1), odd])
    assert five.counts() == {"c": 5}


def test_pages_join_without_gap_or_double(items: Items) -> None:
    """All at the same moment, and the same names in two collections."""
    for name in ("c", "d"):
        items.put(described(name), [item(n, 0, 0, "2025-01-01", 0, name) for n in range(12)])
    seen, token = [], ""
    while True:
        page = items.search(("c", "d"), from_body({"limit": 7, "token": token or None}))
        assert page.matched == 24
        seen += [(i["id"], i["collection"]) for i in page.items]
        if not (token := page.following):
            break
    assert seen == sorted(seen) and len(set(seen)) == 24


def test_a_token_of_somebody_elses_is_told(five: Items) -> None:
    with pytest.raises(BadRequest, match="not one of ours"):
        five.search(("c",), from_body({"token": "next:elsewhere"}))


def test_a_token_tells_nothing_of_items_that_one_may_not_read(five: Items) -> None:
    five.put(described("d"), [item(7, 0, 0, "2025-01-01", 0, "d")])
    following = five.search(("c",), from_body({"limit": 2})).following
    assert len(five.search(("c",), from_body({"token": following})).items) == 3
    theirs = f"next:{b'd'.hex()}:{b'i00007'.hex()}"  # as pgstac writes it
    for token in (theirs, "next:d:i00007", theirs.replace("next", "prev")):
        with pytest.raises(BadRequest, match="not one of ours"):
            five.search(("c",), from_body({"token": token}))


def test_changes_are_seen_at_once(five: Items) -> None:
    five.put(described("c"), [item(7, 0, 0, "2025-09-01", 0)])
    assert ids(five)[0] == 7
    five.put(described("c"), [item(7, 0, 0, "2024-09-01", 0)])
    assert ids(five)[-1] == 7


def test_items_of_earlier_versions_are_taken_over(items: Items, tmp_path: Path) -> None:
    home = tmp_path / "catalogue" / "c"
    (home / "items").mkdir(parents=True)
    write_json(home / "collection.json", described("c"))
    for number in range(3):
        write_json(home / "items" / f"{number}.json", item(number, 0, 0, "2025-01-01", 1))
    odd = home / "items" / "odd.json"
    write_json(odd, item(9, 0, 0, "soon", 1))
    catalogue = Catalogue(tmp_path / "catalogue", items)
    found = catalogue.collections()
    assert sorted(found) == ["c"] and ids(items) == [0, 1, 2]
    assert list(odd.parent.iterdir()) == [odd]
    assert found["c"].stac["bdap:properties"]["eo:cloud_cover"] == "number"  # for the queryables
    assert catalogue.collections()["c"] == found["c"]


def test_a_broken_collection_does_not_take_the_catalogue_down(items: Items, tmp_path: Path) -> None:
    for name in ("c", "d"):
        (tmp_path / "catalogue" / name).mkdir(parents=True)
        write_json(tmp_path / "catalogue" / name / "collection.json", described(name))
    catalogue = Catalogue(tmp_path / "catalogue", items)
    assert sorted(catalogue.collections()) == ["c", "d"]
    (tmp_path / "catalogue" / "c" / "collection.json").write_text("{")
    assert sorted(catalogue.collections()) == ["c", "d"]
    assert sorted(Catalogue(tmp_path / "catalogue", items).collections()) == ["d"]


def test_twenty_thousand_items_are_found_by_place_and_time(tmp_path: Path) -> None:
    day = [f"2025-{m:02d}-{d:02d}" for m in range(1, 13) for d in range(1, 29)]
    many = [item(n, n % 340 - 170, n % 140 - 70, day[n % len(day)], n % 100) for n in range(20_000)]
    store = SqliteItems(tmp_path / "items.sqlite")
    store.put(described("c"), many)
    body = {
        "bbox": [0, 0, 40, 40],
        "datetime": "2025-06-01T00:00:00Z/2025-08-01T23:59:59Z",
        "query": {"eo:cloud_cover": {"lt": 20}},
    }
    start = time.process_time()
    page = store.search(("c",), from_body(body))
    assert time.process_time() - start < 1
    expected = [
        i for i in many
        if -1 <= i["bbox"][0] <= 40 and -1 <= i["bbox"][1] <= 40
        and "2025-06-01" <= i["properties"]["datetime"][:10] <= "2025-08-01" and i["properties"]["eo:cloud_cover"] < 20
    ]  # fmt: skip
    assert page.matched == len(expected) > 0


def test_pgstac_has_an_index_of_clouds_in_each_collection(pgstac: PgstacItems) -> None:
    pgstac.put(described("cloudy"), [item(1, 8, 45, "2025-01-01", 5.0, "cloudy")])
    text = "SELECT count(*) FROM pg_indexes WHERE tablename LIKE '%items%' AND indexdef LIKE '%eo:cloud_cover%'"
    with psycopg.connect(pgstac.dsn) as connection:
        parts = connection.execute("SELECT count(*) FROM pgstac.partitions").fetchone()
        assert connection.execute(text).fetchone() == parts and parts != (0,)
