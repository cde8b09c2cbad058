"""load_uploaded_files: one's own files as pixels and as geometries, nobody else's, as they are at this moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from affine import Affine
from shapely.geometry import shape

from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.service.workspace import workspace_of
from bdap_hub.processing.vectorfiles import csvs
from bdap_hub.web import HubLogin

from .client import Client, tile
from .conftest import DATES, X, Y, Z, truth, write_tiff
from .graphs import arg, band, call, load, node, of
from .test_geoparquet import parquet_of
from .test_jobs import ended, finished
from .test_load_stac import value

MEAN = call("mean", data=arg("data"))
STYLE = {"format": "PNG", "options": {"min": 0, "max": 10000}}


def raster(folder: Path, date: int, name: str = "B04") -> bytes:
    """A band of one date as a file on the tests' grid."""
    grid = Grid.tile(Z, X, Y)
    path = folder / f"{date}.tif"
    write_tiff(path, truth(date)[name], "EPSG:3857", Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top))
    return path.read_bytes()


def put(client: Client, path: str, content: bytes) -> None:
    answer = client.http.put(f"/files/{path}", content=content)
    assert answer.status_code == 200, answer.text


def pixels(*paths: str, reducer: str = "last", form: str = "GTiff") -> dict[str, Any]:
    """The first or last date of uploaded files, in gray."""
    chosen = call(reducer, data=arg("data"))
    return {
        "data": node("load_uploaded_files", paths=list(paths), format=form),
        "flat": node("reduce_dimension", data=of("data"), reducer=chosen, dimension="t"),
        "save": node("save_result", True, data=of("flat"), **STYLE),
    }


