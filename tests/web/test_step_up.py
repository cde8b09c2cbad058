"""Services before a real hub: what a login proves, how one is sent to prove more, and who is told that they cannot."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bdap_hub.access import Decision, Requirement
from bdap_hub.audit import latest
from bdap_hub.dashboards.bundles.client import publish as publish_from_the_command_line
from bdap_hub.dashboards.tables import Dashboard
from bdap_hub.database import connect
from bdap_hub.errors import BdapError
from bdap_hub.identity import sessions
from bdap_hub.identity.tables import Session
from bdap_hub.web import HubLogin, Principal

ADMIN, DASHBOARDS = "/services/admin/", "/services/dashboards/"


def sent_to(answer: httpx.Response) -> dict[str, str]:
    """The step-up that an answer sends the browser to."""
    parts = urlsplit(answer.headers["Location"])
    assert parts.path == "/hub/step-up"
    return {key: value for key, (value,) in parse_qs(parts.query).items()}


def last_event(settings) -> tuple[str, str, str, str]:
    event = latest(connect(settings.database), 1)[0]
    return event.person, event.action, event.outcome, event.reason


def test_the_hub_says_what_a_login_proves(hub):
    login = HubLogin(hub.settings, "admin")
    with closing(hub.browser("ana", level="high", age="50")) as browser:
        key = _digest(browser)
        found = _session(hub, key)
        assert (found["person"], found["level"], found["groups"]) == ("ana", "high", ["project-agriculture"])
        headers = {"Authorization": f"token {hub.settings.secret('service-admin')}"}
        url = f"{login.api}/bdap/sessions/"
        assert httpx.get(f"{url}{key}", headers=headers).status_code == 200
        for refused, status in (
            (httpx.get(f"{url}{'0' * 64}", headers=headers), 404),
            (httpx.get(f"{url}{key[:-1]}", headers=headers), 404),
            (httpx.get(f"{url}{key}", headers=hub.bearer("ana")), 403),  # one's own token reads no logins
            (httpx.get(f"{url}{key}"), 403),
        ):
            assert refused.status_code == status
        _log_in_again(browser, hub, "ana")
        assert _session(hub, key) is None and _session(hub, _digest(browser))["level"] == "mfa"


async def test_a_principal_with_a_login_is_assured(hub):
    login = HubLogin(hub.settings, "admin")
    ana = Principal((await login._by_token(hub.token("ana"), "token")).person)
    with closing(hub.browser("ana", level="high", age="50")) as browser:
        person = await login.assured(Principal(ana.person, session=_digest(browser)))
        assert person.assurance.level == "high" and 50 <= person.assurance.age < 60
    ben = Principal((await login._by_token(hub.token("ben"), "token")).person, session=_digest(browser))
    for other in (ben, ana, Principal(ana.person, session="0" * 64)):
        assert (await login.assured(other)).assurance is None


def test_a_token_of_no_login_has_no_session(hub, services):
    answer = httpx.get(f"{services}{ADMIN}", headers={**hub.bearer("olga"), "Accept": "application/json"})
    assert answer.status_code == 403
    assert answer.json()["code"] == "StepUpRequired"
    assert "none behind this request" in answer.json()["message"]
    assert answer.json()["step_up"].startswith(f"{services}/hub/step-up?max_age=300&next=")


def test_an_old_login_is_led_through_step_up_and_back(hub, services, settings):
    with closing(hub.browser("olga", age="400")) as browser:
        answer = browser.get(f"{services}{ADMIN}people?x=1", follow_redirects=False)
        while answer.is_redirect and "/hub/step-up" not in answer.headers["Location"]:
            answer = browser.get(answer.next_request.url, follow_redirects=False)
        demand = sent_to(answer)
        assert demand == {"max_age": "300", "next": f"{ADMIN}login?next=%2Fservices%2Fadmin%2Fpeople%3Fx%3D1"}
        assert last_event(settings)[:3] == ("olga", "administer", "refused")
        _log_in_again(browser, hub, "olga")
        page = browser.get(f"{services}{demand['next']}")
        assert (page.status_code, str(page.url)) == (200, f"{services}{ADMIN}people?x=1")


def test_somebody_without_the_right_is_not_led_anywhere(hub, services):
    with closing(hub.browser("ana", age="400")) as browser:
        answer = browser.get(f"{services}{ADMIN}")
        assert answer.status_code == 403 and "/hub/step-up" not in answer.text
        assert "not in group bdap-admins" in answer.text


def test_a_form_is_not_sent_again_but_the_page_says_where_to_log_in(hub, services):
    with closing(hub.browser("olga")) as browser:
        assert browser.get(f"{services}{ADMIN}servers").status_code == 200
        token = HubLogin(hub.settings, "admin").xsrf(_Request(cookies=dict(browser.cookies.items())))
        form = {"person": "nobody", "server": "", "_xsrf": token}
        let_in = browser.post(f"{services}{ADMIN}servers/stop", data=form)
        assert let_in.status_code != 403
        _make_old(hub, browser)
        here = {"Referer": f"{services}{ADMIN}servers"}
        refused = browser.post(f"{services}{ADMIN}servers/stop", data=form, headers=here, follow_redirects=False)
        assert refused.status_code == 403 and "Please log in again" in refused.text
        address = re.search(r'href="([^"]*/hub/step-up[^"]*)"', refused.text)
        assert address and "next=%2Fservices%2Fadmin%2Flogin%3Fnext%3D%252Fservices%252Fadmin%252Fservers" in address[1]
        asked = browser.post(
            f"{services}{ADMIN}servers/stop", data=form, headers={"Accept": "application/json"}, follow_redirects=False
        )
        assert asked.status_code == 403 and "/hub/step-up?max_age=300" in asked.json()["step_up"]


def test_the_panel_acts_in_its_visitors_name_with_their_login(hub, services, settings):
    """It hands its own token to the dashboards service, which asks the hub what that login proves."""
    row = Dashboard(project="agriculture", slug="old", owner="ana", title="Old", visibility="project")
    with connect(settings.database).begin() as session:
        session.add(row)
    with closing(hub.browser("olga")) as browser:
        assert "agriculture/old" in browser.get(f"{services}{ADMIN}dashboards").text
        xsrf = HubLogin(hub.settings, "admin").xsrf(_Request(cookies=dict(browser.cookies.items())))
        form = {"project": "agriculture", "slug": "old", "_xsrf": xsrf}
        done = browser.post(f"{services}{ADMIN}dashboards/take-down", data=form)
        assert done.status_code == 200, done.text
    with connect(settings.database).begin() as session:
        assert session.get(Dashboard, row.id).status == "retired"
        session.delete(session.get(Dashboard, row.id))


def test_a_replaced_login_is_known_again_without_a_question(hub, services):
    """A step-up begins a new session; the services' cookies are of the old one."""
    with closing(hub.browser("ana")) as browser:
        assert "Log out" in browser.get(f"{services}{DASHBOARDS}").text
        before = browser.cookies.get("bdap-dashboards")
        _log_in_again(browser, hub, "ana")
        page = browser.get(f"{services}{DASHBOARDS}")
        assert page.status_code == 200 and "Log out" in page.text
        assert browser.cookies.get("bdap-dashboards") != before


