"""The login in a real Chromium: content security policy, cookies on two hosts, and pages that read well."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.totp import code_of

from .conftest import Platform

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_log_in_and_out(platform: Platform, chromium: Browser, artifacts: Path, width: int, height: int) -> None:
    guest = platform.guest()
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(60_000)
    page.goto(f"{platform.url}/hub/oauth_callback?code=x&state=forged")
    assert page.get_by_role("link", name="Log out at the provider").is_visible()
    _look(page, artifacts, "refused-outside", width)
    page.get_by_role("link", name="Log in again").click()
    _look(page, artifacts, "login", width)
    page.get_by_label("Account name").fill(guest)
    page.get_by_label("Password").fill(platform.accounts[guest]["password"])
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Authenticator code").wait_for()
    _look(page, artifacts, "second-factor", width)
    page.get_by_label("Authenticator code").fill(platform.code(guest))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{platform.url}/hub/**")
    page.goto(f"{platform.url}/hub/oauth_callback?code=x&state=forged")
    assert "not the answer to a login that you began here" in page.inner_text("body")
    _look(page, artifacts, "refused", width)
    page.goto(f"{platform.url}/hub/logout")
    page.get_by_role("button", name="Log out", exact=True).wait_for()
    _look(page, artifacts, "provider-logout", width)
    page.get_by_role("button", name="Log out", exact=True).click()
    page.wait_for_url(f"{platform.url}/hub/logout*")
    page.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_enrol(platform: Platform, chromium: Browser, artifacts: Path, width: int, height: int) -> None:
    """Somebody without an authenticator scans the code once, mistypes, and is let in with the right one."""
    name = platform.guest()
    whose = "user_id = (SELECT id FROM auth_user WHERE username = ?)"
    platform.change_provider(f"DELETE FROM mfa_authenticator WHERE {whose}", name)
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(60_000)
    page.goto(f"{platform.url}/hub/token")
    page.get_by_label("Account name").fill(name)
    page.get_by_label("Password").fill(platform.accounts[name]["password"])
    page.keyboard.press("Enter")
    secret = page.locator("code.secret").inner_text()
    assert page.locator("img[src^='data:image/svg+xml']").bounding_box()["width"] >= 150  # type: ignore[index]
    _look(page, artifacts, "enrol", width)
    right = code_of(secret)
    page.get_by_label("Code that the app shows now").fill(f"{(int(right) + 1) % 1_000_000:06}")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert page.locator("code.secret").inner_text() == secret  # what was scanned stays good
    _look(page, artifacts, "enrol-wrong", width)
    page.get_by_label("Code that the app shows now").fill(code_of(secret))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{platform.url}/hub/token")
    page.close()


def _look(page: Page, artifacts: Path, name: str, width: int) -> None:
    page.screenshot(path=artifacts / f"identity-{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} px"
