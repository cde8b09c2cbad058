"""A provider that says something else of somebody who is logged in already: the session ends, by its own reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks import forgery
from tests.attacks.cases import Case, each_flaw_has_its_own_reason, let_in
from tests.attacks.hostile_provider import Bend
from tests.attacks.platform import Browser, Platform
from tests.attacks.test_token import later

CASES = (
    Case("refreshed for somebody else: sub", "other-person", Bend(refreshed={"sub": "sub-olga"})),
    Case("refreshed for somebody else: UserInfo", "other-person", Bend(userinfo={"sub": "sub-olga"})),
    Case("refreshed from another login: auth_time", "auth-time-changed", Bend(refreshed={"auth_time": later(-999)})),
    Case("refreshed from another browser: nonce", "nonce-changed", Bend(refreshed={"nonce": "another"})),
    Case("refreshed for another client", "wrong-audience", Bend(refreshed={"aud": "other"})),
    Case("refreshed by another issuer", "wrong-issuer", Bend(refreshed={"iss": "https://evil.example"})),
    Case("refreshed and expired", "expired", Bend(refreshed={"exp": later(-60)})),
    Case("refreshed with a password alone", "mfa-not-proven", Bend(refreshed={"acr": "basic", "amr": ["pwd"]})),
    Case(
        "refreshed without a signature",
        "not-signed",
        Bend(forge_refreshed=lambda p, c: forgery.unsigned(c, {"alg": "none", "kid": p.kid})),
    ),
    Case("groups are no list", "bad-groups", Bend(userinfo={"groups": "bdap-admins"})),
    Case("no longer honoured: refresh token", "session-ended", Bend(refresh_status=400)),
    Case("no longer honoured: access token", "session-ended", Bend(userinfo_status=401)),
)


@pytest.fixture(scope="module")
def ended(platform: Platform) -> dict[str, list[str]]:
    """Everybody is logged in honestly, then all answers are bent at once; why each session ended, within the bound."""
    before = platform.mark()
    browsers = {person: Browser(platform, person) for person in ("stays-refreshed", *(c.person for c in CASES))}
    for person, browser in browsers.items():
        let_in(platform, browser, person)
    platform.provider.bends |= {case.person: case.bend for case in CASES}
    bound = platform.settings.identity.revocation_seconds

    def all_out() -> bool:
        return {person for person, browser in browsers.items() if browser.whoami()} == {"stays-refreshed"}

    try:
        platform.wait(all_out, bound, "the end of all bent sessions")
        assert browsers["stays-refreshed"].whoami()  # the control, asked about as often as they
        found = [event for event in platform.events(before) if event.action in ("refresh", "revoke")]
        return {person: [event.reason for event in found if event.person == person] for person in browsers}
    finally:
        for case in CASES:
            platform.provider.bends.pop(case.person, None)
        for browser in browsers.values():
            browser.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_session_ends(
    platform: Platform, ended: dict[str, list[str]], browser_of: Callable[[str], Browser], case: Case
) -> None:
    assert case.reason in ended[case.person] and set(ended[case.person]) <= {case.reason, "session-ended"}
    let_in(platform, browser_of(case.person), case.person)


def test_who_is_still_confirmed_stays(ended: dict[str, list[str]]) -> None:
    assert ended["stays-refreshed"] == []


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(CASES)