def test_open_to_everybody_needs_the_stronger_login(hub, services, settings):
    page = f"{services}{DASHBOARDS}d/agriculture/fields"
    with closing(hub.browser("ana")) as browser:
        shown = browser.get(page)
        assert "Before it becomes public you will be asked to log in again" in shown.text
        xsrf = _xsrf(shown)
        for visibility, status in (("people", 303), ("public", 403), ("project", 303)):
            sent = browser.post(
                f"{page}/visibility", data={"visibility": visibility, "_xsrf": xsrf}, follow_redirects=False
            )
            assert sent.status_code == status, visibility
            if status == 403:
                assert "level high; this one has mfa" in sent.text
                assert "/hub/step-up?level=high&amp;next=%2Fservices%2Fdashboards%2Flogin" in sent.text
                assert "fields" in sent.text
                assert last_event(settings)[1:3] == ("dashboard.visibility", "refused")
    with closing(hub.browser("ana", level="high")) as browser:
        shown = browser.get(page)
        assert "Before it becomes public" not in shown.text
        sent = browser.post(
            f"{page}/visibility", data={"visibility": "public", "_xsrf": _xsrf(shown)}, follow_redirects=False
        )
        assert sent.status_code == 303
    with closing(hub.browser("ana")) as browser:  # to take it back, no stronger login is needed
        sent = browser.post(
            f"{page}/visibility",
            data={"visibility": "project", "_xsrf": _xsrf(browser.get(page))},
            follow_redirects=False,
        )
        assert sent.status_code == 303


