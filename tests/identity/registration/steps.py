"""What people do at the pages of registration, and what is recorded of them."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

import httpx

from bdap_hub import audit
from bdap_hub.identity import people, requests

from ..conftest import Browser, Platform

FORM = {"act": "ask", "project": "forest", "purpose": "I map old forests.", "accept": "2"}
FOREST_LEAD = "project-forest-leads"


def newcomer(place: Platform, *groups: str) -> str:
    """Somebody who has never been here."""
    name = f"person{len(place.accounts)}"
    place.provider.add_person(name, groups)
    return name


def accept_terms(page: httpx.Response, browser: Browser) -> httpx.Response:
    assert "Please accept the terms of use" in page.text
    return browser.submit(page, accept="2")


def events(store: people.Store, person: str) -> list[tuple[str, str, str]]:
    """What was recorded of a person, newest first: action, outcome, reason."""
    return [(e.action, e.outcome, e.reason) for e in audit.latest(store, 50, person=person)]


def letters(place: Platform, name: str) -> list[Any]:
    """The letters to a person so far; they are written in the background."""
    time.sleep(0.3)
    return _letters(place, name)


def told(place: Platform, name: str, words: str) -> str:
    """The latest letter to a person, once it has these words."""
    until(lambda: any(words in letter.get_content() for letter in _letters(place, name)[-1:]), 30)
    content: str = _letters(place, name)[-1].get_content()
    assert words in content
    return content


def _letters(place: Platform, name: str) -> list[Any]:
    made = sorted((place.settings.var / "mail").glob("*.eml"))
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in made]
    return [letter for letter in found if str(letter["To"]).startswith(f"{name}@")]


def post(browser: Browser, path: str, **fields: str) -> httpx.Response:
    """Send a form of a page that this browser has open; the page it ends on."""
    page = browser.client.get(f"{browser.platform.url}{path}")
    xsrf = re.search(r'name="_xsrf" value="([^"]*)"', page.text)
    answer = browser.client.post(f"{browser.platform.url}{path}", data={**fields, "_xsrf": xsrf[1] if xsrf else ""})
    return browser.get(str(answer.next_request.url)) if answer.is_redirect else answer


def ask(place: Platform, browser: Browser, name: str = "", **changes: str) -> str:
    """Somebody logs in for the first time and asks for forest; their name."""
    name = name or newcomer(place)
    page = browser.log_in(name)
    page = browser.submit(page, **{**FORM, **changes})
    assert "waits for an answer" in page.text, page.text
    return name


def as_a_page(browser: Browser) -> dict[str, str]:
    """What the hub's own pages send along when they call its API."""
    xsrf = browser.client.cookies.get("_xsrf", path="/hub/")
    return {"X-XSRFToken": xsrf, "Referer": f"{browser.platform.url}/hub/home"}


def hub_knows(place: Platform, name: str) -> bool:
    """Whether JupyterHub has a user of that name."""
    with sqlite3.connect(place.settings.var / "hub.sqlite") as connection:
        return connection.execute("select 1 from users where name = ?", [name]).fetchone() is not None


def number(store: people.Store, name: str) -> str:
    """The number of somebody's open request."""
    return str(requests.open_of(store, name)[0].id)


def until(check: Callable[[], bool], seconds: float) -> bool:
    """Whether `check` comes true in this time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
