"""What an access token proves, as the provider's introspection states it: RFC 7662, RFC 9470. PURE: no I/O.

For programs on people's own machines, which log in at the provider by themselves. What a token has to prove is what a
browser's login has to: the same issuer and levels; and it must have been given to the one client that is for them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .claims import groups
from .id_token import auth_time_of, check_mfa, subject_of
from .signed_token import Expected, LoginRefused

_KINDS = frozenset({"bearer", "access_token", ""})


@dataclass(frozen=True)
class Granted:
    """A good access token: whose, what their login proved and when, until when it is good; None: groups not stated."""

    subject: str
    level: str
    since: float
    until: float
    groups: frozenset[str] | None


def read(stated: Mapping[str, Any], expected: Expected, client_id: str) -> Granted:
    """What `stated`, the answer of the introspection, proves; LoginRefused where that is not enough.

    `client_id` is the client that programs use, `expected.client_id` our own.
    """
    if stated.get("active") is not True:
        raise bad("inactive", "the login provider no longer honours it")
    if str(stated.get("token_type", "")).lower() not in _KINDS:
        raise bad("wrong-type", "it is a token of another kind")
    if stated.get("iss", expected.issuer) != expected.issuer:
        raise bad("wrong-issuer", "it comes from another issuer")
    _check_parties(stated, {client_id, expected.client_id}, client_id)
    _, _, level = check_mfa(stated, expected)
    since = auth_time_of(stated, expected.leeway)
    return Granted(
        subject=subject_of(stated),
        level=level,
        since=_number(stated, "iat") if since is None else since,
        until=_until(stated),
        groups=groups(stated, expected) if expected.groups_claim in stated else None,
    )


def bad(reason: str, sentence: str) -> LoginRefused:
    """The refusal of an access token."""
    return LoginRefused(f"access-token-{reason}", f"this access token is refused: {sentence}")


def _check_parties(stated: Mapping[str, Any], ours: set[str], client_id: str) -> None:
    if not client_id or stated.get("client_id") != client_id or stated.get("azp", client_id) != client_id:
        raise bad("wrong-client", "it was given to another application")
    audience = stated.get("aud", client_id)
    if not ours.intersection([audience] if isinstance(audience, str) else audience):
        raise bad("wrong-audience", "it was made for another application")


def _until(stated: Mapping[str, Any]) -> float:
    until = _number(stated, "exp")
    if until <= time.time():
        raise bad("expired", "it has expired")
    return until


def _number(stated: Mapping[str, Any], claim: str) -> float:
    value = stated.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad(f"missing-{claim}", f"the login provider does not state its {claim}")
    return float(value)
