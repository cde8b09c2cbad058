"""What a login must prove beyond the rights, as a table of whole decisions; each refusal beside what is let in."""

from __future__ import annotations

import dataclasses

import pytest

from bdap_hub.access import (
    Administer,
    Assurance,
    ChangeDashboard,
    Decision,
    Image,
    ManageMembers,
    Person,
    Policy,
    Project,
    Publish,
    Requirement,
    UseImage,
    UseProject,
    ViewDashboard,
    decide,
    step_up_path,
)

POLICY = Policy(
    projects=(
        Project("open", "Open", "g-open", ("lab", "fresh", "gpu", "odd"), lead_group="g-open-leads"),
        Project("vault", "Vault", "g-vault", ("lab", "fresh"), "g-vault-leads", Requirement("high", 600)),
    ),
    images=(
        Image("lab", "bdap/lab", "Lab"),
        Image("fresh", "bdap/fresh", "Fresh", requires=Requirement(max_age=60)),
        Image("gpu", "bdap/gpu", "GPU", gpu=True, requires=Requirement("mfa", 1000)),
        Image("odd", "bdap/odd", "Odd", requires=Requirement("platinum")),
    ),
    gpus=1,
    levels=("mfa", "high"),
    actions={
        "administer": Requirement(max_age=300),
        "publish-public": Requirement("high"),
        "gpu": Requirement(max_age=90),
    },
)
NO_LOGIN = "this needs a login in a browser, and there is none behind this request"


def person(*groups: str, level: str = "mfa", age: float | None = 0, name: str = "ana") -> Person:
    """Somebody in these groups, with a login of that level and age; without any where the age is None."""
    return Person(name, frozenset(groups), None if age is None else Assurance(level, age))


def old(seconds: int) -> str:
    span = {60: "60 seconds", 90: "90 seconds", 300: "5 minutes", 600: "10 minutes"}[seconds]
    return f"this needs a login within the last {span}"


def low(level: str, found: str) -> str:
    return f"this needs a login of level {level}; this one has {found}"


FRESH, GPU, ADMIN = Requirement(max_age=60), Requirement("mfa", 90), Requirement(max_age=300)
VAULT, VAULT_FRESH, PUBLIC = Requirement("high", 600), Requirement("high", 60), Requirement("high")
LEADS, IN_ADMINS = "ana leads project open", "ana is in group bdap-admins"
MEMBER = "ana is a member of project vault"

