"""The check of an id_token: OpenID Connect Core 1.0 section 3.1.3.7, and the level of assurance. PURE: no I/O.

Every refusal has a reason of its own, for the audit log; signatures are PyJWT's work, never ours.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import InvalidSubjectError

from ..access import Requirement
from ..errors import NotAllowed
from .assurance import Levels

_EMAIL = re.compile(r"[^@\s<>\",;]{1,64}@[A-Za-z0-9.-]{1,190}")
NOTHING_MORE = Requirement()
USERNAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")
MAX_GROUPS = 1000

_PYJWT_REASONS: tuple[tuple[type[Exception], str, str], ...] = (
    (jwt.InvalidSignatureError, "bad-signature", "its signature is not valid"),
    (jwt.ExpiredSignatureError, "expired", "it has expired"),
    (jwt.InvalidIssuerError, "wrong-issuer", "it comes from another issuer"),
    (jwt.InvalidAudienceError, "wrong-audience", "it was made for another application"),
    (jwt.ImmatureSignatureError, "not-yet-valid", "it is dated in the future"),
    (jwt.InvalidIssuedAtError, "bad-iat", "its issue time is not a number"),
    (InvalidSubjectError, "bad-subject", "its subject is not a text"),
    (jwt.InvalidAlgorithmError, "wrong-algorithm", "it is signed with an algorithm that we do not accept"),
)


class LoginRefused(NotAllowed):
    """A login that is not let in. `reason` is a short code for the audit log, `message` is for the person."""

    def __init__(self, reason: str, message: str, remedy: str = "log in again") -> None:
        super().__init__(message, remedy)
        self.reason = reason


@dataclass(frozen=True)
class Expected:
    """What we demand of an id_token.

    `leeway` is the accepted clock difference, `max_age` the accepted age of a fresh token, both in seconds.
    """

    issuer: str
    client_id: str
    algorithms: frozenset[str]
    levels: Levels
    username_claim: str = "sub"
    display_name_claim: str = "name"
    email_claim: str = "email"
    groups_claim: str = "groups"
    leeway: float = 30
    max_age: float = 600


@dataclass(frozen=True)
class IdToken:
    """A person, as a valid id_token states them. `auth_time` is in seconds since 1970, None if not stated.

    `level` is the highest of the platform's levels that `acr` and `amr` prove; `sid` is the provider's session.
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


def key_id(token: Any) -> str:
    """The key that the token says it is signed with; nothing of it is trusted yet."""
    kid = _header(token).get("kid")
    if not isinstance(kid, str) or not kid:
        raise _bad("no-key-id", "it names no key")
    return kid


def validate(
    token: Any,
    keys: Mapping[str, Mapping[str, Any]],
    expected: Expected,
    *,
    nonce: str | None,
    access_token: str | None = None,
    demand: Requirement = NOTHING_MORE,
) -> IdToken:
    """The person whom `token` proves; LoginRefused otherwise.

    `keys` are the provider's public JSON Web Keys by key id. `nonce` is the one this browser was sent away with, None
    for a refreshed token (OpenID Connect Core section 12.2); `access_token` is the token that came along, compared with
    `at_hash` where the provider states it. `demand` is what a step-up asks beyond the login's own level.
    """
    algorithm = _algorithm(token, expected)
    claims = _signed_claims(token, _public_key(token, keys, algorithm), algorithm, expected)
    _check_parties(claims, expected)
    _check_freshness(claims, expected, nonce)
    _check_at_hash(claims, algorithm, access_token)
    amr, acr, level = _check_mfa(claims, expected)
    auth_time = _auth_time(claims)
    _check_demand(demand, expected, level, auth_time)
    sid = claims.get("sid")
    return IdToken(
        subject=_text(claims, "sub"),
        username=username(claims, expected),
        display_name=display_name(claims, expected),
        groups=groups(claims, expected),
        amr=amr,
        auth_time=auth_time,
        acr=acr,
        level=level,
        sid=sid if isinstance(sid, str) else "",
        email=email(claims, expected),
    )


def username(claims: Mapping[str, Any], expected: Expected) -> str:
    """The account's key, refused rather than normalised: two spellings must never become one account."""
    name = claims.get(expected.username_claim)
    if not isinstance(name, str) or not USERNAME.fullmatch(name):
        raise LoginRefused(
            "bad-username",
            f"your account name (claim {expected.username_claim!r}) is not one we accept: it must begin with a letter, "
            "hold lower case letters, digits and . _ - only, and have at most 64 characters",
            "ask the platform's operators",
        )
    return name


def display_name(claims: Mapping[str, Any], expected: Expected) -> str:
    """The name to show; the account name where the provider states none. Never used to decide anything."""
    name = claims.get(expected.display_name_claim)
    shown = " ".join(name.split())[:200] if isinstance(name, str) else ""
    return shown if shown and shown.isprintable() else username(claims, expected)


def email(claims: Mapping[str, Any], expected: Expected) -> str:
    """Where to write to; '' where the provider states none, or says that it has not verified it. Never a key."""
    stated = claims.get(expected.email_claim)
    plain = isinstance(stated, str) and _EMAIL.fullmatch(stated) and claims.get("email_verified", True) is True
    return str(stated) if plain else ""


