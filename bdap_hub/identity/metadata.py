"""The discovery document and the key set, read and checked: OpenID Connect Discovery 1.0. PURE: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import Unavailable

_REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL = ("userinfo_endpoint", "end_session_endpoint", "introspection_endpoint")
# What a public key consists of (RFC 7517, 7518). Nothing else of a key is looked at or kept.
_KEY_MEMBERS = ("kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y")
MAX_KEYS = 100


@dataclass(frozen=True)
class Metadata:
    """What we use of the discovery document (section 3). A list that the provider does not state is empty.

    `states_issuer`: its answers name it (RFC 9207). `auth_methods`, `auth_algorithms` are those of
    clients at the token endpoint.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    introspection_endpoint: str = ""
    auth_methods: frozenset[str] = frozenset({"client_secret_basic"})
    auth_algorithms: frozenset[str] = frozenset()
    acr_values: frozenset[str] = frozenset()
    states_issuer: bool = False


def read_metadata(document: Any, issuer: str, algorithms: Collection[str] = ()) -> Metadata:
    """The checked discovery document; Unavailable where it is another issuer's, lacks an address, or offers too little.

    `algorithms` are the signatures that we accept; none: any.
    """
    if not isinstance(document, Mapping):
        raise unusable(issuer, "its discovery document is not a JSON object")
    if document.get("issuer") != issuer:
        raise unusable(issuer, f"its discovery document names the issuer {document.get('issuer')!r}")
    addresses = {name: document.get(name) or "" for name in (*_REQUIRED, *_OPTIONAL)}
    for name, address in addresses.items():
        if address or name in _REQUIRED:
            _check_address(issuer, name, address)
    _check_offers(document, issuer, algorithms)
    # Without the list, the standard's default is client_secret_basic.
    methods = _texts(document, "token_endpoint_auth_methods_supported") or {"client_secret_basic"}
    return Metadata(
        issuer=issuer,
        auth_methods=frozenset(methods),
        auth_algorithms=_texts(document, "token_endpoint_auth_signing_alg_values_supported"),
        acr_values=_texts(document, "acr_values_supported"),
        states_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        **addresses,
    )


def public_keys(document: Any) -> dict[str, dict[str, Any]]:
    """The keys for signatures in a JWK set, by id; one without an id is called by its place. Never a secret one."""
    found = document.get("keys") if isinstance(document, Mapping) else None
    keys: dict[str, dict[str, Any]] = {}
    for place, stated in enumerate(found[:MAX_KEYS] if isinstance(found, list) else []):
        if not isinstance(stated, Mapping) or stated.get("kty") not in ("RSA", "EC") or stated.get("use") == "enc":
            continue
        kid = stated.get("kid")
        keys[kid if isinstance(kid, str) and kid else f"#{place}"] = {
            name: stated[name] for name in _KEY_MEMBERS if name in stated
        }
    return keys


def unusable(issuer: str, why: str) -> Unavailable:
    """The provider answers, but not as we need it."""
    return Unavailable(f"the login provider {issuer} cannot be used: {why}", "tell the platform's operators")


def _check_address(issuer: str, name: str, address: Any) -> None:
    parts = urlsplit(address) if isinstance(address, str) else urlsplit("")
    allowed = {"https"} if issuer.startswith("https:") else {"http", "https"}
    if parts.scheme not in allowed or not parts.netloc or parts.username is not None:
        raise unusable(issuer, f"its {name} is {address!r}, not an {' or '.join(sorted(allowed))} address")


def _check_offers(document: Mapping[str, Any], issuer: str, algorithms: Collection[str]) -> None:
    challenges = _texts(document, "code_challenge_methods_supported")
    if challenges and "S256" not in challenges:
        raise unusable(issuer, f"it offers PKCE with {', '.join(sorted(challenges))}, and we need S256")
    signs = _texts(document, "id_token_signing_alg_values_supported")
    if signs and algorithms and not signs & set(algorithms):
        raise unusable(
            issuer,
            f"it signs id_tokens with {', '.join(sorted(signs))}, "
            f"and identity.algorithms accepts {', '.join(sorted(algorithms))}",
        )


def _texts(document: Mapping[str, Any], name: str) -> frozenset[str]:
    stated = document.get(name)
    return frozenset(text for text in stated if isinstance(text, str)) if isinstance(stated, list) else frozenset()
