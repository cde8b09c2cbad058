"""The panel in a real browser: nothing wider than the screen, no error in its console; screenshots are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from bdap_hub import audit

TABS = ("", "people", "servers", "dashboards", "audit")


@pytest.mark.browser
def test_the_pages_fit_a_desk_and_a_phone(chromium: Browser, panel: Any, dashboard: str, artifacts: Path) -> None:
    for reason in ("pia is not a member of project forest", "no token on a tile request"):
        audit.record(panel.app.state.sessions, person="pia", action="tile", allowed=False, reason=reason)
    panel.hub.api("POST", "/users/ana/server")
    page = chromium.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{panel.hub.url}/hub/login")
    page.fill("#username_input", "olga")
    page.fill("#password_input", "test")
    page.click("#login_submit")
    page.wait_for_load_state()
    wrong.clear()  # the hub's own pages are not ours to judge
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for tab in TABS:
            page.goto(panel.url + tab)
            page.screenshot(path=artifacts / f"admin-{tab or 'overview'}-{width}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{tab} at {width}"
            assert page.locator(".tabs a[aria-current]").count() == 1
    page.close()
    panel.hub.api("DELETE", "/users/ana/server")
    assert wrong == []
