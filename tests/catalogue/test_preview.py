"""The picture on an item's page: as the processing service draws it; without that service the small one."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from bdap_hub.catalogue.preview import bands_of, graph_of
from bdap_hub.processing.app import create_app
from bdap_hub.settings import Settings
from tests.conftest import Serving, serve

HERE = "/collections/{c}/items/{c}_2025-04-18"
PEOPLE = "/collections/for-people/items/for-people_2025-03-14"
PUBLIC, FOREST = HERE.format(c="sentinel-2-demo"), HERE.format(c="forest-plots")


def colours(png: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(io.BytesIO(png)) as file:
            return file.read()


def test_without_the_processing_service_it_is_the_small_picture(service: httpx.Client) -> None:
    drawn, small = (service.get(f"{PUBLIC}/{name}") for name in ("preview", "thumbnail"))
    assert drawn.status_code == 200 and drawn.content == small.content


@pytest.fixture
def processing(installed: Settings) -> Iterator[None]:
    """It runs beside the catalogue, for these tests alone."""
    running: dict[int, Serving] = {}
    serve(create_app(installed), installed.processing.port, running)
    yield
    running[installed.processing.port].stop()


def test_it_is_drawn_by_the_processing_service(service: httpx.Client, hub: Any, processing: None) -> None:
    drawn = service.get(f"{PUBLIC}/preview")
    assert drawn.status_code == 200 and drawn.headers["content-type"] == "image/png"
    picture = colours(drawn.content)
    assert picture.shape[1:] == (128, 128) and picture.shape[0] in (3, 4)
    assert drawn.content != service.get(f"{PUBLIC}/thumbnail").content
    assert all(band.max() - band.min() > 100 for band in picture[:3])
    assert not (picture[0] == picture[2]).all()  # in colours
    people = [service.get(f"{PEOPLE}/{name}", headers=hub.bearer("ana")) for name in ("preview", "thumbnail")]
    assert people[0].status_code == people[1].status_code == 200 and people[0].content != people[1].content
    page = service.get(PUBLIC, headers={"Accept": "text/html"}).text
    assert f"{PUBLIC}/preview" in page and "bands(&#34;B04&#34;, &#34;B03&#34;, &#34;B02&#34;)" in page


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("ana", 404), ("ben", 200)])
def test_it_is_for_who_may_read(
    service: httpx.Client, hub: Any, processing: None, who: str | None, status: int
) -> None:
    answer = service.get(f"{FOREST}/preview", headers=hub.bearer(who) if who else {})
    assert answer.status_code == status
    if status == 200:
        assert answer.content != service.get(f"{FOREST}/thumbnail", headers=hub.bearer("ben")).content


def band(name: str, common: str = "", kind: str = "image/tiff", **more: Any) -> dict[str, Any]:
    named = {"name": name} | ({"common_name": common} if common else {})
    return {"type": kind, "eo:bands": [named], "proj:transform": [10, 0, 0, 0, -10, 0], "proj:shape": [9, 9], **more}


def test_red_green_and_blue_else_the_first_band_of_a_map() -> None:
    rgb = {n: band(n, c) for n, c in (("B8", "nir"), ("B2", "blue"), ("B3", "green"), ("B4", "red"))}
    assert bands_of({"assets": rgb}) == ["B4", "B3", "B2"]
    assert bands_of({"assets": {"x": band("VV"), "y": band("VH")}}) == ["VV"]
    assert bands_of({"assets": {"x": band("t2m", kind="application/netcdf")}}) == []
    radar = band("VV")
    del radar["proj:transform"]
    assert bands_of({"assets": {"x": radar}}) == []
    assert graph_of("a", ["VV"], 20)["save"]["arguments"]["options"] == {"percentiles": [2, 98]}
