"""What leads and administrators decide is asked again where it takes effect, whatever the page showed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from bdap_hub.identity import people
from bdap_hub.identity.tables import Session, now

from ..conftest import Browser, Platform, launch
from .steps import accept_terms, as_a_page, events, newcomer, number, post


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
