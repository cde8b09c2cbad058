"""Whom leads and admins add, remove and block: tables of cases on a real database."""

from __future__ import annotations

from pathlib import Path

import pytest

from bdap_hub.identity import members, people, requests, sessions
from bdap_hub.identity.approvals import Refused
from bdap_hub.identity.id_token import IdToken

from .cast import LEAD, account, cast_of, last


def test_a_block_is_done_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, actors, _ = cast_of(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "live_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            desk.block(actors["olga"], "nora", "left the institute")
    assert people.find(desk.store, "nora").standing == "pending"


def test_nobody_blocked_is_approved_by_the_way(tmp_path: Path) -> None:
    desk, actors, request = cast_of(tmp_path)
    desk.block(actors["olga"], "nora", "left the institute")
    for act in (lambda: desk.approve(actors["fay"], request.id), lambda: desk.add(actors["fay"], "nora", "forest")):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.reason == "account-blocked"
    desk.unblock(actors["olga"], "nora")
    desk.approve(actors["fay"], request.id)
    assert people.refusal(desk.settings, people.find(desk.store, "nora")) is None


@pytest.mark.parametrize(
    ("actor", "name", "role", "reason"),
    [
        ("fay", "nora", "member", ""),
        ("olga", "nora", "lead", ""),
        ("olga", "leo", "member", ""),
        ("fay", "nora", "lead", "lead-for-lead"),
        ("fay", "leo", "member", "lead-for-lead"),  # nor does a lead unmake one
        ("ada", "nora", "member", "not-a-lead"),
        ("fay", "zoe", "member", "unknown-person"),
        ("olga", "mia", "lead", "provider-speaks"),
        ("operator", "mia", "lead", "provider-speaks"),
    ],
)
def test_who_adds_whom(tmp_path: Path, actor: str, name: str, role: str, reason: str) -> None:
    desk, actors, _ = cast_of(tmp_path)
    if reason:
        with pytest.raises(Refused) as refused:
            desk.add(actors[actor], name, "forest", role)
        assert refused.value.reason == last(desk.store).reason == reason
        return
    desk.add(actors[actor], name, "forest", role)
    found = people.find(desk.store, name)
    assert people.role_of(desk.settings, desk.store, found, "forest") == role
    assert found.standing == "approved"
    assert requests.open_of(desk.store, name) == []  # what they had asked for is answered


@pytest.mark.parametrize(
    ("actor", "name", "reason"),
    [
        ("olga", "leo", ""),
        ("operator", "leo", ""),
        ("fay", "leo", "lead-for-lead"),
        ("ada", "leo", "not-a-lead"),
        ("fay", "mia", "not-added-here"),
        ("olga", "zoe", "not-added-here"),
    ],
)
def test_who_removes_whom(tmp_path: Path, actor: str, name: str, reason: str) -> None:
    desk, actors, _ = cast_of(tmp_path)
    if reason:
        with pytest.raises(Refused) as refused:
            desk.remove(actors[actor], name, "forest")
        assert refused.value.reason == last(desk.store).reason == reason
        assert members.membership(desk.store, "leo", "forest")
        return
    assert desk.remove(actors[actor], name, "forest").person == name
    assert members.membership(desk.store, "leo", "forest") is None


@pytest.mark.parametrize(
    ("actor", "reason"), [("olga", ""), ("operator", ""), ("fay", "not-an-admin"), ("mia", "not-an-admin")]
)
def test_who_blocks(tmp_path: Path, actor: str, reason: str) -> None:
    desk, actors, _ = cast_of(tmp_path)
    proven = IdToken("ada", "ada", "Ada", frozenset(), (), 0, level="mfa")
    sessions.begin(desk.store, "cookie", "ada", proven, 1)
    for act in (
        lambda: desk.block(actors[actor], "ada", "left the institute"),
        lambda: desk.unblock(actors[actor], "ada"),
        lambda: desk.admit(actors[actor], "ada"),
    ):
        if not reason:
            act()
            continue
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.reason == last(desk.store).reason == reason
    assert bool(sessions.live_of(desk.store, "ada")) is bool(reason)
    assert people.find(desk.store, "ada").standing == "approved"


def test_who_was_never_approved_waits_after_a_block(tmp_path: Path) -> None:
    desk, actors, _ = cast_of(tmp_path)
    desk.block(actors["olga"], "nora", "odd request")
    assert people.find(desk.store, "nora").standing == "blocked"
    desk.unblock(actors["olga"], "nora")
    assert people.find(desk.store, "nora").standing == "pending"
    with pytest.raises(Refused) as refused:
        desk.unblock(actors["olga"], "nora")
    assert refused.value.reason == "not-blocked"


def test_who_decides_about_a_project(tmp_path: Path) -> None:
    desk, _, _ = cast_of(tmp_path)
    account(desk.store, "gone", standing="blocked", groups=[LEAD])
    assert [a.name for a in members.approvers(desk.settings, desk.store, "forest")] == ["fay", "leo", "olga"]
    assert [a.name for a in members.approvers(desk.settings, desk.store, "agriculture")] == ["ada", "olga"]
    found = [(m.account.name, m.role, m.source) for m in members.of_project(desk.settings, desk.store, "forest")]
    assert found == [
        ("fay", "lead", "provider"),
        ("gone", "lead", "provider"),
        ("leo", "lead", "here"),
        ("mia", "member", "provider"),
    ]
