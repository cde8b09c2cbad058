"""Step-up at a real hub, before both providers: what is asked for is met on what came back, or the session stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bdap_hub import database
from bdap_hub.identity import sessions
from bdap_hub.identity.tables import Session

from .conftest import Browser, Platform, eventually, with_query

BOTH = pytest.mark.parametrize("platform", ["demo", "eulogin-like"], indirect=True)
EU_LOGIN = pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)
MEDIUM = "https://ecas.ec.europa.eu/loa/medium"
OLD = 400  # seconds; beyond a max_age of 300 and the leeway for clocks


def login_of(browser: Browser) -> Session | None:
    """The live session of this browser."""
    store = database.connect(browser.platform.settings.database)
    return sessions.live(store, sessions.digest(browser.client.cookies.get("jupyterhub-session-id") or ""))


def authenticate(browser: Browser, page: httpx.Response, name: str, level: str = "mfa") -> httpx.Response:
    """Enter the factors of `level` where the provider asks for them, and come back."""
    if page.url.host != "localhost":  # the hub is at 127.0.0.1: the provider has asked for nothing
        return page
    return browser.log_in(name, start=str(page.url), level=level)


def step_up(browser: Browser, name: str, used: str = "mfa", to: str = "/hub/token", **demand: Any) -> httpx.Response:
    """A step-up for `demand`, in which the person uses the factors of `used`. `changed` is what is done to the
    request in the browser, on its way to the provider."""
    changed = demand.pop("changed", {})
    sent = browser.client.get(f"{browser.platform.url}/hub/step-up", params={**demand, "next": to})
    assert sent.status_code == 302, sent.text
    return authenticate(browser, browser.get(with_query(str(sent.next_request.url), **changed)), name, used)


def age(platform: Platform, name: str, seconds: int = OLD) -> None:
    """As if the person had entered their factors so much earlier, here and at the provider."""
    platform.provider.age_login(name, seconds)
    store = database.connect(platform.settings.database)
    with store.begin() as database_session:
        for found in database_session.query(Session).filter_by(person=name):
            found.auth_time -= seconds


@BOTH
def test_a_fresh_login_is_a_new_session_where_one_was(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    age(platform, name)
    old_cookies = dict(browser.client.cookies.items())
    before = login_of(browser)
    assert before is not None
    page = step_up(browser, name, max_age=300)
    assert (page.status_code, page.url.path) == (200, "/hub/token")
    after = login_of(browser)
    assert after is not None and after.id != before.id and after.auth_time >= before.auth_time + OLD
    event = platform.last_event("step-up")
    assert (event.action, event.person, event.outcome, event.address) == ("step-up", name, "allowed", "127.0.0.1")
    # the old session opens nothing any more, with all its cookies
    copy = httpx.get(f"{platform.url}/hub/token", cookies=old_cookies, headers={"Accept": "text/html"})
    assert copy.status_code == 302 and "/hub/login" in copy.headers["Location"]
    assert sessions.live(database.connect(platform.settings.database), before.id) is None


@EU_LOGIN
def test_a_higher_level(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    before = login_of(browser)
    assert before is not None and before.level == "mfa"
    assert step_up(browser, name, used="high", level="high").url.path == "/hub/token"
    after = login_of(browser)
    assert after is not None and after.level == "high" and after.id != before.id


CHANGED = [
    # used, demand, changed in the browser, reason
    ("high", {"level": "high"}, {"acr_values": None}, "level-too-low"),
    ("high", {"level": "high"}, {"acr_values": MEDIUM}, "level-too-low"),
    ("mfa", {"level": "high"}, {}, "level-too-low"),
    ("basic", {"level": "high"}, {}, "mfa-not-proven"),
    ("mfa", {"max_age": "300"}, {"max_age": None}, "auth-time-stale"),
    ("mfa", {"max_age": "300"}, {"max_age": "999999"}, "auth-time-stale"),
    ("mfa", {"level": "high", "max_age": "300"}, {"acr_values": None}, "level-too-low"),
    ("high", {"level": "high", "max_age": "300"}, {"acr_values": MEDIUM, "max_age": None}, "level-too-low"),
]


@EU_LOGIN
@pytest.mark.parametrize(("used", "demand", "changed", "reason"), CHANGED)
def test_less_than_what_is_demanded_is_refused(
    platform: Platform,
    browser: Browser,
    used: str,
    demand: dict[str, str],
    changed: dict[str, str | None],
    reason: str,
) -> None:
    name = platform.guest()
    browser.log_in(name)
    age(platform, name)
    before = login_of(browser)
    refused = step_up(browser, name, used, changed=changed, **demand)
    assert refused.status_code == 403 and "What you can do" in refused.text
    event = platform.last_event("step-up")
    assert (event.action, event.person, event.outcome, event.reason) == ("step-up", name, "refused", reason)
    left = login_of(browser)
    assert before is not None and left is not None
    assert (left.id, left.level, left.auth_time) == (before.id, before.level, before.auth_time)
    assert browser.whoami()["name"] == name  # the session goes on as it was
    # the positive control: the same demand, unchanged and with the factors that it wants
    assert step_up(browser, name, "high", **demand).url.path == "/hub/token"
    assert platform.last_event("step-up").outcome == "allowed"


@pytest.mark.parametrize("changed", [{"max_age": None}, {"max_age": "999999"}])
def test_an_old_login_at_the_demos_provider_is_refused(
    platform: Platform, browser: Browser, changed: dict[str, str | None]
) -> None:
    name = platform.guest()
    browser.log_in(name)
    age(platform, name)
    before = login_of(browser)
    refused = step_up(browser, name, max_age=300, changed=changed)
    assert refused.status_code == 403 and platform.last_event("step-up").reason == "auth-time-stale"
    left = login_of(browser)
    assert before is not None and left is not None and left.id == before.id
    assert step_up(browser, name, max_age=300).url.path == "/hub/token"


def test_somebody_else_comes_back(platform: Platform, browser: Browser) -> None:
    name, other = platform.guest(), platform.guest()
    browser.log_in(name)
    age(platform, name)
    refused = step_up(browser, other, max_age=300)
    assert refused.status_code == 403 and f"logged in as {name}" in refused.text
    event = platform.last_event("step-up")
    assert (event.action, event.person, event.reason) == ("step-up", name, "other-person")
    # the provider has ended the first person's session, and said so: there is none here either, of nobody
    eventually(lambda: login_of(browser) is None and browser.whoami() == {})
    browser.client.cookies.clear()
    browser.log_in(name)
    age(platform, name)
    assert step_up(browser, name, max_age=300).url.path == "/hub/token"  # the positive control


def test_somebody_else_has_logged_in_here_since(platform: Platform, browser: Browser) -> None:
    name, other = platform.guest(), platform.guest()
    browser.log_in(name)
    age(platform, name)
    sent = browser.client.get(f"{platform.url}/hub/step-up?max_age=300")
    back = browser.get(str(sent.next_request.url))
    answer = browser.log_in(name, start=str(back.url), until="/hub/oauth_callback")
    browser.client.cookies.delete("jupyterhub-hub-login", path="/hub/")
    for cookie in list(browser.client.cookies.jar):  # a new session at the provider, as in another profile
        if cookie.name.startswith("bdap_demo"):
            browser.client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    browser.log_in(other)
    assert browser.whoami()["name"] == other
    assert browser.get(str(answer.next_request.url)).status_code == 403
    assert platform.last_event("step-up").reason == "other-person" and browser.whoami()["name"] == other


def test_only_for_somebody_who_is_logged_in(platform: Platform, browser: Browser) -> None:
    page = browser.get(f"{platform.url}/hub/step-up?max_age=300&next=/hub/token")
    assert page.url.host == "localhost"  # asked to log in first
    name = platform.guest()
    assert browser.log_in(name, start=str(page.url)).url.path == "/hub/token"  # and the login was fresh enough


@pytest.fixture(scope="module")
def somebody(platform: Platform) -> Iterator[Browser]:
    """The browser of somebody who is logged in, for all tests that need no more."""
    browser = Browser(platform)
    browser.log_in(platform.guest())
    yield browser
    browser.client.close()


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("level=platinum", 404, "no level of login &#39;platinum&#39;"),
        ("level=%3Cb%3E&max_age=1", 404, "&#39;&lt;b&gt;&#39;"),
        ("max_age=soon", 400, "&#39;soon&#39;"),
        ("max_age=nan", 400, "&#39;nan&#39;"),
        ("max_age=-1", 400, "&#39;-1&#39;"),
        ("max_age=0", 400, "&#39;0&#39;"),
        ("", 400, "Neither a level nor max_age"),
    ],
)
def test_what_cannot_be_asked_for_is_named(
    platform: Platform, somebody: Browser, query: str, status: int, says: str
) -> None:
    page = somebody.get(f"{platform.url}/hub/step-up?{query}")
    assert page.status_code == status and says in page.text
    assert somebody.client.get(f"{platform.url}/hub/step-up?level=mfa").is_redirect  # the positive control


@pytest.mark.parametrize(
    "target", ["https://evil.example/x", "//evil.example", "\\\\evil.example", "///evil.example", "/\t/evil.example"]
)
def test_it_leads_nowhere_else(platform: Platform, somebody: Browser, target: str) -> None:
    sent = somebody.client.get(f"{platform.url}/hub/step-up", params={"level": "mfa", "next": target})
    back = somebody.get(str(sent.next_request.url), until="/hub/oauth_callback")
    arrived = somebody.client.get(str(back.next_request.url))
    assert arrived.is_redirect and arrived.headers["Location"].startswith("/hub/")
