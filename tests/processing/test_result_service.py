"""POST /result over HTTP: the file, its headers, who gets it and what is refused."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio

from bdap_hub.audit import latest
from bdap_hub.database import connect

from .client import Client
from .conftest import DATES, SIZE, truth
from .graphs import arg, call, load, node, of
from .test_exports import saved, want


def ask(client: Client, graph: Any, **more: Any) -> httpx.Response:
    return client.http.post("/result", json={"process": {"process_graph": graph}, **more})


def test_the_file_equals_the_source(ana: Client) -> None:
    answer = ask(ana, saved("GTiff", {"dtype": "uint16", "nodata": 0}, temporal_extent=[DATES[0], DATES[1]]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("image/tiff") and answer.headers["openeo-costs"] == "0"
    assert 'filename="result.tif"' in answer.headers["content-disposition"]
    with rasterio.open(io.BytesIO(answer.content)) as file:
        assert file.descriptions == ("B04", "B08")
        np.testing.assert_array_equal(file.read(), [truth(0)["B04"], truth(0)["B08"]])


def test_nothing_stays_on_the_server(ana: Client, platform: Any) -> None:
    assert ask(ana, saved("PNG")).status_code == 400
    assert ask(ana, saved("netCDF")).status_code == 200
    until = time.monotonic() + 30  # the file goes after its last byte was sent
    while left := list((platform.settings.var / "processing").glob("result-*")):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_whole_extents_are_for_results_not_for_maps(ana: Client) -> None:
    graph = {
        "data": load(bands=["B04"], temporal_extent=[DATES[0], DATES[1]]),
        "all": node("reduce_spatial", data=of("data"), reducer=call("mean", data=arg("data"))),
        "save": node("save_result", True, data=of("all"), format="JSON"),
    }
    assert ana.post(graph).json()["code"] == "ProcessUnsupported"
    found = ask(ana, graph).json()
    mean = float(np.nanmean(want(0, "B04"), dtype=np.float64))
    assert found == {f"{DATES[0]}T10:00:00Z": {"B04": pytest.approx(mean, rel=1e-4)}}


def test_too_large_is_refused_with_the_number_and_the_remedy(ana: Client, platform: Any, monkeypatch: Any) -> None:
    assert ask(ana, saved("GTiff")).status_code == 200
    object.__setattr__(platform.settings.processing, "result_mb", 5)
    try:
        refused = ask(ana, saved("GTiff"))
    finally:
        object.__setattr__(platform.settings.processing, "result_mb", 2048)
    said = refused.json()
    assert (refused.status_code, said["code"]) == (400, "ProcessGraphComplexity")
    assert f"{SIZE} x {SIZE} pixels and needs 6 MB of pixels; the limit is 5 MB" in said["message"]
    assert "batch job" in said["remedy"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"plan": "gold"}, "BillingPlanInvalid"),
        ({"budget": "much"}, "BadRequest"),
        ({"budget": -1}, "BadRequest"),
        ({"log_level": "loud"}, "BadRequest"),
    ],
)
def test_terms_that_are_not_offered(ana: Client, more: dict[str, Any], code: str) -> None:
    assert ask(ana, saved("PNG"), plan=None, budget=3).json()["code"] == "ProcessGraphInvalid"
    refused = ask(ana, saved("GTiff"), **more)
    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_only_who_may_read_the_collection_gets_it(ana: Client, platform: Any) -> None:
    graph = {**saved("GTiff"), "data": load("plots", bands=["B04"])}
    assert ask(Client(platform, "ben"), graph).status_code == 200
    refused = ask(ana, graph)
    assert (refused.status_code, refused.json()["code"]) == (404, "CollectionNotFound")
    event = next(e for e in latest(connect(platform.settings.database)) if e.action == "read-collection")
    assert (event.person, event.subject, event.outcome) == ("ana", "plots", "refused")
    assert ask(Client(platform, "", "forged"), graph).status_code == 401


def test_formats_are_listed(platform: Any) -> None:
    found = httpx.get(f"{platform.settings.hub.public_url}/services/processing/file_formats").json()
    assert {"GTiff", "netCDF", "Zarr", "PNG", "WEBP", "JPEG", "JSON", "GeoJSON", "CSV", "Parquet"} == set(
        found["output"]
    )
    assert {"GTiff", "JP2", "netCDF", "GeoJSON", "CSV", "Parquet"} == set(found["input"])
    for form in [*found["output"].values(), *found["input"].values()]:
        assert form["title"] and form["gis_data_types"] and "parameters" in form
    json.dumps(found)
