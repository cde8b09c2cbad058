"""The same life of an account before either provider: the demo's own, and a stand-in configured as EU Login is.

They differ where real ones do: RS256 and PS512, secrets sent and secrets that sign, UserInfo and id_token alone, claims
and acr_values, an issuer with a path and one without.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import update

from bdap_hub import audit, database
from bdap_hub.identity import people, sessions
from bdap_hub.identity.tables import Account, Session

from .conftest import Browser, Platform, eventually, with_query

pytestmark = pytest.mark.parametrize("platform", ["demo", "eulogin-like"], indirect=True, scope="package")
NewBrowser = Callable[[], Browser]
BOUND = 4.0
# What a loaded machine may take beyond the bound, which test_revocation measures.
PATIENCE = 4 * BOUND


@pytest.fixture
def new_browser(platform: Platform) -> Iterator[NewBrowser]:
    """More browsers, each somebody's own."""
    with ExitStack() as stack:

        def make() -> Browser:
            browser = Browser(platform)
            stack.callback(browser.leave)
            return browser

        yield make


def test_log_in(platform: Platform, browser: Browser) -> None:
    name = platform.guest("project-agriculture", "bdap-admins")
    page = browser.log_in(name, start=f"{platform.url}/hub/token")
    assert (page.status_code, page.url.path) == (200, "/hub/token")  # where one wanted to go
    me = browser.whoami()
    assert (me["name"], me["admin"], set(me["groups"])) == (name, False, {"project-agriculture", "bdap-admins"})
    assert me["user_info"]["display_name"] == f"Guest {name}"
    event = platform.last_event("login")
    assert (event.action, event.person, event.outcome) == ("login", name, "allowed")


def test_wrong_password(platform: Platform, browser: Browser) -> None:
    page = browser.submit(browser.to_password(), login=platform.guest(), password="wrong", factors="pwd otp")
    assert page.url.host == "localhost" and "correct" in page.text
    assert browser.whoami() == {}


def test_one_factor_is_not_enough(platform: Platform, browser: Browser, new_browser: NewBrowser) -> None:
    name = platform.guest()
    page = browser.log_in(name, level="basic")
    assert browser.whoami() == {}
    if platform.provider.kind == "demo":
        assert page.url.path == "/second-factor/"  # it gives out no less
    else:
        assert page.status_code == 403
        assert platform.last_event("login").reason == "mfa-not-proven"
    fresh = new_browser()
    fresh.log_in(name)
    assert fresh.whoami()["name"] == name


def test_what_was_asked_for_proves_nothing(platform: Platform, browser: Browser) -> None:
    """The person takes the level out of the address, and logs in with less where the provider lets them."""
    name = platform.guest()
    sent = browser.get(f"{platform.url}/hub/home", until="/authorize").headers.get("Location", "")
    sent = sent or str(browser.get(f"{platform.url}/hub/oauth_login", until="/auth").next_request.url)
    assert "claims=" in sent or "acr_values=" in sent
    browser.log_in(name, start=with_query(sent, claims=None, acr_values=None), level="basic")
    assert browser.whoami() == {}


def test_step_up(platform: Platform, browser: Browser) -> None:
    name = platform.guest()
    browser.log_in(name)
    before = login_of(platform, name)
    time.sleep(3)
    asked = {"max_age": "2"} if platform.provider.kind == "demo" else {"level": "high"}
    address = str(httpx.URL(f"{platform.url}/hub/step-up", params={**asked, "next": "/hub/token"}))
    page = browser.log_in(name, start=address, level="mfa" if platform.provider.kind == "demo" else "high")
    assert page.url.path == "/hub/token", page.text
    after = login_of(platform, name)
    assert after.level == ("mfa" if platform.provider.kind == "demo" else "high")
    assert after.auth_time > before.auth_time
    assert browser.whoami()["name"] == name


