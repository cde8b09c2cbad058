"""The service over HTTP with a real hub and a real catalogue: what one gets, and who does not get it."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import numpy as np
import pytest
import rasterio

from bdap_hub.audit import latest
from bdap_hub.database import connect
from bdap_hub.processing.engine.evaluate import Compiled
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.web import HubLogin, sign_token

from .client import PREFIX, Client, tile
from .conftest import DATES, X, Y, Z, make_collection, truth, write_catalogue
from .engines import decoded, expected_median
from .graphs import arg, band, call, load, ndvi_median, node


def test_graphs_are_tried_in_the_turns_of_evaluations(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the few threads in which everybody's database is asked: somebody's code may take its time."""
    seen, original = [], Compiled.of
    monkeypatch.setattr(
        Compiled, "of", lambda *a, **k: seen.append(threading.current_thread().name) or original(*a, **k)
    )
    service = ana.post(ndvi_median()).json()["id"]
    assert ana.http.get(f"/services/{service}").status_code == 200
    assert seen and {name.partition("-")[0] for name in seen} == {"evaluate"}


def test_post_gives_a_service_whose_tiles_equal_numpy(ana: Client) -> None:
    answer = ana.post(ndvi_median())
    service = answer.json()
    assert answer.status_code == 201 and answer.headers["OpenEO-Identifier"] == service["id"]
    assert answer.headers["Location"].endswith(f"{PREFIX}/services/{service['id']}")
    image = tile(service)
    assert image.status_code == 200 and image.headers["content-type"] == "image/png"
    index = decoded(image.content)[0][..., 0]
    want = expected_median()[:256, :256]
    np.testing.assert_array_equal(index == 0, np.isnan(want))
    valid = np.isfinite(want)
    np.testing.assert_allclose(index[valid], 1 + (want[valid] + 1) / 2 * 254, atol=0.51)


def test_a_tile_is_not_sent_twice(ana: Client) -> None:
    service = ana.service(ndvi_median())
    first = tile(service)
    etag = first.headers["etag"]
    assert etag.startswith('"') and "max-age" in first.headers["cache-control"]
    assert tile(service, **{"If-None-Match": etag}).status_code == 304
    assert tile(service, x=X + 1, **{"If-None-Match": etag}).status_code == 200
    assert tile(service).content == first.content


def test_a_tile_away_from_the_data_is_transparent(ana: Client) -> None:
    index, _, alpha = decoded(tile(ana.service(ndvi_median()), x=0, y=0).content)
    assert (index == 0).all() and alpha[0] == 0


def test_a_point_equals_rasterio(ana: Client, platform: Any) -> None:
    service = ana.service(band("B08", temporal_extent=[DATES[1], DATES[2]]))
    with rasterio.open(platform.settings.store.root / f"data/fields/{DATES[1]}/B08.tif") as file:
        x, y = file.xy(123, 45)
        want = float(next(file.sample([(x, y)]))[0])
    lon, lat = (v[0] for v in rasterio.warp.transform("EPSG:3857", "EPSG:4326", [x], [y]))
    answer = ana.http.get(f"/services/{service['id']}/point", params={"lon": lon, "lat": lat})
    assert answer.json()["values"] == {"B08": want} and want == truth(1)["B08"][123, 45]


def test_histogram_counts(ana: Client) -> None:
    service = ana.service(band("B04", temporal_extent=[DATES[0], DATES[1]]))
    grid = Grid.tile(Z, X, Y)
    west, south, east, north = grid.bounds()
    box = {"west": west - 1e-6, "south": south + 1e-6, "east": east - 1e-6, "north": north + 1e-6}
    found = ana.http.get(f"/services/{service['id']}/histogram", params={**box, "bins": 8}).json()
    want = truth(0)["B04"][:256, :256]
    assert found["counts"] == np.histogram(want[want > 0], bins=8)[0].tolist()
    assert len(found["bins"]) == 9


def test_cloud_cover_filter_and_dates(ana: Client) -> None:
    cloudless = load(bands=["B04"], properties={"eo:cloud_cover": call("lt", x=arg("value"), y=50)})
    raw = {**band("B04"), "data": cloudless}
    assert ana.service(raw)["attributes"]["dates"] == [[f"{d}T10:00:00Z" for d in DATES[:2]]]


