"""Projects by REST: administrators edit all, leads what `access` lets them, nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from bdap_hub import audit
from bdap_hub.settings import RequirementSettings

API = "api/projects"


def call(panel: Any, method: str, who: str, path: str = "", **kwargs: Any) -> httpx.Response:
    return httpx.request(method, f"{panel.url}{API}{path}", headers=panel.hub.bearer(who), timeout=30, **kwargs)


@pytest.fixture(scope="module")
def marsh(panel: Any) -> Iterator[str]:
    """A project of the database that ben leads and ana is a member of."""
    for group, name in (("project-marsh-leads", "ben"), ("project-marsh", "ana")):
        panel.hub.api("POST", f"/groups/{group}")
        panel.hub.set_group(group, name, True)
    made = call(panel, "POST", "olga", json={"name": "marsh", "title": "The marsh", "ends": "2099-12-31"})
    assert made.status_code == 201, made.text
    assert made.json()["title"] == "The marsh" and made.json()["editable"] is True
    yield "/marsh"
    for group, name in (("project-marsh-leads", "ben"), ("project-marsh", "ana")):
        panel.hub.set_group(group, name, False)


def test_who_sees_which(panel: Any, marsh: str) -> None:
    def seen(who: str) -> dict[str, bool]:
        return {one["name"]: one["editable"] for one in call(panel, "GET", who).json()["projects"]}

    assert seen("olga") == {"agriculture": False, "forest": False, "marsh": True}
    assert seen("ben") == {"marsh": True}
    assert seen("ana") == seen("pia") == {}
    assert call(panel, "GET", "ben", marsh).json()["ends"] == "2099-12-31"
    assert call(panel, "GET", "ana", marsh).status_code == call(panel, "GET", "ana", "/nix").status_code == 404
    assert httpx.get(f"{panel.url}{API}").status_code == 401


@pytest.mark.parametrize(
    ("who", "fields", "status", "says"),
    [
        ("olga", {"ends": "2098-12-31"}, 200, "marsh: ends: 2099-12-31 becomes 2098-12-31"),
        ("ben", {"description": "Wet."}, 200, "marsh: description: nothing becomes Wet."),
        ("ben", {"images": ["lab", "gpu"]}, 403, "'images' of project marsh is changed by administrators alone"),
        ("ben", {"title": "Mine", "lead_group": "bdap-admins"}, 403, "'lead_group' of project marsh"),
        ("ana", {"title": "Mine"}, 403, "Ana does not lead project marsh"),
        ("olga", {"ends": "soon"}, 400, "ends: "),
        ("olga", {"colour": "red"}, 400, "colour: there is no such field"),
        ("olga", {"name": "bog"}, 400, "name: there is no such field"),
        ("olga", {"group": "project-forest"}, 409, "shares the group 'project-forest'"),
        ("olga", ["title"], 400, "(got ['title'])"),
    ],
)
def test_who_changes_what(panel: Any, marsh: str, who: str, fields: Any, status: int, says: str) -> None:
    before = call(panel, "GET", "olga", marsh).json()
    answer = call(panel, "PATCH", who, marsh, json=fields)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["changed"] == [says]
        assert audit.latest(panel.app.state.sessions, 1, person=who)[0].reason == says
        undone = {key: before.get(key, "") for key in fields}
        assert call(panel, "PATCH", "olga", marsh, json=undone).status_code == 200
    else:
        assert says.casefold() in answer.json()["message"].casefold() and answer.json()["remedy"] is not None
    assert call(panel, "GET", "olga", marsh).json() == before


def test_only_administrators_create(panel: Any, marsh: str) -> None:
    wanted = {"name": "dunes", "title": "Dunes"}
    assert call(panel, "POST", "ben", json=wanted).status_code == 403
    assert call(panel, "POST", "olga", json={"title": "Dunes"}).status_code == 400
    assert call(panel, "POST", "olga", json={**wanted, "name": "forest"}).status_code == 409
    assert call(panel, "POST", "olga", json=wanted).status_code == 201
    assert call(panel, "POST", "olga", json=wanted).status_code == 409
    assert call(panel, "PATCH", "olga", "/forest", json={"title": "Mine"}).status_code == 409
    assert call(panel, "PATCH", "olga", "/nix", json={"title": "Mine"}).status_code == 404


def test_a_cookie_alone_changes_nothing(panel: Any, marsh: str) -> None:
    """Another site's page can make a browser send its cookie, not our token."""
    with closing(panel.hub.browser("olga")) as browser:
        browser.get(panel.url + "people")
        token = panel_token(panel, browser)
        wanted = {"description": "By a browser."}
        refused = browser.patch(f"{panel.url}{API}{marsh}", json=wanted, headers={"Accept": "application/json"})
        assert (refused.status_code, "protection token" in refused.text) == (403, True)
        elsewhere = {"X-XSRFToken": token, "Origin": "https://evil.example", "Accept": "application/json"}
        assert browser.patch(f"{panel.url}{API}{marsh}", json=wanted, headers=elsewhere).status_code == 403
        good = {"X-XSRFToken": token, "Accept": "application/json"}
        assert browser.patch(f"{panel.url}{API}{marsh}", json=wanted, headers=good).status_code == 200
    assert call(panel, "GET", "olga", marsh).json()["description"] == "By a browser."


def panel_token(panel: Any, browser: httpx.Client) -> str:
    """The token that the panel's forms carry for this browser's cookie."""
    login = panel.app.state.login
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies.jar}
    return str(login.xsrf(SimpleNamespace(cookies=cookies)))


def test_a_login_that_is_too_old_is_sent_to_a_fresh_one(
    panel: Any, marsh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel.app.state.settings.identity, "step_up", {"administer": RequirementSettings(max_age=60)})
    refused = call(panel, "PATCH", "olga", marsh, json={"ends": "2090-01-01"})  # a token belongs to no login
    assert refused.status_code == 403 and refused.json()["code"] == "StepUpRequired"
    assert "/hub/step-up?max_age=60" in refused.json()["step_up"]
    assert call(panel, "PATCH", "ben", marsh, json={"description": "Still."}).status_code == 200
