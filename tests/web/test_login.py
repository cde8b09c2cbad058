"""Login of a service against a real hub: tokens, cookies, states, XSRF; each refusal beside what is let in."""

from __future__ import annotations

from contextlib import closing

import httpx
import pytest
from fastapi import Request

from bdap_hub.errors import NotLoggedIn
from bdap_hub.telemetry import redact
from bdap_hub.web import create_service, page, read_token, sign_token


@pytest.fixture(scope="module")
def service(hub):
    """A small service under the name `admin` of the hub, with one page and one action."""
    app, login = create_service(hub.settings, "admin", "Test")

    @app.get("/services/admin/who")
    async def who(request: Request):
        principal = await login.require(request)
        if "text/html" in request.headers.get("accept", ""):
            return page(request, "error.html", error=NotLoggedIn(login.xsrf(request)), person=None)
        return {"name": principal.person.name, "groups": sorted(principal.person.groups), "kind": principal.kind}

    @app.post("/services/admin/act")
    async def act(request: Request):
        return {"name": (await login.require(request)).person.name}

    hub.serve(app, hub.settings.admin.port)
    return f"{hub.url}/services/admin", login


def test_a_hub_token_says_who_calls(hub, service):
    answer = httpx.get(f"{service[0]}/who", headers=hub.bearer("ana"))
    assert answer.json() == {"name": "ana", "groups": ["project-agriculture"], "kind": "person"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer 0123456789abcdef"}, 401),
        ({"Authorization": "Basic YW5hOnRlc3Q="}, 401),
        ({"Authorization": "Bearer a.b.c"}, 401),
        ({"Authorization": "Bearer caf\u00e9".encode("latin-1")}, 401),
        ({"Cookie": "bdap-admin=caf\u00e9".encode("latin-1")}, 401),
        ({"Cookie": "bdap-admin=0123456789abcdef"}, 401),
    ],
)
def test_nobody_without_a_valid_token(service, headers, status):
    answer = httpx.get(f"{service[0]}/who", headers=headers)
    assert answer.status_code == status
    assert answer.json()["remedy"]


def test_a_release_token_is_a_member_of_its_project_and_nothing_more(service):
    token = service[1].release_token("agriculture/ndvi", "project-agriculture", 60)
    answer = httpx.get(f"{service[0]}/who", headers={"Authorization": f"Bearer {token}"})
    assert answer.json() == {"name": "dashboard:agriculture/ndvi", "groups": ["project-agriculture"], "kind": "release"}
    assert httpx.get(f"{service[0]}/who", headers={"Cookie": f"bdap-admin={token}"}).status_code == 401
    forged = sign_token("another key" * 4, "release", 60, dashboard="x", group="bdap-admins")
    assert httpx.get(f"{service[0]}/who", headers={"Authorization": f"Bearer {forged}"}).status_code == 401


def test_a_browser_is_sent_through_the_hub_and_comes_back(hub, service):
    with closing(hub.browser("ana")) as browser:
        answer = browser.get(f"{service[0]}/who?x=1")
        assert str(answer.url) == f"{service[0]}/who?x=1"
        assert answer.status_code == 200


def test_an_action_needs_the_xsrf_token(hub, service):
    with closing(hub.browser("ana")) as browser:
        html = browser.get(f"{service[0]}/who").text.lower()
        token = html.split("<p>")[1].split(".</p>")[0]
        good = browser.post(f"{service[0]}/act", data={"_xsrf": token}, headers={"Accept": "application/json"})
        assert good.json() == {"name": "ana"}
        assert browser.post(f"{service[0]}/act", data={"_xsrf": "no"}).status_code == 403
        assert browser.post(f"{service[0]}/act").status_code == 403
        elsewhere = browser.post(f"{service[0]}/act", data={"_xsrf": token}, headers={"Origin": "http://evil.example"})
        assert elsewhere.status_code == 403


def test_a_login_begun_elsewhere_is_refused(hub, service):
    first = httpx.get(f"{service[0]}/login")
    state = httpx.URL(first.headers["location"]).params["state"]
    other = httpx.get(f"{service[0]}/oauth_callback", params={"code": "x", "state": state})
    assert other.status_code == 400
    assert "another browser" in other.json()["message"]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/x", "/hub/logout", "/services/admin/../../x", "/services/admin\\x", ""],
)
def test_no_open_redirect(service, target):
    assert service[1]._safe(target) == "/services/admin/"


def test_a_redirect_within_the_service_is_kept(service):
    assert service[1]._safe("/services/admin/who?a=1") == "/services/admin/who?a=1"


def test_tokens_are_bound_to_key_purpose_and_time():
    token = sign_token("k" * 32, "tile", 60, id="a")
    assert read_token("k" * 32, "tile", token)["id"] == "a"
    for key, purpose, value in (
        ("x" * 32, "tile", token),
        ("k" * 32, "release", token),
        ("k" * 32, "tile", sign_token("k" * 32, "tile", -5, id="a")),
        ("k" * 32, "tile", token[:-2]),
    ):
        with pytest.raises(NotLoggedIn):
            read_token(key, purpose, value)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET /tiles/1?sig=abcdef123", "abcdef123"),
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        ("Authorization: token abcdefgh12345", "abcdefgh12345"),
        ('{"client_secret": "s3cr3tvalue"}', "s3cr3tvalue"),
        ("id eyJhbGciOi.eyJzdWIi.c2ln end", "eyJzdWIi"),
        ("callback?code=qwerty&state=zzz", "qwerty"),
    ],
)
def test_logs_hold_no_secret(text, secret):
    assert secret not in redact(text)
