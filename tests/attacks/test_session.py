"""A session belongs to one browser and ends when it is said to; nobody else begins or ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest

from bdap_hub.identity import sessions
from bdap_hub.identity.tables import Session, now
from tests.attacks.cases import let_in, said
from tests.attacks.platform import Browser, Platform

SESSION = "jupyterhub-session-id"


@pytest.fixture
def browser(platform: Platform, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    """Somebody who is logged in."""
    made = browser_of("sam")
    let_in(platform, made, "sam")
    yield made


def opens(browser: Browser, cookies: dict[str, str]) -> bool:
    """Whether these cookies, in a browser that has no others, are somebody at the API or on a page."""
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    with httpx.Client(trust_env=False, timeout=30, verify=browser.platform.verify) as client:
        page = client.get(f"{browser.platform.url}/hub/home", headers={**header, "Accept": "text/html"})
    at_api = browser.whoami(cookies)
    assert bool(at_api) == (page.status_code == 200), said(page)
    return bool(at_api)


def test_a_copy_of_the_cookies_is_the_session(browser: Browser) -> None:
    """The control of what follows: until it ends."""
    assert opens(browser, browser.cookies())


def test_a_planted_session_is_not_the_one_after_the_login(
    platform: Platform, browser_of: Callable[[str], Browser]
) -> None:
    victim = browser_of("victim")
    victim.client.cookies.set(SESSION, "planted", domain="127.0.0.1", path="/")
    let_in(platform, victim, "victim")
    assert victim.cookies()[SESSION] != "planted"
    assert not opens(victim, {**victim.cookies(), SESSION: "planted"})


def test_a_thiefs_session_does_not_become_the_victims(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    thief, victim = browser_of("thief-of-sessions"), browser_of("victim-of-it")
    let_in(platform, thief, "thief-of-sessions")
    planted = thief.cookies()
    for name, value in planted.items():
        victim.client.cookies.set(name, value, domain="127.0.0.1", path="/" if name == SESSION else "/hub/")
    assert victim.whoami() == "thief-of-sessions"  # it was planted well
    let_in(platform, victim, "victim-of-it")
    assert thief.whoami() == "" and not opens(victim, planted)
    assert not opens(victim, {**victim.cookies(), SESSION: planted[SESSION]})


def test_a_new_login_ends_the_one_before(browser: Browser) -> None:
    before = browser.cookies()
    assert browser.log_in().status_code == 302
    assert browser.cookies()[SESSION] != before[SESSION]
    assert opens(browser, browser.cookies()) and not opens(browser, before)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_copy_is_worth_nothing_after_the_logout(
    browser: Browser, browser_of: Callable[[str], Browser], elsewhere: bool
) -> None:
    """Also while the same person is still logged in elsewhere, and also put together with that login's cookies."""
    other = browser_of("sam")
    if elsewhere:
        assert other.log_in().status_code == 302
    copy = browser.cookies()
    assert browser.get("/hub/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code in (200, 302)
    assert not opens(browser, copy) and browser.whoami() == ""
    assert other.whoami() == ("sam" if elsewhere else "")
    if elsewhere:
        assert opens(other, other.cookies())
        assert not opens(other, {**other.cookies(), SESSION: copy[SESSION]})


def test_half_of_the_cookies_is_nobody(
    browser: Browser, platform: Platform, browser_of: Callable[[str], Browser]
) -> None:
    other = browser_of("somebody-else")
    let_in(platform, other, "somebody-else")
    whole = browser.cookies()
    for name in (SESSION, "jupyterhub-hub-login"):
        assert not opens(browser, {key: value for key, value in whole.items() if key != name})
        assert not opens(browser, {**whole, name: other.cookies()[name]})  # of two people
        middle = len(whole[name]) // 2
        another = "x" if whole[name][middle] != "x" else "y"
        assert not opens(browser, {**whole, name: whole[name][:middle] + another + whole[name][middle + 1 :]})
    assert opens(browser, whole)


def test_a_session_that_is_too_old(platform: Platform, browser: Browser) -> None:
    with platform.store.begin() as session:
        row = session.get(Session, key := _key(platform, "sam"))
        assert row is not None
        row.ends = now() - timedelta(seconds=1)
    assert sessions.live(platform.store, key) is None
    assert not opens(browser, browser.cookies())


CROSS_SITE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Referer": "{url}/hub/home"},
    {"Referer": "https://evil.example/"},
    {"Referer": "{url}.evil.example/"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {},
)


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
def test_another_site_logs_nobody_out(platform: Platform, browser: Browser, headers: dict[str, str]) -> None:
    """A link or a form of another site; then the page that it leads to, whose own button does log out."""
    sent = {name: value.replace("{url}", platform.url) for name, value in headers.items()}
    asked = browser.get("/hub/logout", headers=sent)
    assert asked.status_code == 200 and browser.whoami() == "sam"
    posted = browser.client.post(f"{platform.url}/hub/logout", headers=sent)
    assert posted.status_code == 403 and browser.whoami() == "sam"
    assert browser.form("/hub/logout").status_code in (200, 302)
    assert browser.whoami() == ""


@pytest.mark.parametrize("path", ["/hub/logins/everywhere", "/hub/logins/end"])
def test_another_site_ends_no_login(platform: Platform, browser: Browser, path: str) -> None:
    key = _key(platform, "sam")
    for data in ({"login": key}, {"login": key, "_xsrf": "x"}):
        answer = browser.client.post(f"{platform.url}{path}", data=data, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
    assert browser.client.get(f"{platform.url}{path}").status_code in (404, 405)
    assert browser.whoami() == "sam"
    browser.get("/hub/logins")  # the control: the page's own form
    assert browser.form(path, login=key).status_code in (200, 302)
    assert browser.whoami() == ""


def test_nobody_ends_anothers_login(platform: Platform, browser: Browser, browser_of: Callable[[str], Browser]) -> None:
    other = browser_of("ender")
    let_in(platform, other, "ender")
    other.get("/hub/logins")
    assert other.form("/hub/logins/end", login=_key(platform, "sam")).status_code in (200, 302, 404)
    assert browser.whoami() == "sam"


def test_log_out_everywhere(platform: Platform, browser: Browser, browser_of: Callable[[str], Browser]) -> None:
    other, bystander = browser_of("sam"), browser_of("bystander")
    assert other.log_in().status_code == 302
    let_in(platform, bystander, "bystander")
    token = platform.api("POST", "/users/sam/tokens", json={"note": "a program"}).json()["token"]
    platform.provider.remember("API token", token)
    assert platform.api("GET", "/user", token).status_code == 200
    copies = [browser.cookies(), other.cookies()]
    before = platform.mark()
    other.get("/hub/logins")
    assert other.form("/hub/logins/everywhere").status_code in (200, 302)
    assert not any(opens(browser, copy) for copy in copies)
    assert platform.api("GET", "/user", token).status_code == 403
    assert bystander.whoami() == "bystander"
    assert [event.person for event in platform.events(before, "log-out-everywhere")] == ["sam"]


def test_nobody_writes_another_address_in_the_audit_log(
    platform: Platform, browser_of: Callable[[str], Browser]
) -> None:
    browser = browser_of("liar")
    lies = {"X-Real-Ip": "6.6.6.6", "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "Client-Ip": "6.6.6.6"}
    before = platform.mark()
    for header, value in lies.items():
        assert browser.get("/hub/oauth_callback?code=x", headers={header: value}).status_code == 403
    let_in(platform, browser, "liar")
    assert {event.address for event in platform.events(before)} == {browser.address}
    assert sessions.live_of(platform.store, "liar")[0].address == browser.address


def _key(platform: Platform, person: str) -> str:
    return sessions.live_of(platform.store, person)[0].id
