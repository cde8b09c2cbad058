"""People with a browser that is logged in at the hub, and the cookies that the gateway gave them."""

from __future__ import annotations

import httpx

from bdap_hub.dashboards.sharing.tickets import Visitor, digest, make_session

from .conftest import Platform

HOST = "agriculture--shown-project"
NAME = "agriculture/shown-project"
BROWSERS: dict[str, httpx.Client] = {}


def visitor_of(platform: Platform, person: str, browser: httpx.Client | None = None) -> Visitor:
    """That person, logged in at the hub with that browser, or with one of their own."""
    if browser is None:
        browser = BROWSERS.get(person) or BROWSERS.setdefault(person, platform.hub.browser(person))
    return Visitor(person, digest(browser.cookies["jupyterhub-session-id"]))


def cookie_of(platform: Platform, visitor: Visitor, dashboard: str = NAME, key: str = "") -> dict[str, str]:
    value = make_session(key or platform.settings.secret("signing"), dashboard, visitor, 60)
    return {"Cookie": f"bdap-dashboard={value}"}


def session_of(platform: Platform, person: str, dashboard: str = NAME) -> dict[str, str]:
    return cookie_of(platform, visitor_of(platform, person), dashboard)
