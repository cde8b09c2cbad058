"""One person's day in a real Chromium: enrol, log in, start a server, step up for a GPU image, log out everywhere.

The provider, the hub and the servers are real; the GPU is a number in the settings, as servers are processes here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bdap_hub import audit, database
from bdap_hub.identity import sessions
from bdap_hub.identity.tables import Session
from tests.totp import code_of

from .conftest import Platform

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("platform", ["gpu"], indirect=True)]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_gpu_image_asks_for_a_fresh_login(
    platform: Platform, chromium: Browser, artifacts: Path, width: int, height: int
) -> None:
    name = platform.guest()
    whose = "user_id = (SELECT id FROM auth_user WHERE username = ?)"
    platform.change_provider(f"DELETE FROM mfa_authenticator WHERE {whose}", name)
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(60_000)

    # enrol, which logs in
    page.goto(f"{platform.url}/hub/spawn")
    _password(page, platform, name)
    secret = page.locator("code.secret").inner_text()
    _code(page, code_of(secret))
    page.wait_for_url(f"{platform.url}/hub/spawn")
    expect(page.get_by_role("radio")).to_have_count(2)  # fresh enough for both images
    _look(page, artifacts, "spawn", width)

    # a quarter of an hour later: one of them asks for a login, the other starts
    _later(platform, name)
    page.reload()
    expect(page.get_by_role("radio")).to_have_count(1)
    locked = page.get_by_role("link", name="JupyterLab with GPU")
    expect(locked).to_contain_text("asks you to log in again")
    _look(page, artifacts, "spawn-locked", width)
    page.get_by_role("radio").check()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(f"{platform.url}/user/{name}/**")
    assert _events(platform, name, "start-server") == [("agriculture/lab", "allowed")]

    # no way around: a form that says gpu, with the old login
    page.goto(f"{platform.url}/hub/home")
    page.get_by_role("button", name="Stop my server").click()
    page.locator("#stop").wait_for(state="hidden")
    page.goto(f"{platform.url}/hub/spawn")
    page.evaluate("document.querySelector('input[type=radio]').value = 'agriculture/gpu'")
    page.get_by_role("radio").check()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("this needs a login within the last 15 minutes")
    _look(page, artifacts, "spawn-refused", width)
    assert _events(platform, name, "start-server")[0] == ("agriculture/gpu", "refused")

    # step up, and one click starts the server: who comes from the provider comes from another site
    before = _live(platform, name)
    page.get_by_role("link", name="JupyterLab with GPU").focus()
    page.keyboard.press("Enter")
    platform.accounts[name]["totp_secret"] = secret
    platform.provider.new_authenticator(name)  # instead of waiting for the next code
    _password(page, platform, name)
    _look(page, artifacts, "step-up-code", width)
    _code(page, platform.code(name))
    expect(page.get_by_role("heading", name="JupyterLab with GPU · Agriculture")).to_be_visible()
    assert _events(platform, name, "start-server")[0] == ("agriculture/gpu", "refused")
    _look(page, artifacts, "spawn-linked", width)
    page.get_by_role("button", name="Start it").click()
    page.wait_for_url(f"{platform.url}/user/{name}/**")
    assert _events(platform, name, "start-server")[0] == ("agriculture/gpu", "allowed")
    assert _events(platform, name, "step-up") == [(platform.settings.identity.issuer, "allowed")]
    after = _live(platform, name)
    assert len(before) == len(after) == 1 and before != after

    # log out everywhere
    page.goto(f"{platform.url}/hub/logins")
    _look(page, artifacts, "logins", width)
    page.get_by_role("button", name="Log out everywhere").click()
    page.get_by_role("button", name="Log out", exact=True).click()  # at the provider, too
    page.wait_for_url(f"{platform.url}/hub/logout*")
    _look(page, artifacts, "logged-out-everywhere", width)
    assert _live(platform, name) == []
    answer = page.request.get(f"{platform.url}/user/{name}/api/status", max_redirects=0)
    assert answer.status in (302, 403, 404, 424, 503)
    page.goto(f"{platform.url}/hub/home")
    assert page.url.startswith(platform.settings.identity.issuer)  # asked to log in
    page.close()


def _password(page: Page, platform: Platform, name: str) -> None:
    page.get_by_label("Account name").fill(name)
    page.get_by_label("Password").fill(platform.accounts[name]["password"])
    page.keyboard.press("Enter")
    page.locator("input[name=code]").wait_for()


def _code(page: Page, code: str) -> None:
    page.locator("input[name=code]").fill(code)
    page.keyboard.press("Enter")


def _later(platform: Platform, name: str, seconds: int = 1000) -> None:
    """As if the person had entered their factors so much earlier."""
    platform.provider.age_login(name, seconds)
    with database.connect(platform.settings.database).begin() as session:
        for found in session.query(Session).filter_by(person=name):
            found.auth_time -= seconds


def _events(platform: Platform, name: str, action: str) -> list[tuple[str, str]]:
    """(subject, outcome), the newest first."""
    found = audit.latest(database.connect(platform.settings.database), 100, person=name)
    return [(event.subject, event.outcome) for event in found if event.action == action]


def _live(platform: Platform, name: str) -> list[str]:
    return [found.id for found in sessions.live_of(database.connect(platform.settings.database), name)]


def _look(page: Page, artifacts: Path, name: str, width: int) -> None:
    page.screenshot(path=artifacts / f"step-up-{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} px"
