"""Search: parameters, results, paging, geometry; and that ten thousand items are no burden."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.catalogue.disk import write_json
from bdap_hub.catalogue.geometry import meet
from bdap_hub.catalogue.search import EVER, from_body, from_parameters, read_period
from bdap_hub.catalogue.store import Catalogue, find
from bdap_hub.errors import BadRequest


def square(west: float, south: float, size: float = 1.0) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def item(number: int, west: float, south: float, day: str, cloud: float, collection: str = "c") -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"i{number:05d}",
        "collection": collection,
        "geometry": square(west, south),
        "bbox": [west, south, west + 1, south + 1],
        "properties": {"datetime": f"{day}T10:00:00Z", "eo:cloud_cover": cloud, "platform": f"p{number % 2}"},
        "assets": {},
        "links": [],
    }


def stock(folder: Path, items: list[dict[str, Any]], collection: str = "c") -> Catalogue:
    home = folder / collection
    (home / "items").mkdir(parents=True, exist_ok=True)
    write_json(home / "collection.json", {"id": collection, "bdap:visibility": "public"})
    for each in items:
        write_json(home / "items" / f"{each['id']}.json", each)
    return Catalogue(folder)


@pytest.fixture
def five(tmp_path: Path) -> Catalogue:
    return stock(tmp_path, [item(n, n * 2.0, 45, f"2025-0{n + 3}-01", n * 20.0) for n in range(5)])


@pytest.mark.parametrize(
    ("bbox", "found"),
    [([179, 45, 179.9, 46], [1]), ([-179.9, 45, -179, 46], [1]), ([170, 45, -179, 46], [1]), ([0, 45, 170, 46], [2])],
)
def test_an_item_across_the_antimeridian(tmp_path: Path, bbox: list[float], found: list[int]) -> None:
    crossing = item(1, 178, 45, "2025-01-01", 0) | {"bbox": [178, 45, -178, 46]}
    assert ids(stock(tmp_path, [crossing, item(2, 10, 45, "2025-01-01", 0)]), bbox=bbox) == found


def ids(catalogue: Catalogue, **body: Any) -> list[int]:
    return [int(i["id"][1:]) for i in find(catalogue.collections().values(), from_body(body)).items]


SEARCHES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [4, 3, 2, 1, 0]),
    ({"bbox": [2.5, 45.5, 4.5, 46]}, [2, 1]),
    ({"bbox": [2.5, 45.5, 0, 4.5, 46, 9]}, [2, 1]),
    ({"bbox": [170, 40, 0.5, 50]}, [0]),
    ({"bbox": [50, 50, 60, 60]}, []),
    ({"datetime": "2025-04-01"}, [1]),
    ({"datetime": "2025-04-01T10:00:00Z"}, [1]),
    ({"datetime": "2025-04-01T11:00:00Z"}, []),
    ({"datetime": "2025-04-01/2025-05-01"}, [2, 1]),
    ({"datetime": "../2025-04-01"}, [1, 0]),
    ({"datetime": "2025-06-30T00:00:00+02:00/.."}, [4]),
    ({"ids": ["i00003", "nothing"]}, [3]),
    ({"ids": []}, []),
    ({"collections": []}, []),
    ({"collections": ["c"]}, [4, 3, 2, 1, 0]),
    ({"query": {"eo:cloud_cover": {"lt": 40}}}, [1, 0]),
    ({"query": {"eo:cloud_cover": {"gte": 20, "lte": 60}}}, [3, 2, 1]),
    ({"query": {"properties.platform": {"eq": "p1"}}}, [3, 1]),
    ({"query": {"platform": {"neq": "p1"}}}, [4, 2, 0]),
    ({"query": {"platform": {"in": ["p1", "x"]}}}, [3, 1]),
    ({"query": {"platform": {"startsWith": "p", "endsWith": "0"}}}, [4, 2, 0]),
    ({"query": {"missing": {"lt": 3}}}, []),
    ({"query": {"platform": {"lt": 3}}}, []),
    ({"sortby": [{"field": "eo:cloud_cover", "direction": "asc"}]}, [0, 1, 2, 3, 4]),
    ({"sortby": [{"field": "platform", "direction": "desc"}, {"field": "id", "direction": "asc"}]}, [1, 3, 0, 2, 4]),
    ({"intersects": {"type": "Point", "coordinates": [4.5, 45.5]}}, [2]),
    ({"intersects": {"type": "Polygon", "coordinates": [[[0, 46], [3, 49], [0, 49], [0, 46]]]}}, [0]),
    ({"limit": 2}, [4, 3]),
    ({"limit": 2, "token": "2"}, [2, 1]),
]


@pytest.mark.parametrize(("body", "expected"), SEARCHES)
def test_searches(five: Catalogue, body: dict[str, Any], expected: list[int]) -> None:
    assert ids(five, **body) == expected


def test_get_and_post_mean_the_same() -> None:
    body = {
        "collections": ["a", "b"],
        "bbox": [1, 2, 3, 4],
        "datetime": "2025-01-01/..",
        "query": {"eo:cloud_cover": {"lt": 20}},
        "sortby": [{"field": "datetime", "direction": "desc"}, {"field": "id", "direction": "asc"}],
        "limit": 5,
    }
    parameters = {
        "collections": "a,b",
        "bbox": "1,2,3,4",
        "datetime": "2025-01-01/..",
        "query": json.dumps(body["query"]),
        "sortby": "-datetime,+id",
        "limit": "5",
    }
    assert from_parameters(parameters) == from_body(body)


WRONG: list[tuple[Any, str]] = [
    ([], "no JSON object"),
    ({"colections": ["a"]}, "unknown parameter 'colections'"),
    ({"collections": "a"}, "collections is no list"),
    ({"bbox": [1, 2, 3]}, "is no box"),
    ({"bbox": [1, 5, 3, 4]}, "is no box"),
    ({"bbox": [1, 2, 3, "x"]}, "is no box"),
    ({"bbox": [1, 2, 3, float("nan")]}, "is no box"),
    ({"bbox": [1, 2, 3, 4], "intersects": square(0, 0)}, "cannot both"),
    ({"intersects": {"type": "Circle"}}, "not GeoJSON"),
    ({"intersects": {"type": "Polygon", "coordinates": []}}, "not GeoJSON"),
    ({"intersects": "here"}, "not GeoJSON"),
    ({"intersects": {"type": "MultiPoint", "coordinates": [[8, 45]] * 5001}}, "more than 5000 points"),
    ({"datetime": "soon"}, "is no date"),
    ({"datetime": "../.."}, "open on both sides"),
    ({"datetime": "2025-02-01/2025-01-01"}, "ends before it begins"),
    ({"query": {"a": {"like": 1}}}, "unknown operator 'like'"),
    ({"query": {"a": 1}}, "no object"),
    ({"query": {"a": {"in": 1}}}, "wants a list"),
    ({"sortby": ["datetime"]}, "no list of fields"),
    ({"limit": 0}, "limit 0"),
    ({"limit": "many"}, "limit 'many'"),
    ({"token": "-1"}, "not one of ours"),
    ({"token": "../x"}, "not one of ours"),
]


@pytest.mark.parametrize(("body", "sentence"), WRONG)
def test_wrong_parameters_are_named(body: Any, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as wrong:
        from_body(body)
    assert wrong.value.remedy


def test_a_detailed_geometry_is_not_too_much() -> None:
    points = {"type": "MultiPoint", "coordinates": [[8, 45]] * 5000}
    assert from_body({"intersects": points}).intersects == points


def test_no_datetime_means_ever() -> None:
    assert read_period(None) == EVER


def test_a_large_limit_is_cut() -> None:
    assert from_body({"limit": 1_000_000}).limit == 1000


HOLE = {"type": "Polygon", "coordinates": [square(0, 0, 10)["coordinates"][0], square(4, 4, 2)["coordinates"][0]]}
MEETINGS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (square(0, 0), square(0.5, 0.5), True),
    (square(0, 0), square(1, 1), True),
    (square(0, 0), square(1.1, 0), False),
    (square(0, 0, 10), square(4, 4), True),
    (HOLE, square(4.5, 4.5, 0.5), False),
    (HOLE, square(3.5, 4.5, 0.8), True),
    (square(0, 0), {"type": "Point", "coordinates": [0.5, 0.5]}, True),
    (square(0, 0), {"type": "Point", "coordinates": [1.5, 0.5]}, False),
    (HOLE, {"type": "Point", "coordinates": [5, 5]}, False),
    (square(0, 0), {"type": "LineString", "coordinates": [[-1, 0.5], [2, 0.5]]}, True),
    (square(0, 0), {"type": "LineString", "coordinates": [[0.2, 0.2], [0.4, 0.3]]}, True),
    (square(0, 0), {"type": "LineString", "coordinates": [[-1, 2], [2, 2]]}, False),
    (square(0, 0), {"type": "MultiPoint", "coordinates": [[9, 9], [0.5, 0.5]]}, True),
    (square(0, 0), {"type": "MultiPolygon", "coordinates": [square(5, 5)["coordinates"], HOLE["coordinates"]]}, True),
    (square(0, 0), {"type": "Feature", "geometry": square(0.2, 0.2), "properties": {}}, True),
    (square(0, 0), {"type": "GeometryCollection", "geometries": [square(5, 5), square(0.2, 0.2)]}, True),
]


@pytest.mark.parametrize(("a", "b", "expected"), MEETINGS)
def test_geometries_meet(a: dict[str, Any], b: dict[str, Any], expected: bool) -> None:
    assert meet(a, b) is expected
    assert meet(b, a) is expected


def test_changes_on_disk_are_seen_at_once(five: Catalogue) -> None:
    assert len(ids(five)) == 5
    write_json(five.folder / "c" / "items" / "i00007.json", item(7, 0, 0, "2025-09-01", 0))
    assert ids(five)[0] == 7
    write_json(five.folder / "c" / "items" / "i00007.json", item(7, 0, 0, "2024-09-01", 0))
    assert ids(five)[-1] == 7
    (five.folder / "c" / "items" / "i00007.json").unlink()
    assert len(ids(five)) == 5


def test_a_broken_file_does_not_take_the_catalogue_down(five: Catalogue) -> None:
    assert len(ids(five)) == 5
    (five.folder / "c" / "collection.json").write_text("{")
    assert len(ids(five)) == 5


@pytest.mark.parametrize(
    "wrong", [{"properties": {"datetime": None, "start_datetime": "soon"}}, {"bbox": None}, {"properties": []}]
)
def test_an_odd_item_costs_its_own_collection_only(five: Catalogue, wrong: dict[str, Any]) -> None:
    """Whoever writes in an ingested folder writes items too."""
    stock(five.folder, [item(9, 0, 0, "2025-01-01", 1, "odd") | wrong], "odd")
    assert sorted(five.collections()) == ["c"] and len(ids(five)) == 5
    stock(five.folder, [item(9, 0, 0, "2025-01-01", 1, "odd")], "odd")
    assert sorted(five.collections()) == ["c", "odd"]


def test_ten_thousand_items_are_found_quickly(tmp_path: Path) -> None:
    day = [f"2025-{m:02d}-{d:02d}" for m in range(1, 13) for d in range(1, 29)]
    many = [item(n, n % 340 - 170, n % 140 - 70, day[n % len(day)], n % 100) for n in range(10_000)]
    catalogue = stock(tmp_path, many)
    catalogue.collections()
    body = {"bbox": [0, 0, 40, 40], "datetime": "2025-06-01/2025-08-01", "query": {"eo:cloud_cover": {"lt": 20}}}
    search = from_body(body)
    start = time.perf_counter()
    for _ in range(10):
        page = find(catalogue.collections().values(), search)
    seconds = (time.perf_counter() - start) / 10
    expected = [
        i for i in many
        if -1 <= i["bbox"][0] <= 40 and -1 <= i["bbox"][1] <= 40
        and "2025-06-01" <= i["properties"]["datetime"][:10] <= "2025-08-01" and i["properties"]["eo:cloud_cover"] < 20
    ]  # fmt: skip
    assert page.matched == len(expected) > 0
    assert seconds < 0.1


def test_pages_join_without_gap_or_double(tmp_path: Path) -> None:
    catalogue = stock(tmp_path, [item(n, 0, 0, "2025-01-01", 0) for n in range(25)])
    seen, start = [], 0
    while True:
        page = find(catalogue.collections().values(), from_body({"limit": 7, "token": str(start)}))
        seen += [i["id"] for i in page.items]
        if page.following is None:
            break
        start = page.following
    assert seen == sorted(seen) and len(set(seen)) == 25
