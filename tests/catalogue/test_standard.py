"""The API as standard clients and validators use it, over the running service."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pystac_client
import pytest

COVER = "eo:cloud_cover"


@pytest.fixture(scope="module")
def client(service: httpx.Client) -> pystac_client.Client:
    return pystac_client.Client.open(f"{service.base_url}")


def test_pystac_client_finds_collections_and_items(client: pystac_client.Client) -> None:
    assert [c.id for c in client.get_collections()] == ["sentinel-2-demo"]
    whole = client.search(collections=["sentinel-2-demo"], limit=2)
    assert whole.matched() == len(list(whole.items())) == 3
    spring = client.search(datetime="2025-04", bbox=[8, 45, 9, 46], sortby="-datetime")
    assert [item.datetime.isoformat()[:10] for item in spring.items() if item.datetime] == ["2025-04-18"]
    assert client.search(bbox=[0, 0, 1, 1]).matched() == 0


def test_pystac_client_filters_and_picks_fields(client: pystac_client.Client) -> None:
    clouds = {item.id: item.properties[COVER] for item in client.search().items()}
    middle = sorted(clouds.values())[1]
    expected = {identifier for identifier, cloud in clouds.items() if cloud < middle}
    for more in (
        {"filter": f'"{COVER}" < {middle}', "filter_lang": "cql2-text", "method": "GET"},
        {"filter": {"op": "<", "args": [{"property": COVER}, middle]}, "filter_lang": "cql2-json"},
        {"query": {COVER: {"lt": middle}}},
    ):
        assert {item.id for item in client.search(**more).items()} == expected
    few = next(client.search(fields={"include": [f"properties.{COVER}"], "exclude": []}, limit=1).items_as_dicts())
    assert few["properties"].keys() == {COVER} and "assets" not in few
    bare = next(client.search(fields={"include": [], "exclude": ["assets", "links"]}, limit=1).items_as_dicts())
    assert "geometry" in bare and "assets" not in bare and "links" not in bare


def test_collections_are_searched(service: httpx.Client, hub: Any) -> None:
    def found(**parameters: Any) -> list[str]:
        answer = service.get("/collections", params=parameters, headers=hub.bearer("olga"))
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["collections"]]

    everything = ["for-people", "forest-plots", "sentinel-2-demo"]
    assert sorted(found()) == sorted(found(bbox="-180,-90,180,90", datetime="2025-03-01T00:00:00Z/..")) == everything
    assert found(bbox="8.4,45.7,8.7,45.9", sortby="id") == ["for-people", "sentinel-2-demo"]
    assert found(bbox="0,0,1,1") == found(datetime="../2020-01-01T00:00:00Z") == []
    assert found(q="FOREST") == found(filter="id = 'forest-plots'") == ["forest-plots"]
    assert found(sortby="-id", limit="2") == ["sentinel-2-demo", "forest-plots"]
    assert found(sortby="-id", limit="2", token="2") == ["for-people"]
    assert found(filter="missing = 3") == []


def test_counts_over_a_search(service: httpx.Client) -> None:
    def counted(method: str, **body: Any) -> dict[str, Any]:
        more = {"params": body} if method == "GET" else {"json": body}
        answer = service.request(method, "/aggregate", **more)
        assert answer.status_code == 200, answer.text
        return {each["name"]: each.get("value", each.get("buckets")) for each in answer.json()["aggregations"]}

    names = {each["name"] for each in service.get("/aggregations").json()["aggregations"]}
    assert counted("GET").keys() == counted("POST").keys() == names
    assert counted("GET", aggregations="total_count") == {"total_count": 3}
    month = counted("POST", aggregations=["datetime_frequency"], datetime="2025-04-01T00:00:00Z/..")[
        "datetime_frequency"
    ]
    assert [(each["key"], each["frequency"]) for each in month] == [
        ("2025-04-01T00:00:00Z", 1), ("2025-05-01T00:00:00Z", 1)
    ]  # fmt: skip
    one = service.get("/collections/sentinel-2-demo/aggregate", params={"aggregations": "total_count,datetime_max"})
    assert [each["value"] for each in one.json()["aggregations"]] == [3, "2025-05-16T10:20:31.000Z"]
    assert "known are" in service.get("/aggregate", params={"aggregations": "median"}).json()["remedy"]


WRONG: list[tuple[str, str]] = [
    ("eo:cloud <", "is not understood"),
    ("platform", "no condition"),
    ("platform + 1", "is a value, and a condition is wanted"),
    ("S_INTERSECTS(platform, POINT(1 2))", "is no place"),
    ("T_AFTER(datetime, DATE('soon'))", ""),
    ("(" * 200 + "a = 1" + ")" * 200, "nested too deeply"),
    ("(" * 7 + "a = 1" + ")" * 7, "nested too deeply: it has 7 brackets"),
    ("(" * 30 + "a =", "nested too deeply: it has 30 brackets"),  # the grammar would take years
    ("not (" * 20 + "a", "nested too deeply: it has 20 brackets"),
    ("NOT " * 5000 + "a = 1", "no text of at most"),
    ("NOT " * 200 + "a = 1", "nested too deeply"),
    ("a = " + "-" * 5000 + "1", "nested too deeply"),
    ('"x\'; DROP TABLE items --" = 1', "no name of a property"),
    ('"a\\"b" = 1', ""),
    ("unknown_function(a) = 1", "unknown operator"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_wrong_filters_are_told_and_do_no_harm(service: httpx.Client, text: str, sentence: str) -> None:
    answer = service.get("/search", params={"filter": text})
    assert answer.status_code == 400 and sentence in answer.json()["message"]
    assert answer.json()["remedy"]
    assert service.get("/search", params={"filter": '"eo:cloud_cover" >= 0'}).json()["numberMatched"] == 3


def test_what_people_write_is_not_too_deep(service: httpx.Client) -> None:
    inside = "S_INTERSECTS(geometry, MULTIPOLYGON(((-180 -80, 180 -80, 180 80, -180 80, -180 -80))))"
    for text in (f"(({inside}))", "(" * 6 + '"eo:cloud_cover" >= 0' + ")" * 6, " AND ".join([inside] * 20)):
        answer = service.get("/search", params={"filter": text})
        assert answer.status_code == 200 and answer.json()["numberMatched"] == 3, answer.text


def test_a_search_is_short_and_names_few_fields(service: httpx.Client) -> None:
    """It is read before anybody knows who asks."""
    many = {"include": [f"properties.a{number}" for number in range(101)]}
    answer = service.post("/search", json={"fields": many})
    assert answer.status_code == 400 and "names 101 fields" in answer.json()["message"]
    assert service.post("/search", json={"fields": {"include": many["include"][1:]}}).status_code == 200
    long = service.post("/search", json={"ids": ["a" * 1000] * 1100})
    assert (long.status_code, long.json()["code"]) == (413, "TooLarge") and long.json()["remedy"]
    assert service.post("/search", json={"ids": ["a" * 1000] * 800}).status_code == 200


def nested(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"op": "=", "args": [1, 1]}
    for _ in range(depth):
        node = {"op": "not", "args": [node]}
    return node


@pytest.mark.parametrize(
    "wrong",
    [
        nested(60),
        {"op": "=", "args": [{"property": "a"}]},
        {"op": "pg_sleep", "args": [1]},
        {"op": "=", "args": [{"property": {"x": 1}}, 1]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": ["x", 1]}]},
        {"op": "=", "args": [{"property": "a"}, {"timestamp": 5}]},
        {"op": "and", "args": []},
        {"args": [1]},
        [1],
    ],
)
def test_wrong_json_filters_are_told(service: httpx.Client, wrong: Any) -> None:
    answer = service.post("/search", json={"filter": wrong, "filter-lang": "cql2-json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"] and answer.json()["remedy"]
    assert service.post("/search", json={"filter": nested(4)}).status_code == 200


@pytest.mark.parametrize(
    "body", [{"fields": "id"}, {"filter-crs": "EPSG:3857", "filter": "a=1"}, {"filter": "a=1", "filter-lang": "sql"},
             {"sortby": [{"field": "a'b"}]}, {"bbox": [0, 50, 1, 40]}, {"fields": None}, {"datetime": "2025-05-01"}],
)  # fmt: skip
def test_other_wrong_parameters_are_told(service: httpx.Client, body: dict[str, Any]) -> None:
    answer = service.post("/search", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["remedy"]


def alike(cloud: float) -> dict[str, Any]:
    return {"op": "=", "args": [{"property": COVER}, cloud]}


LARGE: list[dict[str, Any]] = [
    {"filter": {"op": "or", "args": [alike(n) for n in range(5000)]}},
    {"filter": {"op": "in", "args": [{"property": "platform"}, [f"p{n}" for n in range(50_000)]]}},
    {"filter": {"op": "in", "args": [{"property": "platform"}, ["x" * 1_000_000]]}},
    {"query": {f"p{n}": {"eq": n} for n in range(5000)}},
    {"query": {"platform": {"in": [f"p{n}" for n in range(50_000)]}}},
    {"sortby": [{"field": f"p{n}"} for n in range(3000)]},
    {"filter": {"op": "=", "args": [{"property": "datetime"}, {"timestamp": "9" * 1_000_000}]}},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LARGE)))
def test_questions_that_are_too_large_are_told(service: httpx.Client, number: int) -> None:
    answer = service.post("/search", json=LARGE[number])
    assert answer.status_code == 400 and answer.json()["remedy"], answer.text[:300]
    assert len(answer.text) < 1000


def test_deep_bodies_are_told(service: httpx.Client) -> None:
    for body in ("[" * 200_000, '{"filter":' * 50_000 + "1" + "}" * 50_000):
        answer = service.post("/search", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and answer.json()["message"], answer.text[:300]


def test_large_questions_are_answered(service: httpx.Client) -> None:
    wide = {"op": "in", "args": [{"property": "platform"}, [f"p{n}" for n in range(500)]]}
    many = {"op": "or", "args": [*(alike(n / 7) for n in range(400)), {"op": ">=", "args": [{"property": COVER}, 0]}]}
    for asked in ({"filter": wide}, {"filter": many}, {"ids": [f"i{n}" for n in range(100_000)]}):
        answer = service.post("/search", json=asked)
        assert answer.status_code == 200, answer.text[:300]
    assert service.post("/search", json={"filter": many}).json()["numberMatched"] == 3
