"""Our client authentication at a provider that was not written by us: oidc-provider, configured as EU Login is.

Whoever asks with a refresh token that never was, hears `invalid_grant` once they are known, else `invalid_client`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bdap_hub.identity.client_auth import ClientAuth
from bdap_hub.identity.client_key import ClientKey
from bdap_hub.identity.discovery import read_metadata
from bdap_hub.settings import Settings
from tests.conftest import free_port, make_settings

from .drivers import EULoginLike
from .test_client_auth import pem


def new_key() -> str:
    """A private key in PEM."""
    return pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@pytest.fixture(scope="module", params=["client_secret_jwt", "private_key_jwt"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Of a client that is registered for one method, at the running provider."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    issuer = f"http://localhost:{free_port()}/cas/oauth2"
    identity = {"preset": "eulogin", "issuer": issuer, "client_authentication": request.param}
    made = make_settings(folder / "var", identity=identity)
    jwks = None
    if request.param == "private_key_jwt":
        (made.var / "secrets/oidc-client-key").write_text(new_key())
        jwks = {"keys": [ClientKey.from_pem(made.secret("oidc-client-key")).public]}
    provider = EULoginLike(made, folder, jwks)
    provider.process.start()
    yield made
    provider.process.stop()


@pytest.fixture
def auth(settings: Settings) -> ClientAuth:
    """As the hub makes it."""
    return ClientAuth.from_settings(settings)


def answer(settings: Settings, fields: dict[str, Any], **options: Any) -> str:
    """The token endpoint's error."""
    body = {"grant_type": "refresh_token", "refresh_token": "never-was", **fields}
    response = httpx.post(f"{settings.identity.issuer}/token", data=body, trust_env=False, **options)
    return str(response.json()["error"])


def metadata(settings: Settings) -> Any:
    document = httpx.get(f"{settings.identity.issuer}/.well-known/openid-configuration", trust_env=False).json()
    return read_metadata(document, settings.identity.issuer)


@pytest.mark.parametrize("audience", ["issuer", "token_endpoint"])
def test_our_assertion_is_taken(settings: Settings, auth: ClientAuth, audience: str) -> None:
    fields, _ = replace(auth, audience=audience).apply(metadata(settings))
    assert answer(settings, fields) == "invalid_grant"
    assert answer(settings, fields) == "invalid_client"  # each serves once


def test_of_another_secret_or_key_it_is_not(settings: Settings, auth: ClientAuth) -> None:
    other = replace(auth, secret=secrets.token_hex(32), key=auth.key and ClientKey.from_pem(new_key()))
    assert answer(settings, other.apply(metadata(settings))[0]) == "invalid_client"


def test_a_plain_secret_is_not(settings: Settings) -> None:
    name, secret = settings.identity.client_id, settings.secret("oidc-client-secret")
    assert answer(settings, {"client_id": name, "client_secret": secret}) == "invalid_client"
    assert answer(settings, {}, auth=(name, secret)) == "invalid_client"


def test_it_is_as_strict_as_eu_login(settings: Settings) -> None:
    stated = metadata(settings)
    assert stated.auth_methods == {"client_secret_jwt", "private_key_jwt"} and not stated.userinfo_endpoint
    query = {
        "response_type": "code",
        "client_id": settings.identity.client_id,
        "redirect_uri": f"{settings.hub.public_url}/hub/oauth_callback",
        "scope": "openid",
        "state": "s",
    }
    refused = httpx.get(stated.authorization_endpoint, params=query, trust_env=False)
    assert httpx.URL(refused.headers["Location"]).params["error"] == "invalid_request"  # no PKCE
    pkce = {"code_challenge": "A" * 43, "code_challenge_method": "S256"}
    taken = httpx.get(stated.authorization_endpoint, params={**query, **pkce}, trust_env=False)
    assert "/interaction/" in taken.headers["Location"]
