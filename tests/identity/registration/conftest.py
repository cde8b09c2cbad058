"""The platform on which people have to register; browsers of those who decide, and of somebody who waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bdap_hub import database
from bdap_hub.identity import people, sessions

from ..conftest import Browser, Platform
from .steps import FOREST_LEAD, accept_terms, ask, newcomer


@pytest.fixture(scope="package")
def place(platforms: Callable[[str], Platform]) -> Iterator[Platform]:
    """The platform on which people have to register."""
    found = platforms("registration")
    yield found
    sessions.end(found.store, list(found.live()), "the tests are over")  # nobody is asked about them again


@pytest.fixture(scope="package")
def store(place: Platform) -> people.Store:
    """Its database."""
    return database.connect(place.settings.database)


@pytest.fixture
def browsers(place: Platform) -> Iterator[Callable[[], Browser]]:
    """Fresh browsers."""
    made: list[Browser] = []

    def new() -> Browser:
        made.append(Browser(place))
        return made[-1]

    yield new
    for browser in made:
        browser.client.close()


@pytest.fixture(scope="package")
def lead(place: Platform, store: people.Store) -> Iterator[Browser]:
    """A browser in which a lead of forest is logged in."""
    yield from _one_of(place, store, "fay", FOREST_LEAD)


@pytest.fixture(scope="package")
def admin(place: Platform, store: people.Store) -> Iterator[Browser]:
    """A browser in which an administrator is logged in."""
    yield from _one_of(place, store, "ada", "bdap-admins")


def _one_of(place: Platform, store: people.Store, name: str, group: str) -> Iterator[Browser]:
    place.guest(group, name=name)
    browser = Browser(place)
    accept_terms(browser.log_in(name), browser)
    assert browser.whoami()["name"] == name
    yield browser
    browser.client.close()


@pytest.fixture(scope="package")
def deciders(place: Platform, store: people.Store, lead: Browser, admin: Browser) -> Iterator[dict[str, Browser]]:
    """A lead of forest, an admin, a lead of agriculture, and a mere member of forest."""
    others: dict[str, Browser] = {}
    for kind, group in (("other", "project-agriculture-leads"), ("member", "project-forest")):
        browser = others[kind] = Browser(place)
        accept_terms(browser.log_in(newcomer(place, group)), browser)
    yield {"lead": lead, "admin": admin, **others}
    for browser in others.values():
        browser.client.close()


@pytest.fixture(scope="module")
def waiting(place: Platform) -> Iterator[str]:
    """Somebody who has asked for forest."""
    browser = Browser(place)
    yield ask(place, browser)
    browser.client.close()
