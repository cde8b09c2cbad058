"""The check of an id_token: each flaw alone is refused with a reason of its own; without the flaw it is let in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from bdap_hub.identity.assurance import Level, Levels
from bdap_hub.identity.id_token import Expected, IdToken, LoginRefused, key_id, validate

ISSUER, CLIENT, NONCE, ACCESS_TOKEN = "https://login.example", "bdap-hub", "n-of-this-browser", "opaque-access-token"
MFA = Levels((Level("mfa", frozenset({"urn:mfa"}), (frozenset({"mfa"}),), two_kinds=True),))
EXPECTED = Expected(ISSUER, CLIENT, frozenset({"PS512", "RS256", "ES256"}), MFA)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


KEYS = {
    "rsa": public(RSA_KEY, "rsa"),
    "ec": public(EC_KEY, "ec", alg="ES256", use="sig"),
    "only-ps512": public(RSA_KEY, "only-ps512", alg="PS512"),
    "for-encryption": public(RSA_KEY, "for-encryption", use="enc"),
}


def claims(**changes: Any) -> dict[str, Any]:
    """Right claims with changes; a value of None removes the claim."""
    now = int(time.time())
    right = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "ana",
        "name": "Ana Analyst",
        "groups": ["project-agriculture"],
        "iat": now,
        "exp": now + 300,
        "nonce": NONCE,
        "amr": ["pwd", "otp", "mfa"],
    }
    return {k: v for k, v in {**right, **changes}.items() if v is not None}


def signed(body: Mapping[str, Any], key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa") -> str:
    return jwt.encode(dict(body), key, algorithm, headers={"kid": kid} if kid else {})


def raw(header: Mapping[str, Any], body: Mapping[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(dict(part)).encode() for part in (header, body)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def hs256_with_the_public_key() -> str:
    """The classical confusion: the public key, which everybody has, taken as a shared secret."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header, body = {"alg": "HS256", "kid": "rsa"}, claims()
    signing_input = raw(header, body).rsplit(".", 1)[0].encode()
    return raw(header, body, hmac.new(pem, signing_input, hashlib.sha256).digest())


def at_hash(token: str, algorithm: str = "RS256") -> str:
    digest = jwt.get_algorithm_by_name(algorithm).compute_hash_digest(token.encode())
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def check(token: Any, expected: Expected = EXPECTED, access_token: str | None = ACCESS_TOKEN) -> IdToken:
    return validate(token, KEYS, expected, nonce=NONCE, access_token=access_token)


@dataclass
class Case:
    name: str
    token: Callable[[], Any]
    reason: str


NOW = time.time
REFUSED = (
    Case("none at all", lambda: None, "no-id-token"),
    Case("empty", lambda: "", "no-id-token"),
    Case("not a token", lambda: "a.b", "malformed"),
    Case("alg none", lambda: raw({"alg": "none", "kid": "rsa"}, claims()), "not-signed"),
    Case("alg None", lambda: raw({"alg": "None", "kid": "rsa"}, claims()), "not-signed"),
    Case("no alg", lambda: raw({"kid": "rsa"}, claims()), "not-signed"),
    Case("HS256 with the public key", hs256_with_the_public_key, "shared-secret"),
    Case("algorithm not in the list", lambda: signed(claims(), algorithm="RS512"), "wrong-algorithm"),
    Case("algorithm below the key's", lambda: signed(claims(), kid="only-ps512"), "wrong-key-use"),
    Case("key of another kind", lambda: signed(claims(), EC_KEY, "ES256", "rsa"), "wrong-key-use"),
    Case("key for encryption", lambda: signed(claims(), kid="for-encryption"), "wrong-key-use"),
    Case("unknown key", lambda: signed(claims(), STRANGER, kid="stranger"), "unknown-key"),
    Case("no key id", lambda: signed(claims(), kid=None), "no-key-id"),
    Case(
        "key in the token itself",
        lambda: jwt.encode(claims(), STRANGER, "RS256", headers={"kid": "rsa", "jwk": public(STRANGER, "rsa")}),
        "key-in-token",
    ),
    Case("bad signature", lambda: signed(claims(), STRANGER), "bad-signature"),
    Case("signature cut off", lambda: signed(claims()).rsplit(".", 1)[0] + ".", "bad-signature"),
    Case("claims exchanged", lambda: _with_other_claims(signed(claims())), "bad-signature"),
    Case("wrong iss", lambda: signed(claims(iss="https://evil.example")), "wrong-issuer"),
    Case("iss with a slash more", lambda: signed(claims(iss=ISSUER + "/")), "wrong-issuer"),
    Case("no iss", lambda: signed(claims(iss=None)), "missing-iss"),
    Case("wrong aud", lambda: signed(claims(aud="other")), "wrong-audience"),
    Case("no aud", lambda: signed(claims(aud=None)), "missing-aud"),
    Case("several aud", lambda: signed(claims(aud=[CLIENT, "other"])), "several-audiences"),
    Case("wrong azp", lambda: signed(claims(azp="other")), "wrong-azp"),
    Case("expired", lambda: signed(claims(exp=int(NOW()) - 60)), "expired"),
    Case("no exp", lambda: signed(claims(exp=None)), "missing-exp"),
    Case("iat in the future", lambda: signed(claims(iat=int(NOW()) + 300)), "not-yet-valid"),
    Case("iat long ago", lambda: signed(claims(iat=int(NOW()) - 7200)), "too-old"),
    Case("no iat", lambda: signed(claims(iat=None)), "missing-iat"),
    Case("wrong nonce", lambda: signed(claims(nonce="other")), "wrong-nonce"),
    Case("no nonce", lambda: signed(claims(nonce=None)), "missing-nonce"),
    Case("nonce as a list", lambda: signed(claims(nonce=[NONCE])), "missing-nonce"),
    Case("at_hash of another token", lambda: signed(claims(at_hash=at_hash("other"))), "wrong-at-hash"),
    Case("no sub", lambda: signed(claims(sub=None)), "missing-sub"),
    Case("empty sub", lambda: signed(claims(sub="")), "bad-subject"),
    Case("sub as a number", lambda: signed_unchecked(claims(sub=7)), "bad-subject"),
    Case("no amr", lambda: signed(claims(amr=None)), "mfa-not-stated"),
    Case("amr as a text", lambda: signed(claims(amr="mfa")), "amr-not-a-list"),
    Case("amr of numbers", lambda: signed(claims(amr=[1])), "amr-not-a-list"),
    Case("password alone", lambda: signed(claims(amr=["pwd"])), "mfa-not-proven"),
    Case("two factors of one kind", lambda: signed(claims(amr=["pwd", "kba"])), "mfa-not-proven"),
    Case("amr empty", lambda: signed(claims(amr=[])), "mfa-not-proven"),
    Case("auth_time as a text", lambda: signed(claims(auth_time="now")), "bad-auth-time"),
    Case("groups as a text", lambda: signed(claims(groups="bdap-admins")), "bad-groups"),
    Case("groups with a number", lambda: signed(claims(groups=["a", 1])), "bad-groups"),
    Case("capitals", lambda: signed(claims(sub="Ana")), "bad-username"),
    Case("a number", lambda: signed(claims(sub="20001")), "bad-username"),
    Case("begins with a dot", lambda: signed(claims(sub=".ana")), "bad-username"),
    Case("path", lambda: signed(claims(sub="../ana")), "bad-username"),
    Case("new line", lambda: signed(claims(sub="ana\n")), "bad-username"),
    Case("letter that looks alike", lambda: signed(claims(sub="аna")), "bad-username"),
    Case("very long", lambda: signed(claims(sub="a" * 65)), "bad-username"),
)


