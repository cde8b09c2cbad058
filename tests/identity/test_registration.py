"""Registration against a real hub and provider: who is not let in has no session, and everything they may do is asked
again where it takes effect."""

from __future__ import annotations

import html
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from tornado.web import create_signed_value

from bdap_hub import audit, database
from bdap_hub.identity import members, people, requests, sessions
from bdap_hub.identity.tables import Account, Session, aware, now

from .conftest import Browser, Platform, launch

FORM = {"act": "ask", "project": "forest", "purpose": "I map old forests.", "accept": "2"}
FOREST_LEAD = "project-forest-leads"


@pytest.fixture(scope="session")
def place(platforms: Callable[[str], Platform]) -> Platform:
    """The platform on which people have to register."""
    return platforms("registration")


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def lead(place: Platform, store: people.Store) -> Iterator[Browser]:
    """A browser in which a lead of forest is logged in."""
    yield from _one_of(place, store, "fay", FOREST_LEAD)


@pytest.fixture(scope="session")
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
    mine, theirs = letters(place, name), letters(place, "fay")
    assert "has arrived" in mine[-1].get_content()
    assert f"{place.url}/hub/requests" in theirs[-1].get_content() and name in theirs[-1].get_content()
    assert "old forests" not in theirs[-1].get_content()  # a stranger's words are read on the page
    page = lead.get(f"{place.url}/hub/requests")
    assert page.status_code == 200 and f"<code>{name}</code>" in page.text and "I map old forests." in page.text
    page = post(lead, "/hub/requests", act="approve", id=number(store, name), role="member", until="", project="forest")
    assert "The request was approved." in page.text
    assert "You are now a member" in letters(place, name)[-1].get_content()
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
    assert "has ended" in letters(place, name)[-1].get_content()


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


@pytest.mark.parametrize(
    ("who", "fields", "reason"),
    [
        ("lead", {"act": "approve", "role": "lead"}, "lead-for-lead"),
        ("other", {"act": "approve"}, "not-a-lead"),
        ("other", {"act": "reject", "comment": "no, not you"}, "not-a-lead"),
        ("member", {"act": "approve"}, "not-a-lead"),
        ("member", {"act": "add", "name": "fay", "project": "agriculture"}, "not-a-lead"),
        ("member", {"act": "add", "name": "ada", "project": "forest", "role": "lead"}, "not-a-lead"),
        ("member", {"act": "remove", "name": "fay", "project": "forest"}, "not-a-lead"),
        ("lead", {"act": "add", "name": "fay", "project": "forest"}, "own-account"),
        ("lead", {"act": "add", "name": "nobody", "project": "forest"}, "unknown-person"),
        ("lead", {"act": "add", "name": "ada", "project": "latex"}, "unknown-project"),
        ("lead", {"act": "approve", "until": "2001-01-01"}, "bad-end"),
        ("lead", {"act": "approve", "role": "king"}, "unknown-role"),
        ("lead", {"act": "approve", "id": "0"}, "unknown-request"),
        ("lead", {"act": "block", "name": "ada", "comment": "why not"}, "not-an-admin"),
        ("lead", {"act": "unblock", "name": "ada"}, "not-an-admin"),
        ("admin", {"act": "block", "name": "ada", "comment": "why not"}, "own-account"),
    ],
)
def test_acts_are_decided_where_they_take_effect(
    place: Platform, store: people.Store, deciders: dict[str, Browser], waiting: str, who: str, fields: Any, reason: str
) -> None:
    browser = deciders[who]
    # the form is sent without its page, which somebody without the right never gets
    browser.client.get(f"{place.url}/hub/home")
    xsrf = re.search(r'xsrf_token: "([^"]*)"', browser.client.get(f"{place.url}/hub/home").text)[1]
    data = {"id": number(store, waiting), **fields, "_xsrf": xsrf}
    answer = browser.client.post(f"{place.url}/hub/requests", data=data)
    assert 400 <= answer.status_code < 500, answer.text
    assert ("refused", reason) in [event[1:] for event in events(store, browser.whoami()["name"])[:2]]
    assert people.find(store, waiting).standing == "pending"


@pytest.fixture(scope="module")
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


def test_the_page_is_for_those_who_decide(
    place: Platform, store: people.Store, deciders: dict[str, Browser], waiting: str, browsers: Any
) -> None:
    page = deciders["member"].get(f"{place.url}/hub/requests")
    assert page.status_code == 403 and waiting not in page.text
    assert "/hub/requests" not in deciders["member"].get(f"{place.url}/hub/home").text
    page = deciders["other"].get(f"{place.url}/hub/requests")
    assert page.status_code == 200 and waiting not in page.text and "Block" not in page.text
    page = deciders["lead"].get(f"{place.url}/hub/requests")
    assert waiting in page.text and "Block" not in page.text and '<option value="lead">' not in page.text
    assert f'max="{now().date() + timedelta(days=365)}"' in page.text  # no longer than the platform says
    assert "/hub/requests" in deciders["lead"].get(f"{place.url}/hub/home").text
    page = deciders["admin"].get(f"{place.url}/hub/requests?project=forest")
    assert waiting in page.text and "Block an account" in page.text and '<option value="lead">' in page.text
    answer = browsers().client.get(f"{place.url}/hub/requests")
    assert answer.is_redirect and "login" in answer.headers["location"]


