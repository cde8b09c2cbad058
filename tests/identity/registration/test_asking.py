"""Who is not let in has no session, is led to the page that asks, and is answered there."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tornado.web import create_signed_value

from bdap_hub.identity import members, people, requests, sessions
from bdap_hub.identity.tables import aware, now

from ..conftest import Browser, Platform
from .steps import FORM, accept_terms, ask, events, hub_knows, letters, newcomer, number, post, told


def test_a_first_login_ends_on_the_request_page_without_a_session(
    place: Platform, store: people.Store, browsers: Any, lead: Browser
) -> None:
    browser, name = browsers(), newcomer(place)
    callback = browser.log_in(name, until="/hub/oauth_callback")
    answer = browser.client.get(str(callback.next_request.url))
    assert answer.is_redirect and answer.headers["location"] == "/hub/register"
    cookies = answer.headers.get_list("set-cookie")
    applicant = next(cookie for cookie in cookies if cookie.startswith("bdap-applicant="))
    assert "HttpOnly" in applicant and "Path=/hub/register;" in applicant and "SameSite=Lax" in applicant
    assert not any(cookie.startswith(("jupyterhub-hub-login=", "jupyterhub-session-id=")) for cookie in cookies)
    page = browser.get(f"{place.url}/hub/register")
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    assert "Ask for access" in page.text and f"<code>{name}</code>" in page.text
    assert "Be kind &amp; careful." in page.text and "&lt;b&gt;share&lt;/b&gt;" in page.text
    assert browser.whoami() == {} and not hub_knows(place, name) and sessions.live_of(store, name) == []
    assert browser.get(f"{place.url}/hub/home", until="/accounts/").status_code != 500
    assert events(store, name)[-1] == ("login", "refused", "pending")
    page = browser.submit(page, **FORM)
    assert "waits for an answer" in page.text and "I map old forests." in page.text
    assert not hub_knows(place, name)
    account = people.find(store, name)
    assert (account.standing, account.terms_version, account.terms_accepted is None) == ("pending", "2", False)
    assert ("register", "allowed", "") in events(store, name)
    again = browser.get(f"{place.url}/hub/oauth_login")
    assert again.url.path == "/hub/register" and "waits for an answer" in again.text
    assert lead.whoami()["name"] == "fay"  # the control: who is approved is let in by the same steps


def test_the_whole_way_from_the_request_to_the_project(
    place: Platform, store: people.Store, browsers: Any, lead: Browser
) -> None:
    browser = browsers()
    name = ask(place, browser)
    told(place, name, "has arrived")
    theirs = told(place, "fay", name)
    assert f"{place.url}/hub/requests" in theirs
    assert "old forests" not in theirs  # a stranger's words are read on the page
    page = lead.get(f"{place.url}/hub/requests")
    assert page.status_code == 200 and f"<code>{name}</code>" in page.text and "I map old forests." in page.text
    page = post(lead, "/hub/requests", act="approve", id=number(store, name), role="member", until="", project="forest")
    assert "The request was approved." in page.text
    told(place, name, "You are now a member")
    account, row = people.find(store, name), members.membership(store, name, "forest")
    ends = now() + timedelta(days=365)
    assert account.standing == "approved" and abs(aware(row.expires) - ends) < timedelta(days=1)
    page = browser.get(f"{place.url}/hub/register")
    assert "Your account is approved." in page.text
    page = browser.get(f"{place.url}/hub/oauth_login?next=/hub/home")
    assert page.url.path == "/hub/home"
    assert browser.whoami()["groups"] == ["project-forest"]
    assert "bdap-applicant" not in browser.client.cookies
    # removed again: the group is gone at once, with the session still there
    page = post(lead, "/hub/requests", act="remove", name=name, project="forest")
    assert "The member was removed." in page.text
    assert browser.whoami()["groups"] == []
    told(place, name, "has ended")


def test_the_deep_link_chooses_the_project(place: Platform, browsers: Any) -> None:
    browser, name = browsers(), newcomer(place)
    page = browser.log_in(name, f"{place.url}/hub/register?project=forest")
    assert page.url.path == "/hub/register" and page.url.query == b"project=forest"
    assert re.search(r'<option value="forest" selected>', page.text)


def test_where_they_wanted_to_go_is_kept(place: Platform, browsers: Any, lead: Browser, store: people.Store) -> None:
    browser, name = browsers(), newcomer(place)
    page = browser.log_in(name, f"{place.url}/hub/token")
    browser.submit(page, **FORM)
    post(lead, "/hub/requests", act="approve", id=number(store, name))
    page = browser.get(f"{place.url}/hub/register")
    target = re.search(r'class="button" href="([^"]*)"', page.text)[1]
    assert browser.get(f"{place.url}{target}").url.path == "/hub/token"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"project": "latex"}, "There is no project"),
        ({"project": "agriculture<script>"}, "There is no project"),
        ({"purpose": "short"}, "The purpose has 5 characters"),
        ({"purpose": "x" * 2001}, "The purpose has 2001 characters"),
        ({"accept": ""}, "You have not accepted the terms of use"),
        ({"accept": "1"}, "You have not accepted the terms of use"),
    ],
)
def test_a_bad_request_says_what_is_wrong_and_keeps_the_text(
    place: Platform, store: people.Store, browsers: Any, applicant: tuple[Browser, str], fields: Any, sentence: str
) -> None:
    browser, name = applicant
    people.accept_terms(store, name, "")
    page = browser.submit(browser.get(f"{place.url}/hub/register"), **{**FORM, **fields})
    assert page.status_code == 400 and sentence in page.text, page.text
    assert "<script>" not in page.text.partition("<main")[2]
    assert fields.get("purpose", FORM["purpose"]) in page.text
    assert requests.open_of(store, name) == []
    assert events(store, name)[0][:2] == ("register", "refused")


@pytest.fixture(scope="module")
def applicant(place: Platform) -> Iterator[tuple[Browser, str]]:
    """Somebody on the request page, who has not asked yet."""
    browser, name = Browser(place), newcomer(place)
    browser.log_in(name)
    yield browser, name
    browser.client.close()


def test_without_the_page_s_token_nothing_is_asked(
    place: Platform, store: people.Store, applicant: tuple[Browser, str]
) -> None:
    browser, name = applicant
    browser.get(f"{place.url}/hub/register")
    for xsrf in ({}, {"_xsrf": "x"}):
        assert browser.client.post(f"{place.url}/hub/register", data={**FORM, **xsrf}).status_code == 403
    assert requests.open_of(store, name) == []


@pytest.mark.usefixtures("lead")
@pytest.mark.parametrize("kept", ["", "forged", "other-cookie", "old"])
def test_only_our_cookie_says_who_asks(place: Platform, store: people.Store, browsers: Any, kept: str) -> None:
    secret = bytes.fromhex((place.settings.var / "cookie_secret").read_text().strip())
    age = 21 * 60 if kept == "old" else 0
    name = "other" if kept == "other-cookie" else "bdap-applicant"
    value = create_signed_value(secret, name, '["fay", ""]', clock=lambda: time.time() - age).decode()
    browser = browsers()
    right = create_signed_value(secret, "bdap-applicant", '["fay", ""]').decode()
    headers = {"Cookie": f"bdap-applicant={right}"}
    assert browser.client.get(f"{place.url}/hub/register", headers=headers).status_code == 200  # the control
    headers = {"Cookie": f"bdap-applicant={'x' + value if kept == 'forged' else value}"} if kept else {}
    answer = browser.client.get(f"{place.url}/hub/register", headers=headers)
    assert answer.status_code == 302 and "/hub/login?next" in answer.headers["location"]


@pytest.mark.parametrize("applicant", ["fay", ""])
def test_a_session_goes_before_the_cookie_of_a_login_that_was_not_let_in(
    place: Platform, browsers: Any, lead: Browser, applicant: str
) -> None:
    secret = bytes.fromhex((place.settings.var / "cookie_secret").read_text().strip())
    name = applicant or newcomer(place)
    if not applicant:
        browsers().log_in(name)
    value = create_signed_value(secret, "bdap-applicant", f'["{name}", "/hub/token"]').decode()
    cookies = [f"{c.name}={c.value}" for c in lead.client.cookies.jar if c.path in ("/", "/hub/")]
    for session, who, leads_to_token in (([], name, True), (cookies, "fay", name == "fay")):
        headers = {"Cookie": "; ".join([*session, f"bdap-applicant={value}"]), "Accept": "text/html"}
        page = httpx.get(f"{place.url}/hub/register", headers=headers)
        assert page.status_code == 200 and f"account <code>{who}</code>" in page.text
        assert ("Not you?" in page.text) is (not session)
        assert leads_to_token or "%2Fhub%2Ftoken" not in page.text


def test_who_is_not_let_in_is_not_told_on_somebody_else_s_page(
    place: Platform, store: people.Store, browsers: Any
) -> None:
    """Somebody is logged in, and somebody else logs in at the provider from the same browser."""
    name, other = newcomer(place, "project-forest"), newcomer(place)
    browser = browsers()
    accept_terms(browser.log_in(name), browser)
    provider_only = Browser(place)  # the provider's cookies of somebody else, as in a tab of theirs
    provider_only.log_in(other)
    for cookie in provider_only.client.cookies.jar:
        if cookie.domain.startswith("localhost"):
            browser.client.cookies.jar.set_cookie(cookie)
    provider_only.client.close()
    refused = browser.get(f"{place.url}/hub/oauth_login")
    assert refused.status_code == 403 and "not approved yet" in refused.text and "Log in again" in refused.text
    assert events(store, other)[0] == ("login", "refused", "pending")
    assert browser.whoami()["name"] == name
    assert f"account <code>{name}</code>" in browser.get(f"{place.url}/hub/register").text


def test_not_you_log_in_as_somebody_else(place: Platform, browsers: Any) -> None:
    name, browser = newcomer(place), browsers()
    page = browser.log_in(name)
    others = html.unescape(re.search('href="([^"]*)">Not you', page.text)[1])  # type: ignore[index]
    assert browser.client.get(f"{place.url}/hub/register").status_code == 200  # still known
    asked = browser.get(f"{place.url}{others}")
    assert 'name="password"' in asked.text  # although the provider knows them
    assert browser.client.get(f"{place.url}/hub/register").is_redirect


def test_asking_again_changes_the_request_and_tells_nobody_twice(
    place: Platform, store: people.Store, browsers: Any, lead: Browser
) -> None:
    browser = browsers()
    name = ask(place, browser)
    told(place, "fay", name)
    before = len(letters(place, "fay"))
    page = browser.submit(browser.get(f"{place.url}/hub/register"), **{**FORM, "purpose": "I map very old forests."})
    assert "very old forests" in page.text and len(requests.open_of(store, name)) == 1
    assert len(letters(place, "fay")) == before


def test_turned_down_with_a_reason_and_asked_again(
    place: Platform, store: people.Store, browsers: Any, lead: Browser
) -> None:
    browser = browsers()
    name = ask(place, browser)
    request = number(store, name)
    page = post(lead, "/hub/requests", act="reject", id=request, comment=" ")
    assert page.status_code == 400 and "say why" in page.text
    post(lead, "/hub/requests", act="reject", id=request, comment="Say more <i>please</i>.")
    page = browser.get(f"{place.url}/hub/oauth_login")
    assert "was turned down" in page.text and "Say more &lt;i&gt;please&lt;/i&gt;." in page.text
    assert ("login", "refused", "rejected") in events(store, name)
    assert browser.whoami() == {} and not hub_knows(place, name)
    page = browser.submit(page, **FORM)
    assert "waits for an answer" in page.text
    page = post(lead, "/hub/requests", act="approve", id=request)
    assert page.status_code == 409 and "answered already" in page.text
