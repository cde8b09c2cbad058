"""Levels: what proves them, and how they are asked for."""

from __future__ import annotations

import json

import pytest

from bdap_hub.access import Requirement, kinds, two_factors
from bdap_hub.identity.assurance import Level, Levels
from bdap_hub.identity.authorize import authorize_parameters

LEVELS = Levels(
    (
        Level("mfa", frozenset({"urn:mfa", "urn:two"}), (frozenset({"mfa"}),), two_kinds=True),
        Level("high", frozenset({"urn:high"}), (frozenset({"hwk", "pin"}),)),
    )
)


@pytest.mark.parametrize(
    ("acr", "amr", "level"),
    [
        ("", [], ""),
        ("", ["pwd"], ""),
        ("", ["otp"], ""),
        ("", ["pwd", "kba"], ""),  # two of knowledge
        ("", ["otp", "sms"], ""),  # two of possession
        ("", ["face", "fpt"], ""),  # two of inherence
        ("", ["pwd", "user", "geo"], ""),  # no factors
        ("", ["pwd", "pwd"], ""),
        ("urn:MFA", ["pwd"], ""),
        ("urn:mfa urn:high", [], ""),
        ("", ["pwd", "otp"], "mfa"),
        ("", ["pin", "face"], "mfa"),
        ("", ["mfa"], "mfa"),
        ("urn:mfa", [], "mfa"),
        ("urn:basic", ["mfa"], "mfa"),
        ("", ["hwk", "pin"], "high"),
        ("", ["hwk"], ""),
        ("urn:high", ["pwd"], "high"),
    ],
)
def test_proven(acr: str, amr: list[str], level: str) -> None:
    assert LEVELS.proven(acr, amr) == level


def test_reaches() -> None:
    assert LEVELS.reaches("high", "mfa") and LEVELS.reaches("mfa", "mfa")
    for level, wanted in (("mfa", "high"), ("", "mfa"), ("mfa", ""), ("other", "mfa"), ("high", "other")):
        assert not LEVELS.reaches(level, wanted)
    assert Levels(()).lowest == "" and not Levels(()).reaches("", "")


@pytest.mark.parametrize(
    ("methods", "found"),
    [(["pwd"], 1), (["pwd", "otp"], 2), (["pwd", "otp", "face"], 3), (["mfa"], 0), ([], 0), (["pwd", "pin"], 1)],
)
def test_kinds(methods: list[str], found: int) -> None:
    assert len(kinds(methods)) == found
    assert two_factors(methods) is (found > 1 or methods == ["mfa"])


def claims(*values: str) -> dict[str, str]:
    return {
        "claims": json.dumps({"id_token": {"acr": {"essential": True, "values": list(values)}}}, separators=(",", ":"))
    }


@pytest.mark.parametrize(
    ("ask", "demand", "offered", "expected"),
    [
        ("claims", Requirement(), (), claims("urn:mfa", "urn:two", "urn:high")),
        ("claims", Requirement("mfa"), (), claims("urn:mfa", "urn:two", "urn:high")),
        ("claims", Requirement("high"), (), claims("urn:high")),
        ("claims", Requirement("high", 60), (), {"max_age": "60", **claims("urn:high")}),
        ("claims", Requirement(), ("urn:two", "urn:basic"), claims("urn:two")),
        ("claims", Requirement("high"), ("urn:two",), claims("urn:high")),  # it may know more than it says
        ("acr_values", Requirement(), (), {"acr_values": "urn:mfa urn:two urn:high"}),
        ("acr_values", Requirement("high", 60.9), (), {"max_age": "60", "acr_values": "urn:high"}),
        ("nothing", Requirement("high"), (), {}),
        ("nothing", Requirement("high", 60), (), {"max_age": "60"}),
        ("claims", Requirement("unknown"), (), {}),
    ],
)
def test_asked_for(ask: str, demand: Requirement, offered: tuple[str, ...], expected: dict[str, str]) -> None:
    assert authorize_parameters(LEVELS, ask, demand, offered) == expected


def test_levels_without_acr_are_not_asked_for() -> None:
    assert authorize_parameters(Levels((Level("mfa", two_kinds=True),)), "claims", Requirement()) == {}
