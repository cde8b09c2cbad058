"""load_result by a job: its owner alone reads what it gave, as long as the job is there and its sources may be read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .client import Client, tile
from .conftest import DATES, make_collection, truth, write_catalogue
from .graphs import arg, call, load, node, of
from .test_jobs import finished
from .test_load_stac import value

STYLE = {"format": "PNG", "options": {"min": 0, "max": 10000}}


def written(form: str = "GTiff", collection: str = "fields", **more: Any) -> dict[str, Any]:
    """A job's graph: one band of the first two dates."""
    data = load(collection, bands=["B04"], temporal_extent=[DATES[0], DATES[2]], **more)
    return {"data": data, "save": node("save_result", True, data=of("data"), format=form)}


def second(identifier: str) -> dict[str, Any]:
    """The second date of a job's result, in gray."""
    last = call("last", data=arg("data"))
    return {
        "data": node("load_result", id=identifier, bands=["B04"]),
        "flat": node("reduce_dimension", data=of("data"), reducer=last, dimension="t"),
        "save": node("save_result", True, data=of("flat"), **STYLE),
    }


@pytest.fixture(scope="module")
def ben(platform: Any) -> Client:
    return Client(platform, "ben")


@pytest.fixture(scope="module")
def done(platform: Any) -> str:
    """A finished job of ana."""
    return finished(Client(platform, "ana"), written())


def test_a_result_is_read_as_its_sources_are(ana: Client, done: str, platform: Any) -> None:
    address = f"{platform.settings.hub.public_url}/services/processing/jobs/{done}/results"
    sources = second("") | {"data": load(bands=["B04"], temporal_extent=[DATES[0], DATES[2]])}
    same = tile(ana.service(sources))
    for identifier in (done, address):
        assert value(ana, second(identifier)) == {"B04": truth(1)["B04"][123, 45]}
        drawn = tile(ana.service(second(identifier)))
        assert drawn.content == same.content and drawn.headers["cache-control"].startswith("private")
    assert same.headers["cache-control"].startswith("public")
    later = second(done) | {"data": node("load_result", id=done, temporal_extent=[DATES[0], DATES[1]])}
    assert value(ana, later) == {"B04": truth(0)["B04"][123, 45]}


def test_another_person_gets_the_answer_for_a_job_that_is_not_there(
    ana: Client, ben: Client, done: str, platform: Any
) -> None:
    path = f"/eos/results/ana/{done}/result_{DATES[1]}.tif"
    for client, identifier in ((ben, done), (ben, "0123456789abcdef"), (ana, "0123456789abcdef")):
        refused = client.post(second(identifier))
        assert (refused.status_code, refused.json()["code"]) == (404, "JobNotFound")
        assert refused.json()["message"].replace(identifier, "X").startswith("you have no job 'X'")
        body = {"process": {"process_graph": second(identifier)}}
        assert [e["code"] for e in client.http.post("/validation", json=body).json()["errors"]] == ["JobNotFound"]
    by_path = second(path) | {"data": node("load_result", id=path)}
    assert ben.post(by_path).status_code == 403
    assert ana.post(by_path).status_code == 201 and ana.post(second(done)).status_code == 201
    own = finished(ben, written(collection="plots"))
    assert value(ben, second(own)) == {"B04": truth(1)["B04"][123, 45]}
    assert ana.post(second(own)).json()["code"] == "JobNotFound"


def test_tiles_end_with_the_job(ana: Client, platform: Any) -> None:
    """Those of its result, of another job's result made of it, and of its file by the path."""
    first = finished(ana, written())
    next_ = finished(ana, written() | {"data": node("load_result", id=first)})
    path = f"/eos/results/ana/{first}/result_{DATES[1]}.tif"
    graphs = [second(first), second(next_), second(path) | {"data": node("load_result", id=path)}]
    services = [ana.service(graph) for graph in graphs]
    assert [tile(service).status_code for service in services] == [200] * 3
    assert ana.http.patch(f"/jobs/{next_}", json={"process": {"process_graph": written()}}).status_code == 204
    assert [tile(service).status_code for service in services] == [200, 404, 200]
    assert ana.http.delete(f"/jobs/{first}").status_code == 204
    refused = [tile(service) for service in services]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(404, "JobNotFound")] * 3
    posted = [ana.post(graph).json()["code"] for graph in graphs]
    assert posted == ["JobNotFound", "JobNotStarted", "FileUnavailable"]


def test_a_result_closes_with_what_its_job_read(ana: Client, platform: Any) -> None:
    settings = platform.settings
    described, items = make_collection(settings.store.root, "heath", "public", "")
    write_catalogue(settings.var, described, items)
    service = ana.service(second(job := finished(ana, written(collection="heath"))))
    assert tile(service).status_code == 200
    time.sleep(0.01)
    write_catalogue(settings.var, {**described, "bdap:visibility": "project", "bdap:project": "forest"}, items)
    assert tile(service).status_code == 403 and ana.post(second(job)).status_code == 403


def test_a_result_that_is_no_raster(ana: Client) -> None:
    refused = ana.post(second(finished(ana, written("netCDF"))))
    assert (refused.status_code, refused.json()["code"]) == (400, "FormatUnsuitable")
    assert "save the result of the job as GTiff" in refused.text
