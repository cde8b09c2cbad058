"""Step-ups that are not: the session stays what it was; without the flaw it becomes what was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bdap_hub.identity import sessions
from tests.attacks.cases import Case, each_flaw_has_its_own_reason, let_in, reasons
from tests.attacks.hostile_provider import MFA_ACR, Bend
from tests.attacks.platform import Browser, Platform, changed_address, query, with_query
from tests.attacks.test_flow import NEXT, origin
from tests.attacks.test_token import later

HIGHER = "/hub/step-up?level=high&next=/hub/token"
FRESH = "/hub/step-up?max_age=60&next=/hub/token"
OLD = {"max_age": None, "prompt": None}


LEVEL = (
    Case("level too low: request taken out", "level-too-low", sent={"claims": None, "acr_values": None}),
    Case("level too low: the provider's answer", "level-too-low", Bend(claims={"acr": MFA_ACR})),
    Case("level not proven: basic", "mfa-not-proven", Bend(claims={"acr": "basic", "amr": ["pwd"]})),
    Case("level not stated", "mfa-not-stated", Bend(claims={"acr": None, "amr": None})),
    Case("somebody else", "other-person", Bend(both={"sub": "sub-olga", "preferred_username": "olga"})),
    Case("nonce taken out", "missing-nonce", sent={"nonce": None}),
    Case("denied", "provider-access_denied", back={"code": None, "error": "access_denied"}),
)
AGE = (
    Case("factors too old: request taken out", "auth-time-stale", sent=OLD),
    Case("factors too old: the provider's answer", "auth-time-stale", Bend(claims={"auth_time": later(-3600)})),
    Case("factors too old: in 1970", "auth-time-stale", Bend(claims={"auth_time": 0})),
    Case("time of the factors not stated", "auth-time-missing", Bend(claims={"auth_time": None})),
    Case("time of the factors lies ahead", "auth-time-in-future", Bend(claims={"auth_time": later(3600)})),
    Case("time of the factors is no time", "bad-auth-time", Bend(claims={"auth_time": "now"})),
)


@pytest.fixture
def browser(platform: Platform, browser_of: Callable[[str], Browser]) -> Browser:
    """Somebody who logged in with two factors an hour ago."""
    platform.provider.auth_times["climbs"] = time.time() - 3600
    made = browser_of("climbs")
    let_in(platform, made, "climbs")
    return made


def session_of(platform: Platform, person: str) -> tuple[str, float]:
    """(level, auth_time) of their only session."""
    (found,) = sessions.live_of(platform.store, person)
    return found.level, found.auth_time


@pytest.mark.parametrize(
    ("path", "case"),
    [(HIGHER, c) for c in LEVEL] + [(FRESH, c) for c in AGE],
    ids=lambda value: getattr(value, "name", ""),
)
def test_refused(platform: Platform, browser: Browser, path: str, case: Case) -> None:
    was, before = session_of(platform, "climbs"), platform.mark()
    with platform.provider.bent("climbs", case.bend):
        answer = browser.log_in(path, sent=case.sent, back=case.back)
    assert answer.status_code == 403
    assert reasons(platform, before, "step-up") == [case.reason]
    assert browser.whoami() == "climbs" and session_of(platform, "climbs") == was
    assert browser.log_in(path).headers["Location"] == "/hub/token"  # the control
    level, auth_time = session_of(platform, "climbs")
    assert (level == "high") if path == HIGHER else (time.time() - auth_time < 60)
    assert [event.outcome for event in platform.events(before, "step-up")] == ["refused", "allowed"]


def test_each_flaw_has_its_own_reason() -> None:
    each_flaw_has_its_own_reason(LEVEL + AGE)


def test_a_step_up_of_somebody_else(platform: Platform, browser: Browser, browser_of: Callable[[str], Browser]) -> None:
    """Its answer in another's browser; and in the same one, where another has logged in since."""
    other = browser_of("passer-by")
    let_in(platform, other, "passer-by")
    before = platform.mark()
    address = browser.authorise(changed_address(browser.begin(HIGHER), {}))
    assert other.get(address).status_code == 403 and other.whoami() == "passer-by"
    browser.client.headers["X-Person"] = "sits-down"
    assert browser.log_in().status_code == 302 and browser.whoami() == "sits-down"
    assert browser.get(address).status_code == 403 and browser.whoami() == "sits-down"
    assert [e.reason for e in platform.events(before) if e.outcome == "refused"] == ["state-unknown", "other-person"]
    sessions.end_all(platform.store, "sits-down", "the test is over")


def test_it_does_not_open_a_session(platform: Platform, browser_of: Callable[[str], Browser]) -> None:
    answer = browser_of("nobody-yet").get(HIGHER)
    assert answer.is_redirect and "/hub/login" in answer.headers["Location"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("level=other", 404),
        ("level=<script>", 404),
        ("max_age=-1", 400),
        ("max_age=nan", 400),
        ("max_age=1e999", 400),
        ("", 400),
    ],
)
def test_what_cannot_be_asked_for(browser: Browser, asked: str, status: int) -> None:
    answer = browser.get(f"/hub/step-up?{asked}")
    assert answer.status_code == status and "<script>" not in answer.text.replace("<script>\n", "")


def test_it_leads_nowhere_else(platform: Platform, browser: Browser) -> None:
    here = origin(platform.url, "/")
    for target in NEXT:
        sent = browser.get(with_query(f"{platform.url}/hub/step-up?level=mfa", next=target))
        assert sent.is_redirect or sent.status_code == 400, target
        if sent.is_redirect:
            answer = browser.get(browser.authorise(sent.headers["Location"]))
            assert answer.is_redirect, target
            assert origin(platform.url, answer.headers["Location"]) == here, target


def test_the_demand_is_not_the_browsers_to_change(platform: Platform, browser: Browser) -> None:
    """The state's cookie holds what is to be proven, and is bound to its own answer by verifier and nonce."""
    for lax, reason in ((False, "code-refused"), (True, "level-too-low")):
        easy, hard = browser.begin("/hub/step-up?level=mfa"), browser.begin(HIGHER)
        before = platform.mark()
        with platform.provider.bent("climbs", Bend(lax=lax)):
            answer = browser.get(with_query(browser.authorise(easy), state=query(hard)["state"]))
        assert answer.status_code == 403 and reasons(platform, before, "step-up") == [reason]
        assert session_of(platform, "climbs")[0] == "mfa"