def boxes(*parts: tuple[float, float, float, float]) -> dict[str, Any]:
    """Boxes of the tests' collection (in shares of it) as GeoJSON."""
    west, north = (float(v) for v in Grid.tile(Z, X, Y).bounds()[::3])
    east, south = (float(v) for v in Grid.tile(Z, X + 1, Y + 1).bounds()[2:0:-1])
    features = []
    for name, (a, b, c, d) in enumerate(parts):
        xs, ys = [west + s * (east - west) for s in (a, c)], [north + s * (south - north) for s in (b, d)]
        ring = [[xs[0], ys[0]], [xs[1], ys[0]], [xs[1], ys[1]], [xs[0], ys[1]], [xs[0], ys[0]]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": name, "area": 0.5}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def masked(mask: Any) -> dict[str, Any]:
    """A band outside of some geometries, given or loaded."""
    more = {} if mask.get("type") else {"fields": mask}
    return more | {
        "data": load(bands=["B04"], temporal_extent=[DATES[0], DATES[1]]),
        "cut": node("mask_polygon", data=of("data"), mask=of("fields") if more else mask, inside=True),
        "save": node("save_result", True, data=of("cut"), **STYLE),
    }


def zonal(geometries: Any) -> dict[str, Any]:
    """The means of a band in geometries, as values."""
    return {
        "fields": geometries,
        "data": load(bands=["B04"]),
        "sum": node(
            "aggregate_spatial", data=of("data"), geometries=of("fields"), reducer=call("mean", data=arg("data"))
        ),
        "save": node("save_result", True, data=of("sum"), format="JSON"),
    }


def result(client: Client, graph: Any) -> httpx.Response:
    return client.http.post("/result", json={"process": {"process_graph": graph}}, timeout=120)


@pytest.fixture(scope="module", autouse=True)
def _clean(ana: Client) -> Iterator[None]:
    """Nothing is left of what was uploaded."""
    yield
    clear(ana)


def clear(client: Client) -> None:
    for one in client.http.get("/files").json()["files"]:
        assert client.http.delete(f"/files/{one['path']}").status_code == 204


@pytest.fixture(scope="module")
def ben(platform: Any) -> Client:
    return Client(platform, "ben")


@pytest.fixture
def series(ana: Client, tmp_path: Path) -> list[str]:
    """Two dates of a band among the files of ana."""
    paths = [f"red/b4_{date}.tif" for date in DATES[:2]]
    for number, path in enumerate(paths):
        put(ana, path, raster(tmp_path, number))
    return paths


def test_files_are_read_as_a_collection_is(ana: Client, series: list[str]) -> None:
    own = ana.service(pixels(*series))
    same = ana.service(band("B04", temporal_extent=[DATES[0], DATES[2]], reducer="last") | {
        "flat": node("reduce_dimension", data=of("data"), reducer=call("last", data=arg("data")), dimension="t"),
        "save": node("save_result", True, data=of("flat"), **STYLE),
    })  # fmt: skip
    assert own["attributes"]["dates"] == [[f"{date}T00:00:00+00:00" for date in DATES[:2]]]
    drawn = tile(own)
    assert drawn.status_code == 200 and drawn.content == tile(same).content
    assert drawn.headers["cache-control"].startswith("private")
    assert value(ana, pixels(*series)) == {"b1": truth(1)["B04"][123, 45]}
    assert value(ana, pixels(*series, reducer="first")) == {"b1": truth(0)["B04"][123, 45]}


def test_nobody_else_reads_them(ana: Client, ben: Client, series: list[str], platform: Any) -> None:
    service = ana.service(pixels(*series))
    for path, code in ((series[0], "FileNotFound"), (f"../ana/{series[0]}", "FilePathInvalid"), ("/etc/passwd", "")):
        refused = ben.post(pixels(path))
        assert refused.status_code in (400, 404) and (not code or refused.json()["code"] == code), refused.text
        said = ben.http.post("/validation", json={"process": {"process_graph": pixels(path)}}).json()["errors"]
        assert len(said) == 1 and (not code or said[0]["code"] == code)
    by_path = pixels(series[0]) | {"data": node("load_result", id=f"/eos/files/ana/{series[0]}")}
    assert ben.post(by_path).status_code == 403 and ana.post(by_path).status_code == 201
    theirs = service["url"].partition("sig=")[0] + ben.service(pixels_of(ben))["url"].partition("?")[2]
    assert httpx.get(theirs.format(z=Z, x=X, y=Y)).status_code == 403
    token = HubLogin(platform.settings, "processing").release_token("d", "project-agriculture", 60)
    refused = Client(platform, "", token).post(pixels(series[0]))
    assert refused.status_code == 403 and "a dashboard has no files" in refused.text


def pixels_of(client: Client) -> dict[str, Any]:
    """A graph that everybody may post."""
    return band("B04")


def test_a_file_replaced_is_drawn_anew_and_one_deleted_says_so(ana: Client, tmp_path: Path) -> None:
    put(ana, "now.tif", raster(tmp_path, 0))
    service = ana.service(pixels("now.tif"))
    before = tile(service)
    assert tile(service, **{"If-None-Match": before.headers["etag"]}).status_code == 304
    put(ana, "now.tif", raster(tmp_path, 1))
    after = tile(service, **{"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200 and after.content != before.content
    assert ana.http.delete("/files/now.tif").status_code == 204
    gone = tile(service)
    assert gone.status_code == 503 and "now.tif cannot be opened" in gone.text and "upload it again" in gone.text


@pytest.mark.parametrize("form", ["GeoJSON", "CSV", "Parquet"])
def test_geometries_mask_as_those_in_the_graph(ana: Client, form: str) -> None:
    given, name = boxes((0.1, 0.1, 0.3, 0.4), (0.3, 0.2, 0.45, 0.4)), f"fields.{form.lower()}"
    write = {"GeoJSON": lambda one: json.dumps(one).encode(), "CSV": wkt, "Parquet": geoparquet}[form]
    put(ana, name, write(given))
    own = ana.service(masked(node("load_uploaded_files", paths=[name], format=form)))
    drawn = tile(own)
    assert drawn.status_code == 200 and drawn.content == tile(ana.service(masked(given))).content
    assert drawn.content != tile(ana.service(masked(boxes((0.1, 0.1, 0.3, 0.4))))).content
    put(ana, name, write(boxes((0.1, 0.1, 0.2, 0.2))))
    refused = tile(own, **{"If-None-Match": drawn.headers["etag"]})
    assert refused.status_code == 503 and "was replaced since the graph was posted" in refused.text
    assert ana.post(masked(node("load_uploaded_files", paths=[name], format=form))).json()["id"] != own["id"]


def geoparquet(given: dict[str, Any]) -> bytes:
    """The same as GeoParquet, with the standard's metadata."""
    shapes = [shape(one["geometry"]) for one in given["features"]]
    return parquet_of(shapes, {"encoding": "WKB", "geometry_types": ["Polygon"]})


def wkt(given: dict[str, Any]) -> bytes:
    """The same as CSV."""
    lines = ["name;area;WKT"]
    for one in given["features"]:
        ring = ", ".join(f"{x!r} {y!r}" for x, y in one["geometry"]["coordinates"][0])
        lines.append(f"{one['properties']['name']};0.5;POLYGON (({ring}))")
    return "\n".join(lines).encode()


def test_zonal_statistics_and_batch_jobs(ana: Client, series: list[str]) -> None:
    given = boxes((0.1, 0.1, 0.3, 0.4), (0.3, 0.2, 0.45, 0.4))
    put(ana, "zones.geojson", json.dumps(given).encode())
    loaded = node("load_uploaded_files", paths=["zones.geojson"], format="GeoJSON")
    found = result(ana, zonal(loaded))
    assert found.status_code == 200, found.text
    assert found.json() == result(ana, zonal(node("load_geojson", data=given))).json()
    job = finished(ana, zonal(loaded))
    stac = ana.http.get(f"/jobs/{job}/results").json()
    assert httpx.get(stac["assets"]["result.json"]["href"], timeout=60).json() == found.json()
    (item,) = [link["href"] for link in stac["links"] if link["rel"] == "item"]
    assert httpx.get(item).json()["assets"]["result.json"]["file:size"] == len(found.content)
    job = finished(ana, pixels(*series) | {"save": node("save_result", True, data=of("flat"), format="GTiff")})
    assert value(ana, {"data": {**node("load_result", id=job), "result": True}})


def test_a_job_says_that_its_geometries_were_replaced(ana: Client, platform: Any) -> None:
    jobs = platform.processing.state.room.jobs
    put(ana, "own.geojson", json.dumps(boxes((0.1, 0.1, 0.3, 0.4))).encode())
    job = finished(ana, zonal(node("load_uploaded_files", paths=["own.geojson"], format="GeoJSON")))
    row = jobs.get(job)
    put(ana, "own.geojson", json.dumps(boxes((0.1, 0.1, 0.2, 0.4))).encode())
    assert jobs.queue(job, row.graph, row.plan, row.process)  # as it was planned before
    assert ended(ana, job) == "error"
    assert "was replaced since the graph was posted" in ana.http.get(f"/jobs/{job}/logs").text


BAD = {
    "no raster": ("a.tif", b"nothing of the kind", "GTiff", {}, "FileUnavailable"),
    "no format": ("a.tif", b"x", "Shapefile", {}, "FormatUnsuitable"),
    "no option": ("a.json", b"{}", "GeoJSON", {"crs": 4326}, "ProcessArgumentInvalid"),
    "no text": ("a.json", b"{}", "GeoJSON", {"properties": "name"}, "ProcessArgumentInvalid"),
    "no JSON": ("a.json", b"\xff{", "GeoJSON", {}, "FormatUnsuitable"),
    "deep": ("a.json", b"[" * 100_000, "GeoJSON", {}, "FormatUnsuitable"),
    "nan": ("a.json", b'{"type":"Point","coordinates":[NaN,1]}', "GeoJSON", {}, "FormatUnsuitable"),
    "metres": (
        "a.json",
        b'{"type":"Point","coordinates":[1,1],"crs":{"properties":{"name":"EPSG:3035"}}}',
        "GeoJSON",
        {},
        "FormatUnsuitable",
    ),
    "empty": ("a.json", b'{"type":"FeatureCollection","features":[]}', "GeoJSON", {}, "FormatUnsuitable"),
    "no Parquet": ("a.parquet", b"PAR1nothing of the kindPAR1", "Parquet", {}, "FormatUnsuitable"),
    "no columns": ("a.csv", b"a,b\n1,2\n", "CSV", {}, "FormatUnsuitable"),
    "no WKT": ("a.csv", b"wkt\nPOLYGON ((1 1\n", "CSV", {}, "FormatUnsuitable"),
    "no numbers": ("a.csv", b"lon,lat\nhere,there\n", "CSV", {}, "FormatUnsuitable"),
    "no such column": ("a.csv", b"lon,lat\n1,2\n", "CSV", {"x": "east"}, "FormatUnsuitable"),
    "no rows": ("a.csv", b"lon,lat\n", "CSV", {}, "FormatUnsuitable"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused_in_a_sentence(ana: Client, name: str) -> None:
    path, content, form, options, code = BAD[name]
    put(ana, path, content)
    loaded = node("load_uploaded_files", paths=[path], format=form, options=options)
    refused = ana.post(masked(loaded) if path[-3:] != "tif" else pixels(path, form=form))
    assert refused.json()["code"] == code, refused.text
    assert refused.status_code in (400, 503) and "/tmp" not in refused.text


def test_a_tiff_is_no_jp2(ana: Client, series: list[str]) -> None:
    assert ana.post(pixels(series[0], form="jp2")).json()["code"] == "FormatUnsuitable"
    assert ana.post(pixels(series[0], form="COG")).status_code == 201


@pytest.mark.parametrize(
    ("names", "fits"),
    [(["c"] * 20, True), ([f"c{n}" for n in range(5000)], False), (["c" * 20_000], False)],
    ids=["few", "many", "long"],
)
def test_what_short_rows_leave_out_is_bounded(names: list[str], fits: bool) -> None:
    """Each row has all columns' names, though the file has neither these nor anything in them."""
    content = f"lon,lat,{','.join(names)}\n{'1,2\n' * 5000}".encode()
    if fits:
        found = csvs.rows(content)
        assert len(found) == 5000 and found[0] == {"lon": 1, "lat": 2, "c": None}
        return
    with pytest.raises(GraphError, match="too many columns for") as refused:
        csvs.rows(content)
    assert refused.value.code == "FormatUnsuitable"


def test_csv_of_points_in_another_reference_system(ana: Client) -> None:
    put(ana, "points.csv", b"east,north,kind\n500000,5200000,007\n500100,,8\n")
    options = {"x": "east", "y": "north", "crs": 32633, "properties": ["kind"]}
    loaded = {**node("load_uploaded_files", paths=["points.csv"], format="CSV", options=options), "result": True}
    made = ana.http.post("/validation", json={"process": {"process_graph": {"a": loaded}}}).json()
    assert made["errors"] == []


def test_formats_are_listed(ana: Client) -> None:
    listed = ana.http.get("/file_formats").json()["input"]
    assert {"GTiff", "JP2", "GeoJSON", "CSV"} <= set(listed)
    assert listed["CSV"]["gis_data_types"] == ["vector"] and "crs" in listed["CSV"]["parameters"]


def test_what_earlier_versions_kept_is_moved_to_the_store(platform: Any) -> None:
    settings = platform.settings
    before = settings.var / "processing" / "files" / "carol"
    before.mkdir(parents=True)
    (before / "a.txt").write_bytes(b"mine")
    assert [one.path for one in workspace_of(settings, "carol").entries()] == ["a.txt"]
    assert settings.store.files_of("carol").is_relative_to(settings.store.root) and not before.exists()
    np.testing.assert_equal(workspace_of(settings, "../carol").entries(), [])


def test_what_many_files_hold_together_is_bounded(ana: Client) -> None:
    rows = "".join(f"8,45,{'x' * 100_000}\n" for _ in range(250))
    paths = [f"wide/{number}.csv" for number in range(3)]
    for path in paths:
        put(ana, path, f"lon,lat,note\n{rows}".encode())
    few, many = (
        result(ana, zonal(node("load_uploaded_files", paths=some, format="CSV"))) for some in (paths[:1], paths)
    )
    assert "more than 64 MB" not in few.text
    assert many.status_code == 413 and "more than 64 MB" in many.json()["message"], many.text
    clear(ana)