CASES = [
    # nothing is demanded: no login needed, and an odd one does no harm
    (person("g-open", age=None), UseImage("open", "lab"), Decision(True, "project open may use image lab")),
    (person("g-open", level="none"), UseImage("open", "lab"), Decision(True, "project open may use image lab")),
    # a fresh login
    (person("g-open", age=60), UseImage("open", "fresh"), Decision(True, "project open may use image fresh")),
    (person("g-open", age=60.1), UseImage("open", "fresh"), Decision(False, old(60), FRESH)),
    (person("g-open", age=-1), UseImage("open", "fresh"), Decision(False, old(60), FRESH)),
    (person("g-open", age=float("nan")), UseImage("open", "fresh"), Decision(False, old(60), FRESH)),
    (person("g-open", age=None), UseImage("open", "fresh"), Decision(False, NO_LOGIN, FRESH)),
    # the image's and the action's together: the strictest of each
    (person("g-open", age=90), UseImage("open", "gpu"), Decision(True, "project open may use image gpu")),
    (person("g-open", age=91), UseImage("open", "gpu"), Decision(False, old(90), GPU)),
    (person("g-open", level=""), UseImage("open", "gpu"), Decision(False, low("mfa", "none"), GPU)),
    (person("g-open", age=None), UseImage("open", "gpu"), Decision(False, NO_LOGIN, GPU)),
    # the project's
    (person("g-vault", level="high"), UseImage("vault", "lab"), Decision(True, "project vault may use image lab")),
    (person("g-vault"), UseImage("vault", "lab"), Decision(False, low("high", "mfa"), VAULT)),
    (person("g-vault", level="root"), UseImage("vault", "lab"), Decision(False, low("high", "root"), VAULT)),
    (person("g-vault", level="high", age=61), UseImage("vault", "fresh"), Decision(False, old(60), VAULT_FRESH)),
    (person("g-vault", level="high", age=600), UseProject("vault"), Decision(True, MEMBER)),
    (person("g-vault", level="high", age=601), UseProject("vault"), Decision(False, old(600), VAULT)),
    (person("g-vault"), Publish("vault", "project"), Decision(False, low("high", "mfa"), VAULT)),
    # reading with a notebook's token goes on
    (person("g-vault", age=None), ViewDashboard("vault/a", "project", "vault"), Decision(True, MEMBER)),
    # a level that does not exist is a mistake of the settings: no login helps
    (
        person("g-open", level="platinum"),
        UseImage("open", "odd"),
        Decision(False, "the level 'platinum' that this demands does not exist here"),
    ),
    # without the right no step-up is offered, whatever the login proves
    (person(level="high"), UseImage("vault", "lab"), Decision(False, "ana is not a member of project vault")),
    (person(age=None), Administer(), Decision(False, "ana is not in group bdap-admins")),
    (None, Administer(), Decision(False, "nobody is logged in")),
    # administer
    (person("bdap-admins", age=300), Administer(), Decision(True, IN_ADMINS)),
    (person("bdap-admins", age=301), Administer(), Decision(False, old(300), ADMIN)),
    (person("bdap-admins", age=None), Administer(), Decision(False, NO_LOGIN, ADMIN)),
    # publish
    (person("g-open", age=None), Publish("open", "project"), Decision(True, "ana is a member of project open")),
    (person("g-open", level="high"), Publish("open", "public"), Decision(True, "ana is a member of project open")),
    (person("g-open"), Publish("open", "public"), Decision(False, low("high", "mfa"), PUBLIC)),
    (person("g-open", age=None), Publish("open", "public"), Decision(False, NO_LOGIN, PUBLIC)),
    (person("g-open", level="high"), Publish("open", "public", "ben"), Decision(False, "the dashboard belongs to ben")),
    (
        person("g-open", "bdap-admins", level="high", age=301),
        Publish("open", "public", "ben"),
        Decision(False, old(300), Requirement("high", 300)),
    ),
    # change a dashboard: as its owner, or as an administrator
    (person("g-open", age=None), ChangeDashboard("open", "ana"), Decision(True, "ana is a member of project open")),
    (person("g-open"), ChangeDashboard("open", "ana", "public"), Decision(False, low("high", "mfa"), PUBLIC)),
    (person("g-open"), ChangeDashboard("open", "ben"), Decision(False, "the dashboard belongs to ben")),
    (person(), ChangeDashboard("open", "ana"), Decision(False, "ana is not a member of project open")),
    (person("bdap-admins"), ChangeDashboard("open", "ben"), Decision(True, IN_ADMINS)),
    (person("bdap-admins", age=None), ChangeDashboard("open", "ben"), Decision(False, NO_LOGIN, ADMIN)),
    (
        person("bdap-admins"),
        ChangeDashboard("open", "ben", "public"),
        Decision(False, low("high", "mfa"), Requirement("high", 300)),
    ),
    # members: a lead by the project's demand, an administrator by that of administering
    (person("g-open-leads", age=None), ManageMembers("open"), Decision(True, LEADS)),
    (person("g-open-leads", "bdap-admins", age=None), ManageMembers("open"), Decision(True, LEADS)),
    (
        person("g-open-leads"),
        ManageMembers("open", "lead"),
        Decision(False, "only an administrator makes somebody lead a project"),
    ),
    (person("g-open-leads", "bdap-admins"), ManageMembers("open", "lead"), Decision(True, IN_ADMINS)),
    (person("bdap-admins", age=301), ManageMembers("open"), Decision(False, old(300), ADMIN)),
    (person("g-open"), ManageMembers("open"), Decision(False, "ana does not lead project open")),
    (person("g-vault-leads"), ManageMembers("vault"), Decision(False, low("high", "mfa"), VAULT)),
    (person("g-vault-leads"), ManageMembers("open"), Decision(False, "ana does not lead project open")),
    (person("bdap-admins"), ManageMembers("attic"), Decision(False, "there is no project 'attic'")),
]


@pytest.mark.parametrize(("who", "request_", "expected"), CASES)
def test_decision(who, request_, expected):
    assert decide(POLICY, who, request_) == expected
    assert expected.entitled is (expected.allowed or expected.step_up is not None)


def test_what_is_not_named_demands_nothing():
    plain = dataclasses.replace(POLICY, actions={})
    assert decide(plain, person("bdap-admins", age=None), Administer())
    assert decide(plain, person("g-open", age=None), Publish("open", "public"))


def test_a_step_up_login_meets_what_was_asked():
    """Whatever a decision asks for, a login of exactly that lets in: nobody is sent around in circles."""
    for who, request_, expected in CASES:
        if who is not None and expected.step_up is not None:
            need = expected.step_up
            got = Assurance(need.level or "mfa", need.max_age or 0)
            assert decide(POLICY, dataclasses.replace(who, assurance=got), request_), request_


@pytest.mark.parametrize(
    ("needed", "back", "path"),
    [
        (Requirement("high"), "/hub/home", "/hub/step-up?level=high&next=%2Fhub%2Fhome"),
        (Requirement(max_age=900), "/x?a=1&b=2", "/hub/step-up?max_age=900&next=%2Fx%3Fa%3D1%26b%3D2"),
        (Requirement("high", 0.5), "", "/hub/step-up?level=high&max_age=0.5"),
    ],
)
def test_where_one_gets_the_login(needed, back, path):
    assert step_up_path(needed, back) == path
