"""Vector cubes: geometries and what is made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from bdap_hub.errors import TooMuch
from bdap_hub.processing.cubes.vectors import features_of
from bdap_hub.processing.graphs.graph import GraphError

from .geometries import (
    FIELDS,
    GEOD,
    LONLAT,
    METRES,
    area,
    chain,
    evaluate,
    point,
    polygon,
    several,
)
from .graphs import node, of


def test_geojson_becomes_a_cube_of_geometries() -> None:
    cube = evaluate(chain())
    assert (cube.dims, cube.labels, cube.kind("geometry")) == (("geometry",), {"geometry": (0, 1, 2)}, "geometry")
    assert [one["properties"]["name"] for one in features_of(cube)] == ["a", "b", "nothing"]
    bare = evaluate(chain(geojson=FIELDS["features"][0]["geometry"]))
    assert bare.labels["geometry"] == (0,)


PROPERTIES = [
    (["area"], ("area",), [[100, 600, None]]),
    (["area", "name"], ("area", "name"), [[100, 600, None], [None, None, None]]),
    (["values"], (0, 1, 2), [[1, 4, None], [2, None, None], [3, None, None]]),
]


@pytest.mark.parametrize(("names", "labels", "values"), PROPERTIES)
def test_properties_become_a_dimension(names: Any, labels: Any, values: Any) -> None:
    given = [dict(one) for one in FIELDS["features"]]
    for one, more in zip(given, ([1, 2, 3], [4], None), strict=True):
        one["properties"] = {**one["properties"], **({"values": more} if more else {})}
    raw = {"l": node("load_geojson", True, data=several(*given), properties=names)}
    cube = evaluate(raw)
    assert cube.labels["properties"] == labels and set(cube.dims) == {"properties", "geometry"}
    np.testing.assert_array_equal(cube.aligned(("properties", "geometry")), np.array(values, float))


@pytest.mark.parametrize("distance", [50, 300])
def test_a_buffer_of_a_point_is_a_disc_in_metres(distance: float) -> None:
    cube = evaluate(chain(METRES, ("vector_buffer", {"distance": distance}), geojson=point(10, 10)))
    (disc,) = features_of(cube)
    assert area(disc["geometry"]) == pytest.approx(math.pi * distance**2, rel=0.01)
    lon, lat = point(10, 10)["geometry"]["coordinates"]
    edge = np.array(disc["geometry"]["coordinates"][0])
    apart = GEOD.inv(np.full(len(edge), lon), np.full(len(edge), lat), *edge.T)[2]
    np.testing.assert_allclose(apart, distance, rtol=1e-3)


def test_a_negative_buffer_may_leave_nothing() -> None:
    cube = evaluate(chain(METRES, ("vector_buffer", {"distance": -60})))
    small, large, nothing = features_of(cube)
    assert small["geometry"] is None and nothing["geometry"] is None and small["properties"]["name"] == "a"
    assert area(large["geometry"]) == pytest.approx((300 - 120) * (200 - 120), rel=1e-3)


REFUSED = [
    (chain(("vector_buffer", {"distance": 10})), "UnitMismatch", "EPSG:4326"),
    (chain(METRES, ("vector_buffer", {"distance": 0})), "ProcessArgumentInvalid", "distance"),
    (chain(("vector_to_regular_points", {"distance": 10})), "UnitMismatch", "EPSG:4326"),
    (chain(("vector_reproject", {"projection": 999999})), "ProcessArgumentInvalid", "999999"),
    (chain(("vector_reproject", {"projection": 32633, "dimension": "t"})), "DimensionNotAvailable", "'t'"),
    (chain(("vector_to_random_points", {"total_count": 1})), "CountMismatch", "2 geometries"),
    (chain(geojson={"type": "Polygon", "coordinates": []}), "ProcessArgumentInvalid", "GeoJSON"),
    (chain(geojson={"type": "GeometryCollection", "geometries": []}), "ProcessArgumentInvalid", "GeoJSON"),
]


@pytest.mark.parametrize(("raw", "code", "said"), REFUSED)
def test_what_cannot_be_done_is_refused_with_the_standards_code(raw: Any, code: str, said: str) -> None:
    with pytest.raises(GraphError, match=said) as error:
        evaluate(raw)
    assert error.value.code == code


@pytest.mark.parametrize(("east", "kept"), [(13.5, ["a"]), (51, ["a", "b"]), (12, [])])
def test_a_box_keeps_the_geometries_that_lie_in_it_as_a_whole(east: float, kept: list[str]) -> None:
    metres = {"west": 500_010, "south": 5_199_500, "east": 500_000 + 10 * east, "north": 5_199_990, "crs": 32633}
    west, south = LONLAT.transform(500_010, 5_199_500)
    right, north = LONLAT.transform(500_000 + 10 * east, 5_199_990)
    degrees = {"west": west, "south": south, "east": right, "north": north}
    for extent in (metres, degrees):
        found = features_of(evaluate(chain(("filter_bbox", {"extent": extent}))))
        assert [one["properties"]["name"] for one in found] == kept


BOW = {"type": "Polygon", "coordinates": [[[15, 46], [15.01, 46.01], [15.01, 46], [15, 46.01], [15, 46]]]}
FLAT = {"type": "Polygon", "coordinates": [[[15, 46], [15, 46], [15, 46], [15, 46]]]}


@pytest.mark.parametrize("geometry", [BOW, FLAT])
def test_damaged_geometries_do_not_break_processes(geometry: Any) -> None:
    for step in (
        ("vector_buffer", {"distance": 50}),
        ("vector_to_regular_points", {"distance": 100}),
        ("vector_to_random_points", {"geometry_count": 3, "seed": 1}),
        ("filter_vector", {"geometries": of("s1")}),
    ):
        assert len(evaluate(chain(METRES, step, geojson=geometry)).labels["geometry"]) == 1
    with pytest.raises(GraphError):
        evaluate(chain(METRES, ("vector_buffer", {"distance": 1e300}), geojson=geometry))


@pytest.mark.parametrize("relation", ["intersects", "disjoint", "within", "contains"])
def test_geometries_are_filtered_by_their_relation_to_others(relation: str) -> None:
    raw = chain(("filter_vector", {"geometries": of("base"), "relation": relation}))
    raw["base"] = node("load_geojson", data=several(polygon(0, 14, 15, 0), point(30, 30)))
    kept = {"intersects": ["a", "b"], "disjoint": [], "within": ["a"], "contains": []}[relation]
    assert [one["properties"]["name"] for one in features_of(evaluate(raw))] == kept


def flat(height: float) -> dict[str, Any]:
    """A polygon of a kilometre or so, as high as that."""
    ring = [[15, 46], [15.01, 46], [15.01, 46 + height], [15, 46]]
    return {"type": "Polygon", "coordinates": [ring]}


def test_points_in_polygons_without_height_are_counted() -> None:
    assert evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 10}), geojson=flat(0.001))).features
    with pytest.raises(TooMuch, match="points are asked for"):
        evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 0.001}), geojson=flat(0)))


def test_points_lie_at_regular_distances_in_polygons() -> None:
    cube = evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 50})))
    small, large, nothing = features_of(cube)
    assert len(small["geometry"]["coordinates"]) == 4 and len(large["geometry"]["coordinates"]) == 24
    assert nothing["geometry"] is None
    one_by_one = evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 50, "group": False})))
    assert {one["geometry"]["type"] for one in features_of(one_by_one)} == {"Point"}
    assert len(one_by_one.labels["geometry"]) == 28
    with pytest.raises(TooMuch, match="100000000 points"):
        evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 0.01})))
    ten = several(*[polygon(20, 35, 50, 15)] * 10)
    assert evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 5}), geojson=ten)).features
    with pytest.raises(TooMuch, match="of 100000 are left"):
        evaluate(chain(METRES, ("vector_to_regular_points", {"distance": 2}), geojson=ten))


def test_random_points_lie_inside_and_come_again_with_the_same_seed() -> None:
    steps = ("vector_to_random_points", {"geometry_count": 40, "seed": 7, "group": True})
    small, large, _ = features_of(evaluate(chain(steps)))
    for one, (west, south, east, north) in ((small, (3, 12, 13, 2)), (large, (20, 35, 50, 15))):
        to_grid = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True)
        x, y = to_grid.transform(*np.array(one["geometry"]["coordinates"]).T)
        columns, rows = (x - 500_000) / 10, (5_200_000 - y) / 10
        assert len(columns) == 40 and (columns > west - 0.01).all() and (columns < east + 0.01).all()
        assert (rows > north - 0.01).all() and (rows < south + 0.01).all() and columns.std() > (east - west) / 6
    assert features_of(evaluate(chain(steps)))[0] == small
    other = ("vector_to_random_points", {"geometry_count": 40, "seed": 8})
    assert features_of(evaluate(chain(other)))[0] != small
