"""Access decisions as a table: each refusal stands beside the same request that is allowed."""

from __future__ import annotations

import dataclasses

import pytest

from bdap_hub.access import (
    Administer,
    Image,
    Person,
    Policy,
    Project,
    Publish,
    ReadCollection,
    Requirement,
    UseImage,
    UseProject,
    ViewDashboard,
    decide,
    decides_on_members,
)

POLICY = Policy(
    projects=(
        Project("agriculture", "Agriculture", "project-agriculture", ("lab", "gpu")),
        Project("forest", "Forest", "project-forest", ("lab",)),
    ),
    images=(Image("lab", "bdap/lab", "Lab"), Image("gpu", "bdap/gpu", "GPU", gpu=True)),
)
WITH_GPU = dataclasses.replace(POLICY, gpus=1)
ANA = Person("ana", frozenset({"project-agriculture"}))
BEN = Person("ben", frozenset({"project-forest"}))
OLGA = Person("olga", frozenset({"bdap-admins"}))
PIA = Person("pia")

CASES = [
    # policy, person, request, allowed, reason contains
    (POLICY, ANA, UseProject("agriculture"), True, "member"),
    (POLICY, BEN, UseProject("agriculture"), False, "not a member of project agriculture"),
    (POLICY, OLGA, UseProject("agriculture"), False, "not a member"),
    (POLICY, PIA, UseProject("agriculture"), False, "not a member"),
    (POLICY, None, UseProject("agriculture"), False, "nobody is logged in"),
    (POLICY, ANA, UseProject("Agriculture"), False, "no project 'Agriculture'"),
    (POLICY, ANA, UseProject("../agriculture"), False, "no project"),
    (POLICY, ANA, UseProject(""), False, "no project ''"),
    (POLICY, ANA, UseImage("agriculture", "lab"), True, "may use image lab"),
    (POLICY, ANA, UseImage("forest", "lab"), False, "not a member of project forest"),
    (POLICY, ANA, UseImage("agriculture", "bdap/lab"), False, "has no image 'bdap/lab'"),
    (POLICY, ANA, UseImage("agriculture", "LAB"), False, "has no image 'LAB'"),
    (POLICY, ANA, UseImage("agriculture", ""), False, "has no image ''"),
    (POLICY, BEN, UseImage("forest", "gpu"), False, "project forest has no image 'gpu'"),
    (POLICY, ANA, UseImage("agriculture", "gpu"), False, "needs a GPU and this platform has none"),
    (WITH_GPU, ANA, UseImage("agriculture", "gpu"), True, "may use image gpu"),
    (WITH_GPU, BEN, UseImage("forest", "gpu"), False, "has no image"),
    (POLICY, None, UseImage("agriculture", "lab"), False, "nobody is logged in"),
    (POLICY, None, ReadCollection("s2", "public"), True, "public"),
    (POLICY, None, ReadCollection("s2", "people"), False, "nobody is logged in"),
    (POLICY, PIA, ReadCollection("s2", "people"), True, "everybody logged in"),
    (POLICY, BEN, ReadCollection("plots", "project", "forest"), True, "member"),
    (POLICY, ANA, ReadCollection("plots", "project", "forest"), False, "not a member of project forest"),
    (POLICY, ANA, ReadCollection("plots", "project", ""), False, "no project ''"),
    (POLICY, ANA, ReadCollection("plots", "everyone", "forest"), False, "unknown visibility"),  # type: ignore[arg-type]
    (POLICY, None, ViewDashboard("a/b", "public", "agriculture"), True, "public"),
    (POLICY, None, ViewDashboard("a/b", "project", "agriculture"), False, "nobody is logged in"),
    (POLICY, BEN, ViewDashboard("a/b", "project", "agriculture"), False, "not a member"),
    (POLICY, ANA, ViewDashboard("a/b", "project", "agriculture"), True, "member"),
    (POLICY, ANA, Publish("agriculture", "public"), True, "member"),
    (POLICY, BEN, Publish("agriculture", "public"), False, "not a member"),
    (POLICY, ANA, Publish("agriculture", "public", owner="ana"), True, "member"),
    (POLICY, ANA, Publish("agriculture", "public", owner="olga"), False, "belongs to olga"),
    (POLICY, None, Publish("agriculture", "public"), False, "nobody is logged in"),
    (POLICY, OLGA, Administer(), True, "bdap-admins"),
    (POLICY, ANA, Administer(), False, "not in group bdap-admins"),
    (POLICY, None, Administer(), False, "nobody is logged in"),
]


@pytest.mark.parametrize(("policy", "person", "request_", "allowed", "reason"), CASES)
def test_decision(policy, person, request_, allowed, reason):
    decision = decide(policy, person, request_)
    assert decision.allowed is allowed
    assert reason in decision.reason


def test_a_request_without_a_rule_is_a_programming_error_not_a_yes():
    with pytest.raises(TypeError, match="no rule"):
        decide(POLICY, ANA, object())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("groups", "decides"),
    [
        (set(), False),
        ({"project-agriculture"}, False),
        ({"agriculture-leads"}, True),
        ({"forest-leads"}, False),  # of no project here
        ({"bdap-admins"}, True),
    ],
)
@pytest.mark.parametrize("required", [Requirement(), Requirement(max_age=60)])
def test_who_decides_on_members(groups: set[str], decides: bool, required: Requirement) -> None:
    """Also with a login that is too old for the act itself: the page leads to a fresh one."""
    project = Project("agriculture", "A", "project-agriculture", lead_group="agriculture-leads", requires=required)
    policy = dataclasses.replace(POLICY, projects=(project,), actions={"administer": required})
    assert decides_on_members(policy, Person("x", frozenset(groups))) is decides
    without = dataclasses.replace(policy, projects=())
    assert decides_on_members(without, Person("x", frozenset(groups))) is ("bdap-admins" in groups)
