"""What leads and admins answer to a request: tables of cases on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import database
from bdap_hub.access import Assurance, Person
from bdap_hub.identity import members, people, requests
from bdap_hub.identity.approvals import Actor, Approvals, Refused
from bdap_hub.identity.tables import aware
from tests.conftest import make_settings

from .cast import ADMIN, account, cast_of, last


@pytest.mark.parametrize(
    ("actor", "role", "reason"),
    [
        ("fay", "member", ""),
        ("leo", "member", ""),
        ("olga", "member", ""),
        ("olga", "lead", ""),
        ("operator", "lead", ""),
        ("fay", "lead", "lead-for-lead"),
        ("leo", "lead", "lead-for-lead"),
        ("ada", "member", "not-a-lead"),
        ("ada", "lead", "not-a-lead"),
        ("mia", "member", "not-a-lead"),
        ("nora", "member", "own-account"),
        ("olga", "king", "unknown-role"),
    ],
)
def test_who_approves(tmp_path: Path, actor: str, role: str, reason: str) -> None:
    desk, actors, request = cast_of(tmp_path)
    if reason:
        with pytest.raises(Refused) as refused:
            desk.approve(actors[actor], request.id, role)
        assert refused.value.reason == reason
    else:
        done = desk.approve(actors[actor], request.id, role)
        assert [letter.to for letter in done.letters] == ["nora@example.eu"]
    nora, event = people.find(desk.store, "nora"), last(desk.store)
    assert nora.standing == ("pending" if reason else "approved")
    assert people.role_of(desk.settings, desk.store, nora, "forest") == (None if reason else role)
    assert requests.find(desk.store, request.id).outcome == ("" if reason else "approved")
    expected = (actors[actor].name, "approve", "nora in forest", "refused" if reason else "allowed", reason)
    assert (event.person, event.action, event.subject, event.outcome, event.reason) == expected
    assert event.address == actors[actor].address


def test_nobody_approves_their_own_request_whatever_they_are(tmp_path: Path) -> None:
    desk, actors, _ = cast_of(tmp_path)
    own, _ = requests.submit(desk.settings, desk.store, people.find(desk.store, "olga"), "forest", "to map forests")
    for act in (
        lambda: desk.approve(actors["olga"], own.id),
        lambda: desk.reject(actors["olga"], own.id, "no need"),
        lambda: desk.add(actors["olga"], "olga", "forest"),
        lambda: desk.block(actors["olga"], "olga", "why not"),
        lambda: desk.unblock(actors["olga"], "olga"),
        lambda: desk.admit(actors["olga"], "olga"),
        lambda: desk.remove(actors["leo"], "leo", "forest"),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.reason == last(desk.store).reason == "own-account"
    assert desk.approve(actors["fay"], own.id).person == "olga"


@pytest.mark.parametrize(
    ("actor", "days", "reason"),
    [
        ("fay", 0, ""),
        ("fay", 1, ""),
        ("fay", 365, ""),
        ("fay", None, ""),
        ("fay", -1, "bad-end"),
        ("fay", 366, "bad-end"),  # a lead lets nobody in for longer than the platform says
        ("olga", 3650, ""),
        ("olga", 3651, "bad-end"),
        ("olga", -1, "bad-end"),
    ],
)
def test_an_approval_ends_with_a_day_to_come(tmp_path: Path, actor: str, days: int | None, reason: str) -> None:
    desk, actors, request = cast_of(tmp_path)
    day = None if days is None else (datetime.now(UTC) + timedelta(days=days)).date()
    if reason:
        with pytest.raises(Refused, match="is not a day to come"):
            desk.approve(actors[actor], request.id, "member", day)
        assert last(desk.store).reason == reason and requests.find(desk.store, request.id).outcome == ""
        return
    desk.approve(actors[actor], request.id, "member", day)
    wanted = day or (datetime.now(UTC) + timedelta(days=365)).date()
    row = members.membership(desk.store, "nora", "forest")
    assert aware(row.expires).date() == aware(people.find(desk.store, "nora").expires).date() == wanted
    assert row.granted_by == actor


@pytest.mark.parametrize(
    ("act", "breaks"),
    [("approve", (members, "grant")), ("add", (members, "grant")), ("reject", (people, "set_standing"))],
)
def test_an_answer_is_given_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, breaks: tuple[Any, str]
) -> None:
    desk, actors, request = cast_of(tmp_path)
    fay = actors["fay"]
    acts = {
        "approve": lambda: desk.approve(fay, request.id),
        "add": lambda: desk.add(fay, "nora", "forest"),
        "reject": lambda: desk.reject(fay, request.id, "no place left"),
    }

    def crash(*_: Any, **__: Any) -> None:
        raise OSError("out of power")

    with monkeypatch.context() as broken:
        broken.setattr(*breaks, crash)
        with pytest.raises(OSError, match="out of power"):
            acts[act]()
    assert requests.find(desk.store, request.id).outcome == ""
    assert people.find(desk.store, "nora").standing == "pending"
    assert members.membership(desk.store, "nora", "forest") is None
    acts[act]()
    done = (requests.find(desk.store, request.id).outcome, people.find(desk.store, "nora").standing)
    assert done == (("rejected", "rejected") if act == "reject" else ("approved", "approved"))


@pytest.mark.parametrize(
    ("act", "outcome"), [("approve", ""), ("add", ""), ("admit", "rejected"), ("reject", "rejected")]
)
def test_a_block_while_an_answer_is_given_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, outcome: str
) -> None:
    desk, actors, request = cast_of(tmp_path)
    fay, find = actors["fay"], people.find
    acts = {
        "approve": lambda: desk.approve(fay, request.id),
        "add": lambda: desk.add(fay, "nora", "forest"),
        "admit": lambda: desk.admit(actors["olga"], "nora"),
        "reject": lambda: desk.reject(fay, request.id, "no place left"),
    }
    if act == "admit":
        desk.reject(fay, request.id, "no place left")

    def looked_at_before(store: people.Store, name: str) -> Any:
        found = find(store, name)
        people.set_standing(store, name, "blocked", "left the institute")
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(people, "find", looked_at_before)
        if act == "reject":
            acts[act]()
        else:
            with pytest.raises(Refused) as refused:
                acts[act]()
            assert refused.value.reason == last(desk.store).reason == "account-blocked"
    nora = people.find(desk.store, "nora")
    assert (nora.standing, nora.reason) == ("blocked", "left the institute")
    assert members.membership(desk.store, "nora", "forest") is None
    assert requests.find(desk.store, request.id).outcome == outcome
    desk.unblock(actors["olga"], "nora")
    assert people.find(desk.store, "nora").standing == "pending"
    if act != "reject":
        acts[act]()
        assert people.find(desk.store, "nora").standing == "approved"


def test_a_yes_while_somebody_else_says_no_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, actors, request = cast_of(tmp_path)
    find = people.find

    def looked_at_before(store: people.Store, name: str) -> Any:
        found = find(store, name)
        people.approve(store, name, datetime.now(UTC) + timedelta(days=1))
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(people, "find", looked_at_before)
        desk.reject(actors["fay"], request.id, "no place left")
    assert people.find(desk.store, "nora").standing == "approved"


def test_one_request_has_one_answer(tmp_path: Path) -> None:
    desk, actors, request = cast_of(tmp_path)
    desk.reject(actors["fay"], request.id, "no place left")
    with pytest.raises(Refused) as refused:
        desk.approve(actors["leo"], request.id)
    assert refused.value.reason == "already-answered"
    assert people.find(desk.store, "nora").standing == "rejected"
    with pytest.raises(Refused) as refused:
        desk.approve(actors["leo"], 999)
    assert refused.value.reason == "unknown-request"


def test_a_no_says_why_and_only_ends_what_was_asked(tmp_path: Path) -> None:
    desk, actors, request = cast_of(tmp_path)
    other, _ = requests.submit(
        desk.settings, desk.store, people.find(desk.store, "nora"), "agriculture", "to map fields"
    )
    with pytest.raises(Refused, match="say why"):
        desk.reject(actors["fay"], request.id, " ")
    done = desk.reject(actors["fay"], request.id, "no place left")
    assert "no place left" in done.letters[0].text
    assert people.find(desk.store, "nora").standing == "pending"  # the other project may still say yes
    desk.reject(actors["ada"], other.id, "no fields left")
    nora = people.find(desk.store, "nora")
    assert (nora.standing, nora.reason) == ("rejected", "no fields left")


def test_a_no_takes_nothing_from_somebody_who_is_in(tmp_path: Path) -> None:
    desk, actors, _ = cast_of(tmp_path)
    mia = people.find(desk.store, "mia")
    request, _ = requests.submit(desk.settings, desk.store, mia, "agriculture", "to map fields")
    desk.reject(actors["ada"], request.id, "no fields left")
    assert people.find(desk.store, "mia").standing == "approved"


@pytest.mark.parametrize(
    ("assurance", "reason"),
    [(None, "step-up-required"), (Assurance("mfa", 900), "step-up-required"), (Assurance("mfa", 10), "")],
)
def test_an_admins_act_needs_the_login_that_the_settings_demand(tmp_path: Path, assurance: Any, reason: str) -> None:
    identity = {"step_up": {"administer": {"max_age": 300}}}
    settings = make_settings(tmp_path / "var", registration={"required": True}, identity=identity)
    store = database.connect(settings.database)
    account(store)
    olga = Actor("olga", Person("olga", frozenset({ADMIN}), assurance))
    desk = Approvals(settings, store)
    if not reason:
        desk.add(olga, "nora", "forest")
        return
    with pytest.raises(Refused) as refused:
        desk.add(olga, "nora", "forest")
    assert refused.value.reason == reason and refused.value.step_up.max_age == 300


@pytest.mark.parametrize("path", ["approve", "add"])
def test_projects_of_the_provider_alone_take_nobody_here(tmp_path: Path, path: str) -> None:
    desk, actors, request = cast_of(tmp_path)
    closed = tuple(p.model_copy(update={"membership": "provider"}) for p in desk.settings.projects)
    desk = Approvals(desk.settings.model_copy(update={"projects": closed}), desk.store)
    with pytest.raises(Refused) as refused:
        desk.approve(actors["olga"], request.id) if path == "approve" else desk.add(actors["olga"], "nora", "forest")
    assert refused.value.reason == "provider-only"
    assert requests.find(desk.store, request.id).outcome == ""
