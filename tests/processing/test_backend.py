"""The service as a back end of openEO: where clients begin, errors, cross-origin requests, collections."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from bdap_hub.processing.app import create_app
from bdap_hub.processing.service.capabilities import endpoints, openeo_path

from .client import PREFIX, Client

FOREIGN = {"Origin": "https://editor.example"}
EDITOR = (
    "GET /",
    "GET /.well-known/openeo",
    "GET /conformance",
    "GET /file_formats",
    "GET /service_types",
    "GET /udf_runtimes",
    "GET /processes",
    "GET /collections",
    "GET /collections/fields",
    "GET /collections/fields/queryables",
    "GET /me",
    "GET /services",
    "GET /process_graphs",
    "GET /jobs",
    "GET /files",
    "GET /processes/backend",
    "POST /validation",
)
"""What the openEO web editor asks when somebody connects and logs in."""


@pytest.fixture(scope="module")
def nobody(platform: Any) -> httpx.Client:
    return httpx.Client(base_url=platform.settings.hub.public_url + PREFIX, timeout=60)


def test_well_known_leads_to_the_capabilities(nobody: httpx.Client) -> None:
    (version,) = nobody.get("/.well-known/openeo").json()["versions"]
    found = httpx.get(version["url"]).json()
    assert (version["api_version"], version["production"]) == ("1.2.0", False)
    assert found["api_version"] == "1.2.0" and "https://api.openeo.org/1.2.0" in found["conformsTo"]
    assert nobody.get("/conformance").json()["conformsTo"] == found["conformsTo"]


def test_endpoints_are_the_real_routes(platform: Any) -> None:
    app = create_app(platform.settings)

    @app.get(f"{PREFIX}/services/{{identifier}}/logs")
    async def logs(identifier: str) -> None: ...

    listed = {(e["path"], m) for e in endpoints(app, PREFIX) for m in e["methods"]}
    assert {("/services", "POST"), ("/services/{service_id}", "DELETE"), ("/me", "GET")} <= listed
    assert ("/services/{service_id}/logs", "GET") in listed
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.path != PREFIX]
    real = {(openeo_path(r.path.removeprefix(PREFIX)), m) for r in routes for m in r.methods if PREFIX in r.path}
    assert listed <= real and not any("{" in path and re.search(r"\{identifier|:", path) for path, _ in listed)
    assert endpoints(FastAPI(), PREFIX) == []


@pytest.mark.parametrize("call", EDITOR)
def test_the_web_editors_calls_answer_across_origins(ana: Client, call: str) -> None:
    method, path = call.split()
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}
    before = httpx.options(str(ana.http.base_url) + path.lstrip("/"), headers={**FOREIGN, **asked})
    assert (before.status_code, before.content) == (204, b"")
    assert before.headers["access-control-allow-origin"] == "*"
    assert method in before.headers["access-control-allow-methods"]
    assert "Authorization" in before.headers["access-control-allow-headers"]
    answer = ana.http.request(method, path, headers=FOREIGN, json={} if method == "POST" else None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"Location", "OpenEO-Identifier", "Link", "OpenEO-Costs"} <= set(
        answer.headers["access-control-expose-headers"].split(", ")
    )
    assert "access-control-allow-credentials" not in {**answer.headers, **before.headers}


def test_a_cookie_counts_on_our_own_pages_only(platform: Any) -> None:
    browser = platform.browser("ana")
    browser.headers["Accept"] = "application/json"
    url = f"{platform.settings.hub.public_url}{PREFIX}"
    browser.get(f"{url}/login")
    assert browser.get(f"{url}/me").json()["user_id"] == "ana"
    own = {"Origin": platform.settings.hub.public_url}
    assert browser.get(f"{url}/me", headers=own).json()["user_id"] == "ana"
    for origin in (*FOREIGN.values(), "null", "http://127.0.0.1:1", platform.settings.dashboards.origin):
        refused = browser.get(f"{url}/me", headers={"Origin": origin})
        assert (refused.status_code, refused.json()["code"]) == (401, "AuthenticationRequired")
        assert refused.headers["access-control-allow-origin"] == "*" and "Origin" in refused.headers["vary"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NotFound"),
        ("PATCH", "/processes", 405, "FeatureUnsupported"),
        ("GET", "/collections?limit=few", 400, "BadRequest"),
        ("GET", "/collections/none", 404, "CollectionNotFound"),
        ("GET", "/services/none", 404, "ServiceNotFound"),
        ("POST", "/validation", 400, "BadRequest"),
        ("POST", "/services", 400, "BadRequest"),
    ],
)
def test_every_refusal_is_an_openeo_error(ana: Client, method: str, path: str, status: int, code: str) -> None:
    answer = ana.http.request(method, path, headers={**FOREIGN, "Accept": "text/html,*/*"})
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code)
    assert said["message"] and re.fullmatch("[0-9a-f]{16}", said["id"]) and said["links"] == []
    assert answer.headers["access-control-allow-origin"] == "*"


def test_an_unexpected_failure_is_one_too(platform: Any, caplog: pytest.LogCaptureFixture) -> None:
    from fastapi.testclient import TestClient

    app = create_app(platform.settings)

    @app.get(f"{PREFIX}/fails")
    async def fails() -> None:
        raise RuntimeError("a secret")

    answer = TestClient(app, raise_server_exceptions=False).get(f"{PREFIX}/fails")
    said = answer.json()
    assert (answer.status_code, said["code"]) == (500, "Internal") and "secret" not in answer.text
    assert said["id"] in caplog.text and answer.headers["access-control-allow-origin"] == "*"


def test_collections_are_those_of_the_caller(platform: Any, ana: Client, nobody: httpx.Client) -> None:
    ben = Client(platform, "ben")

    def seen(client: httpx.Client) -> set[str]:
        return {one["id"] for one in client.get("/collections").json()["collections"]}

    for client in (nobody, ana.http):
        assert "fields" in seen(client) and "plots" not in seen(client)
    assert {"fields", "plots"} <= seen(ben.http)
    assert ben.http.get("/collections/plots").status_code == 200
    assert ana.http.get("/collections/plots").status_code == 404
    assert nobody.get("/collections/plots").status_code == 401
    assert nobody.get("/collections/fields").status_code == 200


def test_a_collection_has_dimensions_and_bands(nobody: httpx.Client) -> None:
    found = nobody.get("/collections/fields").json()
    bands = ["B02", "B03", "B04", "B08", "SCL"]
    dimensions = found["cube:dimensions"]
    assert {name: one["type"] for name, one in dimensions.items()} == {
        "x": "spatial",
        "y": "spatial",
        "t": "temporal",
        "bands": "bands",
    }
    assert dimensions["bands"]["values"] == bands == [band["name"] for band in found["summaries"]["eo:bands"]]
    assert found["summaries"]["eo:bands"][3] == {"name": "B08", "common_name": "nir"}
    assert dimensions["t"]["extent"] == ["2024-05-01T00:00:00Z", "2024-07-01T23:59:59Z"]
    west, south, east, north = found["extent"]["spatial"]["bbox"][0]
    assert (dimensions["x"]["extent"], dimensions["y"]["extent"]) == ([west, east], [south, north])
    (here,) = [link["href"] for link in found["links"] if link["rel"] == "self"]
    assert here.endswith(f"{PREFIX}/collections/fields") and "bdap:folder" not in found
    assert "eo:cloud_cover" in nobody.get("/collections/fields/queryables").json()["properties"]


def test_me_and_tokens_as_openeo_writes_them(platform: Any, nobody: httpx.Client) -> None:
    token = platform.token("ana")
    for value in (token, f"basic//{token}"):
        answer = nobody.get("/me", headers={"Authorization": f"Bearer {value}"})
        assert answer.json()["user_id"] == "ana", answer.text
    wrong = ("none", "basic//", "basic//none", f"basic/other/{token}", f"oidc//{token}", f"oidc/other/{token}")
    for value in wrong:
        assert nobody.get("/me", headers={"Authorization": f"Bearer {value}"}).status_code in (401, 403), value
    assert nobody.get("/credentials/basic", auth=("ana", token)).json() == {"access_token": token}
    for name, sent in (("ben", token), ("ana", "none"), ("ana", ""), ("", token)):
        assert nobody.get("/credentials/basic", auth=(name, sent)).status_code in (401, 403), (name, sent)