def test_a_token_opens_none_of_these_pages(place: Platform, deciders: dict[str, Browser]) -> None:
    admin = deciders["admin"]
    answer = admin.client.post(f"{place.url}/hub/api/users/ada/tokens", headers=as_a_page(admin))
    bearer = {"Authorization": f"token {answer.json()['token']}", "Accept": "text/html"}
    assert httpx.get(f"{place.url}/hub/api/user", headers=bearer).status_code == 200  # the control
    for path in ("requests", "register"):
        assert httpx.get(f"{place.url}/hub/{path}", headers=bearer).status_code == 302
        assert httpx.post(f"{place.url}/hub/{path}", headers=bearer, data={"act": "block"}).status_code == 403


def test_an_old_login_of_an_admin_is_asked_to_prove_itself_anew(
    place: Platform, store: people.Store, deciders: dict[str, Browser], waiting: str
) -> None:
    admin, page = deciders["admin"], f"{place.url}/hub/requests"
    xsrf = re.search(r'name="_xsrf" value="([^"]*)"', admin.client.get(page).text)[1]
    data = {"_xsrf": xsrf, "act": "reject", "id": number(store, waiting), "comment": "Not this year."}
    with store.begin() as session:
        session.execute(update(Session).where(Session.person == "ada").values(auth_time=Session.auth_time - 7200))
    answer = admin.client.get(page)
    assert answer.is_redirect and answer.headers["location"].startswith("/hub/step-up?max_age=3600&next=%2Fhub%2Freq")
    answer = admin.client.post(page, data=data)
    assert answer.is_redirect and "/hub/step-up" in answer.headers["location"]
    assert ("reject", "refused", "step-up-required") in events(store, "ada")[:2]
    assert people.find(store, waiting).standing == "pending"
    with store.begin() as session:
        session.execute(update(Session).where(Session.person == "ada").values(auth_time=Session.auth_time + 7200))
    assert admin.client.get(page).status_code == 200


def test_a_decision_without_the_page_s_token_is_none(
    place: Platform, store: people.Store, deciders: dict[str, Browser], waiting: str
) -> None:
    lead, page = deciders["lead"], f"{place.url}/hub/requests"
    assert lead.client.get(page).status_code == 200
    for xsrf in ({}, {"_xsrf": "x"}):
        assert lead.client.post(page, data={"act": "approve", "id": number(store, waiting), **xsrf}).status_code == 403
    assert people.find(store, waiting).standing == "pending"


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


def until(check: Callable[[], bool], seconds: float) -> bool:
    """Whether `check` comes true in this time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_added_by_name_with_effect_at_once(
    place: Platform, store: people.Store, browsers: Any, deciders: dict[str, Browser]
) -> None:
    browser, name = browsers(), newcomer(place, "project-agriculture")
    accept_terms(browser.log_in(name), browser)
    page = post(deciders["lead"], "/hub/requests", act="add", name=f" {name} ", project="forest", until="")
    assert "The member was added." in page.text and name in page.text
    assert browser.whoami()["groups"] == ["project-agriculture", "project-forest"]
    page = post(deciders["admin"], "/hub/requests", act="add", name=name, project="forest", role="lead")
    assert browser.whoami()["groups"] == ["project-agriculture", "project-forest-leads"]
    assert browser.get(f"{place.url}/hub/requests").status_code == 200
    page = post(deciders["lead"], "/hub/requests", act="add", name=name, project="forest")
    assert page.status_code == 403 and "administrator" in page.text


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


def test_an_admin_of_a_platform_without_projects_blocks_people(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = launch("demo", tmp_path, stack, "settings.projects = ()\n")
        admin, other = Browser(place), Browser(place)
        stack.callback(admin.client.close)
        stack.callback(other.client.close)
        other.log_in("ana")
        assert other.get(f"{place.url}/hub/requests").status_code == 403
        admin.log_in("olga")
        page = admin.get(f"{place.url}/hub/requests")
        assert page.status_code == 200 and "Members of" not in page.text and "Block an account" in page.text
        assert (
            "The account was blocked." in post(admin, "/hub/requests", act="block", name="ana", comment="no more").text
        )
        assert other.whoami() == {}
