"""The picture on an item's page: as the processing service draws it; without that service the small one."""

from __future__ import annotations

import io
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import rasterio
from fastapi import FastAPI, Response
from rasterio.errors import NotGeoreferencedWarning

from bdap_hub.catalogue.preview import bands_of, graph_of
from bdap_hub.processing.app import create_app
from bdap_hub.settings import Settings

HERE = "/collections/{c}/items/{c}_2025-04-18"
PEOPLE = "/collections/for-people/items/for-people_2025-03-14"
PUBLIC, FOREST = HERE.format(c="sentinel-2-demo"), HERE.format(c="forest-plots")


def colours(png: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(io.BytesIO(png)) as file:
            return file.read()


def test_without_the_processing_service_it_is_the_small_picture(
    service: httpx.Client, hub: Any, installed: Settings
) -> None:
    hub.services.stop(installed.processing.port)  # of another folder's tests
    drawn, small = (service.get(f"{PUBLIC}/{name}") for name in ("preview", "thumbnail"))
    assert drawn.status_code == 200 and drawn.content == small.content


@pytest.fixture
def processing(hub: Any, installed: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It runs beside the catalogue, for these tests alone. It begins: its first answer may take long."""
    monkeypatch.setattr("bdap_hub.catalogue.preview.SECONDS", 50)
    hub.serve(create_app(installed), installed.processing.port)
    yield
    hub.services.stop(installed.processing.port)


def test_it_is_drawn_by_the_processing_service(service: httpx.Client, hub: Any, processing: None) -> None:
    drawn = service.get(f"{PUBLIC}/preview", timeout=60)
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


class Slow:
    """A fake of the processing service, which would not wait on demand: it answers, with `status`, once it may."""

    def __init__(self) -> None:
        self.app, self.go, self.asked, self.status = FastAPI(), threading.Event(), 0, 200
        self.app.add_api_route("/services/processing/result", self.result, methods=["POST"])

    def result(self) -> Response:
        self.asked += 1
        self.go.wait(60)
        return Response(b"drawn", self.status, media_type="image/png")


@pytest.fixture
def slow(hub: Any, installed: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """It runs in place of the processing service, and is waited for however busy the machine."""
    monkeypatch.setattr("bdap_hub.catalogue.preview.SECONDS", 50)
    fake = Slow()
    hub.serve(fake.app, installed.processing.port)
    yield fake
    fake.go.set()
    hub.services.stop(installed.processing.port)


@pytest.fixture
def made(service: httpx.Client, hub: Any) -> Iterator[Callable[..., str]]:
    """Adds items over the files of another, without pictures yet; they are gone after the test."""
    olga, paths = hub.bearer("olga"), []

    def add(name: str, **asset: Any) -> str:
        known = service.get(PEOPLE, headers=olga).json()
        item = {**known, "id": name, "assets": {key: {**one, **asset} for key, one in known["assets"].items()}}
        paths.append(f"/collections/for-people/items/{name}")
        answer = service.post("/collections/for-people/items", headers=olga, json=item)
        assert answer.status_code == 201, answer.text
        return paths[-1]

    yield add
    for path in paths:
        service.delete(path, headers=olga)


def test_pictures_do_not_wait_for_previews_and_none_is_asked_for_twice(
    service: httpx.Client, hub: Any, slow: Slow, made: Callable[..., str]
) -> None:
    ana = hub.bearer("ana")
    one, two, three = (made(f"slow-{number}") for number in "123")

    def get(path: str) -> httpx.Response:
        return service.get(path, headers=ana, timeout=60)

    def asked(number: int) -> None:
        deadline = time.monotonic() + 30
        while slow.asked < number and time.monotonic() < deadline:
            time.sleep(0.02)
        assert slow.asked == number

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(get, f"{path}/preview") for path in (one, two, one, one)]
        asked(2)
        assert get(f"{three}/thumbnail").status_code == 200
        assert not any(each.done() for each in waiting)
        slow.go.set()
        assert {each.result().content for each in waiting} == {b"drawn"}
    before, slow.status = slow.asked, 500
    assert [get(f"{three}/preview").content for _ in range(2)] == [get(f"{three}/thumbnail").content] * 2
    assert slow.asked == before + 1


ODD = [{"proj:shape": None}, {"proj:shape": ["x", 9]}, {"proj:transform": [0, 10, 0, 10, 0, 0]}, {"proj:transform": 7}]


@pytest.mark.parametrize("odd", ODD)
def test_without_a_pixel_size_it_is_the_small_picture(
    service: httpx.Client, hub: Any, made: Callable[..., str], odd: dict[str, Any]
) -> None:
    path, ana = made("odd", **odd), hub.bearer("ana")
    drawn, small = (service.get(f"{path}/{name}", headers=ana) for name in ("preview", "thumbnail"))
    assert drawn.status_code == 200 and drawn.content == small.content


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
