"""The page of one's logins: what it shows, ending one, and logging out everywhere."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from bdap_hub import audit, database
from bdap_hub.identity import sessions
from bdap_hub.identity.logins import browser as name_of

from .conftest import Browser, Platform
from .test_logout import copy_of, knows
from .test_revocation import OPTIONS, working

EU_LOGIN = pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.mark.parametrize(("agent", "name"), [
    (FIREFOX, "Firefox on Windows"),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
     "Chrome on Linux"),
    ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
     "Edge on Windows"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1",
     "Safari on iPhone"),
    ("Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
     "Chrome on Android"),
    ("curl/8", "Another program"),
    ("", "Another program"),
])  # fmt: skip
def test_browsers_have_names(agent: str, name: str) -> None:
    assert name_of(agent) == name


def listed(browser: Browser) -> list[str]:
    """The names of the logins on the page."""
    page = browser.client.get(f"{browser.platform.url}/hub/logins")
    return [" ".join(re.sub(r"<[^>]*>", " ", name).split()) for name in re.findall(r"<h2>(.*?)</h2>", page.text)]


def post(browser: Browser, path: str, **fields: str) -> httpx.Response:
    """A form of the page, with its XSRF token."""
    page = browser.client.get(f"{browser.platform.url}/hub/logins")
    token = re.search(r'name="_xsrf" value="([^"]*)"', page.text)
    assert token, page.text
    return browser.client.post(
        f"{browser.platform.url}/hub/logins/{path}",
        data={"_xsrf": token[1], **fields},
        headers={"Referer": str(page.url)},
    )


def keys(platform: Platform, name: str) -> list[str]:
    return [row.id for row in sessions.live_of(database.connect(platform.settings.database), name)]


@EU_LOGIN
def test_one_of_several_logins_is_ended(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    other_browser.client.headers["User-Agent"] = FIREFOX
    other_browser.log_in(name)
    assert listed(browser) == ["Another program this browser", "Firefox on Windows"]
    other = keys(platform, name)[0]  # the newest
    ended = post(browser, "end", login=other)
    assert ended.is_redirect and other_browser.whoami() == {}
    assert "That login has ended" in browser.client.get(str(ended.next_request.url)).text
    assert listed(browser) == ["Another program this browser"]
    assert "ended already" in browser.client.get(str(post(browser, "end", login=other).next_request.url)).text
    event = audit.latest(database.connect(platform.settings.database), 1, person=name)[0]
    assert (event.action, event.reason) == ("logout", "ended in another browser")


@EU_LOGIN
def test_nobody_ends_anothers_login(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    browser.log_in(platform.guest())
    other = platform.guest()
    other_browser.log_in(other)
    for key in keys(platform, other):
        post(browser, "end", login=key)
    assert other_browser.whoami()["name"] == other


@EU_LOGIN
@pytest.mark.parametrize("path", ["end", "everywhere"])
def test_forms_of_other_sites_end_nothing(platform: Platform, browser: Browser, path: str) -> None:
    name = platform.guest()
    browser.log_in(name)
    url = f"{platform.url}/hub/logins/{path}"
    own = keys(platform, name)[0]
    assert browser.client.post(url, data={"login": own}).status_code == 403
    assert browser.client.post(url, data={"login": own, "_xsrf": "x"}).status_code == 403
    assert browser.client.get(url).status_code == 405
    assert browser.whoami()["name"] == name


@EU_LOGIN
def test_this_login_is_ended_as_by_logging_out(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    answer = post(browser, "end", login=keys(platform, name)[0])
    assert "/session/end" in str(answer.next_request.url) and browser.whoami() == {}


@EU_LOGIN
def test_nobody_sees_logins_without_one(platform: Platform, browser: Browser) -> None:
    assert browser.get(f"{platform.url}/hub/logins").url.host == "localhost"  # at the provider


@EU_LOGIN
def test_log_out_everywhere_leaves_nothing(platform: Platform, other_browser: Browser) -> None:
    name = platform.guest()
    other_browser.log_in(name)
    copies = [copy_of(other_browser)]
    with working(platform, name, OPTIONS) as person:
        copies.append(copy_of(person.browser))
        assert all(person.holds().values()) and {knows(copy, platform) for copy in copies} == {name}
        answer = post(person.browser, "everywhere")
        assert "/session/end" in str(answer.next_request.url)
        assert person.holds()["login"] is person.holds()["token"] is False  # before the answer came
        assert {knows(copy, platform) for copy in copies} == {""} and other_browser.whoami() == {}
        ended = person.until_nothing(time.monotonic())
        assert max(ended.values()) <= platform.bound
    event = audit.latest(database.connect(platform.settings.database), 1, person=name)[0]
    assert (event.action, event.outcome, event.address) == ("log-out-everywhere", "allowed", "127.0.0.1")
    other_browser.get(f"{platform.url}/hub/home")  # the provider still knows this one
    assert other_browser.whoami()["groups"] == ["project-agriculture"]
