"""Who somebody is: names that are not names, names of others, groups that are no list, admins by their own word."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from bdap_hub.identity.tables import Account
from tests.attacks.cases import Case, each_flaw_has_its_own_reason, let_in, reasons, refused_then_let_in
from tests.attacks.hostile_provider import Bend
from tests.attacks.platform import Browser, Platform

LONG = 100_000


def called(name: Any) -> Bend:
    """The account's name, as id_token and UserInfo both state it."""
    return Bend(both={"preferred_username": name})


def groups(stated: Any) -> Bend:
    """The groups, as id_token and UserInfo both state them."""
    return Bend(both={"groups": stated})


NAMES = {
    "a capital": "Ana", "all capitals": "ANA", "a path": "../ana", "a slash": "a/b", "a backslash": "a\\b",
    "dots": "..", "encoded": "%2e%2e%2fana", "a query": "ana?x", "a fragment": "ana#x", "a line end": "ana\n",
    "a line within": "ana\r\nINFO forged", "NUL": "ana\x00", "a space": "ana ", "a space before": " ana",
    "a tab": "a\tb",    "Cyrillic": "аnа", "full width": "ａｎａ", "dotless": "ı", "combining": "ana\u0301",
    "right to left": "\u202eana",
    "zero width": "an\u200ba", "long s": "ſam", "mark-up": "<b>ana", "a quote": "ana'--", "a semicolon": "ana;x",
    "a dash first": "-ana", "empty": "", "too long": "a" * 65, "very long": "a" * LONG,
    "a number": 7, "a list": ["ana"], "an object": {"name": "ana"}, "true": True, "absent": None,
}  # fmt: skip
GROUPS = {
    "text": "bdap-admins", "words": "project-agriculture bdap-admins", "an object": {"bdap-admins": True},
    "numbers": [1, 2], "nested": [["bdap-admins"]], "objects": [{"name": "bdap-admins"}], "an empty name": [""],
    "a long name": ["g" * 256], "too many": [f"g{n}" for n in range(1001)], "true": True, "zero": 0,
}  # fmt: skip
CASES = (
    *(Case(f"not a name: {what}", "bad-username", called(name)) for what, name in NAMES.items()),
    *(Case(f"groups are no list: {what}", "bad-groups", groups(stated)) for what, stated in GROUPS.items()),
    Case("two people: UserInfo of another", "other-person", Bend(userinfo={"sub": "sub-olga"})),
    Case("two people: other case", "other-person", Bend(userinfo={"sub": "SUB-two-people-other-case"})),
    Case("two people: UserInfo of nobody", "other-person", Bend(userinfo={"sub": None})),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(platform: Platform, browser_of: Callable[[str], Browser], case: Case) -> None:
    refused_then_let_in(platform, browser_of(case.person), case)


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(CASES)


@pytest.mark.parametrize("subject", ["sub-another", "SUB-OWNER", "sub-owner ", "sub-owner\u200b", "sub-ownеr", "owner"])
def test_a_name_is_not_handed_on(platform: Platform, browser_of: Callable[[str], Browser], subject: str) -> None:
    """Somebody else, however alike their sub, takes a name at the provider that has an account here."""
    owner, taker = browser_of("owner"), browser_of("taker")
    let_in(platform, owner, "owner")
    before = platform.mark()
    with platform.provider.bent("taker", Bend(both={"sub": subject, "preferred_username": "owner"})):
        assert taker.log_in().status_code == 403
    assert reasons(platform, before) == ["name-taken"]
    assert (taker.whoami(), owner.whoami()) == ("", "owner")
    with platform.store() as session:
        assert session.get(Account, "owner").subject == "sub-owner"
    let_in(platform, taker, "taker")


def test_a_name_taken_at_the_provider_changes_nothing(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    """The name was given once; it is the sub that keys the account ever after."""
    chief, climber = browser_of("chief"), browser_of("climber")
    platform.provider.groups["chief"] = ["bdap-admins"]
    let_in(platform, chief, "chief")
    let_in(platform, climber, "climber")
    renamed = Bend(both={"preferred_username": "chief", "name": "Person chief", "email": "chief@example.org"})
    with platform.provider.bent("climber", renamed):
        assert climber.log_in().status_code == 302
        assert climber.whoami() == "climber"
        assert not administers(platform, "climber")
    assert administers(platform, "chief")


def administers(platform: Platform, person: str) -> bool:
    """By the group, as the admin panel decides; of JupyterHub itself nobody is an administrator."""
    found = platform.api("GET", f"/users/{person}").json()
    assert found["admin"] is False
    return "bdap-admins" in found["groups"]


@pytest.mark.parametrize(
    "stated",
    [
        {"groups": ["bdap-admins ", "BDAP-ADMINS", "bdap-аdmins", "bdap-admins\n", "bdap-admins,x", "admin"]},
        {"admin": True, "roles": ["admin"], "scope": "admin:users", "is_admin": "true"},
        {"groups": []},
    ],
)
def test_nobody_makes_themselves_admin(
    platform: Platform, browser_of: Callable[[str], Browser], stated: dict[str, Any]
) -> None:
    browser, person = browser_of("pusher"), "pusher"
    with platform.provider.bent(person, Bend(both=stated)):
        let_in(platform, browser, person)
        assert not administers(platform, person)
    with platform.provider.bent(person, groups(["bdap-admins"])):  # the control
        let_in(platform, browser, person)
        assert administers(platform, person)


def test_a_display_name_is_only_shown(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    browser = browser_of("showman")
    for name in ("<script>alert(1)</script>", "{{ 7*191 }}", "a" * LONG, "x\u202ey", 7, ["x"]):
        with platform.provider.bent("showman", Bend(both={"name": name})):
            let_in(platform, browser, "showman")
        page = browser.get("/hub/home")
        assert page.status_code == 200 and len(page.text) < LONG
        assert not any(bad in page.text for bad in ("<script>alert", "1337", "\u202e"))


def test_long_names_do_not_fill_the_log(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    browser, before = browser_of("flooder"), len(platform.logs)
    for bend in (
        called("a" * LONG),
        groups("g" * LONG),
        Bend(both={"name": "n" * LONG}),
        Bend(answer={"iss": "i" * 9000}),
    ):
        with platform.provider.bent("flooder", bend):
            browser.log_in()
    browser.get(f"/hub/oauth_callback?state={'s' * 20_000}")
    browser.get(f"/hub/step-up?level={'l' * 20_000}")
    time.sleep(0.2)
    assert len(platform.logs) - before < 60_000
    assert max(len(event.reason) for event in platform.events()) < 300
