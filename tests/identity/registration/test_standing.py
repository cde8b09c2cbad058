"""Who is in, and for how long: terms, an end, a block, a membership, asked again at each request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from bdap_hub.identity import people, requests, sessions
from bdap_hub.identity.tables import Account, aware, now

from ..conftest import Browser, Platform
from .steps import FORM, accept_terms, as_a_page, ask, events, newcomer, number, post, until


def test_members_of_the_provider_come_in_and_accept_the_terms(
    place: Platform, store: people.Store, browsers: Any
) -> None:
    browser, name = browsers(), newcomer(place, "project-agriculture")
    page = browser.log_in(name, f"{place.url}/hub/token")
    assert "What do you want to do there?" not in page.text and browser.whoami() == {}
    assert events(store, name)[0] == ("login", "refused", "terms-not-accepted")
    unticked = browser.submit(page)
    assert unticked.status_code == 400 and browser.whoami() == {}
    page = accept_terms(page, browser)
    assert page.url.path == "/hub/token" and browser.whoami()["groups"] == ["project-agriculture"]
    first = aware(people.find(store, name).expires)
    assert abs(first - now() - timedelta(days=365)) < timedelta(minutes=5)
    browser.get(f"{place.url}/hub/oauth_login")
    assert aware(people.find(store, name).expires) > first  # extended at each login


def test_new_terms_are_asked_for_at_the_next_login_alone(place: Platform, store: people.Store, browsers: Any) -> None:
    browser, name = browsers(), newcomer(place, "project-agriculture")
    accept_terms(browser.log_in(name), browser)
    with store.begin() as session:
        session.get(Account, name).terms_version = "1"  # as if the terms had changed since
    assert browser.whoami()["name"] == name
    page = browser.get(f"{place.url}/hub/oauth_login")
    assert "which have changed since you last accepted them" in page.text
    assert accept_terms(page, browser).url.path == "/hub/home"
    assert people.find(store, name).terms_version == "2"


def test_run_out(place: Platform, store: people.Store, browsers: Any, lead: Browser) -> None:
    browser = browsers()
    name = ask(place, browser)
    post(lead, "/hub/requests", act="approve", id=number(store, name))
    browser.get(f"{place.url}/hub/oauth_login")
    assert browser.whoami()["name"] == name
    with store.begin() as session:
        session.get(Account, name).expires = now() - timedelta(seconds=1)
    assert browser.whoami() == {}  # at the very next request
    page = browser.get(f"{place.url}/hub/oauth_login")
    assert "has run out" in page.text and ("login", "refused", "approval-expired") in events(store, name)
    assert "waits for an answer" in browser.submit(page, **FORM).text


def test_blocked(place: Platform, store: people.Store, browsers: Any, lead: Browser, admin: Browser) -> None:
    browser, name = browsers(), newcomer(place, "project-agriculture")
    accept_terms(browser.log_in(name), browser)
    tokens = f"{place.url}/hub/api/users/{name}/tokens"
    token = browser.client.post(tokens, headers=as_a_page(browser)).json()["token"]
    bearer = {"Authorization": f"token {token}"}
    assert httpx.get(f"{place.url}/hub/api/user", headers=bearer).status_code == 200
    fields = {"act": "block", "name": name, "comment": "Left the institute."}
    page = post(lead, "/hub/requests", **fields)
    assert page.status_code == 403 and browser.whoami()["name"] == name  # leads block nobody
    page = post(admin, "/hub/requests", **fields)
    assert "The account was blocked." in page.text
    assert browser.whoami() == {} and sessions.live_of(store, name) == []
    assert httpx.get(f"{place.url}/hub/api/user", headers=bearer).status_code in (401, 403)
    page = browser.get(f"{place.url}/hub/oauth_login")
    assert page.status_code == 403 and "Left the institute." in page.text and "<form" not in page.text
    assert events(store, name)[0] == ("login", "refused", "blocked")
    answer = browser.client.post(f"{place.url}/hub/register", data=FORM)  # the page has no form; nor is one taken
    assert answer.status_code == 403 and requests.open_of(store, name) == []
    post(admin, "/hub/requests", act="unblock", name=name)
    browser.get(f"{place.url}/hub/oauth_login")
    assert browser.whoami()["name"] == name


def test_a_server_ends_with_the_membership(place: Platform, browsers: Any, deciders: dict[str, Browser]) -> None:
    browser, name = browsers(), newcomer(place, "project-agriculture")
    accept_terms(browser.log_in(name), browser)
    post(deciders["lead"], "/hub/requests", act="add", name=name, project="forest")
    options = {"project": "forest", "image": "lab"}
    server = f"{place.url}/hub/api/users/{name}/server"
    answer = browser.client.post(server, headers=as_a_page(browser), json=options)
    assert answer.status_code in (201, 202), answer.text
    assert until(lambda: browser.whoami()["server"] is not None, 60)
    post(deciders["lead"], "/hub/requests", act="remove", name=name, project="forest")
    assert until(lambda: browser.whoami()["server"] is None, 20)
    assert browser.whoami()["name"] == name  # they stay logged in: agriculture is still theirs


def test_who_is_in_may_ask_for_another_project(
    place: Platform, store: people.Store, browsers: Any, deciders: dict[str, Browser]
) -> None:
    browser, name = browsers(), newcomer(place, "project-agriculture")
    accept_terms(browser.log_in(name), browser)
    page = browser.get(f"{place.url}/hub/register")
    assert "Join a project" in page.text and '<option value="agriculture"' not in page.text
    browser.submit(page, **FORM)
    post(deciders["lead"], "/hub/requests", act="reject", id=number(store, name), comment="Not this year.")
    assert browser.whoami()["name"] == name  # a no to one project takes nothing away
    assert people.find(store, name).standing == "approved"
