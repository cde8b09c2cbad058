"""Our services as map clients read them: OWSLib and GDAL for WMTS, and what TileJSON says."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from owslib.wmts import WebMapTileService
from rasterio.io import MemoryFile

from bdap_hub.processing.engine.grid import Grid

from .client import Client, tile
from .conftest import DATES, X, Y, Z, truth
from .engines import decoded
from .graphs import band, load, ndvi_median

DATED = {"data": {**load(bands=["B04"]), "result": True}}
STYLE = {"style": {"colormap": ["#000000", "#ffffff"], "min": 0, "max": 255 * 40}}


def tile_of(service: dict[str, Any], **more: Any) -> httpx.Response:
    """A GetTile request at the place of the tests' tile."""
    asked = {
        "LAYER": service["id"],
        "SERVICE": "WMTS",
        "REQUEST": "GetTile",
        "VERSION": "1.0.0",
        "STYLE": "default",
        "FORMAT": "image/png",
    }
    place = {"TILEMATRIX": Z, "TILEROW": Y, "TILECOL": X, "TILEMATRIXSET": "WebMercatorQuad"}
    return httpx.get(httpx.URL(service["url"]).copy_merge_params({**asked, **place, **more}), timeout=60)


def test_owslib_finds_the_layer_and_its_tiles(ana: Client) -> None:
    service = ana.service(ndvi_median(), type="WMTS", title="NDVI <&> so on", description="Of three dates")
    wmts = WebMapTileService(service["url"])
    assert wmts.identification.title == "NDVI <&> so on"
    layer = wmts.contents[service["id"]]
    assert layer.title == "NDVI <&> so on" and layer.abstract == "Of three dates"
    np.testing.assert_allclose(layer.boundingBoxWGS84, service["configuration"]["bounds"])
    assert layer.formats[0] == "image/png" and list(layer.tilematrixsetlinks) == ["WebMercatorQuad"]
    matrix = wmts.tilematrixsets["WebMercatorQuad"].tilematrix[str(Z)]
    assert (matrix.tilewidth, matrix.matrixwidth) == (256, 2**Z)
    assert matrix.scaledenominator == pytest.approx(559082264.0287178 / 2**Z)
    got = wmts.gettile(
        layer=service["id"], tilematrixset="WebMercatorQuad", tilematrix=str(Z), row=Y, column=X, format="image/png"
    )
    assert got.read() == tile({"url": service["attributes"]["tiles"]}).content
    assert "/legend.png?sig=" in layer.styles["default"]["legend"]
    restful = layer.resourceURLs[0]["template"]
    filled = restful.replace("{TileMatrix}", str(Z)).replace("{TileRow}", str(Y)).replace("{TileCol}", str(X))
    assert httpx.get(filled).content == tile({"url": service["attributes"]["tiles"]}).content


ODD = "a\u0001b\ufffec\uffffd\U0001f30de"
"""Three characters that XML 1.0 forbids, and one beyond the basic plane that it allows."""


def test_what_xml_cannot_hold_is_left_out_of_capabilities_and_legend(ana: Client) -> None:
    service = ana.service(ndvi_median(), type="WMTS", title=ODD, description=ODD)
    assert service["title"] == ODD
    layer = WebMapTileService(service["url"]).contents[service["id"]]
    assert (layer.title, layer.abstract) == ("abcd\U0001f30de", "abcd\U0001f30de")
    legend = httpx.get(service["attributes"]["legend"].replace("legend.png", "legend.svg"))
    assert "abcd\U0001f30de" in "".join(ET.fromstring(legend.content).itertext())


