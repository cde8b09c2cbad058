"""What a search asks for: parameters, and geometry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bdap_hub.catalogue.geometry import meet
from bdap_hub.catalogue.moments import EVER, read_period
from bdap_hub.catalogue.search import from_body, from_parameters
from bdap_hub.errors import BadRequest
from tests.catalogue.samples import square


def test_get_and_post_mean_the_same() -> None:
    body = {
        "collections": ["a", "b"],
        "bbox": [1, 2, 3, 4],
        "datetime": "2025-01-01T00:00:00Z/..",
        "query": {"eo:cloud_cover": {"lt": 20}},
        "sortby": [{"field": "datetime", "direction": "desc"}, {"field": "id", "direction": "asc"}],
        "limit": 5,
    }
    parameters = {
        "collections": "a,b",
        "bbox": "1,2,3,4",
        "datetime": "2025-01-01T00:00:00Z/..",
        "query": json.dumps(body["query"]),
        "sortby": "-datetime,+id",
        "limit": "5",
    }
    assert from_parameters(parameters) == from_body(body)


WRONG: list[tuple[Any, str]] = [
    ([], "no JSON object"),
    ({"colections": ["a"]}, "unknown parameter 'colections'"),
    ({"collections": 5}, "collections is no list"),
    ({"bbox": [1, 2, 3]}, "is no box"),
    ({"bbox": [1, 5, 3, 4]}, "is no box"),
    ({"bbox": [1, 2, 3, "x"]}, "is no box"),
    ({"bbox": [1, 2, 3, float("nan")]}, "is no box"),
    ({"bbox": [1, 2, 3, 4], "intersects": square(0, 0)}, "cannot both"),
    ({"intersects": {"type": "Circle"}}, "not GeoJSON"),
    ({"intersects": {"type": "Polygon", "coordinates": []}}, "not GeoJSON"),
    ({"intersects": "here"}, "not GeoJSON"),
    ({"intersects": {"type": "MultiPoint", "coordinates": [[8, 45]] * 5001}}, "more than 5000 points"),
    ({"datetime": "soon"}, "is no RFC 3339 time"),
    ({"datetime": "2025-01-01"}, "is no RFC 3339 time"),
    ({"datetime": "2025-13-01T00:00:00Z"}, "is no date"),
    ({"datetime": "../.."}, "open on both sides"),
    ({"datetime": "2025-02-01T00:00:00Z/2025-01-01T00:00:00Z"}, "ends before it begins"),
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


def test_one_name_need_not_be_a_list() -> None:
    assert from_body({"collections": "a,b"}) == from_body({"collections": ["a", "b"]})


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
