"""Accounts, memberships, requests and what leads and admins decide: tables of cases on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import audit, database
from bdap_hub.access import Assurance, Person
from bdap_hub.errors import BadRequest
from bdap_hub.identity import members, people, reminders, requests, sessions
from bdap_hub.identity.approvals import Actor, Approvals, Refused
from bdap_hub.identity.id_token import IdToken
from bdap_hub.identity.tables import Account, JoinRequest, Membership, aware, now
from bdap_hub.settings import ProjectSettings, Settings
from tests.conftest import make_settings

MEMBER, LEAD, ADMIN = "project-forest", "project-forest-leads", "bdap-admins"
NEVER, PAST, LATER = None, timedelta(days=-1), timedelta(days=30)


def world(folder: Path, **sections: Any) -> tuple[Settings, people.Store]:
    settings = make_settings(folder / "var", registration={"required": True, **sections.pop("registration", {})})
    settings = settings.model_copy(update=sections)
    return settings, database.connect(settings.database)


def account(store: people.Store, name: str = "nora", standing: str = "approved", **more: Any) -> Account:
    row = Account(name=name, issuer="i", subject=name, email=f"{name}@example.eu", standing=standing, **more)
    with store.begin() as session:
        return session.merge(row)


def last(store: people.Store) -> audit.Event:
    return audit.latest(store, 1)[0]


@pytest.mark.parametrize(
    ("provider", "role", "ends", "membership", "expected"),
    [
        ([], "member", LATER, "both", {MEMBER}),
        ([], "member", NEVER, "both", {MEMBER}),
        ([], "lead", LATER, "both", {LEAD}),
        ([], "member", PAST, "both", set()),
        ([], "lead", PAST, "both", set()),
        ([], "member", LATER, "provider", set()),
        ([], "lead", LATER, "provider", set()),
        ([MEMBER], "lead", LATER, "both", {MEMBER}),  # the provider says member: no lead here
        ([LEAD], "member", LATER, "both", {LEAD}),  # the provider says lead: a lead
        ([LEAD, MEMBER], "member", PAST, "both", {LEAD, MEMBER}),
        ([MEMBER], "member", LATER, "provider", {MEMBER}),
        (["project-agriculture"], "lead", LATER, "both", {"project-agriculture", LEAD}),  # says nothing of forest
        (["other"], "member", LATER, "both", {"other", MEMBER}),
    ],
)
def test_the_provider_wins_where_both_speak(
    tmp_path: Path, provider: list[str], role: Any, ends: Any, membership: Any, expected: set[str]
) -> None:
    projects = (
        ProjectSettings(name="agriculture", title="A", group="project-agriculture"),
        ProjectSettings(name="forest", title="F", group=MEMBER, membership=membership),
    )
    settings, store = world(tmp_path, projects=projects)
    found = account(store, groups=provider)
    members.grant(store, "nora", "forest", role, "olga", now() + ends if ends else None)
    assert people.groups_now(settings, store, found) == expected
    wanted = {LEAD: "lead", MEMBER: "member"}
    assert people.role_of(settings, store, found, "forest") == next(
        (wanted[g] for g in (LEAD, MEMBER) if g in expected), None
    )


def test_a_membership_of_a_project_that_is_gone_counts_for_nothing(tmp_path: Path) -> None:
    settings, store = world(tmp_path)
    found = account(store)
    members.grant(store, "nora", "gone", "lead", "olga", None)
    assert people.groups_now(settings, store, found) == frozenset()
    assert people.role_of(settings, store, found, "gone") is None


@pytest.mark.parametrize(
    ("groups", "admin"), [([], False), ([LEAD], False), ([ADMIN], True), (["bdap-admins "], False)]
)
def test_admin_comes_from_the_group_alone(tmp_path: Path, groups: list[str], admin: bool) -> None:
    settings, store = world(tmp_path)
    found = account(store, groups=groups)
    for project in ("agriculture", "forest"):
        members.grant(store, "nora", project, "lead", "olga", None)
    assert people.is_admin(settings.policy(), people.groups_now(settings, store, found)) is admin


@pytest.mark.parametrize(
    ("standing", "ends", "terms", "now_", "at_login"),
    [
        ("approved", LATER, "2", "", ""),
        ("approved", NEVER, "2", "", ""),
        ("approved", LATER, "1", "", "terms-not-accepted"),  # nobody is thrown out for new terms
        ("approved", LATER, "", "", "terms-not-accepted"),
        ("approved", PAST, "2", "approval-expired", "approval-expired"),
        ("pending", NEVER, "2", "pending", "pending"),
        ("pending", LATER, "2", "pending", "pending"),
        ("rejected", LATER, "2", "rejected", "rejected"),
        ("blocked", LATER, "2", "blocked", "blocked"),
    ],
)
def test_who_may_be_here(tmp_path: Path, standing: str, ends: Any, terms: str, now_: str, at_login: str) -> None:
    text = tmp_path / "terms.txt"
    text.write_text("Be kind.")
    settings, store = world(tmp_path, registration={"terms": text, "terms_version": "2"})
    found = account(store, standing=standing, expires=now() + ends if ends else None, terms_version=terms)
    assert getattr(people.refusal(settings, found), "reason", "") == now_
    assert getattr(people.refusal_at_login(settings, found), "reason", "") == at_login
    without = settings.model_copy(update={"registration": settings.registration.model_copy(update={"terms": None})})
    assert getattr(people.refusal_at_login(without, found), "reason", "") == now_  # no terms, nothing to accept
    off = settings.model_copy(update={"registration": settings.registration.model_copy(update={"required": False})})
    assert getattr(people.refusal_at_login(off, found), "reason", "") == ("blocked" if standing == "blocked" else "")


def test_nobody_unknown_may_be_here(tmp_path: Path) -> None:
    settings, _ = world(tmp_path)
    assert people.refusal(settings, None).reason == people.refusal_at_login(settings, None).reason == "unknown-person"


@pytest.mark.parametrize(
    ("groups", "standing", "ends", "after", "days"),
    [
        ([MEMBER], "pending", NEVER, "approved", 365),
        ([LEAD], "pending", NEVER, "approved", 365),
        ([ADMIN], "pending", NEVER, "approved", 365),
        ([MEMBER], "rejected", NEVER, "approved", 365),
        ([MEMBER], "approved", PAST, "approved", 365),
        ([MEMBER], "approved", LATER, "approved", 365),  # extended at each login
        ([MEMBER], "approved", timedelta(days=500), "approved", 500),  # never made shorter
        ([MEMBER], "approved", NEVER, "approved", None),
        ([MEMBER], "blocked", LATER, "blocked", 30),
        ([], "pending", NEVER, "pending", None),
        (["somebody-elses"], "pending", NEVER, "pending", None),
        ([], "approved", LATER, "approved", 30),
    ],
)
def test_whom_the_provider_names_is_approved(
    tmp_path: Path, groups: list[str], standing: str, ends: Any, after: str, days: int | None
) -> None:
    settings, store = world(tmp_path)
    found = people.admit(
        settings, store, account(store, standing=standing, groups=groups, expires=now() + ends if ends else None)
    )
    expires = aware(found.expires)
    assert (found.standing, expires and round((expires - now()) / timedelta(days=1))) == (after, days)
    kept = people.find(store, "nora")
    assert (kept.standing, aware(kept.expires)) == (after, expires)


def test_nobody_is_approved_by_groups_where_the_settings_say_so(tmp_path: Path) -> None:
    settings, store = world(tmp_path, registration={"auto_approve": False})
    assert people.admit(settings, store, account(store, standing="pending", groups=[MEMBER])).standing == "pending"


def test_an_account_is_found_by_its_subject(tmp_path: Path) -> None:
    _, store = world(tmp_path)
    proven = IdToken("s-1", "nora", "Nora", frozenset(), (), None)
    people.recognise(store, "https://a", proven, standing="pending")
    assert people.find_subject(store, "https://a", "s-1").name == "nora"
    assert people.find_subject(store, "https://b", "s-1") is None


# requests


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


# what leads and admins decide


def cast_of(folder: Path, **sections: Any) -> tuple[Approvals, dict[str, Actor], JoinRequest]:
    """Nora waits for forest; fay leads it, leo leads it by local membership, ada agriculture, olga is the admin."""
    settings, store = world(folder, **sections)
    groups = {"fay": [LEAD], "leo": [], "ada": ["project-agriculture-leads"], "olga": [ADMIN], "mia": [MEMBER]}
    for name, of in groups.items():
        account(store, name, groups=of)
    members.grant(store, "leo", "forest", "lead", "olga", None)
    nora = account(store, standing="pending")
    request, _ = requests.submit(settings, store, nora, "forest", "to map forests")
    actors = {
        name: Actor(name, Person(name, people.groups_now(settings, store, people.find(store, name)), None), "10.0.0.1")
        for name in (*groups, "nora")
    }
    return Approvals(settings, store), {**actors, "operator": Actor("operator:root")}, request


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


def test_a_block_is_done_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, actors, _ = cast_of(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "live_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            desk.block(actors["olga"], "nora", "left the institute")
    assert people.find(desk.store, "nora").standing == "pending"


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


# reminders


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


def test_a_reminder_that_could_not_be_sent_is_tried_again(tmp_path: Path) -> None:
    settings, store = world(tmp_path, registration={})
    account(store, "soon", expires=now() + timedelta(days=3))
    down = settings.model_copy(update={"mail": settings.mail.model_copy(update={"host": "127.0.0.1", "port": 1})})
    assert reminders.remind(down, store) == 0
    assert reminders.remind(settings, store) == 1