def signed_unchecked(body: Mapping[str, Any]) -> str:
    """As `signed`, for claims that PyJWT would not write."""
    header = {"alg": "RS256", "kid": "rsa"}
    signing_input = raw(header, body).rsplit(".", 1)[0].encode()
    algorithm = jwt.get_algorithm_by_name("RS256")
    return raw(header, body, algorithm.sign(signing_input, RSA_KEY))


def _with_other_claims(token: str) -> str:
    header, _, signature = token.split(".")
    other = raw({}, claims(sub="olga")).split(".")[1]
    return f"{header}.{other}.{signature}"


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    with pytest.raises(LoginRefused) as refused:
        check(case.token())
    assert refused.value.reason == case.reason
    assert refused.value.status == 403 and len(refused.value.message) > 20


@pytest.mark.parametrize(
    "token",
    [
        lambda: signed(claims()),
        lambda: signed(claims(), algorithm="PS512"),
        lambda: signed(claims(), algorithm="PS512", kid="only-ps512"),
        lambda: signed(claims(), EC_KEY, "ES256", "ec"),
        lambda: signed(claims(aud=[CLIENT])),
        lambda: signed(claims(azp=CLIENT, auth_time=int(time.time()))),
        lambda: signed(claims(at_hash=at_hash(ACCESS_TOKEN))),
        lambda: signed(claims(at_hash=at_hash(ACCESS_TOKEN, "PS512")), algorithm="PS512"),
        lambda: signed(claims(exp=int(time.time()) - 5)),  # within the accepted clock difference
    ],
)
def test_let_in(token: Callable[[], str]) -> None:
    proven = check(token())
    assert (proven.subject, proven.username, proven.display_name) == ("ana", "ana", "Ana Analyst")
    assert proven.groups == {"project-agriculture"} and "mfa" in proven.amr


def test_at_hash_needs_its_access_token() -> None:
    with pytest.raises(LoginRefused, match="access token"):
        check(signed(claims(at_hash=at_hash(ACCESS_TOKEN))), access_token=None)


def test_every_required_method_has_to_be_there() -> None:
    strict = Expected(ISSUER, CLIENT, EXPECTED.algorithms, Levels((Level("k", amr=(frozenset({"mfa", "hwk"}),)),)))
    with pytest.raises(LoginRefused) as refused:
        check(signed(claims()), strict)
    assert refused.value.reason == "mfa-not-proven"
    assert check(signed(claims(amr=["hwk", "pin", "mfa"])), strict).username == "ana"


def test_an_empty_policy_lets_nobody_in() -> None:
    with pytest.raises(LoginRefused):
        check(signed(claims()), Expected(ISSUER, CLIENT, EXPECTED.algorithms, Levels(())))


def test_absent_groups_and_name() -> None:
    proven = check(signed(claims(groups=None, name=None)))
    assert proven.groups == frozenset() and proven.display_name == "ana"


def test_key_id() -> None:
    assert key_id(signed(claims())) == "rsa"
