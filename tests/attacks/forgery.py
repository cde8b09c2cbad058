"""How JSON Web Tokens are made, rightly and wrongly, without a library that would refuse to write bad ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def challenge(verifier: str) -> str:
    """PKCE's S256."""
    return b64(hashlib.sha256(verifier.encode()).digest())


def at_hash(token: str, algorithm: str = "RS256") -> str:
    """OpenID Connect Core 3.1.3.6."""
    digest = jwt.get_algorithm_by_name(algorithm).compute_hash_digest(token.encode())
    return b64(digest[: len(digest) // 2])


def public(key: Any, kid: str, **more: str) -> dict[str, Any]:
    """The public half of `key` as a JSON Web Key."""
    algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


def pem(key: Any) -> bytes:
    """The public half of `key`, which everybody has, as a text."""
    return bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def unsigned(claims: Any, header: dict[str, Any], signature: bytes = b"") -> str:
    """Header, claims and any signature."""
    parts = [b64(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join((*parts, b64(signature)))


def sign(claims: Any, header: dict[str, Any], key: Any) -> str:
    """Signed with `key` by the algorithm that `header` names."""
    text = unsigned(claims, header).rsplit(".", 1)[0].encode()
    return unsigned(claims, header, jwt.get_algorithm_by_name(header["alg"]).sign(text, key))


def rs256(claims: Any, key: Any, header: dict[str, Any]) -> str:
    """Signed with RS256."""
    return sign(claims, {"alg": "RS256", "typ": "JWT", **header}, key)


def hs256(claims: Any, secret: bytes, header: dict[str, Any]) -> str:
    """Signed with a shared secret: the classical confusion where that is the public key."""
    header = {"alg": "HS256", "typ": "JWT", **header}
    text = unsigned(claims, header).rsplit(".", 1)[0].encode()
    return unsigned(claims, header, hmac.new(secret, text, hashlib.sha256).digest())
