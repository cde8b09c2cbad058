"""What somebody reads whose login is not enough, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_dashboard_for_everybody(
    hub, services: str, chromium: Browser, artifacts: Path, width: int, height: int
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.goto(f"{services}/hub/login")
    page.fill("#username_input", "ana")
    page.fill("#password_input", "test")
    page.click("#login_submit")
    page.goto(f"{services}/services/dashboards/d/agriculture/fields")
    page.screenshot(path=artifacts / f"step-up-dashboard-{width}.png", full_page=True)
    page.get_by_label("Visible for").select_option("public")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("alert")).to_contain_text("this needs a login of level high", ignore_case=True)
    link = page.get_by_role("link", name="Log in again")
    assert "/hub/step-up?level=high&next=" in str(link.get_attribute("href"))
    page.screenshot(path=artifacts / f"step-up-asked-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
