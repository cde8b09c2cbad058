"""A result's own pixels piece by piece over HTTP: where they lie, windows of them, and who gets them. Items by id."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pyproj import CRS

from bdap_hub.processing.engine.grid import Grid

from .client import Client
from .conftest import DATES, SIZE, X, Y, Z, truth
from .graphs import arg, call, load, ndvi_median, node, of

ALL = {"data": {**load(bands=["B04", "B08"]), "result": True}}


def window(client: Client, service: str, **params: int) -> Any:
    answer = client.http.get(f"/services/{service}/window", params=params)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-npy", answer.text
    return np.load(io.BytesIO(answer.content))


def test_the_grid_is_that_of_the_files(ana: Client) -> None:
    grid = ana.http.get(f"/services/{ana.service(ALL)['id']}/grid").json()
    tile = Grid.tile(Z, X, Y)
    assert CRS.from_wkt(grid["crs"]).to_epsg() == 3857 and (grid["width"], grid["height"]) == (SIZE, SIZE)
    np.testing.assert_allclose(grid["transform"], [tile.left, tile.xres, 0, tile.top, 0, -tile.yres])
    assert grid["dims"] == ["t", "bands"] and grid["labels"]["bands"] == ["B04", "B08"] and grid["dtype"] == "float32"
    assert [label[:10] for label in grid["labels"]["t"]] == list(DATES)


def test_a_window_holds_the_pixels_of_the_files(ana: Client) -> None:
    service = ana.service(ALL)["id"]
    want = np.stack([[truth(date)[band] for band in ("B04", "B08")] for date in range(3)]).astype(np.float32)
    want[want == 0] = np.nan
    np.testing.assert_array_equal(window(ana, service, left=0, top=0, width=SIZE, height=SIZE), want)
    part = window(ana, service, left=200, top=10, width=57, height=31)
    np.testing.assert_array_equal(part, want[..., 10:41, 200:257])


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"left": 500, "top": 0, "width": 20, "height": 9}, 400, "reaches to 520 x 9 pixels; the result has 512 x 512"),
        ({"left": -1, "top": 0, "width": 9, "height": 9}, 400, ""),
        ({"left": 0, "top": 0, "width": 0, "height": 9}, 400, ""),
        ({"left": 0, "top": 0, "width": 9}, 400, "height"),
    ],
)
def test_windows_that_are_none(ana: Client, asked: dict[str, int], status: int, words: str) -> None:
    refused = ana.http.get(f"/services/{ana.service(ALL)['id']}/window", params=asked)
    assert refused.status_code == status and words in refused.json()["message"], refused.text


def test_a_window_that_is_too_large(ana: Client) -> None:
    fine = {**ALL, "data": load(bands=["B04", "B08"])}
    fine["fine"] = node("resample_spatial", True, data=of("data"), resolution=1, projection=3857)
    service = ana.service(fine)["id"]
    size = ana.http.get(f"/services/{service}/grid").json()["width"]
    refused = ana.http.get(f"/services/{service}/window", params={"left": 0, "top": 0, "width": size, "height": size})
    assert refused.status_code in (400, 413), refused.text
    assert "ask for a smaller one" in refused.json()["remedy"]
    coarse = {**ALL, "data": load(bands=["B04", "B08"])}
    resolution = 16 * Grid.tile(Z, X, Y).xres
    coarse["coarse"] = node("resample_spatial", True, data=of("data"), resolution=resolution, projection=3857)
    told = ana.http.get(f"/services/{ana.service(coarse)['id']}/grid").json()
    assert told["read"] > 100, "six layers, and many of their pixels for one"
    assert told["read"] == pytest.approx(6 * (SIZE / told["width"]) * (SIZE / told["height"]), rel=0.01)
    assert window(ana, service, left=0, top=0, width=64, height=64).shape == (3, 2, 64, 64)


def test_nobody_elses(ana: Client, platform: Any) -> None:
    service = ana.service(ndvi_median(), configuration={"minzoom": 3})["id"]  # nobody else made the same
    asked = {"left": 0, "top": 0, "width": 9, "height": 9}
    for path in ("grid", "window"):
        assert Client(platform, "ben").http.get(f"/services/{service}/{path}", params=asked).status_code == 404
        assert Client(platform, "").http.get(f"/services/{service}/{path}", params=asked).status_code == 401
        assert ana.http.get(f"/services/{service}/{path}", params=asked).status_code == 200


@pytest.mark.parametrize("ids", [[f"fields-{DATES[1]}"], [f"fields-{DATES[0]}", f"fields-{DATES[2]}", "none"]])
def test_items_are_picked_by_their_ids(ana: Client, ids: list[str]) -> None:
    chosen = call("array_contains", data=ids, value=arg("value"))
    service = ana.service({"data": {**load(bands=["B04"], properties={"id": chosen}), "result": True}})
    values = ana.http.get(f"/services/{service['id']}/grid").json()["labels"]["t"]
    assert [label[:10] for label in values] == [i[-10:] for i in ids if i != "none"]
    nothing = call("array_contains", data=["none"], value=arg("value"))
    refused = ana.post({"data": {**load(bands=["B04"], properties={"id": nothing}), "result": True}})
    assert refused.json()["code"] == "NoDataAvailable"
