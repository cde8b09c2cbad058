"""Each client authentication at a real provider (oidc-provider), which checks it wholly; our page of public keys."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tornado.httpclient import AsyncHTTPClient

from bdap_hub.errors import Unavailable
from bdap_hub.identity.client import Client
from bdap_hub.identity.client_auth import ClientAuth
from bdap_hub.identity.client_key import ClientKey
from tests.conftest import free_port

from .conftest import Platform
from .drivers import OIDC_PROVIDER
from .processes import Process
from .test_client_auth import pem

SECRET = "a-secret/with:signs%that need to be encoded and that is longer than sixty-four octets"
KEYS = {
    "rsa": ClientKey.from_pem(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))),
    "ec": ClientKey.from_pem(pem(ec.generate_private_key(ec.SECP256R1()))),
}
STRANGER = ClientKey.from_pem(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
ALGORITHMS = ["HS256", "HS512", "RS256", "PS256", "PS512", "ES256"]
CASES: dict[str, dict[str, Any]] = {
    "basic": {"method": "client_secret_basic"},
    "post": {"method": "client_secret_post"},
    "jwt": {"method": "client_secret_jwt"},
    "jwt-hs256": {"method": "client_secret_jwt", "algorithm": "HS256"},
    "jwt-endpoint": {"method": "client_secret_jwt", "audience": "token_endpoint"},
    "key-rsa": {"method": "private_key_jwt", "key": KEYS["rsa"]},
    "key-ps256": {"method": "private_key_jwt", "key": KEYS["rsa"], "algorithm": "PS256"},
    "key-ec": {"method": "private_key_jwt", "key": KEYS["ec"]},
}


def registered(name: str, case: dict[str, Any]) -> dict[str, Any]:
    """How the provider's operators know the client."""
    client = {"client_id": name, "token_endpoint_auth_method": case["method"]}
    if "algorithm" in case:
        client["token_endpoint_auth_signing_alg"] = case["algorithm"]
    if "key" in case:
        return {**client, "jwks": {"keys": [case["key"].public]}}
    return {**client, "client_secret": SECRET}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not OIDC_PROVIDER.exists():
        pytest.fail(f"{OIDC_PROVIDER.name} is missing: run `make test` once, it installs it")
    folder, address = tmp_path_factory.mktemp("clients"), f"http://127.0.0.1:{free_port()}"
    clients = [registered(name, case) for name, case in CASES.items()]
    (folder / "config.json").write_text(json.dumps({"issuer": address, "clients": clients, "algorithms": ALGORITHMS}))
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin") or "node"
    script = Path(__file__).parent / "fidelity/clients.mjs"
    command = [node, str(script), "config.json", str(OIDC_PROVIDER)]
    process = Process(command, folder, "provider.log", f"{address}/.well-known/openid-configuration")
    process.start()
    yield address
    process.stop()


def auth(name: str, **changes: Any) -> ClientAuth:
    case = {"secret": "" if "key" in CASES[name] else SECRET, **CASES[name], **changes}
    return ClientAuth(case.pop("method"), name, **case)


async def token(issuer: str, made: ClientAuth) -> dict[str, Any] | None:
    return await Client(issuer, made, AsyncHTTPClient())._token_request({"grant_type": "client_credentials"})


@pytest.mark.parametrize("name", CASES)
async def test_the_provider_takes_it(issuer: str, name: str) -> None:
    answer = await token(issuer, auth(name))
    assert answer and answer["token_type"] == "Bearer"
    assert await token(issuer, auth(name))  # and again: each assertion is a new one


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("basic", {"secret": "wrong"}),
        ("post", {"secret": "wrong"}),
        ("jwt", {"secret": SECRET[::-1]}),
        ("key-rsa", {"key": replace(STRANGER, public=KEYS["rsa"].public)}),
        ("jwt", {"method": "client_secret_basic"}),  # not what was registered
        ("jwt-hs256", {"algorithm": "HS512"}),
    ],
)
async def test_the_provider_refuses_it(issuer: str, name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="did not answer as it should"):
        await token(issuer, auth(name, **changes))


def test_the_page_of_public_keys(platform: Platform) -> None:
    """Without a key it is an empty set; anybody may read it."""
    answer = httpx.get(f"{platform.url}/hub/oidc/jwks.json", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"keys": []})
    assert answer.headers["content-type"].startswith("application/json")