def test_step_up_by_another_person_is_refused(platform: Platform, browser: Browser) -> None:
    name, other = platform.guest(), platform.guest()
    browser.log_in(name)
    time.sleep(3)
    page = browser.log_in(other, start=f"{platform.url}/hub/step-up?max_age=2")
    assert page.status_code == 403, page.text
    assert "other-person" in {event.reason for event in audit.latest(database.connect(platform.settings.database), 5)}
    eventually(lambda: browser.whoami() == {}, PATIENCE)  # for at the provider, the one has logged out for the other
    # told by the provider, or, on a busy machine, found out by asking first
    eventually(lambda: bool({"back-channel-logout", "revoke", "refresh"} & actions(platform, name)))


def test_refreshing_goes_on(platform: Platform, browser: Browser) -> None:
    """Three times the pace at which the provider is asked; its refresh tokens rotate each time."""
    name = platform.guest()
    browser.log_in(name)
    for _ in range(3):
        wait_for_confirmation(platform, browser, name)
    assert platform.reasons(name, "refresh") == platform.reasons(name, "revoke") == []


def test_groups_follow(platform: Platform, browser: Browser) -> None:
    name = platform.guest("project-agriculture", "bdap-admins")
    browser.log_in(name)
    platform.provider.set_groups(name, ["project-forest"])
    eventually(lambda: browser.whoami()["groups"] == ["project-forest"], PATIENCE)


def test_a_disabled_account_is_out(platform: Platform, browser: Browser, new_browser: NewBrowser) -> None:
    name, other = platform.guest(), new_browser()
    browser.log_in(name)
    other.log_in(kept := platform.guest())
    platform.provider.disable(name)
    eventually(lambda: browser.whoami() == {}, PATIENCE)
    eventually(lambda: "session-ended" in platform.reasons(name, "revoke") + platform.reasons(name, "refresh"))
    assert "disabled" in new_browser().to_code(name).text
    assert other.whoami()["name"] == kept


def test_back_channel_logout(platform: Platform, browser: Browser, new_browser: NewBrowser) -> None:
    name, other = platform.guest(), new_browser()
    browser.log_in(name)
    other.log_in(kept := platform.guest())
    platform.provider.end_session(name)
    assert browser.whoami() == {}  # told, not found out
    assert "back-channel-logout" in actions(platform, name)
    assert other.whoami()["name"] == kept
    browser.log_in(name)
    assert browser.whoami()["name"] == name


def test_logging_out_at_the_provider_ends_that_login_here(
    platform: Platform, browser: Browser, new_browser: NewBrowser
) -> None:
    """The hub is told by the back channel; the person's other login stays."""
    name, other = platform.guest(), new_browser()
    other.log_in(name)
    browser.log_in(name)
    end = httpx.get(f"{platform.settings.identity.issuer}/.well-known/openid-configuration").json()
    page = browser.get(end["end_session_endpoint"])
    just_asked(platform, name)
    browser.submit(page, **({"action": "logout"} if platform.provider.kind == "demo" else {"logout": "yes"}))
    eventually(lambda: "back-channel-logout" in actions(platform, name), PATIENCE)
    assert browser.whoami() == {} and other.whoami()["name"] == name


def test_log_out(platform: Platform, browser: Browser) -> None:
    browser.log_in(name := platform.guest())
    page = browser.log_out()
    assert str(page.url).startswith(f"{platform.url}/hub/logout") and page.status_code == 200
    assert browser.whoami() == {} and "logout" in actions(platform, name)
    assert browser.get(f"{platform.url}/hub/home").url.host == "localhost"  # it asks for a login again
    assert browser.whoami() == {}


def test_parallel_tabs(platform: Platform, browser: Browser) -> None:
    """Two logins begun in one browser; the one begun first ends last."""
    name = platform.guest()
    first = browser.client.get(f"{platform.url}/hub/oauth_login?next=/hub/token").headers["Location"]
    second = browser.client.get(f"{platform.url}/hub/oauth_login?next=/hub/home").headers["Location"]
    assert browser.log_in(name, start=second).url.path == "/hub/home"
    page = browser.get(first)  # known there by now
    assert page.url.path == "/hub/token", platform.last_event("login")
    assert browser.whoami()["name"] == name


