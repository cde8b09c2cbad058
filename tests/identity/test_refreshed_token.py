"""A refreshed id_token (OpenID Connect Core 12.2): the same person and login as before, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bdap_hub.identity.assurance import Level, Levels
from bdap_hub.identity.id_token import Earlier, IdToken, LoginRefused, validate

from .tokens import ACCESS_TOKEN, EXPECTED, KEYS, MFA, NONCE, STRANGER, at_hash, claims, signed

TWO = replace(EXPECTED, levels=Levels((*MFA.levels, Level("high", frozenset({"urn:high"})))))
AT = 1_700_000_000  # long ago: a refreshed token states when the factors were entered, not when it was made
EARLIER = Earlier("ana", "mfa", AT, NONCE)


def refresh(earlier: Earlier = EARLIER, key: Any = None, **changes: Any) -> IdToken:
    body = claims(**{"nonce": None, "auth_time": AT, **changes})
    token = signed(body, key) if key else signed(body)
    return validate(token, KEYS, TWO, nonce=None, access_token=ACCESS_TOKEN, earlier=earlier)


@pytest.mark.parametrize(
    ("earlier", "changes", "reason"),
    [
        (EARLIER, {"sub": "ben"}, "other-person"),
        (EARLIER, {"auth_time": AT + 1}, "auth-time-changed"),
        (EARLIER, {"nonce": "another"}, "nonce-changed"),
        (EARLIER, {"nonce": [NONCE]}, "nonce-changed"),
        (Earlier("ana", "mfa", AT), {"nonce": NONCE}, "nonce-changed"),
        (Earlier("ana", "high", AT), {}, "level-lowered"),
        (Earlier("ana", "", AT), {}, "level-lowered"),
        (EARLIER, {"amr": None}, "mfa-not-stated"),
        (EARLIER, {"amr": ["pwd"]}, "mfa-not-proven"),
        (EARLIER, {"iss": "https://evil.example"}, "wrong-issuer"),
        (EARLIER, {"aud": "other"}, "wrong-audience"),
        (EARLIER, {"azp": "other"}, "wrong-azp"),
        (EARLIER, {"iat": AT}, "too-old"),
        (EARLIER, {"exp": AT}, "expired"),
        (EARLIER, {"at_hash": at_hash("another")}, "wrong-at-hash"),
        (EARLIER, {"events": {}}, "logout-token"),
        (EARLIER, {"key": STRANGER}, "bad-signature"),
    ],
)
def test_refused(earlier: Earlier, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        refresh(earlier, **changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("earlier", "changes"),
    [
        (EARLIER, {}),
        (EARLIER, {"nonce": NONCE}),
        (EARLIER, {"auth_time": None}),
        (replace(EARLIER, auth_time=None), {}),
        (Earlier("ana", "high", AT), {"acr": "urn:high"}),
        (EARLIER, {"acr": "urn:high"}),
        (EARLIER, {"at_hash": at_hash(ACCESS_TOKEN)}),
    ],
)
def test_goes_on(earlier: Earlier, changes: dict[str, Any]) -> None:
    assert refresh(earlier, **changes).groups == {"project-agriculture"}


def test_a_login_is_no_refresh() -> None:
    """Without an earlier login, a token without a nonce stays refused."""
    with pytest.raises(LoginRefused) as refused:
        validate(signed(claims(nonce=None)), KEYS, TWO, nonce=None)
    assert refused.value.reason == "missing-nonce"