@pytest.mark.parametrize("size", [256, 512])
def test_gdal_reads_the_pixels_through_wmts(ana: Client, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    configuration = {**STYLE, "tile_size": size}
    service = ana.service(band("B04", temporal_extent=[DATES[0], DATES[1]]), type="WMTS", configuration=configuration)
    address = service["url"].replace("/wmts?", "/WMTSCapabilities.xml?")
    with rasterio.Env(GDAL_ENABLE_WMS_CACHE="NO"), rasterio.open(f"WMTS:{address}", driver="WMTS") as file:
        assert file.crs.to_epsg() == 3857 and file.count == 4
        grid = Grid.tile(Z, X, Y)
        window = rasterio.windows.from_bounds(
            grid.left, grid.top - 256 * grid.yres, grid.left + 256 * grid.xres, grid.top, file.transform
        )
        red, alpha = file.read([1, 4], window=window, out_shape=(2, 256, 256))
        assert file.res[0] < grid.xres
    want = truth(0)["B04"][:256, :256].astype(float)
    assert ((alpha > 0) == (want > 0)).mean() > 0.99
    both = (alpha > 0) & (want > 0)
    assert np.abs(red[both] - np.clip(want[both] / 40, 0, 255)).mean() < 2


def test_dates_are_a_dimension(ana: Client) -> None:
    service = ana.service(DATED, type="WMTS")
    layer = WebMapTileService(service["url"]).contents[service["id"]]
    labels = [f"{date}T10:00:00Z" for date in DATES]
    assert layer.dimensions["time"]["values"] == labels and layer.dimensions["time"]["default"] == labels[-1]
    assert "time={time}" in layer.resourceURLs[0]["template"]
    for number, label in enumerate(labels):
        answer = tile_of(service, FORMAT="image/tiff", TIME=label)
        with MemoryFile(answer.content) as memory, memory.open() as file:
            assert file.read(1)[100, 100] == truth(number)["B04"][100, 100]
    assert tile_of(service).content == tile_of(service, TIME=labels[-1]).content
    assert tile_of(service).content != tile_of(service, TIME=labels[0]).content


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"TILEROW": 2**Z}, 404, "TileOutOfRange"),
        ({"TILECOL": "a"}, 400, "InvalidParameterValue"),
        ({"LAYER": "other"}, 400, "InvalidParameterValue"),
        ({"TILEMATRIXSET": "other"}, 400, "InvalidParameterValue"),
        ({"REQUEST": "GetFeatureInfo"}, 400, "InvalidParameterValue"),
        ({"SERVICE": "WMS"}, 400, "InvalidParameterValue"),
        ({"FORMAT": "image/gif"}, 400, "BadRequest"),
    ],
)
def test_a_wrong_request_has_an_error_of_the_standard(ana: Client, more: Any, status: int, code: str) -> None:
    service = ana.service(ndvi_median(), type="WMTS")
    assert tile_of(service).status_code == 200
    answer = tile_of(service, **more)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/xml")
    assert ET.fromstring(answer.content)[0].get("exceptionCode") == code


def test_tilejson_names_tiles_that_are_there(ana: Client) -> None:
    configuration = {"minzoom": 3, "maxzoom": 14, "attribution": "© somebody", "format": "webp"}
    service = ana.service(ndvi_median(), type="TileJSON", title="NDVI", configuration=configuration)
    said = httpx.get(service["url"]).json()
    assert said["tilejson"] == "3.0.0" and said["name"] == "NDVI" and said["attribution"] == "© somebody"
    assert (said["minzoom"], said["maxzoom"]) == (3, 14) and said["bounds"] == service["configuration"]["bounds"]
    west, south, east, north = said["bounds"]
    assert west < said["center"][0] < east and south < said["center"][1] < north
    answer = tile({"url": said["tiles"][0]})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    plain = service["url"].partition("?")[0]
    assert httpx.get(plain).status_code == 401
    assert tile({"url": ana.http.get(plain).json()["tiles"][0]}).content == answer.content  # by login, signed inside


def test_documents_carry_the_signature_they_were_asked_with(ana: Client) -> None:
    service = ana.service(ndvi_median(), type="WMTS")
    signature = service["url"].partition("sig=")[2]
    for path in ("wmts", "capabilities"):
        address = service["url"] if path == "wmts" else service["url"].replace("/wmts?", "/WMTSCapabilities.xml?")
        document = httpx.get(address).text
        assert document.count(signature) >= 4 and decoded(tile({"url": service["attributes"]["tiles"]}).content)
