"""Who administers the platform can do what the admin panel lets them, and nothing with JupyterHub's own power.

Its admin role could act as anybody, unrecorded, whatever step-up demands, and beyond the end of the admin's own rights.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.attacks.cases import let_in
from tests.attacks.platform import Browser, Platform

OVER_OTHERS = [
    ("POST", "/users/{other}/tokens"),
    ("POST", "/users/{other}/server"),
    ("POST", "/users/invented"),
    ("PATCH", "/users/{other}"),
    ("DELETE", "/users/{other}"),
    ("POST", "/groups/bdap-admins/users"),
    ("GET", "/users"),
    ("GET", "/proxy"),
]


@pytest.mark.parametrize(("method", "path"), OVER_OTHERS)
def test_an_admin_has_no_power_over_others_on_the_hubs_api(
    platform: Platform, browser_of: Callable[[str], Browser], method: str, path: str
) -> None:
    other, boss = browser_of("other"), browser_of("boss")
    platform.provider.groups["boss"] = ["bdap-admins"]
    let_in(platform, other, "other")
    let_in(platform, boss, "boss")
    answer = ask(boss, method, path.format(other="other"))
    assert answer.status_code in (403, 404), answer.text
    assert ask(boss, "POST", "/users/boss/tokens").status_code == 201  # the control


def test_jupyterhubs_own_admin_page_is_closed(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    boss = browser_of("boss")
    platform.provider.groups["boss"] = ["bdap-admins"]
    let_in(platform, boss, "boss")
    assert boss.get("/hub/admin").status_code == 403
    assert boss.get("/hub/home").status_code == 200


def ask(browser: Browser, method: str, path: str) -> httpx.Response:
    """Call the hub's API as a page of the hub would."""
    headers = {"Referer": f"{browser.platform.url}/hub/home", "X-XSRFToken": browser.cookies()["_xsrf"]}
    return browser.client.request(method, f"{browser.platform.url}/hub/api{path}", headers=headers, json={})
