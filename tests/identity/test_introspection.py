"""What an introspection has to state of an access token: each thing that is wrong has its reason."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bdap_hub.identity.assurance import Level, Levels
from bdap_hub.identity.id_token import Expected, LoginRefused
from bdap_hub.identity.introspection import read

ISSUER, OURS, PROGRAMS = "https://login.example", "bdap-hub", "bdap-programs"
LEVELS = Levels((Level("mfa", frozenset({"urn:mfa"}), (frozenset({"mfa"}),), two_kinds=True),))
EXPECTED = Expected(ISSUER, OURS, frozenset({"RS256"}), LEVELS)


def stated(**changes: Any) -> dict[str, Any]:
    """A good answer with changes; None removes."""
    now = time.time()
    good = {
        "active": True,
        "token_type": "Bearer",
        "iss": ISSUER,
        "client_id": PROGRAMS,
        "sub": "sub-ana",
        "iat": now - 60,
        "exp": now + 600,
        "auth_time": now - 3600,
        "amr": ["pwd", "otp"],
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"iss": None},
        {"token_type": None},
        {"token_type": "access_token"},
        {"aud": PROGRAMS},
        {"aud": OURS},
        {"aud": ["account", OURS]},
        {"azp": PROGRAMS},
        {"amr": None, "acr": "urn:mfa"},
        {"amr": ["mfa"]},
    ],
)
def test_good_ones(changes: dict[str, Any]) -> None:
    granted = read(stated(**changes), EXPECTED, PROGRAMS)
    assert (granted.subject, granted.level, granted.groups) == ("sub-ana", "mfa", None)
    assert granted.since < time.time() - 3500 and granted.until > time.time() + 500


def test_without_auth_time_the_token_is_as_old_as_itself() -> None:
    assert read(stated(auth_time=None), EXPECTED, PROGRAMS).since == pytest.approx(time.time() - 60, abs=5)


def test_groups_are_a_list() -> None:
    assert read(stated(groups=["a", "b"]), EXPECTED, PROGRAMS).groups == {"a", "b"}
    with pytest.raises(LoginRefused, match="did not come as a list"):
        read(stated(groups="a"), EXPECTED, PROGRAMS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "inactive"),
        ({"active": None}, "inactive"),
        ({"active": "true"}, "inactive"),
        ({"token_type": "refresh_token"}, "wrong-type"),
        ({"iss": "https://other.example"}, "wrong-issuer"),
        ({"client_id": None}, "wrong-client"),
        ({"client_id": OURS}, "wrong-client"),
        ({"client_id": "another"}, "wrong-client"),
        ({"azp": "another"}, "wrong-client"),
        ({"aud": "another"}, "wrong-audience"),
        ({"aud": ["another", "account"]}, "wrong-audience"),
        ({"aud": []}, "wrong-audience"),
        ({"exp": None}, "missing-exp"),
        ({"exp": "tomorrow"}, "missing-exp"),
        ({"exp": float("inf")}, "missing-exp"),
        ({"exp": True}, "missing-exp"),
        ({"exp": 1}, "expired"),
        ({"iat": None, "auth_time": None}, "missing-iat"),
    ],
)
def test_each_refusal_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        read(stated(**changes), EXPECTED, PROGRAMS)
    assert refused.value.reason == f"access-token-{reason}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": None}, "bad-subject"),
        ({"amr": None}, "mfa-not-stated"),
        ({"amr": ["pwd"]}, "mfa-not-proven"),
        ({"amr": ["pwd", "kba"]}, "mfa-not-proven"),
        ({"amr": "mfa"}, "amr-not-a-list"),
        ({"amr": None, "acr": "urn:low"}, "mfa-not-proven"),
        ({"auth_time": time.time() + 3600}, "auth-time-in-future"),
    ],
)
def test_a_login_has_to_prove_what_a_browsers_has(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        read(stated(**changes), EXPECTED, PROGRAMS)
    assert refused.value.reason == reason


def test_without_a_client_for_programs_there_is_no_good_token() -> None:
    with pytest.raises(LoginRefused):
        read(stated(client_id=""), EXPECTED, "")