def test_services_are_ones_own(ana: Client, platform: Any) -> None:
    service = ana.service(band("B02"))
    assert service["id"] in [s["id"] for s in ana.http.get("/services").json()["services"]]
    ben = Client(platform, "ben")
    assert service["id"] not in [s["id"] for s in ben.http.get("/services").json()["services"]]
    assert ben.http.get(f"/services/{service['id']}").status_code == 404
    assert ben.http.delete(f"/services/{service['id']}").status_code == 404
    assert ben.service(band("B02"))["id"] == service["id"]  # the same content has the same id
    assert ana.http.delete(f"/services/{service['id']}").status_code == 204
    assert ana.http.get(f"/services/{service['id']}").status_code == 404
    assert ben.http.get(f"/services/{service['id']}").status_code == 200


def test_explain_names_files_and_bytes(ana: Client, platform: Any) -> None:
    service = ana.service(ndvi_median())
    found = ana.http.get(f"/explain/{service['id']}").json()
    assert found["estimate"]["files"] == 9
    path = platform.settings.store.root / f"data/fields/{DATES[0]}/B04.tif"
    assert {"href": f"/eos/data/fields/{DATES[0]}/B04.tif", "bytes": path.stat().st_size} in found["files"]
    assert str(platform.settings.store.root) not in str(found)


@pytest.mark.parametrize(
    ("graph", "status", "code"),
    [
        ({}, 400, "ProcessGraphMissing"),
        ({"a": node("cloud_detection", True)}, 400, "ProcessUnsupported"),
        (band("B99"), 400, "BandNotAvailable"),
        (band("B04", "nowhere"), 404, "CollectionNotFound"),
    ],
)
def test_a_bad_graph_is_refused_with_openeos_code(ana: Client, graph: Any, status: int, code: str) -> None:
    answer = ana.post(graph)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_validation_lists_errors(ana: Client) -> None:
    check = lambda graph: ana.http.post("/validation", json={"process_graph": graph}).json()["errors"]  # noqa: E731
    assert check(ndvi_median()) == []
    assert [e["code"] for e in check({"a": node("nope", True)})] == ["ProcessUnsupported"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 5000, b"\xff"])
def test_what_is_not_a_json_object_is_refused(ana: Client, body: bytes) -> None:
    assert ana.http.post("/services", content=body).status_code == 400


def test_a_huge_body_is_refused(ana: Client) -> None:
    assert ana.http.post("/services", content=b" " * 1_100_000).status_code == 413


@pytest.mark.parametrize("address", ["/", "/conformance", "/processes", "/file_formats", "/service_types"])
def test_capabilities_need_no_login(platform: Any, address: str) -> None:
    assert httpx.get(platform.settings.hub.public_url + PREFIX + address).status_code == 200


def test_processes_are_the_whole_specifications(platform: Any) -> None:
    listed = httpx.get(platform.settings.hub.public_url + PREFIX + "/processes").json()["processes"]
    shown = {process["id"]: process for process in listed}
    assert shown.keys() == REGISTRY.keys()
    assert shown["quantiles"] == REGISTRY["quantiles"].specification
    assert shown["clip"]["exceptions"].keys() == {"MinMaxSwapped"}
    whole = {"summary", "description", "categories", "parameters", "returns"}
    assert all(whole <= process.keys() for process in listed)


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/validation"),
        ("POST", "/services"),
        ("GET", "/services"),
        ("GET", "/services/x"),
        ("DELETE", "/services/x"),
        ("GET", "/services/x/point?lon=1&lat=1"),
        ("GET", "/services/x/histogram?west=1&south=1&east=2&north=2"),
        ("GET", "/explain/x"),
        ("GET", "/tiles/x/0/0/0.png"),
        ("GET", "/tiles/x/0/0/0.png?sig=forged"),
    ],
)
def test_everything_else_does(platform: Any, method: str, address: str) -> None:
    for token in ("", "forged"):
        answer = Client(platform, "", token).http.request(method, address, json={} if method == "POST" else None)
        assert answer.status_code == 401 and answer.json()["code"] == "AuthenticationRequired"


