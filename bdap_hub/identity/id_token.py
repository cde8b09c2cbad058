"""The check of an id_token: OpenID Connect Core 1.0 sections 3.1.3.7 and 12.2, and the level of assurance.

PURE: no I/O. Every refusal has a reason of its own, for the audit log.
"""

from __future__ import annotations

import base64
import hmac
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jwt.algorithms import get_default_algorithms

from ..access import Requirement
from .claims import display_name, email, groups, username
from .signed_token import Expected, Keys, LoginRefused, bad, key_id, verified_claims

__all__ = ["Earlier", "Expected", "IdToken", "Keys", "LoginRefused", "key_id", "validate", "verified_claims"]

NOTHING_MORE = Requirement()


@dataclass(frozen=True)
class IdToken:
    """A person, as a valid id_token states them. `auth_time` is in seconds since 1970, None if not stated.

    `username` is for a new account, '' if it cannot be a name here. `level` is the highest of the platform's levels
    that `acr` and `amr` prove; `sid` is the provider's session.
    """

    subject: str
    username: str
    display_name: str
    groups: frozenset[str]
    amr: tuple[str, ...]
    auth_time: float | None
    acr: str = ""
    level: str = ""
    sid: str = ""
    email: str = ""


@dataclass(frozen=True)
class Earlier:
    """The login that a refreshed id_token has to go on with."""

    subject: str
    level: str
    auth_time: float | None = None
    nonce: str = ""


def validate(
    token: Any,
    keys: Keys,
    expected: Expected,
    *,
    nonce: str | None,
    access_token: str | None = None,
    demand: Requirement = NOTHING_MORE,
    earlier: Earlier | None = None,
) -> IdToken:
    """The person whom `token` proves; LoginRefused otherwise.

    `nonce` is the one this browser was sent away with; for a refreshed token it is None, and `earlier` is the login
    that it renews. `access_token` is the token that came along, compared with `at_hash` where the provider states it.
    `demand` is what a step-up asks beyond the login's own level; its `max_age` needs the claim auth_time.
    """
    claims, algorithm = verified_claims(token, keys, expected)
    if "events" in claims:
        raise bad("logout-token", "it is a logout token")
    _check_at_hash(claims, algorithm, access_token)
    proven = _read(claims, expected)
    _check_demand(demand, expected, proven)
    if earlier is None:
        _check_nonce(claims, nonce or "")
    else:
        _check_continues(claims, proven, earlier, expected)
    return proven


def _read(claims: Mapping[str, Any], expected: Expected) -> IdToken:
    amr, acr, level = check_mfa(claims, expected)
    sid = claims.get("sid")
    return IdToken(
        subject=subject_of(claims),
        username=username(claims, expected),
        display_name=display_name(claims, expected),
        groups=groups(claims, expected),
        amr=amr,
        auth_time=auth_time_of(claims, expected.leeway),
        acr=acr,
        level=level,
        sid=sid if isinstance(sid, str) and len(sid) <= 255 else "",
        email=email(claims, expected),
    )


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    stated = claims.get("nonce")
    if not isinstance(stated, str) or not stated:
        raise bad("missing-nonce", "it is not bound to this browser")
    if not nonce or not hmac.compare_digest(stated.encode(), nonce.encode()):
        raise bad("wrong-nonce", "it is bound to another browser")


def _check_continues(claims: Mapping[str, Any], proven: IdToken, earlier: Earlier, expected: Expected) -> None:
    """Core 12.2: the same person, who entered their factors when they did, and no less proven."""
    if proven.subject != earlier.subject:
        raise LoginRefused("other-person", "the login provider now names somebody else")
    if proven.auth_time is not None and earlier.auth_time is not None and proven.auth_time != earlier.auth_time:
        raise bad("auth-time-changed", "it belongs to another login")
    if "nonce" in claims and claims["nonce"] != earlier.nonce:
        raise bad("nonce-changed", "it is bound to another browser")
    if not expected.levels.reaches(proven.level, earlier.level):
        raise bad("level-lowered", "it proves less than your login did")


def _check_at_hash(claims: Mapping[str, Any], algorithm: str, access_token: str | None) -> None:
    if "at_hash" not in claims:
        return
    digest = get_default_algorithms()[algorithm].compute_hash_digest((access_token or "").encode())
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    stated = claims["at_hash"]
    if not access_token or not isinstance(stated, str) or not hmac.compare_digest(half, stated.encode()):
        raise bad("wrong-at-hash", "it does not belong to the access token that came with it")


def check_mfa(claims: Mapping[str, Any], expected: Expected) -> tuple[tuple[str, ...], str, str]:
    """(amr, acr, level); refused where they prove no level, or where amr is not the list it has to be."""
    stated, acr = claims.get("amr"), claims.get("acr")
    if stated is not None and (not isinstance(stated, list) or not all(isinstance(m, str) for m in stated)):
        raise _no_mfa("amr-not-a-list")
    if acr is not None and not isinstance(acr, str):
        raise _no_mfa("acr-not-a-text")
    amr = tuple(stated or ())
    if level := expected.levels.proven(acr or "", amr):
        return amr, acr or "", level
    raise _no_mfa("mfa-not-stated" if stated is None and acr is None else "mfa-not-proven")


def _check_demand(demand: Requirement, expected: Expected, proven: IdToken) -> None:
    if demand.level and not expected.levels.reaches(proven.level, demand.level):
        raise LoginRefused(
            "level-too-low",
            f"this needs a login of level {demand.level}, and the login provider confirmed {proven.level}",
            "log in again with the stronger second factor",
        )
    if demand.max_age is None:
        return
    if proven.auth_time is None:
        raise bad("auth-time-missing", "it does not say when you entered your factors")
    if time.time() - proven.auth_time > demand.max_age + expected.leeway:
        raise bad("auth-time-stale", "you entered your factors too long ago")


def auth_time_of(claims: Mapping[str, Any], leeway: float) -> float | None:
    stated = claims.get("auth_time")
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not math.isfinite(stated):
        raise bad("bad-auth-time", "its login time is not a number")
    if stated > time.time() + leeway:  # it would never grow old
        raise bad("auth-time-in-future", "its login time lies in the future")
    return float(stated)


def subject_of(claims: Mapping[str, Any]) -> str:
    value = claims.get("sub")
    if not isinstance(value, str) or not value or len(value) > 255:
        raise bad("bad-subject", "its subject is empty or too long")
    return value


def _no_mfa(reason: str) -> LoginRefused:
    return LoginRefused(
        reason,
        "MFA not proven: the login provider did not confirm that you used a second factor",
        "log in again with your second factor (authenticator app, security key)",
    )
