"""The standard `openeo` client 0.53, unmodified, against the real service: everyday idioms give what numpy does."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openeo
import pytest
import rasterio
from affine import Affine
from jupyter_client.manager import start_new_kernel
from openeo import processes
from openeo.api.process import Parameter
from openeo.rest.datacube import THIS
from rasterio.features import geometry_mask
from rasterio.warp import transform_geom

from bdap_hub.processing.engine.grid import Grid

from . import idioms
from .client import PREFIX
from .conftest import DATES, X, Y, Z, truth, write_tiff
from .idioms import IDIOMS, POLYGON, TOP, Idiom, top


@pytest.fixture(scope="module")
def con(platform: Any) -> Iterator[openeo.Connection]:
    """Connected as somebody does who has made a token at the hub."""
    connection = openeo.connect(f"{platform.settings.hub.public_url}{PREFIX}")
    yield connection.authenticate_basic("ana", platform.token("ana"))
    connection.session.close()


def values(cube: Any, title: str = "") -> Any:
    """The values in the tile, through a web service that the client makes and deletes."""
    service = cube.tiled_viewing_service("XYZ", title=title)
    try:
        url = service.describe_service()["url"]
        answer = httpx.get(url.format(z=Z, x=X, y=Y).replace(".png", ".npy"), timeout=60)
        assert answer.status_code == 200, answer.text
        return np.load(io.BytesIO(answer.content))
    finally:
        service.delete_service()


@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda idiom: idiom.name)
def test_an_idiom_gives_what_numpy_does(con: openeo.Connection, idiom: Idiom) -> None:
    cube = idiom.cube(con)
    assert cube.validate() == []
    with warnings.catch_warnings(action="ignore"):  # pixels without any value
        want = np.asarray(idiom.want(), np.float64)
    got = values(cube, idiom.name)
    assert np.isfinite(want).any() and (np.isnan(want).any() or idiom.name in ("condition", "count", "kernel"))
    np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-4, atol=1e-5)


def test_the_mean_in_a_polygon_for_each_date(con: openeo.Connection, platform: Any) -> None:
    """Synchronously, on the file's own pixels."""
    cube = idioms.fields(con, "B04").aggregate_spatial(POLYGON, "mean")
    assert cube.validate() == []
    got = cube.execute()
    with rasterio.open(platform.settings.store.root / f"data/fields/{DATES[0]}/B04.tif") as file:
        there = transform_geom("EPSG:4326", file.crs, POLYGON)
        inside = geometry_mask([there], file.shape, file.transform, invert=True)
    pixels = [truth(date)["B04"][inside].astype(np.float64) for date in range(len(DATES))]
    want = [one[one > 0].mean() for one in pixels]
    assert inside.any() and not inside.all()
    assert [label[:10] for label in got] == list(DATES)
    np.testing.assert_allclose([zones[0][0] for zones in got.values()], want, rtol=1e-6)


def test_a_download_is_the_file_pixel_for_pixel(con: openeo.Connection, tmp_path: Any) -> None:
    top(con).download(tmp_path / "top.tif", format="GTiff")
    want = np.max([truth(date)["B04"] for date in range(len(DATES))], axis=0)
    with rasterio.open(tmp_path / "top.tif") as file:
        got = file.read(1, masked=True).filled(0)
        assert file.crs.to_epsg() == 3857
    np.testing.assert_array_equal(got, want)


def test_what_the_client_reads_of_the_back_end(con: openeo.Connection) -> None:
    assert con.capabilities().api_version() == "1.2.0" and con.describe_account()["user_id"] == "ana"
    assert "fields" in con.list_collection_ids() and "XYZ" in con.list_service_types()
    assert {"PNG"} <= set(con.list_file_formats()["output"]) and "ndvi" in [p["id"] for p in con.list_processes()]
    assert isinstance(con.list_udf_runtimes(), dict) and all(one["id"] for one in con.list_services())
    metadata = con.collection_metadata("fields")
    assert metadata.band_names == ["B02", "B03", "B04", "B08", "SCL"] and metadata.get_band_index("nir") == 3
    assert metadata.temporal_dimension.extent == [f"{DATES[0]}T00:00:00Z", f"{DATES[-1]}T23:59:59Z"]
    assert set(metadata.dimension_names()) == {"x", "y", "t", "bands"}


