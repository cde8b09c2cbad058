"""The page of one's logins in a real browser: how it looks, and logging out everywhere by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from bdap_hub import audit, database

from .conftest import Browser, Platform

PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1"

pytestmark = pytest.mark.parametrize("platform", ["eulogin-like"], indirect=True)


def log_in(page: Page, platform: Platform, name: str) -> None:
    page.goto(f"{platform.url}/hub/home")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", platform.accounts[name]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{platform.url}/hub/home")


def look(page: Page, artifacts: Path, name: str, scheme: str = "light") -> None:
    """Screenshots on a laptop and a phone; nothing may be wider than the screen."""
    page.emulate_media(color_scheme=scheme)
    for device, size in (("laptop", LAPTOP), ("phone", PHONE)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), device
        page.screenshot(path=artifacts / f"{name}-{scheme}-{device}.png", full_page=True)


def test_logging_out_everywhere_by_hand(
    platform: Platform, browser: Browser, chromium: Chromium, artifacts: Path
) -> None:
    name = platform.guest()
    browser.client.headers["User-Agent"] = IPHONE
    browser.log_in(name)
    context = chromium.new_context(viewport=LAPTOP)  # type: ignore[arg-type]
    page = context.new_page()
    log_in(page, platform, name)
    page.click("text=Logins")
    expect(page.locator(".login h2")).to_have_text(["Chrome on Linux this browser", "Safari on iPhone"])
    for scheme in ("light", "dark"):
        look(page, artifacts, "logins", scheme)
    page.get_by_role("button", name="End the login of Safari on iPhone").click()
    known = audit.latest(database.connect(platform.settings.database), 20, person=name)
    why = [(event.action, event.outcome, event.reason) for event in known]  # else who ended it before
    assert page.get_by_role("status").inner_text() == "That login has ended.", why
    look(page, artifacts, "logins-ended")
    assert browser.whoami() == {}
    page.goto("about:blank")
    page.set_content(f"<a href='{platform.url}/hub/logout'>a harmless link</a>")
    page.click("text=harmless")
    page.wait_for_url(f"{platform.url}/hub/logout")
    look(page, artifacts, "logout-confirm")
    page.click("text=Stay logged in")
    page.goto(f"{platform.url}/hub/logins")
    page.get_by_role("button", name="Log out everywhere").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/session/end**")
    page.goto(f"{platform.url}/hub/logout")
    assert page.locator("h1").inner_text() == "You are logged out"
    look(page, artifacts, "logged-out")
    context.close()
