"""Signed tokens of the provider: their header, key, signature, issuer, audience and dates. PURE: no I/O.

What an id_token and a logout token have in common; signatures are PyJWT's work, never ours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import InvalidSubjectError
from jwt.utils import base64url_decode

from ..errors import NotAllowed
from .assurance import Levels

Keys = Mapping[str, Mapping[str, Any]]
"""Public JSON Web Keys by key id; '' for one that the provider publishes without."""

_REQUIRED = ("iss", "aud", "exp", "iat", "sub")
_PLAIN = frozenset({"", "jwt"})
_OWN_KEY = frozenset({"jwk", "jku", "x5u"})
_PYJWT_REASONS: tuple[tuple[type[Exception], str, str], ...] = (
    (jwt.InvalidSignatureError, "bad-signature", "its signature is not valid"),
    (jwt.ExpiredSignatureError, "expired", "it has expired"),
    (jwt.InvalidIssuerError, "wrong-issuer", "it comes from another issuer"),
    (jwt.InvalidAudienceError, "wrong-audience", "it was made for another application"),
    (jwt.ImmatureSignatureError, "not-yet-valid", "it is dated in the future"),
    (jwt.InvalidIssuedAtError, "bad-iat", "its issue time is not a number"),
    (InvalidSubjectError, "bad-subject", "its subject is not a text"),
    (jwt.InvalidAlgorithmError, "wrong-algorithm", "it is signed with an algorithm that we do not accept"),
    (jwt.InvalidKeyError, "weak-key", "its key is too short"),
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


def bad(reason: str, sentence: str) -> LoginRefused:
    """A refusal of a token that is not what it should be."""
    return LoginRefused(reason, f"the login provider's answer was refused: {sentence}")


def key_id(token: Any) -> str:
    """The key that the token says it is signed with, '' where it names none; nothing of it is trusted yet."""
    kid = _header(token).get("kid", "")
    if not isinstance(kid, str):
        raise bad("no-key-id", "it names its key by something other than a text")
    return kid


def verified_claims(
    token: Any,
    keys: Keys,
    expected: Expected,
    *,
    required: Collection[str] = _REQUIRED,
    types: Collection[str] = _PLAIN,
) -> tuple[dict[str, Any], str]:
    """(claims, algorithm) of a token that the provider signed for us, just now; LoginRefused otherwise.

    Checked: header (`alg`, `typ` in lower case among `types`, no `crit`), signature with one of `keys` (never with a
    key, or from an address, that the token itself brings), `iss`, `aud` (us alone), `azp`, `exp`, `iat`; and that the
    claims `required` are there.
    """
    header = _header(token)
    _check_header(header, types)
    algorithm = _algorithm(header, expected)
    claims = _decode(token, _public_key(key_id(token), keys, algorithm), algorithm, expected, required)
    _check_parties(claims, expected)
    _check_age(claims, expected)
    return claims, algorithm


def _header(token: Any) -> dict[str, Any]:
    if not isinstance(token, str) or not token:
        raise bad("no-id-token", "there is none")
    if token.count(".") != 2:
        raise bad("malformed", "it is not a signed JSON Web Token")
    try:
        header = json.loads(base64url_decode(token.partition(".")[0]))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise bad("malformed", "it is not a JSON Web Token")
    return header


def _check_header(header: Mapping[str, Any], types: Collection[str]) -> None:
    if "crit" in header:
        raise bad("critical-header", "it depends on an extension that we do not know")
    if not header.keys().isdisjoint(_OWN_KEY):
        raise bad("key-in-token", "it brings the key to check it with")
    stated = header.get("typ", "")
    if not isinstance(stated, str) or stated.lower().removeprefix("application/") not in types:
        raise bad("wrong-type", "it is a token of another kind")


def _algorithm(header: Mapping[str, Any], expected: Expected) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        raise bad("not-signed", "it is not signed")
    if algorithm.upper().startswith("HS"):
        raise bad("shared-secret", "it is signed with a secret, which does not prove who signed")
    if algorithm not in expected.algorithms:
        raise bad("wrong-algorithm", "it is signed with an algorithm that we do not accept")
    return algorithm


def _public_key(kid: str, keys: Keys, algorithm: str) -> Any:
    """The key of that id. Without an id, the provider's only key: of several, the token has to name one (Core 10.1)."""
    if not kid and len(keys) != 1:
        raise bad("no-key-id", "it does not say which of the provider's keys signed it")
    key = keys.get(kid) if kid else next(iter(keys.values()))
    if key is None:
        raise bad("unknown-key", "it is signed with a key that the provider does not publish")
    for_signatures = key.get("use", "sig") == "sig" and "verify" in key.get("key_ops", ["verify"])
    if not for_signatures or key.get("alg", algorithm) != algorithm:
        raise bad("wrong-key-use", "its key is not meant for this use")
    try:
        return jwt.PyJWK(dict(key), algorithm)
    except jwt.PyJWTError:
        raise bad("wrong-key-use", "its key does not fit its algorithm") from None


def _decode(token: str, key: Any, algorithm: str, expected: Expected, required: Collection[str]) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=expected.leeway,
            options={"require": list(required), "enforce_minimum_key_length": True},
        )
    except jwt.MissingRequiredClaimError as error:
        raise bad(f"missing-{error.claim}", f"it lacks the claim {error.claim}") from None
    except jwt.PyJWTError as error:
        for kind, reason, sentence in _PYJWT_REASONS:
            if isinstance(error, kind):
                raise bad(reason, sentence) from None
        raise bad("malformed", "it is not a valid JSON Web Token") from None


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    audience = claims["aud"]
    if isinstance(audience, list) and audience != [expected.client_id]:
        raise bad("several-audiences", "it was made for other applications too")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise bad("wrong-azp", "it was given to another application")


def _check_age(claims: Mapping[str, Any], expected: Expected) -> None:
    issued = claims["iat"]
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise bad("bad-iat", "its issue time is not a number")
    if time.time() - issued > expected.max_age + expected.leeway:
        raise bad("too-old", "it was issued too long ago")