def test_validation_says_all(con: openeo.Connection) -> None:
    cube = top(con).process("no_such_process", data=THIS).process("add", x=THIS)
    assert [error["code"] for error in cube.validate()] == ["ProcessUnsupported", "ProcessArgumentRequired"]


def test_a_process_of_ones_own(con: openeo.Connection) -> None:
    data, high = Parameter.raster_cube(name="data"), Parameter.number("high", default=4000)
    stretched = processes.apply(data, lambda x: processes.linear_scale_range(x, 0, high, 0, 255))
    stored = con.save_user_defined_process("my_stretch", stretched, parameters=[data, high])
    try:
        assert [one["id"] for one in con.list_user_defined_processes()] == ["my_stretch"]
        cube = top(con).process("my_stretch", data=THIS, high=2000)
        assert cube.validate() == []
        np.testing.assert_allclose(values(cube).squeeze(), np.clip(TOP, 0, 2000) / 2000 * 255, rtol=1e-4)
    finally:
        stored.delete()
    assert con.list_user_defined_processes() == []


def test_files_of_ones_own(con: openeo.Connection, tmp_path: Any) -> None:
    here = tmp_path / "field.geojson"
    here.write_text("{}")
    con.upload_file(here, target="maps/field.geojson")
    (found,) = con.list_files()
    assert str(found.path) == "maps/field.geojson"
    assert found.download(tmp_path / "back").read_text() == "{}"
    found.delete()
    assert con.list_files() == []


def test_a_preview_in_a_notebook_loads_the_tiles(con: openeo.Connection, platform: Any) -> None:
    """In a real kernel, as the client asks for one; the map's layer is ours, and its tiles come without any header."""
    code = f"""
import openeo
con = openeo.connect("{con.root_url}").authenticate_basic("ana", "{platform.token("ana")}")
cube = con.load_collection("fields", bands=["B04"]).reduce_dimension("t", "max")
shown = cube.preview(center=(46.7, 14.7), zoom=12)
print(shown.map.layers[-1].url)
"""
    manager, client = start_new_kernel(startup_timeout=60)
    try:
        said = []
        reply = client.execute_interactive(code, timeout=60, output_hook=said.append)
        assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    url = "".join(one["content"]["text"] for one in said if one["header"]["msg_type"] == "stream").strip().split()[-1]
    image = httpx.get(url.format(z=Z, x=X, y=Y), timeout=60)
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png"), image.text
    for service in con.list_services():
        con.delete(f"/services/{service['id']}")


def test_files_that_were_uploaded_are_read_by_name(con: openeo.Connection, tmp_path: Any) -> None:
    """As the how-to shows it: a raster and geometries of one's own, by the standard client."""
    grid = Grid.tile(Z, X, Y)
    place = Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
    write_tiff(tmp_path / "red_2024-05-01.tif", truth(0)["B04"], "EPSG:3857", place)
    (tmp_path / "field.geojson").write_text(json.dumps(POLYGON))
    for name in ("red_2024-05-01.tif", "field.geojson"):
        con.upload_file(tmp_path / name)
    assert {"red_2024-05-01.tif", "field.geojson"} <= {file.path.name for file in con.list_files()}
    red = con.datacube_from_process("load_uploaded_files", paths=["red_2024-05-01.tif"], format="GTiff")
    field = con.datacube_from_process("load_uploaded_files", paths=["field.geojson"], format="GeoJSON")
    inside = values(red.process("mask_polygon", data=red, mask=field))
    same = values(con.load_collection("fields", bands=["B04"], temporal_extent=DATES[:2]).mask_polygon(POLYGON))
    np.testing.assert_array_equal(inside, same)
    assert np.isnan(inside).any() and np.isfinite(inside).any()
    for file in con.list_files():
        file.delete()
