"""Accounts and their groups, standing and ends: tables of cases on a real database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.identity import members, people
from bdap_hub.identity.id_token import IdToken
from bdap_hub.identity.tables import aware, now
from bdap_hub.settings import ProjectSettings

from .cast import ADMIN, LATER, LEAD, MEMBER, NEVER, PAST, account, world


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


@pytest.mark.parametrize("before", ["pending", "approved"])
def test_a_block_while_somebody_logs_in_stays(tmp_path: Path, before: str) -> None:
    settings, store = world(tmp_path)
    found = account(store, standing=before, groups=[MEMBER], expires=now() + LATER)
    people.set_standing(store, "nora", "blocked", "left the institute")
    assert people.admit(settings, store, found).standing == "blocked"
    kept = people.find(store, "nora")
    assert (kept.standing, kept.reason) == ("blocked", "left the institute")
    assert aware(kept.expires) < now() + timedelta(days=31)
    assert people.unblock(store, "nora", before) and people.admit(settings, store, found).standing == "approved"


def test_nobody_is_approved_by_groups_where_the_settings_say_so(tmp_path: Path) -> None:
    settings, store = world(tmp_path, registration={"auto_approve": False})
    assert people.admit(settings, store, account(store, standing="pending", groups=[MEMBER])).standing == "pending"


def test_an_account_is_found_by_its_subject(tmp_path: Path) -> None:
    _, store = world(tmp_path)
    proven = IdToken("s-1", "nora", "Nora", frozenset(), (), None)
    people.recognise(store, "https://a", proven, standing="pending")
    assert people.find_subject(store, "https://a", "s-1").name == "nora"
    assert people.find_subject(store, "https://b", "s-1") is None
