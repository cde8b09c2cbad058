"""The panel as administrators, other people and strangers meet it; each refusal stands beside what is allowed."""

from __future__ import annotations

import re
import time
from contextlib import closing
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from bdap_hub import audit
from bdap_hub.admin.app import router
from bdap_hub.errors import Unavailable

PAGES = {"": "Running servers", "people": "project-forest", "servers": "Administration", "audit": "Outcome"}


def newest(panel: Any, **wanted: str) -> Any:
    return audit.latest(panel.app.state.sessions, 1, **wanted)[0]


def stop_servers(panel: Any, name: str) -> None:
    panel.hub.api("DELETE", f"/users/{name}/server")


def running(panel: Any, name: str) -> bool:
    return bool(panel.hub.api("GET", f"/users/{name}").json()["server"])


def wait_until(wanted: Any, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@pytest.mark.parametrize(("path", "text"), PAGES.items())
def test_an_administrator_sees_every_page(panel: Any, path: str, text: str) -> None:
    answer = panel.get("olga", path)
    assert answer.status_code == 200, answer.text
    assert text in answer.text
    assert 'role="alert"' not in answer.text


def test_the_header_leads_where_the_hubs_does(panel: Any) -> None:
    page = panel.get("olga", "").text
    assert all(f'/hub/{path}"' in page for path in ("home", "requests", "logins"))
    assert '/hub/requests"' not in panel.get("ana", "").text


@pytest.mark.parametrize("path", [*PAGES, "dashboards"])
def test_others_are_refused_readably_and_that_is_recorded(panel: Any, path: str) -> None:
    answer = panel.get("ana", path)
    assert answer.status_code == 403
    assert "Ana is not in group bdap-admins" in answer.text
    assert "What you can do:" in answer.text
    event = newest(panel, person="ana")
    assert (event.action, event.subject, event.outcome) == ("administer", f"/services/admin/{path}", "refused")


@pytest.mark.parametrize("path", [*PAGES, "dashboards"])
def test_strangers_are_sent_to_the_login(panel: Any, path: str) -> None:
    answer = httpx.get(panel.url + path, headers={"Accept": "text/html"})
    assert answer.status_code == 302
    assert "/hub/api/oauth2/authorize?client_id=service-admin" in answer.headers["location"]


def test_no_route_is_without_the_check(panel: Any) -> None:
    checked = [route for route in router.routes if isinstance(route, APIRoute)]
    assert len(checked) >= 7
    for route in checked:
        for method in route.methods:
            url = panel.url.rstrip("/") + route.path
            ana = httpx.request(method, url, headers=panel.hub.bearer("ana"))
            assert (method, route.path, ana.status_code) == (method, route.path, 403)
            stranger = httpx.request(method, url)
            assert (method, route.path, stranger.status_code) == (method, route.path, 401)


def test_a_dashboards_token_is_no_administrator(panel: Any) -> None:
    token = panel.app.state.login.release_token("agriculture/crops", "bdap-admins", 60)
    answer = httpx.get(panel.url, headers={"Authorization": f"Bearer {token}", "Accept": "text/html"})
    assert answer.status_code == 403
    assert newest(panel, person="dashboard:agriculture/crops").outcome == "refused"


def test_everybody_is_listed_also_beyond_one_page(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdap_hub.admin.sources.PAGE", 1)
    text = panel.get("olga", "people").text
    assert [name for name in ("ana", "ben", "olga", "pia") if f">{name}<" in text] == ["ana", "ben", "olga", "pia"]
    assert text.count('<span class="badge warn">admin</span>') == 1


@pytest.fixture
def server(panel: Any) -> Any:
    panel.hub.api("POST", "/users/ben/server")
    wait_until(lambda: running(panel, "ben"), "ben's server runs")
    yield "ben"
    stop_servers(panel, "ben")


def test_the_stop_button_stops_a_server(panel: Any, server: str) -> None:
    with closing(panel.hub.browser("olga")) as browser:
        listed = browser.get(panel.url + "servers")
        assert "Stop the server default of ben" in listed.text
        form = {"person": "ben", "server": "", "_xsrf": xsrf(listed)}
        refused = browser.post(panel.url + "servers/stop", data={**form, "_xsrf": "x"})
        assert refused.status_code == 403
        assert "protection token" in refused.text
        assert browser.post(panel.url + "servers/stop", data={"person": "ben"}).status_code == 403
        ana = httpx.post(panel.url + "servers/stop", data={"person": "ben"}, headers=panel.hub.bearer("ana"))
        assert ana.status_code == 403
        traversal = {"person": "ben/server?x=", "server": "../../../ben"}
        headers = panel.hub.bearer("olga")
        assert httpx.post(panel.url + "servers/stop", data=traversal, headers=headers).status_code == 404
        assert httpx.post(panel.url + "servers/stop", content=b"a" * (2 << 20), headers=headers).status_code == 413
        assert running(panel, "ben")

        done = browser.post(panel.url + "servers/stop", data=form)
        assert done.status_code == 200
        assert "The server ben/ was asked to stop" in done.text
    wait_until(lambda: not running(panel, "ben"), "ben's server stops")
    event = newest(panel, person="olga")
    assert (event.action, event.subject, event.outcome) == ("stop-server", "ben/", "allowed")


def test_stopping_what_does_not_run_says_so_and_is_recorded(panel: Any) -> None:
    answer = httpx.post(panel.url + "servers/stop", data={"person": "nobody"}, headers=panel.hub.bearer("olga"))
    assert answer.status_code == 404
    assert "the hub knows no such thing" in answer.json()["message"]
    assert newest(panel, person="olga").outcome == "refused"


def test_dashboards_are_listed_escaped_and_taken_down(panel: Any, dashboard: str) -> None:
    with closing(panel.hub.browser("olga")) as browser:
        listed = browser.get(panel.url + "dashboards")
        assert "Crops &lt;b&gt;2026&lt;/b&gt;" in listed.text
        assert 'data-label="Visits">41<' in listed.text
        form = {"project": "agriculture", "slug": "crops", "_xsrf": xsrf(listed)}
        assert browser.post(panel.url + "dashboards/take-down", data={**form, "_xsrf": ""}).status_code == 403
        assert dashboard in panel.dashboards
        assert "was taken down" in browser.post(panel.url + "dashboards/take-down", data=form).text
    assert dashboard not in panel.dashboards
    assert newest(panel, person="olga").action == "take-down-dashboard"


def test_a_part_that_is_down_costs_only_its_own_table(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object) -> None:
        raise Unavailable("the dashboards service does not answer", "see whether its service runs, then reload")

    monkeypatch.setattr(panel.app.state.dashboards, "all", down)
    text = panel.get("olga").text
    assert "The dashboards service does not answer" in text
    assert "Running servers" in text
    assert "project-forest" in panel.get("olga", "people").text


def xsrf(answer: httpx.Response) -> str:
    """The protection token of the page's forms."""
    found = re.search(r'name="_xsrf" value="(\w+)"', answer.text)
    assert found, answer.text
    return found[1]