def test_two_browsers_at_once(platform: Platform, new_browser: NewBrowser) -> None:
    people = [platform.guest() for _ in range(3)]
    browsers = [new_browser() for _ in people]
    threads = [threading.Thread(target=b.log_in, args=(name,)) for b, name in zip(browsers, people, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [b.whoami().get("name") for b in browsers] == people


def test_while_the_provider_is_down(platform: Platform, browser: Browser, new_browser: NewBrowser) -> None:
    """Nobody is thrown out before the policy's grace has run out, nobody new gets in, and all is well after it."""
    browser.log_in(name := platform.guest())
    stale = new_browser()
    begun = stale.client.get(f"{platform.url}/hub/oauth_login").headers["Location"]
    platform.provider.process.stop()
    try:
        until = time.monotonic() + 2 * BOUND
        while time.monotonic() < until:
            assert browser.whoami()["name"] == name
            time.sleep(0.5)
        with pytest.raises(httpx.TransportError):
            stale.client.get(begun)
        callback = f"{platform.url}/hub/oauth_callback?code=x&iss={platform.settings.identity.issuer}"
        state = httpx.URL(begun).params["state"]
        refused = stale.get(f"{callback}&state={state}")
        assert refused.status_code in (403, 503) and stale.whoami() == {}
    finally:
        platform.provider.process.start()
    assert browser.whoami()["name"] == name
    fresh = new_browser()
    fresh.log_in(other := platform.guest())
    assert fresh.whoami()["name"] == other
    wait_for_confirmation(platform, browser, name)


def test_new_keys_need_no_restart(platform: Platform, browser: Browser, other_browser: Browser) -> None:
    browser.log_in(name := platform.guest())
    platform.provider.rotate_keys()
    other = platform.guest()
    # A stranger's tokens must not make the hub hammer the provider: it looks for new keys every 10 s at most.
    eventually(lambda: bool(other_browser.log_in(other)) and bool(other_browser.whoami()), 30)
    assert other_browser.whoami()["name"] == other and browser.whoami()["name"] == name


def test_no_secret_in_the_logs(platform: Platform, browser: Browser) -> None:
    """Last: the hub has logged at its most talkative level all the while."""
    text = platform.log.read_text()
    assert "oauth_callback" in text
    for name in ("oidc-client-secret", "hub-crypt-key"):
        assert platform.settings.secret(name) not in text
    for word in ("code=", "state=", "id_token=", "logout_token=", "client_assertion=", "refresh_token="):
        for found in text.split(word)[1:]:
            assert found.startswith(("[", "...", "x")), word + found[:20]
    assert not re.search(r"eyJ[\w-]{10,}\.[\w-]{10,}\.", text)


def wait_for_confirmation(platform: Platform, browser: Browser, name: str) -> None:
    """Until the provider has said yes to a person once more; they stay logged in all the while."""
    store = database.connect(platform.settings.database)
    before = people.find(store, name).checked  # type: ignore[union-attr]
    eventually(lambda: bool(browser.whoami()) and people.find(store, name).checked > before, PATIENCE)  # type: ignore[union-attr]


def login_of(platform: Platform, name: str) -> Session:
    """The newest login of a person."""
    return sessions.live_of(database.connect(platform.settings.database), name)[0]


def just_asked(platform: Platform, name: str) -> None:
    """The hub need not ask the provider about them in the next second: it has to be told."""
    with database.connect(platform.settings.database).begin() as session:
        session.execute(update(Account).where(Account.name == name).values(checked=datetime.now(UTC)))


def actions(platform: Platform, name: str) -> set[str]:
    """Kinds of somebody's audit events."""
    return {event.action for event in audit.latest(database.connect(platform.settings.database), 50, person=name)}
