"""Statistics, zonal statistics, series, transects and points equal numpy on the pixels that rasterio finds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.features import geometry_mask
from rasterio.warp import transform

from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.results import values

from .client import Client
from .conftest import DATES, SIZE, truth
from .graphs import band, load, node, of
from .test_exports import BANDS, SQUARES, evaluator, polygons, want

MOMENTS = [f"{d}T10:00:00Z" for d in DATES]


def raw() -> dict[str, Any]:
    return {"data": load(bands=list(BANDS)), "same": node("filter_bands", True, data=of("data"), bands=list(BANDS))}


def lonlat(fields: Any, *places: tuple[float, float]) -> list[list[float]]:
    """Degrees of places in pixels (column, row)."""
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        xs, ys = zip(*[file.transform @ place for place in places], strict=True)
        return np.transpose(transform(file.crs, "EPSG:4326", xs, ys)).tolist()


TRIANGLE = ((31.3, 12.2), (402.7, 88.8), (120.4, 501.1), (31.3, 12.2))


def triangle(fields: Any) -> tuple[dict[str, Any], Any]:
    """A polygon across the pixels, and its mask by rasterio."""
    with rasterio.open(fields[0] / f"data/fields/{DATES[0]}/B04.tif") as file:
        ring = [file.transform @ place for place in TRIANGLE]
        shape = {"type": "Polygon", "coordinates": [ring]}
        mask = geometry_mask([shape], (SIZE, SIZE), file.transform, invert=True)
    return {"type": "Polygon", "coordinates": [lonlat(fields, *TRIANGLE)]}, mask


def test_statistics_of_a_polygon_equal_numpy(fields: Any) -> None:
    geometry, mask = triangle(fields)
    found = values.statistics(evaluator(fields, raw()), geometry)
    assert found["pixels"] == mask.sum() and found["scale"]["coarser"] == 1
    assert found["scale"]["crs"] == "EPSG:3857" and found["scale"]["unit"] == "metre"
    for number, moment in enumerate(MOMENTS):
        for name in BANDS:
            pixels, got = want(number, name)[mask].astype(float), found["statistics"][moment][name]
            assert got["valid"] == np.isfinite(pixels).sum() and got["nodata"] == np.isnan(pixels).sum()
            assert (got["min"], got["max"], got["sum"]) == (np.nanmin(pixels), np.nanmax(pixels), np.nansum(pixels))
            np.testing.assert_allclose(
                [got[key] for key in ("mean", "sd", "median", "p2", "p98")],
                [np.nanmean(pixels), np.nanstd(pixels), *np.nanpercentile(pixels, (50, 2, 98))],
            )


def test_pieces_make_no_difference(fields: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry, _ = triangle(fields)
    whole = values.statistics(evaluator(fields, raw()), geometry)
    monkeypatch.setattr(values, "SIDE", 100)
    pieces = values.statistics(evaluator(fields, raw()), geometry)
    assert pieces["pixels"] == whole["pixels"]
    got, same = (found["statistics"][MOMENTS[1]]["B08"] for found in (pieces, whole))
    assert got == pytest.approx(same, rel=1e-12)


def test_areas_that_are_too_large_are_read_coarser_and_say_so(fields: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_READ", 6 * 128 * 128)
    geometry, mask = triangle(fields)
    found = values.statistics(evaluator(fields, raw()), geometry)
    times = found["scale"]["coarser"]
    assert times == 4 and found["scale"]["resolution"] == pytest.approx(4 * 19.1, rel=0.01)
    assert found["pixels"] == pytest.approx(mask.sum() / times**2, rel=0.05)


def test_a_series_has_the_same_numbers_along_time(fields: Any) -> None:
    geometry, _ = triangle(fields)
    made = evaluator(fields, raw())
    found, each = values.series(made, geometry), values.statistics(made, geometry)
    assert found["dates"] == MOMENTS and found["pixels"] == each["pixels"]
    for name in BANDS:
        for key in ("mean", "valid", "median"):
            assert found["series"][name][key] == [each["statistics"][moment][name][key] for moment in MOMENTS]


def test_a_series_needs_dates(fields: Any) -> None:
    with pytest.raises(GraphError) as refused:
        values.series(evaluator(fields, band("B04")), {"type": "Point", "coordinates": [14.7, 46.5]})
    assert refused.value.code == "DimensionNotAvailable"


def test_a_transect_takes_the_pixels_under_the_line(fields: Any) -> None:
    corners = ((5.2, 500.3), (300.9, 17.4), (511.1, 222.2))
    line = {"type": "LineString", "coordinates": lonlat(fields, *corners)}
    found = values.transect(evaluator(fields, raw()), line)
    with rasterio.open(fields[0] / f"data/fields/{DATES[2]}/B08.tif") as file:
        xy = transform("EPSG:4326", file.crs, found["lon"], found["lat"])
        expected = [value[0] or None for value in file.sample(zip(*xy, strict=True))]
        length = sum(np.hypot(*np.subtract(a, b)) for a, b in itertools.pairwise(corners)) * file.res[0]
    got = found["values"][MOMENTS[2]]["B08"]
    assert len(got) == len(expected) > 850
    assert np.mean([a == b for a, b in zip(got, expected, strict=True)]) > 0.999  # a place on an edge may be either's
    assert found["distance"][-1] == pytest.approx(length, rel=1e-6)
    assert np.diff(found["distance"])[:-1] == pytest.approx(found["scale"]["resolution"])


def test_a_line_away_from_the_data_has_no_values(fields: Any) -> None:
    line = {"type": "LineString", "coordinates": [[10.0, 40.0], [10.001, 40.0]]}
    found = values.transect(evaluator(fields, band("B04")), line)
    assert set(found["values"]["B04"]) == {None}


def test_over_http(ana: Client, platform: Any) -> None:
    made = ana.service(raw())
    service = f"/services/{made['id']}"
    fields = (platform.settings.store.root,)
    squares = polygons(fields)
    zones = ana.http.post(f"{service}/zonal", json=squares).json()["features"]
    for feature, (top, left, bottom, right) in zip(zones, SQUARES, strict=True):
        assert feature["pixels"] == (bottom - top) * (right - left) and feature["scale"]["coarser"] == 1
        mean = np.nanmean(want(1, "B04")[top:bottom, left:right].astype(float))
        assert feature["statistics"][MOMENTS[1]]["B04"]["mean"] == pytest.approx(mean)
    far = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"a": 1}, "geometry": _far()}]}
    (nothing,) = ana.http.post(f"{service}/zonal", json=far).json()["features"]
    assert (nothing["statistics"], nothing["pixels"], nothing["properties"]) == (None, 0, {"a": 1})
    places = lonlat(fields, (100.5, 200.5), (300.5, 50.5))
    asked = {"lon": ",".join(str(p[0]) for p in places), "lat": ",".join(str(p[1]) for p in places)}
    several = ana.http.get(f"{service}/points", params=asked).json()
    assert several["points"][0]["values"][MOMENTS[0]]["B04"] == truth(0)["B04"][200, 100]
    assert several["points"][1]["values"][MOMENTS[2]]["B08"] == truth(2)["B08"][50, 300]
    assert several["points"][0]["chain"] and several["scale"]["crs"] == "EPSG:3857"
    assert ana.http.post(f"{service}/points", json={"points": places}).json() == several
    lon, lat = places[0]
    series = ana.http.get(f"{service}/timeseries", params={"lon": lon, "lat": lat}).json()
    assert series["series"]["B04"]["mean"] == [truth(t)["B04"][200, 100] for t in range(3)] and series["pixels"] == 1
    box = ana.http.get(f"{service}/statistics", params={"bbox": ",".join(map(str, made["configuration"]["bounds"]))})
    assert box.json()["pixels"] == SIZE * SIZE
    line = {"type": "LineString", "coordinates": places}
    assert len(ana.http.post(f"{service}/transect", json=line).json()["distance"]) > 200


def _far() -> dict[str, Any]:
    return {"type": "Point", "coordinates": [0, 0]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("points", {"points": [[200, 0]]}, 400),
        ("points", {"points": [[1, 1]] * 501}, 413),
        ("points", {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, 400),
        ("statistics", {"bbox": [1, 2, 3]}, 400),
        ("statistics", {"type": "Polygon", "coordinates": []}, 400),
        ("statistics", {"type": "Point", "coordinates": [0, 0]}, 400),
        ("zonal", {"type": "FeatureCollection", "features": []}, 400),
        ("timeseries", {"bbox": [1, 1, 1, 1]}, 400),
        ("transect", {"type": "Point", "coordinates": [0, 0]}, 400),
        ("transect", {"type": "LineString", "coordinates": [[14, 46], [15, 47]]}, 413),
    ],
)
def test_what_cannot_be_asked(ana: Client, path: str, body: Any, status: int) -> None:
    service = ana.service(raw())["id"]
    refused = ana.http.post(f"/services/{service}/{path}", json=body)
    assert refused.status_code == status, refused.text
    assert refused.json()["message"]


def test_pixels_are_bounded_as_results_are(
    ana: Client, platform: Any, fields: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, (area, _) = ana.service(raw())["id"], triangle(fields)
    asked = f"/services/{service}/pixels?most"
    assert ana.http.post(f"{asked}=10000", json=area).json()["picked"] == 10_000
    monkeypatch.setattr(platform.settings.processing, "result_mb", 1)
    refused = ana.http.post(f"{asked}=10000", json=area)
    layers = len(MOMENTS) * len(BANDS)
    said = f"10,000 pixels of {layers} dates and bands are {10_000 * layers * 50 >> 20} MB; the limit is 1 MB"
    assert refused.status_code == 413 and said in refused.json()["message"]
    assert ana.http.post(f"{asked}=1000", json=area).json()["picked"] == 1000


@pytest.mark.parametrize("path", ["points", "statistics", "zonal", "timeseries", "transect", "histogram", "pixels"])
def test_others_get_nothing(ana: Client, platform: Any, path: str) -> None:
    service = ana.service(raw())["id"]
    body = {"type": "Point", "coordinates": [14.7, 46.5]}
    assert Client(platform, "", "forged").http.post(f"/services/{service}/{path}", json=body).status_code == 401
    features = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": body}]}
    refused = Client(platform, "ben").http.post(f"/services/{service}/{path}", json=features)
    assert refused.status_code == 404
