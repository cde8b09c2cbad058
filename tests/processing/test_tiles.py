"""Tiles over HTTP: formats, sizes, dates, caching, and that who comes second costs nothing."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from .client import PREFIX, Client
from .conftest import DATES, X, Y, Z, truth
from .engines import decoded
from .graphs import band, load, ndvi_median


def at(service: dict[str, Any], last: str = f"{Y}.png", x: int = X, **query: str) -> httpx.Response:
    """The tile whose address ends so, with more in its query."""
    url = service["url"].replace("{y}.png", last).format(z=Z, x=x)
    return httpx.get(httpx.URL(url).copy_merge_params(query), timeout=60)


def first_date(name: str) -> dict[str, Any]:
    return band(name, temporal_extent=[DATES[0], DATES[1]])


@pytest.mark.parametrize(
    ("last", "driver", "media", "size"),
    [
        (f"{Y}.png", "PNG", "image/png", 256),
        (f"{Y}@2x.png", "PNG", "image/png", 512),
        (f"{Y}.webp", "WEBP", "image/webp", 256),
        (f"{Y}@2x.webp", "WEBP", "image/webp", 512),
        (f"{Y}.jpg", "JPEG", "image/jpeg", 256),
        (f"{Y}.jpeg", "JPEG", "image/jpeg", 256),
        (f"{Y}.tif", "GTiff", "image/tiff; application=geotiff", 256),
        (f"{Y}@2x.tif", "GTiff", "image/tiff; application=geotiff", 512),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_formats_and_sizes(ana: Client, last: str, driver: str, media: str, size: int) -> None:
    answer = at(ana.service(ndvi_median()), last)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media), answer.text[:300]
    with MemoryFile(answer.content) as memory, memory.open() as file:
        assert (file.driver, file.width, file.height) == (driver, size, size)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_of_all_formats_show_the_same(ana: Client) -> None:
    service = ana.service(ndvi_median())
    index, palette, alpha = decoded(at(service).content)
    want = np.frombuffer(palette, np.uint8).reshape(-1, 3)[index[..., 0]]
    seen = np.frombuffer(alpha.ljust(256, b"\xff"), np.uint8)[index[..., 0]] > 0
    for last in (f"{Y}.webp", f"{Y}.jpg"):
        with MemoryFile(at(service, last).content) as memory, memory.open() as file:
            got = np.moveaxis(file.read(), 0, -1)
        assert np.abs(got[seen][:, :3].astype(int) - want[seen]).mean() < 25  # both lose; noise is the worst for them
        if last.endswith("webp"):
            assert (got[..., 3][seen] == 255).all() and (got[..., 3][~seen] == 0).all()
        else:
            assert got[:10, :15].min() > 200  # no data is white, where no neighbour's colour spills over


def test_values_as_numpy_and_geotiff_are_the_files_own(ana: Client) -> None:
    service = ana.service(first_date("B04"))
    want = truth(0)["B04"][:256, :256].astype(np.float32)
    want[want == 0] = np.nan
    got = np.load(io.BytesIO(at(service, f"{Y}.npy").content))
    assert got.dtype == np.float32 and got.shape == (1, 256, 256)
    np.testing.assert_array_equal(got[0], want)
    with MemoryFile(at(service, f"{Y}.tif").content) as memory, memory.open() as file:
        np.testing.assert_array_equal(file.read(1), want)
        assert file.crs.to_epsg() == 3857 and np.isnan(file.nodata) and file.descriptions == ("B04",)
        west, _, east, _ = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert (west + 180) / 360 * 2**Z == pytest.approx(X) and (east + 180) / 360 * 2**Z == pytest.approx(X + 1)


def test_twice_the_size_is_twice_the_detail(ana: Client) -> None:
    service = ana.service(first_date("SCL"))
    url = service["url"].replace("{y}.png", f"{Y // 2}@2x.npy").format(z=Z - 1, x=X // 2)
    want = truth(0)["SCL"].astype(np.float32)
    want[want == 0] = np.nan
    np.testing.assert_array_equal(np.load(io.BytesIO(httpx.get(url).content))[0], want)  # 2 x 2 tiles, all pixels


def test_values_need_no_picture(ana: Client) -> None:
    service = ana.service(band("B04", temporal_extent=[DATES[0], DATES[1]]) | {"data": load(bands=["B04", "B08"])})
    assert at(service).status_code == 400 and "2 bands" in at(service).json()["message"]
    assert np.load(io.BytesIO(at(service, f"{Y}.npy").content)).shape == (2, 256, 256)


def test_the_format_may_stand_in_the_query_or_the_header(ana: Client) -> None:
    service = ana.service(ndvi_median())
    media = lambda last, accept, **query: httpx.get(  # noqa: E731
        httpx.URL(service["url"].replace("{y}.png", last).format(z=Z, x=X)).copy_merge_params(query),
        headers={"Accept": accept},
    ).headers["content-type"]
    assert media(f"{Y}", "*/*") == "image/png"
    assert media(f"{Y}", "*/*", format="webp") == "image/webp"
    assert media(f"{Y}", "image/webp") == "image/webp"
    assert media(f"{Y}", "image/avif,image/webp,*/*") == "image/png"  # a browser's list of everything decides nothing
    assert media(f"{Y}.jpg", "image/webp", format="png") == "image/jpeg"  # the address itself comes first


@pytest.mark.parametrize(("last", "status"), [(f"{Y}.gif", 400), (f"{Y}@3x.png", 404), ("a.png", 404), ("", 404)])
def test_other_addresses_are_refused(ana: Client, last: str, status: int) -> None:
    assert at(ana.service(ndvi_median()), last).status_code == status


def test_one_service_shows_each_of_its_dates(ana: Client) -> None:
    service = ana.service({"data": {**load(bands=["B04"]), "result": True}})
    assert service["attributes"]["undrawable"] == ""
    value = lambda **query: np.load(io.BytesIO(at(service, f"{Y}.npy", **query).content))[0, 100, 100]  # noqa: E731
    for number, date in enumerate(DATES):
        assert value(time=date) == value(time=f"{date}T10:00:00Z") == truth(number)["B04"][100, 100]
    assert value() == value(time="default") == truth(2)["B04"][100, 100]
    wrong = at(service, time="2023-01-01")
    assert wrong.status_code == 400 and DATES[0] in wrong.json()["remedy"]
    assert "several dates" in at(service, time="2024").json()["message"]
    assert at(service, time=DATES[0]).headers["etag"] != at(service, time=DATES[1]).headers["etag"]


def test_who_comes_second_costs_nothing(ana: Client, platform: Any) -> None:
    drawn = platform.processing.state.room.drawn
    service, other = ana.service(first_date("B02")), Client(platform, "ben").service(first_date("B02"))
    before = drawn.made
    with ThreadPoolExecutor(6) as pool:
        images = {a.content for a in pool.map(lambda s: at(s, x=X + 1), [service, other] * 3)}
    assert len(images) == 1 and drawn.made == before + 1
    etag = at(other, x=X + 1).headers["etag"]
    asked = drawn.asked
    again = httpx.get(service["url"].format(z=Z, x=X + 1, y=Y), headers={"If-None-Match": etag})
    assert again.status_code == 304 and not again.content and drawn.asked == asked
    assert at(service).status_code == 200 and drawn.made == before + 2  # another tile is


def test_only_what_is_open_to_all_may_lie_in_shared_caches(ana: Client, platform: Any) -> None:
    assert at(ana.service(band("B04"))).headers["cache-control"].startswith("public, ")
    assert at(Client(platform, "ben").service(band("B04", "plots"))).headers["cache-control"].startswith("private, ")
    assert PREFIX in ana.service(band("B04"))["url"]
