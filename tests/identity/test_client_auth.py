"""How we prove who we are: what is sent for each method, to a provider that offers it, and what stops the start."""

from __future__ import annotations

import json
import subprocess
import time
from base64 import b64encode
from typing import Any
from urllib.parse import unquote

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bdap_hub.errors import BadSettings, Unavailable
from bdap_hub.identity.client_auth import ClientAuth
from bdap_hub.identity.client_key import ClientKey
from bdap_hub.identity.discovery import read_metadata
from bdap_hub.settings import Settings

ISSUER = "https://login.example"
SECRET = "s" * 40


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA_KEY = ClientKey.from_pem(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
EC_KEY = ClientKey.from_pem(pem(ec.generate_private_key(ec.SECP384R1())))


def provider(*methods: str, algorithms: list[str] | None = None) -> Any:
    return read_metadata(
        {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "token_endpoint_auth_methods_supported": list(methods) or None,
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
        },
        ISSUER,
    )


@pytest.mark.parametrize(
    ("configured", "offered", "used"),
    [
        ("auto", (), "client_secret_basic"),  # the standard's default
        ("auto", ("client_secret_post", "client_secret_basic"), "client_secret_basic"),
        ("auto", ("client_secret_post",), "client_secret_post"),
        ("auto", ("client_secret_jwt", "private_key_jwt"), "client_secret_jwt"),
        ("client_secret_post", ("client_secret_basic", "client_secret_post"), "client_secret_post"),
        ("private_key_jwt", ("private_key_jwt",), "private_key_jwt"),
    ],
)
def test_method(configured: str, offered: tuple[str, ...], used: str) -> None:
    assert ClientAuth(configured, "hub", SECRET).method_for(provider(*offered)) == used


@pytest.mark.parametrize(
    ("configured", "offered"),
    [("auto", ("private_key_jwt",)), ("client_secret_jwt", ("client_secret_basic",)), ("client_secret_jwt", ())],
)
def test_a_method_that_is_not_offered_is_refused(configured: str, offered: tuple[str, ...]) -> None:
    with pytest.raises(Unavailable, match="does not offer the client authentication") as refused:
        ClientAuth(configured, "hub", SECRET).apply(provider(*offered))
    assert SECRET not in refused.value.message


def test_secret_in_the_header_is_form_encoded_first() -> None:
    fields, options = ClientAuth("client_secret_basic", "hub:1", "a/b%é").apply(provider("client_secret_basic"))
    assert fields == {}
    header = b64encode(f"{options['auth_username']}:{options['auth_password']}".encode())
    assert b":" not in header
    assert (unquote(options["auth_username"]), unquote(options["auth_password"])) == ("hub:1", "a/b%é")
    assert ":" not in options["auth_username"] and "/" not in options["auth_password"]


def test_secret_in_the_form() -> None:
    assert ClientAuth("client_secret_post", "hub", SECRET).apply(provider("client_secret_post")) == (
        {"client_id": "hub", "client_secret": SECRET},
        {},
    )


@pytest.mark.parametrize(
    ("secret", "offered", "registered", "used"),
    [
        ("s" * 32, None, "", "HS256"),
        ("s" * 64, None, "", "HS256"),  # unstated: what everybody knows
        ("s" * 64, ["HS256", "HS512", "RS256"], "", "HS512"),
        ("s" * 40, ["HS256", "HS512"], "", "HS256"),  # too short for HS512
        ("s" * 64, ["HS256", "HS512"], "HS256", "HS256"),
        ("s" * 64, None, "HS384", "HS384"),
    ],
)
def test_assertion_by_secret(secret: str, offered: list[str] | None, registered: str, used: str) -> None:
    made = ClientAuth("client_secret_jwt", "hub", secret, algorithm=registered)
    metadata = provider("client_secret_jwt", algorithms=offered)
    fields, options = made.apply(metadata)
    assert options == {} and secret not in json.dumps(fields)
    assert fields["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert jwt.get_unverified_header(fields["client_assertion"])["alg"] == used
    claims = jwt.decode(fields["client_assertion"], secret, [used], audience=ISSUER, issuer="hub", subject="hub")
    assert 0 < claims["exp"] - time.time() <= 60 and claims["iat"] <= time.time()
    again = jwt.decode(made.apply(metadata)[0]["client_assertion"], secret, [used], audience=ISSUER)
    assert again["jti"] != claims["jti"] and len(claims["jti"]) >= 32


def test_audience_as_the_provider_wants_it() -> None:
    made = ClientAuth("client_secret_jwt", "hub", SECRET, audience="token_endpoint")
    assertion = made.apply(provider("client_secret_jwt"))[0]["client_assertion"]
    assert jwt.decode(assertion, SECRET, ["HS256"], audience=f"{ISSUER}/token")["aud"] == f"{ISSUER}/token"


@pytest.mark.parametrize(
    ("key", "offered", "used"),
    [
        (RSA_KEY, None, "RS256"),
        (RSA_KEY, ["RS256", "PS256", "ES256"], "PS256"),
        (RSA_KEY, ["PS512", "RS256"], "PS512"),
        (EC_KEY, ["RS256", "ES256", "ES384"], "ES384"),
        (EC_KEY, None, "ES384"),
    ],
)
def test_assertion_by_key(key: ClientKey, offered: list[str] | None, used: str) -> None:
    made = ClientAuth("private_key_jwt", "hub", key=key)
    assertion = made.apply(provider("private_key_jwt", algorithms=offered))[0]["client_assertion"]
    header = jwt.get_unverified_header(assertion)
    assert (header["alg"], header["kid"]) == (used, key.kid)
    claims = jwt.decode(assertion, jwt.PyJWK(key.public, used), [used], audience=ISSUER)  # what the provider does
    assert claims["sub"] == claims["iss"] == "hub"


@pytest.mark.parametrize(("key", "offered"), [(EC_KEY, ["RS256", "ES256"]), (RSA_KEY, ["ES256"])])
def test_no_algorithm_in_common(key: ClientKey, offered: list[str]) -> None:
    with pytest.raises(Unavailable, match="takes assertions signed with"):
        ClientAuth("private_key_jwt", "hub", key=key).apply(provider("private_key_jwt", algorithms=offered))


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY])
def test_what_is_published_is_public(key: ClientKey) -> None:
    assert set(key.public) in ({"kty", "n", "e", "use", "kid"}, {"kty", "crv", "x", "y", "use", "kid"})


