"""Our own key pair for `private_key_jwt`, and the page where the provider reads its public half."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jupyterhub.handlers.base import BaseHandler
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from ..errors import BadSettings

_RSA = ("PS512", "PS384", "PS256", "RS512", "RS384", "RS256")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_REMEDY = "make one: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072"


@dataclass(frozen=True)
class ClientKey:
    """A private key, what it can sign with (strongest first), and its public JSON Web Key."""

    private: Any
    algorithms: tuple[str, ...]
    public: dict[str, Any]

    @classmethod
    def from_pem(cls, pem: str) -> ClientKey:
        """An RSA key of 2048 bits or more, or a NIST curve; BadSettings otherwise."""
        try:
            private = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadSettings(
                "the secret 'oidc-client-key' is not a private key in PEM without password", _REMEDY
            ) from None
        if isinstance(private, RSAPrivateKey) and private.key_size >= 2048:
            return cls(private, _RSA, _public(RSAAlgorithm.to_jwk(private.public_key()), ("e", "kty", "n")))
        if isinstance(private, EllipticCurvePrivateKey) and private.curve.name in _CURVES:
            jwk = _public(ECAlgorithm.to_jwk(private.public_key()), ("crv", "kty", "x", "y"))
            return cls(private, (_CURVES[private.curve.name],), jwk)
        raise BadSettings("the secret 'oidc-client-key' is neither RSA of 2048 bits or more nor P-256/384/521", _REMEDY)

    @property
    def kid(self) -> str:
        """The key's own fingerprint (RFC 7638)."""
        return str(self.public["kid"])


class ClientKeysHandler(BaseHandler):  # type: ignore[misc]
    """The `jwks_uri` of this client: public keys only, for everybody."""

    def get(self) -> None:
        """200 with the key set; it is empty where no key is used."""
        key = self.authenticator.client_auth.key
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"keys": [key.public] if key else []}))


def _public(jwk: str | dict[str, Any], members: tuple[str, ...]) -> dict[str, Any]:
    stated = json.loads(jwk) if isinstance(jwk, str) else jwk
    plain = {name: stated[name] for name in members}
    digest = hashlib.sha256(json.dumps(plain, separators=(",", ":"), sort_keys=True).encode()).digest()
    return {**plain, "use": "sig", "kid": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}