def groups(claims: Mapping[str, Any], expected: Expected) -> frozenset[str]:
    """The groups, stated as a list of texts; none if the claim is absent. A single text is refused, not split."""
    stated = claims.get(expected.groups_claim, [])
    listed = isinstance(stated, list) and len(stated) <= MAX_GROUPS
    if not listed or not all(isinstance(g, str) and 0 < len(g) <= 255 for g in stated):
        raise LoginRefused(
            "bad-groups",
            f"your groups (claim {expected.groups_claim!r}) did not come as a list",
            "ask the platform's operators",
        )
    return frozenset(stated)


def _header(token: Any) -> dict[str, Any]:
    if not isinstance(token, str) or not token:
        raise _bad("no-id-token", "there is none")
    try:
        return jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise _bad("malformed", "it is not a JSON Web Token") from None


def _algorithm(token: Any, expected: Expected) -> str:
    algorithm = _header(token).get("alg")
    unsafe = not isinstance(algorithm, str) or algorithm.lower() == "none" or algorithm.upper().startswith("HS")
    if unsafe or algorithm not in expected.algorithms:
        raise _bad("wrong-algorithm", "it is signed with an algorithm that we do not accept")
    return str(algorithm)


def _public_key(token: Any, keys: Mapping[str, Mapping[str, Any]], algorithm: str) -> Any:
    key = keys.get(key_id(token))
    if key is None:
        raise _bad("unknown-key", "it is signed with a key that the provider does not publish")
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        raise _bad("wrong-key-use", "its key is not meant for this use")
    try:
        return jwt.PyJWK(dict(key), algorithm)
    except jwt.PyJWTError:
        raise _bad("wrong-key-use", "its key does not fit its algorithm") from None


def _signed_claims(token: str, key: Any, algorithm: str, expected: Expected) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=expected.leeway,
            options={"require": ["iss", "aud", "exp", "iat", "sub"], "enforce_minimum_key_length": True},
        )
    except jwt.MissingRequiredClaimError as error:
        raise _bad(f"missing-{error.claim}", f"it lacks the claim {error.claim}") from None
    except jwt.PyJWTError as error:
        for kind, reason, sentence in _PYJWT_REASONS:
            if isinstance(error, kind):
                raise _bad(reason, sentence) from None
        raise _bad("malformed", "it is not a valid JSON Web Token") from None


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    audience = claims["aud"]
    if isinstance(audience, list) and audience != [expected.client_id]:
        raise _bad("several-audiences", "it was made for other applications too")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise _bad("wrong-azp", "it was given to another application")


def _check_freshness(claims: Mapping[str, Any], expected: Expected, nonce: str | None) -> None:
    if not isinstance(claims["iat"], (int, float)) or time.time() - claims["iat"] > expected.max_age + expected.leeway:
        raise _bad("too-old", "it was issued too long ago")
    if nonce is None:
        return
    stated = claims.get("nonce")
    if not isinstance(stated, str) or not stated:
        raise _bad("missing-nonce", "it is not bound to this browser")
    if not nonce or not hmac.compare_digest(stated.encode(), nonce.encode()):
        raise _bad("wrong-nonce", "it is bound to another browser")


def _check_at_hash(claims: Mapping[str, Any], algorithm: str, access_token: str | None) -> None:
    if "at_hash" not in claims:
        return
    digest = get_default_algorithms()[algorithm].compute_hash_digest((access_token or "").encode())
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    stated = claims["at_hash"]
    if not access_token or not isinstance(stated, str) or not hmac.compare_digest(half, stated.encode()):
        raise _bad("wrong-at-hash", "it does not belong to the access token that came with it")


def _check_mfa(claims: Mapping[str, Any], expected: Expected) -> tuple[tuple[str, ...], str, str]:
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


def _check_demand(demand: Requirement, expected: Expected, level: str, auth_time: float | None) -> None:
    if demand.level and not expected.levels.reaches(level, demand.level):
        raise LoginRefused(
            "level-too-low",
            f"this needs a login of level {demand.level}, and the login provider confirmed {level}",
            "log in again with the stronger second factor",
        )
    if demand.max_age is None:
        return
    if auth_time is None:
        raise _bad("auth-time-missing", "it does not say when you entered your factors")
    if not -expected.leeway <= time.time() - auth_time <= demand.max_age + expected.leeway:
        raise _bad("auth-time-stale", "you entered your factors too long ago")


def _auth_time(claims: Mapping[str, Any]) -> float | None:
    stated = claims.get("auth_time")
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, (int, float)):
        raise _bad("bad-auth-time", "its login time is not a number")
    return float(stated)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _bad("bad-subject", "its subject is empty")
    return value


def _bad(reason: str, sentence: str) -> LoginRefused:
    return LoginRefused(reason, f"the login provider's answer was refused: {sentence}")


def _no_mfa(reason: str) -> LoginRefused:
    return LoginRefused(
        reason,
        "MFA not proven: the login provider did not confirm that you used a second factor",
        "log in again with your second factor (authenticator app, security key)",
    )


def algorithms_allowed(names: Iterable[str]) -> frozenset[str]:
    """`names` as an allow-list; ValueError for `none`, for a shared-secret algorithm, or an unknown one."""
    allowed = frozenset(names)
    for name in allowed:
        if name.lower() == "none" or name.upper().startswith("HS") or name not in get_default_algorithms():
            raise ValueError(f"{name!r} does not prove who signed; use for instance PS512, RS256, ES256")
    if not allowed:
        raise ValueError("the list of signing algorithms is empty")
    return allowed
