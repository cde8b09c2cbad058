"""What is asked for, and the reminders of what ends."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.errors import BadRequest
from bdap_hub.identity import members, people, reminders, requests
from bdap_hub.identity.tables import Account, Membership, aware, now
from bdap_hub.settings import ProjectSettings

from .cast import NEVER, PAST, account, world


@pytest.mark.parametrize(
    ("project", "purpose", "sentence"),
    [
        ("forest", "too short", "9 characters"),
        ("forest", "          \n ", "0 characters"),
        ("forest", "x" * 2001, "2001 characters"),
        ("latex", "I want to map forests", "no project 'latex'"),
        ("", "I want to map forests", "no project ''"),
        ("closed", "I want to map forests", "no project 'closed'"),
        ("agriculture", "I want to map forests", "in project agriculture already"),
    ],
)
def test_bad_requests_are_refused_with_the_value(tmp_path: Path, project: str, purpose: str, sentence: str) -> None:
    closed = ProjectSettings(name="closed", title="C", group="c", membership="provider")
    settings, store = world(tmp_path)
    settings = settings.model_copy(update={"projects": (*settings.projects, closed)})
    found = account(store, groups=["project-agriculture"])
    with pytest.raises(BadRequest, match=sentence):
        requests.submit(settings, store, found, project, purpose)
    assert requests.open_of(store, "nora") == []
    for right in ("x" * 10, "x" * 2000):
        assert requests.submit(settings, store, found, "forest", right)[0].purpose == right


def test_asking_again_changes_the_open_request(tmp_path: Path) -> None:
    settings, store = world(tmp_path)
    found = account(store, standing="pending")
    first, is_new = requests.submit(settings, store, found, "forest", "to map forests")
    second, again = requests.submit(settings, store, found, "forest", "to map forests\r\n of Europe")
    other, third = requests.submit(settings, store, found, "agriculture", "to map fields")
    assert (is_new, again, third) == (True, False, True)
    assert first.id == second.id != other.id
    assert [r.purpose for r in requests.open_of(store, "nora")] == ["to map forests\n of Europe", "to map fields"]
    assert [r.id for r in requests.open_in(store, ["forest"])] == [first.id]
    assert requests.open_in(store, []) == []


@pytest.mark.parametrize(("standing", "ends"), [("rejected", NEVER), ("approved", PAST), ("pending", NEVER)])
def test_who_was_turned_down_or_ran_out_waits_anew(tmp_path: Path, standing: str, ends: Any) -> None:
    settings, store = world(tmp_path)
    found = account(store, standing=standing, expires=now() + ends if ends else None)
    requests.submit(settings, store, found, "forest", "to map forests")
    assert people.find(store, "nora").standing == "pending"


@pytest.mark.parametrize(("act", "after"), [("", "pending"), ("block", "blocked"), ("approve", "approved")])
def test_a_request_undoes_nothing_that_was_decided_meanwhile(tmp_path: Path, act: str, after: str) -> None:
    settings, store = world(tmp_path)
    found = account(store, standing="rejected")
    if act == "block":
        people.set_standing(store, "nora", "blocked")
    if act == "approve":
        people.approve(store, "nora", now() + timedelta(days=1))
    requests.submit(settings, store, found, "forest", "to map forests")
    assert people.find(store, "nora").standing == after


def test_a_reminder_comes_once_for_each_end(tmp_path: Path) -> None:
    settings, store = world(tmp_path)
    ends = now() + timedelta(days=13)
    account(store, "soon", expires=ends)
    account(store, "later", expires=now() + timedelta(days=15))
    account(store, "over", expires=now() - timedelta(days=1))
    account(store, "gone", standing="blocked", expires=ends)
    account(
        store,
        "mute",
        expires=ends,
    )
    with store.begin() as session:
        session.get(Account, "mute").email = ""
    account(store, "mem")
    members.grant(store, "mem", "forest", "member", "olga", ends)
    assert reminders.remind(settings, store) == 2
    letters = [message_from_bytes(path.read_bytes()) for path in sorted((settings.var / "mail").iterdir())]
    assert {letter["To"] for letter in letters} == {"soon@example.eu", "mem@example.eu"}
    assert reminders.remind(settings, store) == 0
    with store.begin() as session:
        session.get(Account, "soon").expires = now() + timedelta(days=12)
        session.get(Membership, ("mem", "forest")).expires = now() + timedelta(days=200)
    assert reminders.remind(settings, store) == 1


def test_a_reminder_undoes_nothing_that_was_done_while_letters_went_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, store = world(tmp_path)
    ends, extended = now() + timedelta(days=13), now() + timedelta(days=200)
    for name in ("blocked", "extended", "left", "same"):
        account(store, name, expires=ends)
        members.grant(store, name, "forest", "member", "olga", ends)

    def first(*_: Any) -> int:
        monkeypatch.setattr(reminders, "deliver", lambda *_: 1)
        people.set_standing(store, "blocked", "blocked", "left the institute")
        people.approve(store, "extended", extended)
        members.grant(store, "extended", "forest", "lead", "olga", extended)
        members.withdraw(store, "left", "forest")
        return 1

    monkeypatch.setattr(reminders, "deliver", first)
    assert reminders.remind(settings, store) == 8
    blocked = people.find(store, "blocked")
    assert (blocked.standing, blocked.reason) == ("blocked", "left the institute")
    longer = members.membership(store, "extended", "forest")
    assert longer.role == "lead" and aware(longer.expires) == aware(people.find(store, "extended").expires) == extended
    assert longer.reminded is people.find(store, "extended").reminded is None
    assert members.membership(store, "left", "forest") is None
    for row in (people.find(store, "same"), members.membership(store, "same", "forest")):
        assert aware(row.reminded) == aware(row.expires) == ends
    assert reminders.remind(settings, store) == 0


def test_a_reminder_that_could_not_be_sent_is_tried_again(tmp_path: Path) -> None:
    settings, store = world(tmp_path, registration={})
    account(store, "soon", expires=now() + timedelta(days=3))
    down = settings.model_copy(update={"mail": settings.mail.model_copy(update={"host": "127.0.0.1", "port": 1})})
    assert reminders.remind(down, store) == 0
    assert reminders.remind(settings, store) == 1
