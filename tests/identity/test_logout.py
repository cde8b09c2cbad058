"""Logging out, and what a browser's cookies are worth before, beside and after it."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from bdap_hub import audit, database
from bdap_hub.identity import sessions

from .conftest import Browser, Platform

EU_LOGIN = pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)
SESSION = "jupyterhub-session-id"

# What browsers send along when another site makes them go to the logout, or says nothing of where they come from.
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Referer": "{hub}/hub/home"},
    {"Referer": "https://evil.example/"},
    {"Referer": "{hub}.evil.example/"},
    {"Referer": "https://evil.example/?{hub}/hub/home"},
    {"Origin": "null"},
    {"Referer": "http://127.0.0.1:1/"},
    {},
]
OWN = [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Referer": "{hub}/hub/home"}]


def headers(platform: Platform, given: dict[str, str]) -> dict[str, str]:
    return {name: value.replace("{hub}", platform.url) for name, value in given.items()}


def log_out(browser: Browser) -> httpx.Response:
    """By the link of a page of ours; the answer leads on to the provider."""
    return browser.client.get(f"{browser.platform.url}/hub/logout", headers={"Sec-Fetch-Site": "same-origin"})


def copy_of(browser: Browser, *names: str) -> httpx.Client:
    """Another client with the same cookies, or only those named."""
    copy = httpx.Client(timeout=30, trust_env=False, headers={"Accept": "text/html"})
    for cookie in browser.client.cookies.jar:
        if not names or cookie.name in names:
            copy.cookies.jar.set_cookie(cookie)
    return copy


def knows(client: httpx.Client, platform: Platform) -> str:
    """Who the hub says that it is; '' for nobody."""
    home = {"Accept": "application/json", "Referer": f"{platform.url}/hub/home"}
    answer = client.get(f"{platform.url}/hub/api/user", headers=home)
    return str(answer.json()["name"]) if answer.status_code == 200 else ""


@EU_LOGIN
@pytest.mark.parametrize("given", FOREIGN)
def test_another_site_cannot_log_anybody_out(platform: Platform, browser: Browser, given: dict[str, str]) -> None:
    name = platform.guest()
    browser.log_in(name)
    page = browser.client.get(f"{platform.url}/hub/logout", headers=headers(platform, given))
    assert page.status_code == 200 and "Log out?" in page.text
    forged = browser.client.post(f"{platform.url}/hub/logout", headers=headers(platform, given))
    assert forged.status_code == 403
    assert browser.whoami()["name"] == name
    out = browser.submit(page, until="/session/end")  # the person's own click
    assert out.is_redirect and browser.whoami() == {}


@EU_LOGIN
@pytest.mark.parametrize("given", OWN)
def test_our_own_pages_log_out_at_once(platform: Platform, browser: Browser, given: dict[str, str]) -> None:
    name = platform.guest()
    browser.log_in(name)
    answer = browser.client.get(f"{platform.url}/hub/logout", headers=headers(platform, given))
    assert answer.is_redirect and browser.whoami() == {}
    event = audit.latest(database.connect(platform.settings.database), 1, person=name)[0]
    assert (event.action, event.outcome) == ("logout", "allowed")


@EU_LOGIN
def test_a_copied_cookie_is_worthless_after_the_logout(
    platform: Platform, browser: Browser, other_browser: Browser
) -> None:
    name = platform.guest()
    browser.log_in(name)
    other_browser.log_in(name)
    copies = {"all": copy_of(browser), "without the session": copy_of(browser, "jupyterhub-hub-login")}
    mixed = copy_of(browser, "jupyterhub-hub-login")
    mixed.cookies.set(SESSION, "0" * 32, domain="127.0.0.1", path="/")
    assert knows(copies["all"], platform) == name  # the control
    assert knows(copies["without the session"], platform) == knows(mixed, platform) == ""
    log_out(browser)
    assert {how: knows(copy, platform) for how, copy in copies.items()} == {"all": "", "without the session": ""}
    assert other_browser.whoami()["name"] == name  # a login of its own goes on


@EU_LOGIN
def test_after_the_last_logout_the_hubs_cookie_has_another_value(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    old = copy_of(browser, "jupyterhub-hub-login")
    log_out(browser)
    assert browser.get(f"{platform.url}/hub/home").url.path == "/hub/home"  # the provider still knows this browser
    fresh = browser.client.cookies.get(SESSION)
    old.cookies.set(SESSION, str(fresh), domain="127.0.0.1", path="/")
    assert knows(old, platform) == ""  # the old cookie does not even go with the new session
    assert knows(copy_of(browser), platform) == name


@EU_LOGIN
def test_a_session_that_was_planted_before_the_login_is_not_used(platform: Platform, browser: Browser) -> None:
    planted = "attackersattackersattackersattac"
    browser.client.cookies.set(SESSION, planted, domain="127.0.0.1", path="/")
    name = platform.guest()
    browser.log_in(name)
    store = database.connect(platform.settings.database)
    assert browser.client.cookies.get(SESSION) != planted
    assert sessions.live(store, sessions.digest(planted)) is None
    assert len(sessions.live_of(store, name)) == 1


@EU_LOGIN
def test_the_session_of_an_earlier_login_ends_with_the_next(platform: Platform, browser: Browser) -> None:
    first, second = platform.guest(), platform.guest()
    browser.log_in(first)
    before = copy_of(browser)
    for cookie in [cookie for cookie in browser.client.cookies.jar if cookie.domain != "127.0.0.1"]:
        browser.client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)  # the provider's own
    browser.log_in(second, start=f"{platform.url}/hub/oauth_login?next=/hub/home")
    assert browser.whoami()["name"] == second
    assert knows(before, platform) == ""


@EU_LOGIN
def test_nobody_is_logged_in_as_somebody_else_by_a_foreign_answer(
    platform: Platform, browser: Browser, other_browser: Browser
) -> None:
    """Login CSRF: the attacker's own, valid answer of the provider, opened in the victim's browser."""
    attacker, victim = platform.guest(), platform.guest()
    answer = browser.log_in(attacker, until="/hub/oauth_callback")
    url = str(answer.next_request.url)
    other_browser.log_in(victim)
    assert other_browser.get(url).status_code == 403
    assert other_browser.whoami()["name"] == victim
    assert browser.get(url).status_code == 200 and browser.whoami()["name"] == attacker  # the control


@EU_LOGIN
def test_logins_in_parallel_tabs_all_arrive(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    begun = f"{platform.url}/hub/oauth_login"
    tabs = [browser.client.get(begun, params={"next": f"/hub/{page}"}) for page in ("token", "home")]
    pages = [browser.log_in(name, start=str(tabs[0].next_request.url)), browser.get(str(tabs[1].next_request.url))]
    assert [page.url.path for page in pages] == ["/hub/token", "/hub/home"]
    assert browser.whoami()["name"] == name


@EU_LOGIN
def test_cookies_are_short_lived_and_out_of_reach_of_scripts(platform: Platform, browser: Browser) -> None:
    browser.log_in(platform.guest())
    cookies = {cookie.name: cookie for cookie in browser.client.cookies.jar if cookie.domain == "127.0.0.1"}
    life = platform.settings.identity.session_hours * 3600
    for name, path in ((SESSION, "/"), ("jupyterhub-hub-login", "/hub/")):
        cookie: Any = cookies[name]
        assert cookie.path == path and cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "Lax"
        assert not cookie.is_expired() and cookie.expires <= time.time() + life + 60