def test_a_tile_needs_its_own_valid_signature(ana: Client, platform: Any) -> None:
    service, other = ana.service(ndvi_median()), ana.service(band("B03"))
    plain, _, signature = service["url"].format(z=Z, x=X, y=Y).partition("?sig=")
    key, claims = platform.settings.secret("signing"), {"plan": service["id"], "name": "ana", "kind": "person"}
    get = lambda sig: httpx.get(plain, params={"sig": sig} if sig else {}, timeout=60)  # noqa: E731
    assert get(signature).status_code == 200  # the positive control of all that follows
    assert get(sign_token(key, "tile", 60, **claims)).status_code == 200
    assert get("").status_code == 401
    assert get(signature[:-3]).status_code == 401
    assert get(sign_token("another key " * 4, "tile", 60, **claims)).status_code == 401
    assert get(sign_token(key, "tile", -5, **claims)).status_code == 401
    assert get(sign_token(key, "ticket", 60, **claims)).status_code == 401
    unsigned = jwt.encode(
        {**claims, "aud": "tile", "iss": "bdap-hub", "iat": 1, "exp": int(time.time()) + 60}, "", "none"
    )
    assert get(unsigned).status_code == 401
    assert get(other["url"].partition("?sig=")[2]).status_code == 403
    assert get(sign_token(key, "tile", 60, plan=service["id"], name="nobody", kind="person")).status_code == 403


def test_another_projects_collection_is_refused(ana: Client, platform: Any) -> None:
    assert Client(platform, "ben").post(band("B04", "plots")).status_code == 201
    refused = ana.post(band("B04", "plots"))
    missing = ana.post(band("B04", "nothing"))
    assert (refused.status_code, refused.json()["code"]) == (404, "CollectionNotFound")
    assert refused.json()["message"].replace("plots", "nothing") == missing.json()["message"]
    events = latest(connect(platform.settings.database))
    event = next(e for e in events if e.action == "read-collection" and e.subject == "plots")
    assert (event.person, event.subject, event.outcome) == ("ana", "plots", "refused")


def test_rights_are_checked_again_for_each_tile(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HubLogin, "cache_seconds", 0)
    platform.set_group("project-forest", "pia", True)
    try:
        pia = Client(platform, "pia")
        service = pia.service(band("B04", "plots"))
        assert tile(service).status_code == 200
    finally:
        platform.set_group("project-forest", "pia", False)
    time.sleep(0.1)
    refused = tile(service, x=X + 1)
    assert refused.status_code == 403 and "not a member of project forest" in refused.json()["message"]
    assert tile(service).status_code == 403  # also where the image is in our cache
    point = pia.http.get(f"/services/{service['id']}/point", params={"lon": 14.7, "lat": 46.9})
    assert point.status_code == 403


def test_a_collection_that_is_closed_later_is_closed_for_services_made_before(ana: Client, platform: Any) -> None:
    settings = platform.settings
    made = make_collection(settings.store.root, "shut", "public", "")
    write_catalogue(settings.var, *made)
    service = ana.service(band("B04", "shut"))
    assert tile(service).status_code == 200
    write_catalogue(settings.var, {**made[0], "bdap:visibility": "project", "bdap:project": "forest"}, made[1])
    assert tile(service).status_code == 403
    assert ana.http.get(f"/services/{service['id']}/point", params={"lon": 14.7, "lat": 46.5}).status_code == 403


def test_a_release_reads_as_its_project_and_no_more(platform: Any) -> None:
    from bdap_hub.web import HubLogin

    login = HubLogin(platform.settings, "processing")
    forest = Client(platform, "", login.release_token("forest/map", "project-forest", 60))
    service = forest.service(band("B04", "plots"))
    assert tile(service).status_code == 200
    fields = Client(platform, "", login.release_token("agriculture/map", "project-agriculture", 60))
    assert fields.post(band("B04", "plots")).status_code == 404
    assert tile(fields.service(band("B04", "fields"))).status_code == 200


@pytest.mark.parametrize("address", [(0, 1, 0), (0, -1, 0), (30, 0, 0), (-1, 0, 0)])
def test_a_tile_that_does_not_exist(ana: Client, address: tuple[int, int, int]) -> None:
    z, x, y = address
    answer = tile(ana.service(band("B04")), x=x, y=y, z=z)
    assert answer.status_code == 404 and answer.json()["code"] == "NotFound"


@pytest.mark.parametrize("query", ["lon=200&lat=0", "lon=nan&lat=0", "lon=1", "lon=a&lat=1"])
def test_a_wrong_point_is_refused(ana: Client, query: str) -> None:
    service = ana.service(band("B04"))
    assert ana.http.get(f"/services/{service['id']}/point?{query}").status_code == 400


def test_public_addresses_name_the_hub(ana: Client, platform: Any) -> None:
    address = urlsplit(ana.service(band("B04"))["url"])
    assert f"{address.scheme}://{address.netloc}" == platform.settings.hub.public_url
