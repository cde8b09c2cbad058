"""Logging in at a real hub through the real demo provider: what is let in, and what is refused and how it reads."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from .conftest import Browser, Platform, with_query


def test_password_and_totp_let_a_member_in(platform: Platform, browser: Browser) -> None:
    page = browser.log_in("ana")
    assert page.status_code == 200 and page.url.path.startswith("/hub/home")
    me = browser.whoami()
    assert (me["name"], me["groups"], me["admin"]) == ("ana", ["project-agriculture"], False)
    assert me["user_info"] == {"display_name": "Ana Analyst"}
    event = platform.last_event("login")
    assert (event.action, event.person, event.outcome, event.address) == ("login", "ana", "allowed", "127.0.0.1")


def test_an_administrator_of_the_platform_is_none_of_jupyterhub(browser: Browser) -> None:
    browser.log_in("olga")
    me = browser.whoami()
    assert me["admin"] is False
    assert sorted(me["groups"]) == ["bdap-admins", "project-agriculture", "project-forest"]


def test_a_person_without_project_may_log_in(browser: Browser) -> None:
    browser.log_in("pia")
    assert browser.whoami()["groups"] == []


def test_where_one_wanted_to_go(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    page = browser.log_in(name, start=f"{platform.url}/hub/token")
    assert page.url.path == "/hub/token"


def test_wrong_totp_is_refused(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    page = browser.to_code(name)
    right = platform.code(name)
    refused = browser.submit(page, code=f"{(int(right) + 1) % 1_000_000:06}")
    assert "Incorrect code" in refused.text and 'role="alert"' in refused.text
    assert browser.whoami() == {}
    assert browser.submit(refused, code=platform.code(name)).status_code == 200
    assert browser.whoami()["name"] == name


def test_a_used_totp_is_refused(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    name = platform.guest()
    first, second = browser.to_code(name), other_browser.to_code(name)
    while time.time() % 30 > 24:  # both have to happen in one period
        time.sleep(0.5)
    code = platform.code(name)
    browser.submit(first, code=code)
    refused = other_browser.submit(second, code=code)
    assert browser.whoami()["name"] == name
    assert "Incorrect code" in refused.text
    assert other_browser.whoami() == {}


def test_password_alone_is_not_enough(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.to_code(name)
    page = browser.get(f"{platform.url}/hub/home")
    assert page.url.host == "localhost" and page.url.path in ("/login/", "/second-factor/")
    assert browser.whoami() == {}


def test_wrong_password_is_refused(platform: Platform, browser: Browser) -> None:
    refused = browser.submit(browser.to_password(), login="ana", password="wrong")
    assert "password you specified are not correct" in refused.text
    assert browser.whoami() == {}


def test_answers_to_a_login_of_another_browser_are_refused(
    platform: Platform, browser: Browser, other_browser: Browser
) -> None:
    name = platform.guest()
    answer = browser.log_in(name, until="/hub/oauth_callback")
    url = str(answer.next_request.url)
    for who, target, reason in (
        (other_browser, url, "state-unknown"),
        (browser, with_query(url, state=None), "state-missing"),
        (browser, with_query(url, state="A" * 43), "state-unknown"),
        (browser, with_query(url, state="x' OR 1"), "state-missing"),
    ):
        refused = who.get(target)
        assert refused.status_code == 403 and "login" in refused.text
        assert (platform.last_event("login").outcome, platform.last_event("login").reason) == ("refused", reason)
        assert who.whoami() == {}
    assert browser.get(url).status_code == 200  # the positive control: the same answer in its own browser
    assert browser.whoami()["name"] == name
    assert browser.get(url).status_code == 403  # and only once
    assert platform.last_event("login").reason == "state-unknown"


def test_state_cannot_be_swapped_under_a_stolen_name(platform: Platform, browser: Browser) -> None:
    sent = browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize")
    state = parse_qs(urlsplit(sent.headers["Location"]).query)["state"][0]
    forged = state[:-1] + ("A" if state[-1] != "A" else "B")
    refused = browser.get(f"{platform.url}/hub/oauth_callback?code=x&state={forged}")
    assert refused.status_code == 403
    assert platform.last_event("login").reason == "state-mismatch"


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"nonce": None}, "missing-nonce"), ({"nonce": "another"}, "wrong-nonce")],
)
def test_nonce_changed_on_the_way(
    platform: Platform, browser: Browser, change: dict[str, str | None], reason: str
) -> None:
    sent = browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize")
    changed = with_query(str(sent.next_request.url), **change)
    refused = browser.log_in(platform.guest(), start=changed)
    assert refused.status_code == 403
    assert "Login refused" in refused.text and "What you can do" in refused.text
    assert platform.last_event("login").reason == reason
    assert browser.whoami() == {}


def test_a_refused_login_leads_out_of_the_provider_s_own_session(platform: Platform, browser: Browser) -> None:
    """Where the provider still knows somebody, it would answer the same again, without a question."""
    name = platform.guest()
    sent = browser.get(f"{platform.url}/hub/token", until="/identity/o/authorize")
    refused = browser.log_in(name, start=with_query(str(sent.next_request.url), nonce="another"))
    assert refused.status_code == 403 and "To my servers" not in refused.text
    again, logout = (
        html.unescape(re.search(f'href="([^"]*)">{text}<', refused.text)[1])  # type: ignore[index]
        for text in ("Log in again", "Log out at the provider")
    )
    assert browser.get(f"{platform.url}/hub/home").url.path == "/hub/home"  # the control: nobody is asked
    assert browser.whoami()["name"] == name
    leave(browser)
    page = browser.log_in(name, start=f"{platform.url}{again}")  # both factors
    assert page.url.path == "/hub/token" and browser.whoami()["name"] == name  # where they wanted to go
    leave(browser)
    ended = browser.submit(browser.get(logout), action="logout")
    assert ended.url.path == "/hub/logout" and "You are logged out" in ended.text
    assert 'name="password"' in browser.get(f"{platform.url}/hub/home").text


def test_a_refused_step_up_may_be_tried_again_and_leaves_the_login(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    sent = browser.get(f"{platform.url}/hub/step-up?max_age=900&next=/hub/token", until="/identity/o/authorize")
    refused = browser.get(with_query(str(sent.next_request.url), nonce="another"))
    assert refused.status_code == 403 and browser.whoami()["name"] == name
    assert platform.reasons(name, "step-up") == ["wrong-nonce"]
    assert "To my servers" in refused.text and "Log out at the provider" not in refused.text
    again = html.unescape(re.search('href="([^"]*)">Log in again<', refused.text)[1])  # type: ignore[index]
    assert browser.log_in(name, start=f"{platform.url}{again}").url.path == "/hub/token"
    assert platform.reasons(name, "step-up") == ["", "wrong-nonce"]


def leave(browser: Browser) -> None:
    """Out of the hub, not of the provider."""
    home = f"{browser.platform.url}/hub/home"
    browser.client.get(f"{browser.platform.url}/hub/logout", headers={"Referer": home})
    assert browser.whoami() == {}


def test_a_code_of_another_login_is_refused(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    name = platform.guest()
    stolen = browser.log_in(name, until="/hub/oauth_callback")
    code = parse_qs(urlsplit(stolen.headers["Location"]).query)["code"][0]
    sent = other_browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize")
    state = parse_qs(urlsplit(sent.headers["Location"]).query)["state"][0]
    query = urlencode({"code": code, "state": state, "iss": platform.settings.identity.issuer})
    refused = other_browser.get(f"{platform.url}/hub/oauth_callback?{query}")
    assert refused.status_code == 403
    assert platform.last_event("login").reason == "code-refused"
    assert other_browser.whoami() == {}


def test_what_the_provider_writes_is_not_shown(platform: Platform, browser: Browser) -> None:
    sent = browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize")
    state = parse_qs(urlsplit(sent.headers["Location"]).query)["state"][0]
    query = urlencode({"error": "<b>evil", "error_description": "call 555", "state": state})
    refused = browser.get(f"{platform.url}/hub/oauth_callback?{query}")
    assert refused.status_code == 403
    assert "evil" not in refused.text and "555" not in refused.text
    assert platform.last_event("login").reason == "provider-other"


def test_another_issuer_is_refused(platform: Platform, browser: Browser) -> None:
    sent = browser.get(f"{platform.url}/hub/home", until="/identity/o/authorize")
    state = parse_qs(urlsplit(sent.headers["Location"]).query)["state"][0]
    query = urlencode({"code": "x", "iss": "https://evil.example", "state": state})
    assert browser.get(f"{platform.url}/hub/oauth_callback?{query}").status_code == 403
    assert platform.last_event("login").reason == "other-issuer"


@pytest.mark.parametrize(
    "next_url", ["https://evil.example/x", "//evil.example", "\\\\evil.example", "/\\evil.example"]
)
def test_no_open_redirect(platform: Platform, browser: Browser, next_url: str) -> None:
    sent = browser.client.get(f"{platform.url}/hub/oauth_login", params={"next": next_url})
    cookie = next(c for c in browser.client.cookies.jar if c.name.startswith("bdap-login-"))
    kept = re.search(r"\d:([A-Za-z0-9+/=]+)\|[0-9a-f]+$", cookie.value.strip('"'))
    assert sent.is_redirect and kept and cookie.path == "/hub/" and cookie.has_nonstandard_attr("HttpOnly")
    target = json.loads(base64.b64decode(kept[1]))["next_url"]
    assert target.startswith("/") and not target.startswith(("//", "/\\"))


def test_no_secret_in_the_logs(platform: Platform, browser: Browser) -> None:
    """The hub logs at its most talkative level, here and in all tests before."""
    name = platform.guest()
    browser.log_in(name)
    browser.get(f"{platform.url}/hub/oauth_callback?code=a-refused-code&state={'x' * 43}")
    text = platform.log.read_text()
    assert "oauth_callback" in text  # it did log these requests
    assert not re.search(r"[?&](code|state|id_token|access_token)=(?!\[secret\])[\w%-]{8,}", text)
    assert not re.search(r"eyJ[\w-]{10,}\.[\w-]{10,}\.", text)
    for name in ("oidc-client-secret", "hub-crypt-key"):
        assert platform.settings.secret(name) not in text
