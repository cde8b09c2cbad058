"""Keys, claims and signed tokens of a provider that exists only here."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from bdap_hub.identity.assurance import Level, Levels
from bdap_hub.identity.id_token import Expected

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


def at_hash(token: str, algorithm: str = "RS256") -> str:
    digest = jwt.get_algorithm_by_name(algorithm).compute_hash_digest(token.encode())
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def signed_unchecked(body: Mapping[str, Any]) -> str:
    """As `signed`, for claims that PyJWT would not write."""
    header = {"alg": "RS256", "kid": "rsa"}
    signing_input = raw(header, body).rsplit(".", 1)[0].encode()
    algorithm = jwt.get_algorithm_by_name("RS256")
    return raw(header, body, algorithm.sign(signing_input, RSA_KEY))