def test_a_token_cannot_publish_to_everybody(hub, services, tmp_path):
    """The notebook's token, and one made by hand, belong to no login: they are told to do it in the browser."""
    form = {"project": "agriculture", "slug": "fields"}
    for visibility, status in (("public", 403), ("people", 400)):  # 400: it was let in, and had no notebook with it
        answer = httpx.post(
            f"{services}{DASHBOARDS}api/dashboards",
            data={**form, "visibility": visibility},
            files={"other": b""},
            headers=hub.bearer("ana"),
        )
        assert answer.status_code == status, answer.text
        if status == 403:
            assert "open it to everybody on its page in the browser" in answer.json()["remedy"]
            assert "d%252Fagriculture%252Ffields" in answer.json()["step_up"]
    notebook = tmp_path / "a.ipynb"
    notebook.write_text("{}")
    with pytest.raises(BdapError) as refused:
        publish_from_the_command_line(
            f"{services}{DASHBOARDS}", hub.token("ana"), notebook, project="agriculture", visibility="public"
        )
    assert f"({services}/hub/step-up?level=high" in refused.value.remedy


@pytest.mark.parametrize(
    "referer", ["https://evil.example/services/admin/x/../..", "", "/hub/logout", "//evil.example"]
)
def test_the_way_back_stays_in_the_service(hub, referer):
    login = HubLogin(hub.settings, "admin")
    request = _Request("POST", {"referer": referer})
    error = login.step_up(request, Decision(False, "r", Requirement("high")))
    query = parse_qs(urlsplit(error.address).query)
    assert query == {"level": ["high"], "next": ["/services/admin/login?next=%2Fservices%2Fadmin%2F"]}


@dataclass
class _Request:
    """What is looked at of a request."""

    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)


def _digest(browser: httpx.Client) -> str:
    return sessions.digest(browser.cookies["jupyterhub-session-id"])


def _session(hub, key: str) -> Any:
    headers = {"Authorization": f"token {hub.settings.secret('service-admin')}"}
    answer = httpx.get(f"{hub.url}/hub/api/bdap/sessions/{key}", headers=headers)
    return answer.json() if answer.status_code == 200 else None


def _log_in_again(browser: httpx.Client, hub, name: str) -> None:
    """What a step-up does to a browser: another session, whose login is of now."""
    browser.cookies.delete("jupyterhub-hub-login", path="/hub/")
    browser.get(f"{hub.url}/hub/login")
    xsrf = browser.cookies.get("_xsrf", path="/hub/")
    sent = browser.post(f"{hub.url}/hub/login", data={"username": name, "password": "test", "_xsrf": xsrf})
    assert sent.status_code == 200


def _make_old(hub, browser: httpx.Client) -> None:
    """Long ago, as the services will hear when they ask again."""
    with connect(hub.settings.database).begin() as session:
        session.get(Session, _digest(browser)).auth_time -= 400


def _xsrf(page: httpx.Response) -> str:
    found = re.search(r'name="_xsrf" value="([0-9a-f]+)"', page.text)
    assert found, page.text
    return found[1]
