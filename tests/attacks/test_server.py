"""A running server is its owner's alone, and no longer than their login: copies of cookies, other people, tokens."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from bdap_hub.identity import sessions
from tests.attacks.cases import let_in
from tests.attacks.platform import Browser, Platform

OWNER = "owns-a-server"
STATUS = f"/user/{OWNER}/api/status"
SAVED = (200, 201)


@pytest.fixture(scope="module")
def owner(platform: Platform) -> Iterator[Browser]:
    """Somebody whose server runs, in a browser that has opened it."""
    browser = Browser(platform, OWNER)
    let_in(platform, browser, OWNER)
    asked = platform.api("POST", f"/users/{OWNER}/server", json={"project": "agriculture", "image": "lab"})
    assert asked.status_code in (201, 202), asked.text
    platform.wait(lambda: running(platform), 60, "the server")
    open_server(browser)
    yield browser
    platform.api("DELETE", f"/users/{OWNER}/server")
    platform.wait(lambda: not running(platform), 20, "the server's end")
    browser.close()


def running(platform: Platform) -> bool:
    """Whether the owner's server answers the hub."""
    return bool(platform.api("GET", f"/users/{OWNER}").json()["servers"].get("", {}).get("ready"))


def open_server(browser: Browser) -> httpx.Response:
    """Its page, and all redirects on the way: the server asks the hub who this is."""
    answer = browser.get(f"/user/{OWNER}/lab")
    for _ in range(10):
        if not answer.is_redirect or answer.headers["Location"].startswith(browser.platform.provider.issuer):
            break
        answer = browser.client.send(answer.next_request)  # type: ignore[arg-type]
    return answer


def status(platform: Platform, cookies: dict[str, str] | None = None, token: str = "") -> int:
    """What the server says to a program with these cookies, or this token."""
    headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in (cookies or {}).items())} if cookies else {}
    headers |= {"Authorization": f"token {token}"} if token else {}
    with httpx.Client(trust_env=False, timeout=30, verify=platform.verify) as client:
        return client.get(f"{platform.url}{STATUS}", headers=headers).status_code


def test_its_owner_is_let_in(platform: Platform, owner: Browser) -> None:
    """The control of all that follows."""
    assert status(platform, owner.cookies()) == 200


def test_nobody_else_is(platform: Platform, owner: Browser) -> None:
    other = Browser(platform, "wants-the-server")
    let_in(platform, other, "wants-the-server")
    assert open_server(other).status_code in (403, 404)
    token = platform.api("POST", "/users/wants-the-server/tokens", json={"note": "test"}).json()["token"]
    platform.provider.remember("API token", token)
    assert status(platform) in (302, 403)
    assert status(platform, other.cookies()) in (302, 403, 404)
    assert status(platform, token=token) in (403, 404)
    assert status(platform, token="guess") == 403
    assert running(platform)
    sessions.end_all(platform.store, "wants-the-server", "the test is over")
    other.close()


def test_after_a_step_up_opening_the_server_anew_lets_its_old_tab_save(platform: Platform, owner: Browser) -> None:
    """Its cookie ends with the session that the step-up replaces; a tab that is open on it takes the new one up."""
    assert save(owner) in SAVED
    assert owner.log_in("/hub/step-up?max_age=60&next=/hub/token").headers["Location"] == "/hub/token"
    platform.wait(lambda: save(owner) == 403, platform.settings.identity.revocation_seconds, "the old cookie's end")
    assert running(platform)
    open_server(owner)
    assert save(owner) in SAVED


def save(browser: Browser) -> int:
    """What a tab that is open on the server does."""
    page = f"{browser.platform.url}/user/{OWNER}/"
    headers = {
        "X-XSRFToken": browser.client.cookies.get("_xsrf", path=f"/user/{OWNER}/") or "",
        "Referer": f"{page}lab",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Site": "same-origin",
    }
    note = {"type": "file", "format": "text", "content": "saved"}
    return browser.client.put(f"{page}api/contents/note.txt", json=note, headers=headers).status_code


def test_a_copy_of_its_cookie_ends_with_the_login(platform: Platform, owner: Browser) -> None:
    copy = owner.cookies()
    assert status(platform, copy) == 200
    answer = owner.get("/hub/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code in (200, 302) and owner.whoami() == ""
    bound = platform.settings.identity.revocation_seconds
    platform.wait(lambda: status(platform, copy) in (302, 403), bound, "the end of a copied server cookie")
    assert running(platform)  # logging out of a browser stops no work
    let_in(platform, owner, OWNER)  # and the owner is let in again
    open_server(owner)
    assert status(platform, owner.cookies()) == 200
