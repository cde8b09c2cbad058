"""Logins whose second factor is not proven, however they were asked for: decided on what came back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.attacks.cases import Case, each_flaw_has_its_own_reason, let_in, refused_then_let_in
from tests.attacks.hostile_provider import HIGH_ACR, MFA_ACR, Bend
from tests.attacks.platform import Browser, Platform, query

IF_ASKED = Bend(only_if_asked=True)
BASIC = json.dumps({"id_token": {"acr": {"value": "basic"}}})
PASSWORD = {"acr": "basic", "amr": ["pwd"]}


def claims(**changes: Any) -> Bend:
    """A token rightly signed, with claims changed."""
    return Bend(claims=changes)


CASES = (
    Case("second factor not proven: request taken out in the browser", "mfa-not-proven", IF_ASKED, {
        "claims": None, "acr_values": None}),
    Case("second factor not proven: request lowered in the browser", "mfa-not-proven", IF_ASKED, {
        "claims": BASIC, "acr_values": "basic"}),
    Case("second factor not proven: claims request unreadable", "mfa-not-proven", IF_ASKED, {
        "claims": "{}", "acr_values": ""}),
    Case("second factor not proven: single sign-on with a password alone", "mfa-not-proven", claims(
        **PASSWORD, auth_time=lambda: int(time.time()) - 3600)),
    Case("second factor not proven: prompt none", "mfa-not-proven", claims(**PASSWORD), {"prompt": "none"}),
    Case("second factor not proven: password", "mfa-not-proven", claims(acr=None, amr=["pwd"])),
    Case("second factor not proven: no method", "mfa-not-proven", claims(acr=None, amr=[])),
    Case("second factor not proven: two of knowledge", "mfa-not-proven", claims(acr=None, amr=["pwd", "kba", "pin"])),
    Case("second factor not proven: two of possession", "mfa-not-proven", claims(acr=None, amr=["sms", "otp", "hwk"])),
    Case("second factor not proven: one method twice", "mfa-not-proven", claims(acr=None, amr=["otp", "otp"])),
    Case("second factor not proven: unknown methods", "mfa-not-proven", claims(acr=None, amr=["pwd", "geo", "MFA"])),
    Case("second factor not proven: basic", "mfa-not-proven", claims(acr="basic", amr=None)),
    Case("second factor not proven: unknown acr", "mfa-not-proven", claims(acr="urn:evil:mfa", amr=None)),
    Case("second factor not proven: empty acr", "mfa-not-proven", claims(acr="", amr=None)),
    Case("second factor not proven: acr in capitals", "mfa-not-proven", claims(acr=MFA_ACR.upper(), amr=None)),
    Case("second factor not proven: two acr in one", "mfa-not-proven", claims(acr=f"basic {MFA_ACR}", amr=None)),
    Case("second factor not stated", "mfa-not-stated", claims(acr=None, amr=None)),
    Case("second factor not stated: but in UserInfo", "mfa-not-stated", Bend(
        claims={"acr": None, "amr": None}, userinfo={"acr": MFA_ACR, "amr": ["pwd", "otp", "mfa"]})),
    Case("amr is no list: text", "amr-not-a-list", claims(acr=None, amr="mfa")),
    Case("amr is no list: words", "amr-not-a-list", claims(acr=None, amr="pwd otp mfa")),
    Case("amr is no list: an object", "amr-not-a-list", claims(acr=None, amr={"mfa": True})),
    Case("amr is no list: of texts", "amr-not-a-list", claims(acr=None, amr=["mfa", 1])),
    Case("acr is no text: a list", "acr-not-a-text", claims(acr=[MFA_ACR])),
    Case("acr is no text: true", "acr-not-a-text", claims(acr=True)),
    Case("time of the factors is no time: text", "bad-auth-time", claims(auth_time="now")),
    Case("time of the factors is no time: not a number", "bad-auth-time", claims(auth_time=float("nan"))),
    Case("time of the factors is no time: true", "bad-auth-time", claims(auth_time=True)),
    Case("time of the factors lies ahead", "auth-time-in-future", claims(auth_time=lambda: int(time.time()) + 9999)),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(platform: Platform, browser_of: Callable[[str], Browser], case: Case) -> None:
    refused_then_let_in(platform, browser_of(case.person), case)


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(CASES)


@pytest.mark.parametrize(
    ("person", "bend"),
    [
        ("asked-and-done", IF_ASKED),
        ("by-acr-alone", claims(amr=None)),
        ("by-the-higher-acr", claims(acr=HIGH_ACR, amr=None)),
        ("by-mfa-in-amr", claims(acr=None, amr=["mfa"])),
        ("by-two-kinds", claims(acr="basic", amr=["pwd", "otp"])),
        ("without-auth-time", claims(auth_time=None)),
    ],
)
def test_let_in_where_it_is_proven(
    platform: Platform, browser_of: Callable[[str], Browser], person: str, bend: Bend
) -> None:
    with platform.provider.bent(person, bend):
        let_in(platform, browser_of(person), person)


def test_the_second_factor_is_asked_for_as_essential(browser_of: Callable[[str], Browser]) -> None:
    asked = json.loads(query(browser_of("asker").begin())["claims"])["id_token"]["acr"]
    assert asked["essential"] is True and MFA_ACR in asked["values"]
