"""Who sees, brings, reviews, shows and shares dashboards, as a table: each refusal beside the same that is allowed."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from bdap_hub.access import (
    Approval,
    Assurance,
    ChangeDashboard,
    EditDashboard,
    Grant,
    MakeLive,
    Person,
    Policy,
    PreviewRelease,
    Project,
    Publish,
    Requirement,
    ReviewRelease,
    ShareDashboard,
    ViewDashboard,
    approver,
    decide,
)


def policy(**approval: object) -> Policy:
    farms = Project(
        "farms",
        "Farms",
        "farms",
        lead_group="farms-leads",
        approval=Approval(**approval),  # type: ignore[arg-type]
    )
    return Policy(projects=(farms,), admin_group="admins")


FREE, LED, RULED = policy(), policy(people="leads", public="leads"), policy(public="admins")
ANA, ADA = Person("ana", frozenset({"farms"})), Person("ada", frozenset({"farms"}))
LEO, OLGA = Person("leo", frozenset({"farms-leads"})), Person("olga", frozenset({"admins"}))
EVE = Person("eve", frozenset({"guests"}))
EDITS, OWNS = (Grant("person", "ada", "editor"),), (Grant("person", "ada", "owner"),)
SEES, ALL_SEE = (Grant("person", "eve", "viewer"),), (Grant("group", "guests", "viewer"),)
FOREIGN = (Grant("person", "eve", "editor"),)

CASES = [
    # policy, person, request, allowed, reason contains
    (FREE, EVE, ViewDashboard("farms/x", "project", "farms"), False, "not a member"),
    (FREE, EVE, ViewDashboard("farms/x", "project", "farms", SEES), True, "eve is viewer"),
    (FREE, EVE, ViewDashboard("farms/x", "project", "farms", ALL_SEE), True, "eve is viewer"),
    (FREE, EVE, ViewDashboard("farms/x", "project", "farms", (Grant("group", "eve", "viewer"),)), False, "not a"),
    (FREE, EVE, ViewDashboard("farms/x", "project", "farms", (Grant("person", "guests", "viewer"),)), False, "not a"),
    (FREE, None, ViewDashboard("farms/x", "project", "farms", SEES), False, "nobody is logged in"),
    (FREE, None, ViewDashboard("farms/x", "project", "farms", invited=True), True, "shared by a link"),
    (FREE, EVE, ViewDashboard("farms/x", "project", "farms", invited=True), True, "shared by a link"),
    (FREE, ADA, Publish("farms", "project", "ana"), False, "belongs to ana"),
    (FREE, ADA, Publish("farms", "project", "ana", EDITS, "project"), True, "member"),
    (FREE, ADA, Publish("farms", "public", "ana", EDITS, "project"), False, "only its owners show the dashboard to"),
    (FREE, ADA, Publish("farms", "public", "ana", EDITS, "public"), True, "member"),
    (FREE, ADA, Publish("farms", "public", "ana", EDITS), False, "only its owners"),
    (FREE, ADA, Publish("farms", "public", "ana", OWNS, "project"), True, "member"),
    (FREE, EVE, Publish("farms", "project", "ana", FOREIGN, "project"), False, "eve is not a member"),
    (FREE, ADA, ChangeDashboard("farms", "ana"), False, "belongs to ana"),
    (FREE, ADA, ChangeDashboard("farms", "ana", "project", EDITS), False, "editor of the dashboard"),
    (FREE, ADA, ChangeDashboard("farms", "ana", "public", OWNS), True, "member"),
    (FREE, OLGA, ChangeDashboard("farms", "ana"), True, "admins"),
    (FREE, ADA, EditDashboard("farms", "ana"), False, "belongs to ana"),
    (FREE, ADA, EditDashboard("farms", "ana", EDITS), True, "member"),
    (FREE, EVE, EditDashboard("farms", "ana", FOREIGN), False, "eve is not a member"),
    (FREE, ANA, MakeLive("farms", "ana", "public"), True, "member"),
    (LED, ANA, MakeLive("farms", "ana", "public"), False, "leads of project farms or administrators must approve"),
    (LED, ANA, MakeLive("farms", "ana", "public", "people"), False, "before everybody can see it"),
    (LED, ANA, MakeLive("farms", "ana", "public", "public"), True, "member"),
    (LED, ANA, MakeLive("farms", "ana", "people", "public"), True, "member"),
    (LED, ANA, MakeLive("farms", "ana", "project"), True, "member"),
    (LED, ANA, MakeLive("farms", "ana", "everyone"), False, "must approve"),  # type: ignore[arg-type]
    (LED, OLGA, MakeLive("farms", "ana", "public"), False, "must approve"),  # she approves it first
    (LED, ADA, MakeLive("farms", "ana", "public", "public"), False, "belongs to ana"),
    (LED, ADA, MakeLive("farms", "ana", "public", "public", EDITS), True, "member"),
    (LED, LEO, ReviewRelease("farms", "public", "ana"), True, "leo leads project farms"),
    (LED, OLGA, ReviewRelease("farms", "public", "ana"), True, "admins"),
    (LED, ADA, ReviewRelease("farms", "public", "ana"), False, "ada is none of them"),
    (RULED, LEO, ReviewRelease("farms", "public", "ana"), False, "administrators review"),
    (RULED, LEO, ReviewRelease("farms", "people", "ana"), True, "leo leads"),
    (RULED, OLGA, ReviewRelease("farms", "public", "ana"), True, "admins"),
    (LED, LEO, ReviewRelease("farms", "public", "leo"), False, "somebody else must review"),
    (LED, OLGA, ReviewRelease("farms", "public", "olga"), False, "somebody else must review"),
    (policy(public="leads", own=True), LEO, ReviewRelease("farms", "public", "leo"), True, "leo leads"),
    (policy(public="leads", own=True), ADA, ReviewRelease("farms", "public", "ada"), False, "none of them"),
    (LED, LEO, ReviewRelease("forest", "public", "ana"), False, "no project 'forest'"),
    (LED, ANA, PreviewRelease("farms", "ana"), True, "edits"),
    (LED, ADA, PreviewRelease("farms", "ana"), False, "neither edits nor reviews"),
    (LED, ADA, PreviewRelease("farms", "ana", EDITS), True, "edits"),
    (LED, EVE, PreviewRelease("farms", "ana", SEES), False, "neither edits nor reviews"),
    (LED, EVE, PreviewRelease("farms", "ana", FOREIGN), False, "neither edits nor reviews"),
    (LED, LEO, PreviewRelease("farms", "ana"), True, "leads"),
    (LED, OLGA, PreviewRelease("farms", "ana"), True, "admins"),
    (LED, None, PreviewRelease("farms", "ana"), False, "nobody is logged in"),
    (FREE, ANA, ShareDashboard("farms", "ana"), True, "member"),
    (FREE, ADA, ShareDashboard("farms", "ana"), False, "belongs to ana"),
    (FREE, ADA, ShareDashboard("farms", "ana", "public", EDITS), False, "editor"),
    (FREE, ADA, ShareDashboard("farms", "ana", "public", OWNS), True, "member"),
    (LED, ANA, ShareDashboard("farms", "ana"), False, "administrators decide what everybody may see"),
    (LED, LEO, ShareDashboard("farms", "ana"), True, "leads"),
    (RULED, ANA, ShareDashboard("farms", "ana", "people"), True, "member"),
    (LED, ANA, ShareDashboard("farms", "ana", "people"), False, "decide what everybody logged in may see"),
    (LED, LEO, ShareDashboard("farms", "ana", "people"), True, "leads"),
    (RULED, LEO, ShareDashboard("farms", "ana"), False, "administrators decide"),
    (RULED, OLGA, ShareDashboard("farms", "ana"), True, "admins"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "person", "request_", "allowed", "reason"), CASES)
def test_decision(given, person, request_, allowed, reason):
    decision = decide(given, person, request_)
    assert (decision.allowed, reason in decision.reason) == (allowed, True), decision.reason


def test_what_is_asked_for_few_is_asked_for_more():
    strict = policy(project="leads", people="nobody", public="admins")
    asked = [approver(strict, "farms", one) for one in ("project", "people", "public", "everyone")]
    assert asked == ["leads", "leads", "admins", "admins"]
    assert approver(FREE, "farms", "public") == "nobody" and approver(FREE, "nowhere", "project") == "admins"


@pytest.mark.parametrize(
    "request_",
    [ViewDashboard("farms/x", "public", "farms"), ViewDashboard("farms/x", "project", "farms", SEES, True),
     EditDashboard("farms", "ana"), MakeLive("farms", "ana", "project"), ReviewRelease("farms", "project", "leo"),
     PreviewRelease("farms", "ana"), ShareDashboard("farms", "ana")],
)  # fmt: skip
def test_nothing_goes_on_in_a_project_that_has_ended(request_):
    whole = dataclasses.replace(ANA, groups=frozenset({"farms", "farms-leads", "guests"}))
    ended = dataclasses.replace(FREE.projects[0], ends=date(2025, 1, 1))
    over = dataclasses.replace(FREE, projects=(ended,), today=date(2025, 1, 2))
    assert decide(FREE, whole, request_)
    assert "ended on 2025-01-01" in decide(over, whole, request_).reason


@pytest.mark.parametrize(
    "request_",
    [
        MakeLive("farms", "ana", "public", "public"),
        ReviewRelease("farms", "public", "leo"),
        ShareDashboard("farms", "ana"),
    ],
)
def test_what_everybody_sees_demands_the_login_that_it_does(request_):
    whole = dataclasses.replace(ANA, groups=frozenset({"farms", "farms-leads"}))
    strict = dataclasses.replace(FREE, actions={"publish-public": Requirement(max_age=60)})
    refused = decide(strict, whole, request_)
    assert not refused and refused.step_up == Requirement(max_age=60)
    assert decide(strict, dataclasses.replace(whole, assurance=Assurance("mfa", 5)), request_)
