"""Registration in a real Chromium, on a laptop and a phone: ask, approve, come in; the pages read well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from bdap_hub import database
from bdap_hub.identity import approvals, people, requests
from bdap_hub.identity.approvals import Actor

from ..conftest import Platform

pytestmark = pytest.mark.browser
PURPOSE = "I map old forests of the Italian Alps from Sentinel-2 time series.\nTwo colleagues join me in spring."
SIZES = [(1280, 800), (390, 844)]


@pytest.fixture(scope="module")
def desk(place: Platform) -> approvals.Approvals:
    """What the operator at the command line works with."""
    return approvals.Approvals(place.settings, database.connect(place.settings.database))


@pytest.fixture(scope="module")
def olga(place: Platform, chromium: Browser) -> Iterator[Page]:
    """A page in which the demo's administrator is logged in."""
    page = chromium.new_page()
    log_in(place, page, "olga")
    page.get_by_label("I have read the terms of use and accept them").check()
    page.get_by_role("button", name="Accept and continue").click()
    page.wait_for_url(f"{place.url}/hub/home")
    yield page
    page.close()


def log_in(place: Platform, page: Page, name: str, path: str = "/hub/home") -> None:
    """Both factors; ends on a page of the hub."""
    page.set_default_timeout(60_000)
    page.goto(f"{place.url}{path}")
    page.get_by_label("Account name").fill(name)
    page.get_by_label("Password").fill(place.accounts[name]["password"])
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Authenticator code").wait_for()  # a code is short-lived
    page.get_by_label("Authenticator code").fill(place.unused_code(name))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{place.url}/hub/**")


def look(page: Page, artifacts: Path, name: str, width: int) -> None:
    """A picture, and nothing wider than the screen."""
    page.screenshot(path=artifacts / f"registration-{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} px"


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_ask_be_approved_and_come_in(
    place: Platform,
    chromium: Browser,
    artifacts: Path,
    desk: approvals.Approvals,
    olga: Page,
    width: int,
    height: int,
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": height})
    page, name = context.new_page(), f"nora{width}"
    place.provider.add_person(name, ())
    log_in(place, page, name, "/hub/register?project=forest")
    page.get_by_role("heading", name="Ask for access").wait_for()
    assert page.get_by_label("Project").input_value() == "forest"
    look(page, artifacts, "form", width)
    page.get_by_label("What do you want to do there?").fill("short")
    page.get_by_label("I have read").check()
    page.get_by_role("button", name="Send the request").click()
    assert page.locator("textarea:invalid").count() == 1  # the browser says so itself
    page.get_by_label("What do you want to do there?").fill(PURPOSE)
    page.get_by_label("What do you want to do there?").press("Tab")  # the terms, then the box, then the button
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Send the request"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your request waits for an answer").wait_for()
    look(page, artifacts, "waiting", width)
    page.get_by_text("Change the request").click()
    assert page.get_by_label("What do you want to do there?").input_value() == PURPOSE
    page.get_by_role("link", name="Look for an answer").click()
    page.get_by_role("heading", name="Your request waits for an answer").wait_for()

    olga.set_viewport_size({"width": width, "height": height})
    olga.goto(f"{place.url}/hub/home")
    olga.get_by_role("link", name="Requests and members").click()
    olga.get_by_role("heading", name=f"Guest {name} asks for Forest").wait_for()
    look(olga, artifacts, "requests", width)
    card = olga.locator("article", has_text=name)
    card.get_by_label("Role").select_option("member")
    card.get_by_role("button", name="Approve").click()
    olga.get_by_text("The request was approved.").wait_for()
    look(olga, artifacts, "members", width)

    page.get_by_role("link", name="Look for an answer").click()
    page.wait_for_url(f"{place.url}/hub/home")
    look(page, artifacts, "home", width)
    context.close()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_else_people_read(
    place: Platform, chromium: Browser, artifacts: Path, desk: approvals.Approvals, width: int, height: int
) -> None:
    operator, store = Actor("operator:test"), desk.store
    context = chromium.new_context(viewport={"width": width, "height": height})
    page, name = context.new_page(), f"theo{width}"
    place.provider.add_person(name, ())
    log_in(place, page, name)
    requests.submit(place.settings, store, people.find(store, name), "forest", PURPOSE)
    (asked,) = requests.open_of(store, name)
    desk.reject(operator, asked.id, "Your institute has no agreement with the forest project yet.")
    page.goto(f"{place.url}/hub/oauth_login")
    page.get_by_role("heading", name="Your request was turned down").wait_for()
    look(page, artifacts, "rejected", width)
    desk.add(operator, name, "forest")
    page.goto(f"{place.url}/hub/oauth_login")
    page.get_by_role("heading", name="Please accept the terms of use").wait_for()
    look(page, artifacts, "terms", width)
    desk.block(operator, name, "Your account was used from two continents within an hour.")
    page.goto(f"{place.url}/hub/oauth_login")
    page.get_by_role("heading", name="Your account is blocked").wait_for()
    look(page, artifacts, "blocked", width)
    context.close()
