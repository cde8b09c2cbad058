"""How we prove to the provider that we are its client: OpenID Connect Core section 9, RFC 6749 2.3.1, RFC 7523.

A secret goes to the token endpoint as it is (`client_secret_basic`, `client_secret_post`), or signs a short-lived
assertion and never leaves us (`client_secret_jwt`). With `private_key_jwt` the provider has our public key only.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jwt

from ..errors import BadSettings, Unavailable
from ..settings import Settings
from .client_key import ClientKey
from .discovery import Metadata

ASSERTION_SECONDS = 60
_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_BY_SECRET = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
# Algorithm and the least octets of its secret (RFC 7518 section 3.2), strongest first.
_HMAC = {"HS512": 64, "HS384": 48, "HS256": 32}


@dataclass(frozen=True)
class ClientAuth:
    """The method and what it needs: `secret`, or `key` for private_key_jwt.

    `audience` says whom an assertion names: `issuer` or `token_endpoint`. `algorithm` is the one that was registered
    for it; '' takes the strongest that both sides know.
    """

    method: str
    client_id: str
    secret: str = ""
    key: ClientKey | None = None
    audience: str = "issuer"
    algorithm: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> ClientAuth:
        """By the section `identity`; BadSettings where the secret or the key is missing or too weak."""
        identity = settings.identity
        method = identity.client_authentication
        common = {"audience": identity.assertion_audience, "algorithm": identity.assertion_algorithm}
        if method == "private_key_jwt":
            made = cls(method, identity.client_id, key=ClientKey.from_pem(settings.secret("oidc-client-key")), **common)
        else:
            made = cls(method, identity.client_id, settings.secret("oidc-client-secret"), **common)
        if method in ("client_secret_jwt", "private_key_jwt"):
            made._check()
        return made

    def _check(self) -> None:
        """Before the first login: some algorithm fits, and the registered one does."""
        able = self._algorithms()
        if not able:
            raise BadSettings(
                "the secret 'oidc-client-secret' is too short for client_secret_jwt",
                "ask the provider's operators for one of 32 octets or more",
            )
        if self.algorithm and self.algorithm not in able:
            raise BadSettings(
                f"identity.assertion_algorithm is {self.algorithm!r}, which our secret or key cannot do",
                f"leave it empty or use {', '.join(able)}",
            )

    def method_for(self, metadata: Metadata) -> str:
        """The method to use at this provider; Unavailable where it does not offer ours."""
        wanted = _BY_SECRET if self.method == "auto" else (self.method,)
        for method in wanted:
            if method in metadata.auth_methods:
                return method
        raise Unavailable(
            f"the login provider {metadata.issuer} does not offer the client authentication {' or '.join(wanted)} "
            f"(identity.client_authentication), but {', '.join(sorted(metadata.auth_methods))}",
            "tell the platform's operators",
        )

    def apply(self, metadata: Metadata) -> tuple[dict[str, str], dict[str, Any]]:
        """(form fields, options of the HTTP request) that authenticate one call of the token endpoint."""
        method = self.method_for(metadata)
        if method == "client_secret_basic":  # both parts are form-encoded first
            name, secret = quote(self.client_id, safe=""), quote(self.secret, safe="")
            return {}, {"auth_username": name, "auth_password": secret}
        fields = {"client_id": self.client_id}
        if method == "client_secret_post":
            return {**fields, "client_secret": self.secret}, {}
        return {**fields, "client_assertion_type": _TYPE, "client_assertion": self._assertion(metadata)}, {}

    def _assertion(self, metadata: Metadata) -> str:
        """RFC 7523 section 3: good once, for a minute, at this provider."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": metadata.token_endpoint if self.audience == "token_endpoint" else metadata.issuer,
            "jti": secrets.token_urlsafe(24),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        algorithm = self._algorithm(metadata)
        if self.key is not None:
            return jwt.encode(claims, self.key.private, algorithm, headers={"kid": self.key.kid})
        return jwt.encode(claims, self.secret, algorithm)

    def _algorithm(self, metadata: Metadata) -> str:
        able = (self.algorithm,) if self.algorithm else self._algorithms()
        if not metadata.auth_algorithms:
            return able[0] if self.algorithm else able[-1]  # unstated: the one that everybody knows, RS256 or HS256
        for algorithm in able:
            if algorithm in metadata.auth_algorithms:
                return algorithm
        raise Unavailable(
            f"the login provider {metadata.issuer} takes assertions signed with "
            f"{', '.join(sorted(metadata.auth_algorithms))}, and we can sign with {', '.join(able)}",
            "tell the platform's operators",
        )

    def _algorithms(self) -> tuple[str, ...]:
        if self.key is not None:
            return self.key.algorithms
        return tuple(name for name, least in _HMAC.items() if len(self.secret.encode()) >= least)