def test_the_fingerprint_is_the_standards() -> None:
    """RFC 7638, section 3.1: its own example."""
    from bdap_hub.identity.client_key import _public

    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
        "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
        "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEg"
        "U8awapJzKnqDKgw"
    )
    assert _public({"kty": "RSA", "n": n, "e": "AQAB"}, ("e", "kty", "n"))["kid"] == (
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


def with_identity(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"identity": settings.identity.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("changes", "secrets", "sentence"),
    [
        ({}, {"oidc-client-secret": None}, "'oidc-client-secret' is missing"),
        ({"client_authentication": "private_key_jwt"}, {}, "'oidc-client-key' is missing"),
        ({"client_authentication": "private_key_jwt"}, {"oidc-client-key": "no key"}, "not a private key in PEM"),
        (
            {"client_authentication": "private_key_jwt"},
            {"oidc-client-key": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))},
            "neither RSA of 2048 bits",
        ),
        ({"client_authentication": "client_secret_jwt"}, {"oidc-client-secret": "short"}, "too short"),
        (
            {"client_authentication": "client_secret_jwt", "assertion_algorithm": "HS512"},
            {"oidc-client-secret": "s" * 40},
            "'HS512', which our secret or key cannot do",
        ),
    ],
)
def test_bad_secrets_stop_the_start(
    settings: Settings, changes: dict[str, Any], secrets: dict[str, str | None], sentence: str
) -> None:
    for name, value in secrets.items():
        path = settings.var / "secrets" / name
        path.write_text(value) if value is not None else path.unlink()
    with pytest.raises(BadSettings, match=sentence) as refused:
        ClientAuth.from_settings(with_identity(settings, **changes))
    assert refused.value.remedy


def test_a_key_made_as_the_guide_says_is_good(settings: Settings) -> None:
    path = settings.var / "secrets/oidc-client-key"
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    made = ClientAuth.from_settings(with_identity(settings, client_authentication="private_key_jwt"))
    assert made.key is not None and made.apply(provider("private_key_jwt"))[0]["client_assertion"]
